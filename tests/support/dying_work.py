"""Work whose executor dies once; it is sent to executors, which know nothing else of tests."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any


def die_once(flag: str, work: Callable[[Any], Any], item: Any) -> Any:
    """Do the work, and kill the executor before it can answer, unless somebody has made the folder `flag` before."""
    answer = work(item)
    try:
        Path(flag).mkdir()
    except FileExistsError:
        return answer
    # This process was started by a daemon of Python, and that one by the executor.
    os.kill(int(Path(f"/proc/{os.getppid()}/stat").read_text().rpartition(")")[2].split()[1]), signal.SIGKILL)
    return answer

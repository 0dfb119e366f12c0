"""A clock that a test sets, for all processes that are started with it."""

from __future__ import annotations

import mmap
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

SOURCE = Path(__file__).with_suffix(".c")
COMPILER = shutil.which("cc") or shutil.which("gcc")
WHY_NOT = None if COMPILER and sys.platform == "linux" else "needs Linux and a C compiler"


@dataclass(slots=True)
class Clock:
    """How many seconds processes are ahead of the real time, in memory that all of them see."""

    shared: mmap.mmap

    @property
    def now(self) -> datetime:
        return datetime.now(UTC) + timedelta(seconds=int.from_bytes(self.shared[:8], sys.byteorder, signed=True))

    def set(self, instant: datetime) -> None:
        ahead = round((instant - datetime.now(UTC)).total_seconds())
        self.shared[:8] = ahead.to_bytes(8, sys.byteorder, signed=True)


def compile_library(source: Path, library: Path) -> None:
    """Compile a library that LD_PRELOAD puts before the others."""
    subprocess.run([str(COMPILER), "-shared", "-fPIC", "-O2", "-o", str(library), str(source), "-ldl"], check=True)


@contextmanager
def clock_set_to(instant: datetime, folder: Path) -> Iterator[Clock]:
    """Yield a clock at this instant, by which every process goes that is started within the block.

    The instant is best in the future: a file that seems to be from tomorrow is taken for one that has just changed.
    """
    library, file = folder / "set_clock.so", folder / "set_clock"
    compile_library(SOURCE, library)
    file.write_bytes(bytes(mmap.PAGESIZE))
    with file.open("r+b") as opened, mmap.mmap(opened.fileno(), mmap.PAGESIZE) as shared, pytest.MonkeyPatch.context() as environment:
        clock = Clock(shared)
        clock.set(instant)
        environment.setenv("LD_PRELOAD", str(library))
        environment.setenv("SET_CLOCK", str(file))
        yield clock

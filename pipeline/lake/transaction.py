"""A transaction over several files: all of them appear or none, even if the run is killed.

    pending/<name>.new/    being written; nobody reads it
    pending/<name>/        complete; if its writer could not move the files to their places, the next one does

Both are private, and empty whenever nobody writes.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pipeline.lake.addresses import PENDING
from pipeline.lake.disk import disk_errors, flush_to_disk
from pipeline.lake.lake import Lake


@contextmanager
def transaction(lake: Lake, name: str) -> Iterator[Path]:
    """Yield a folder in which files are written at their addresses; all appear in the lake once the block ends well.

    The caller holds a lock that keeps other writers of `name` off. Raises TransientError where the disk refuses.
    """
    ready, folder = lake.root / PENDING / name, lake.root / PENDING / f"{name}.new"
    finish_transaction(lake, name)
    with disk_errors(lake.root):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
    yield folder
    with disk_errors(lake.root):
        for path in _files_below(folder):
            flush_to_disk(path)
        # From this rename on the transaction is committed: what is left to do can be repeated.
        folder.rename(ready)
        flush_to_disk(ready.parent)
    finish_transaction(lake, name)


def finish_transaction(lake: Lake, name: str) -> None:
    """Move the files of an interrupted transaction to their places; does nothing where there is none."""
    ready = lake.root / PENDING / name
    if ready.is_dir():
        with disk_errors(lake.root):
            for path in _files_below(ready):
                place = lake.root / path.relative_to(ready)
                place.parent.mkdir(parents=True, exist_ok=True)
                path.replace(place)
            shutil.rmtree(ready)


def _files_below(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())

"""A transaction over several files of a lake on a local disk: all of them appear or none, even if the run is killed.

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


@contextmanager
def transaction(root: Path, name: str) -> Iterator[Path]:
    """Yield a folder in which files are written at their addresses; all appear in the lake at `root` once the block ends well.

    The caller holds a lock that keeps other writers of `name` off. Raises TransientError where the disk refuses.
    """
    ready, folder = root / PENDING / name, root / PENDING / f"{name}.new"
    finish_transaction(root, name)
    with disk_errors(root):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
    yield folder
    with disk_errors(root):
        for path in _files_below(folder):
            flush_to_disk(path)
        # From this rename on the transaction is committed: what is left to do can be repeated.
        folder.rename(ready)
        flush_to_disk(ready.parent)
    finish_transaction(root, name)


def finish_transaction(root: Path, name: str) -> None:
    """Move the files of an interrupted transaction to their places; does nothing where there is none."""
    ready = root / PENDING / name
    if ready.is_dir():
        with disk_errors(root):
            for path in _files_below(ready):
                place = root / path.relative_to(ready)
                place.parent.mkdir(parents=True, exist_ok=True)
                path.replace(place)
            shutil.rmtree(ready)


def _files_below(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())

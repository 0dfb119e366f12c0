"""Folders outside the lake that appear whole; one that is written again takes the place of the old one at once."""

from __future__ import annotations

import ctypes
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from pipeline.errors import ConfigError
from pipeline.lake.disk import copy_file, disk_errors

HERE, EXCHANGE = -100, 2  # AT_FDCWD and RENAME_EXCHANGE of Linux


@dataclass(frozen=True, slots=True)
class FolderWriter:
    """Writes files into a folder that nobody reads yet."""

    path: Path

    def add_file(self, file: Path, name: str) -> Path:
        """Copy a file into the folder and return the copy; raises TransientError where the disk refuses."""
        with disk_errors(self.path, path=self.path / name):
            copy_file(file, place := self._place(name))
        return place

    def add_text(self, name: str, text: str) -> None:
        """Write a text into the folder; raises TransientError where the disk refuses."""
        with disk_errors(self.path, path=self.path / name):
            self._place(name).write_text(text, "utf-8")

    def _place(self, name: str) -> Path:
        place = self.path / name
        place.parent.mkdir(parents=True, exist_ok=True)
        return place


@contextmanager
def new_folder(path: Path) -> Iterator[Path]:
    """Yield a private folder beside `path`, where nothing is; it becomes `path` once the block ends well, else it is gone."""
    with _folder_beside(path, place=lambda folder: folder.rename(path)) as folder:
        yield folder


@contextmanager
def replaced_folder(path: Path, *, mark: str) -> Iterator[FolderWriter]:
    """Yield a private folder beside `path`, whose place it takes once the block ends well, else it is gone.

    What is there is removed, if it has a file `mark`, as the new one must have; readers find the old folder or the new one. Raises
    ConfigError where something else is there, TransientError where the disk refuses.
    """
    _require_replaceable(path, mark)
    with disk_errors(path.parent, path=path):
        path.parent.mkdir(parents=True, exist_ok=True)
    with _folder_beside(path, place=lambda folder: _take_place(folder, path)) as folder:
        yield FolderWriter(folder)


@contextmanager
def _folder_beside(path: Path, *, place: Callable[[Path], object]) -> Iterator[Path]:
    with disk_errors(path.parent, path=path):
        folder = Path(tempfile.mkdtemp(prefix=f".{path.name}-", dir=path.parent))
    try:
        yield folder
        with disk_errors(path.parent, path=path):
            # As a folder that somebody makes by hand: the private one is its owner's alone.
            mask = os.umask(0)
            os.umask(mask)
            folder.chmod(0o777 & ~mask)
            place(folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _require_replaceable(path: Path, mark: str) -> None:
    is_ours = path.is_dir() and ((path / mark).is_file() or not any(path.iterdir()))
    if path.is_symlink() or (path.exists() and not is_ours):
        todo = "Name a folder that is not there yet, or one that was written by this command before."
        raise ConfigError("something else is there, which would be removed", where=str(path), todo=todo)


def _take_place(folder: Path, path: Path) -> None:
    if not path.exists():
        folder.rename(path)
    elif not _exchange(folder, path):
        # Without an exchange there is a moment in which nothing is there.
        aside = folder.with_name(f"{folder.name}-old")
        path.rename(aside)
        folder.rename(path)
        shutil.rmtree(aside, ignore_errors=True)


def _exchange(folder: Path, path: Path) -> bool:
    """Let both change places at once; return False where the system or the disk cannot."""
    with suppress(OSError, AttributeError):
        rename = ctypes.CDLL(None, use_errno=True).renameat2
        return bool(rename(HERE, os.fsencode(folder), HERE, os.fsencode(path), EXCHANGE) == 0)
    return False

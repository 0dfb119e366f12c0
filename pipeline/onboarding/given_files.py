"""The files that somebody gives for a new company: copied into its folder, a folder for each table, so that later ones lie beside them.

The only module of onboarding that changes files.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from pipeline.errors import ConfigError, DataError
from pipeline.ingestion.sources.newest_files import natural_order
from pipeline.ingestion.sources.table_files import SUFFIXES
from pipeline.lake.disk import copy_file, disk_errors

DATA = "data"
TEXTS = (".txt", ".dat", ".tab")  # text tables by another name, which no night reads


def require_files(given: Sequence[Path]) -> list[Path]:
    """Return the files that are given, of folders those that are tables, by name, in whatever order they are given.

    Raises ConfigError for what is neither, or where there is none.
    """
    files: list[Path] = []
    for path in given:
        if path.is_dir():
            files += [each for each in _files_in(path) if _is_table(each)] or _files_in(path)
        elif path.is_file():
            files.append(path)
        else:
            raise ConfigError(f"{path.name} is no file", where=str(path), todo="Name a file that is there.")
    if not files:
        raise ConfigError("no file is given", where="--from", todo="Name at least one: --from orders_export.csv.")
    return sorted(dict.fromkeys(files), key=lambda file: (natural_order(f"{file.stem}.csv"), str(file)))


def other_files(given: Sequence[Path]) -> list[str]:
    """Return the names of files in given folders that are no tables, and are not read."""
    return [each.name for path in given if path.is_dir() for each in _files_in(path) if not _is_table(each)]


def _files_in(folder: Path) -> list[Path]:
    # Programs keep a lock beside an open file: `~$sales.xlsx` of Excel, `.~lock.sales.ods#` of LibreOffice.
    return sorted(each for each in folder.iterdir() if each.is_file() and not each.name.startswith((".", "~$")))


def _is_table(path: Path) -> bool:
    return path.name.lower().endswith((*SUFFIXES, *TEXTS))


def copy_files(files: Sequence[Path], data: Path) -> dict[str, Path]:
    """Copy each file into a folder of its own below `data`, and return the copies by the folder's name."""
    copies = {}
    for place, file in enumerate(files, 1):
        suffix = file.suffix.lower()
        copy = data / f"given_{place}" / (f"{file.stem}.csv" if suffix in TEXTS else file.name)
        with disk_errors(data, path=copy):
            copy.parent.mkdir(parents=True)
            copy_file(file, copy)
        if not copy.stat().st_size:
            raise DataError(f"{file.name} is empty: 0 bytes", where=str(file), todo="Export it again.")
        copies[copy.parent.name] = copy
    return copies


def discard_copy(copy: Path) -> None:
    """Remove a copy that is no table."""
    with disk_errors(copy.parent, path=copy):
        copy.unlink()
        copy.parent.rmdir()


def move_files(
    copies: Mapping[str, Path], tables: Mapping[str, Sequence[str]], data: Path, names: Mapping[str, str]
) -> dict[str, list[Path]]:
    """Move the copies into the folders of their tables, which `tables` gives by name, and return the files of each table.

    `names` has new names for some of them.
    """
    moved: dict[str, list[Path]] = {}
    for table, folders in tables.items():
        for folder in folders:
            copy = copies[folder]
            path = _free_path(data / table / names.get(folder, copy.name))
            with disk_errors(data, path=path):
                path.parent.mkdir(parents=True, exist_ok=True)
                copy.rename(path)
                copy.parent.rmdir()
            moved.setdefault(table, []).append(path)
    return moved


def write_texts(folder: Path, texts: Mapping[str, str]) -> None:
    """Write texts by their paths below `folder`."""
    for name, text in texts.items():
        path = folder / name
        with disk_errors(folder, path=path):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, "utf-8")


def table_name(text: str, taken: Iterable[str] = ()) -> str:
    """Return a name for a table after `text`: small letters, digits and underscores; another one than those that are taken."""
    name = re.sub(r"[^a-z0-9]+", "_", text.lower()).strip("_") or "table"
    name = f"t_{name}" if name[0].isdigit() else name
    known = set(taken)
    return next(each for each in (name, *(f"{name}_{place}" for place in range(2, len(known) + 3))) if each not in known)


def _free_path(path: Path) -> Path:
    place = 2
    found = path
    while found.exists():
        found = path.with_name(f"{path.stem}_{place}{path.suffix}")
        place += 1
    return found

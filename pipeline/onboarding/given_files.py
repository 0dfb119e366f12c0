"""The files that somebody gives for a new company: copied into its folder, a folder for each table, so that later ones lie beside them.

The only module of onboarding that changes files.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pipeline.errors import ConfigError, DataError, PipelineError
from pipeline.ingestion.sources.newest_files import natural_order
from pipeline.ingestion.sources.table_files import table_name
from pipeline.lake.disk import copy_file, disk_errors
from pipeline.onboarding.file_looks import TEXTS, may_be_table
from pipeline.onboarding.overlapping_files import DATE_BEFORE
from pipeline.spelling import printable_line

DATA = "data"


@dataclass(frozen=True, slots=True)
class GivenFiles:
    """The files that are given, and names of those in given folders that are no tables."""

    files: tuple[Path, ...]
    passed_over: tuple[str, ...]

    @property
    def assumption(self) -> str:
        """What to say of those that are passed over; empty where there are none."""
        named = [
            *self.passed_over[:MOST_NAMED],
            *([f"{len(self.passed_over) - MOST_NAMED:,} more"] if self.passed_over[MOST_NAMED:] else []),
        ]
        return f"Not read, as they are no tables: {', '.join(named)}." if named else ""


MOST_NAMED = 10


def require_files(given: Sequence[Path]) -> GivenFiles:
    """Return the files that are given, those of folders one by one, by name, in whatever order they are given.

    What lies in a folder and is no table is passed over. Raises ConfigError for what is neither file nor folder, or where no table is.
    """
    files: list[Path] = []
    passed_over: list[str] = []
    for path in given:
        if path.is_dir():
            inside = sorted(path.iterdir())
            tables = [each for each in inside if each.is_file() and may_be_table(each)]
            files += tables
            passed_over += [f"{each.name}/" if each.is_dir() else each.name for each in inside if each not in tables]
        elif path.is_file():
            files.append(path)
        else:
            raise ConfigError(f"{path.name} is no file", where=str(path), todo="Name a file that is there.")
    found = GivenFiles(
        tuple(sorted(dict.fromkeys(files), key=lambda file: (natural_order(f"{file.stem}.csv"), str(file)))),
        tuple(sorted(map(printable_line, passed_over))),
    )
    if not files:
        what = f"no file is given that may be a table. {found.assumption}".rstrip() if passed_over else "no file is given"
        raise ConfigError(what, where=f"--from {given[0]}" if given else "--from", todo="Name at least one: --from orders_export.csv.")
    return found


@contextmanager
def naming_given_files(files: Sequence[Path], new: Path, folder: Path) -> Iterator[None]:
    """Name in errors of the block the files that were given instead of their copies in `new`, and `folder`, which `new` would become."""
    try:
        yield
    except PipelineError as error:
        if error.where.startswith(str(new / DATA)):
            name = Path(error.where).stem
            names = (name, re.sub(DATE_BEFORE, "", name))
            error.where = next((str(file) for file in files if file.stem in names), error.where)
        error.where = error.where.replace(str(new), str(folder))
        if "encoding" in error.todo:
            # There is no company.toml yet to declare it in.
            error.todo = "Name the encoding that it was saved in, such as --set encoding=windows-1254, or have the file written again."
        raise


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


def free_table_name(text: str, taken: Iterable[str] = ()) -> str:
    """Return a name for a table after `text`: small letters, digits and underscores; another one than those that are taken."""
    name = re.sub(r"[^a-z0-9]+", "_", text.lower()).strip("_") or "table"
    name = f"t_{name}" if name[0].isdigit() else name
    known = set(taken)
    return next(each for each in (name, *(f"{name}_{place}" for place in range(2, len(known) + 3))) if each not in known)


def _free_path(path: Path) -> Path:
    # `orders.csv_2.gz` would be no table.
    stem = table_name(path)
    place = 2
    found = path
    while found.exists():
        found = path.with_name(f"{stem}_{place}{path.name.removeprefix(stem)}")
        place += 1
    return found

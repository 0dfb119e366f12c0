"""Which files of a folder are tables: found by their names, and refused where they cannot be opened.

Every file of a known kind is a table named by its stem, in capitals or not: Parquet, CSV and JSON, compressed or not, workbooks. A
sub-folder is one table of all files below it, of one kind. Folders named `year=2024`, as Hive and Spark write them, give a text column
`year`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal
from urllib.parse import quote

from pipeline.errors import ConfigError, DataError
from pipeline.ingestion.sources.compressed_files import COMPRESSIONS
from pipeline.lake.file_stamps import FileStamp, file_stamp
from pipeline.spelling import did_you_mean

FileKind = Literal["Parquet", "CSV", "workbook", "JSON lines", "JSON", "SQLite"]
SUFFIXES: Mapping[str, FileKind] = {
    ".parquet": "Parquet",
    **{f"{suffix}{compression}": "CSV" for suffix in (".csv", ".tsv") for compression in COMPRESSIONS},
    **dict.fromkeys((".xlsx", ".xlsm", ".xls", ".ods"), "workbook"),
    **{f"{suffix}{compression}": "JSON lines" for suffix in (".jsonl", ".ndjson") for compression in COMPRESSIONS},
    **{f".json{compression}": "JSON" for compression in COMPRESSIONS},
}
_HIDDEN = (".", "~$")  # the latter beside a workbook that is open somewhere
_REMEDIES = {
    ".xlsb": "save it as .xlsx",
    ".numbers": "export it as .xlsx or CSV",
    ".zip": "unpack it",
    ".7z": "unpack it",
    ".rar": "unpack it",
    ".txt": "rename it to .csv, if that is what it is",
    ".dat": "rename it to .csv, if that is what it is",
}


@dataclass(frozen=True)
class SourceTable:
    """The files of one table, all of one kind."""

    name: str
    paths: tuple[Path, ...]
    folder: Path
    known_kind: FileKind | None = None

    @property
    def kind(self) -> FileKind:
        """What the files are: as is known, or by their names."""
        return self.known_kind or SUFFIXES[_suffix(self.paths[0])]

    def copy_path(self, path: Path, staging: Path, suffix: str) -> Path:
        """Return where below `staging` a copy of the file belongs, in folders of the same names, as these may be columns."""
        # A table of a database may be called as nothing can be that lies in a folder.
        return staging / "copies" / quote(self.name, safe=" ") / path.relative_to(self.folder).with_name(f"{path.name}{suffix}")

    @cached_property
    def is_partitioned(self) -> bool:
        """Whether the files lie in folders such as `year=2024`, which are columns."""
        parents = (part for path in self.paths for part in path.relative_to(self.folder).parts[1:-1])
        return any("=" in part for part in parents)

    def stamps(self) -> Mapping[Path, FileStamp | None]:
        """Return what tells whether a file changed, None for one that cannot be looked at."""
        found: dict[Path, FileStamp | None] = dict.fromkeys(self.paths)
        for path in self.paths:
            with suppress(OSError):
                found[path] = file_stamp(path)
        return found

    def require_readable(self) -> None:
        """Raise DataError for one that is no file, or that may not be read."""
        for path in self.paths:
            try:
                if path.exists() and not path.is_file():  # opening a pipe would wait for ever
                    raise DataError(f"{path.name} is no file", where=str(path), todo="Put a file in its place, or remove it.")
                with path.open("rb"):
                    pass
            except OSError as error:
                raise _unreadable(path, error) from None


def find_tables(folder: Path) -> dict[str, SourceTable]:
    """Return the tables of `folder` by name; raises ConfigError where two files or folders give the same one."""
    tables: dict[str, SourceTable] = {}
    for path in _listed(folder):
        name, files = (path.name, _files_below(path)) if path.is_dir() else (table_name(path), [path])
        if not (name and files):
            continue
        if other := next((known for known in tables if known.lower() == name.lower()), None):
            places = ", ".join(each.relative_to(folder).parts[0] for each in (tables[other].paths[0], files[0]))
            what = f"two files give the table `{name}`: {places}"
            raise ConfigError(what, where=str(folder), todo="Move one away, or put both into one sub-folder if they are of one kind.")
        tables[name] = SourceTable(name, tuple(files), folder)
    return tables


def link_targets(tables: Iterable[SourceTable], folder: Path) -> list[str]:
    """Return where links among the files lead, as far as that is outside of `folder`."""
    # DuckDB goes by real paths: where a link leads out of the folder that it may read, the file has to be allowed by name.
    real = folder.resolve()
    return [str(target) for table in tables for path in table.paths if not (target := path.resolve()).is_relative_to(real)]


def missing_table_error(name: str, folder: Path | None, tables: Mapping[str, SourceTable], where: str) -> ConfigError:
    """Return the error for a table that the source, a folder or a file, does not give, with the files that look like it but are none."""
    has = f"{folder} has: {', '.join(sorted(tables)) or 'no table'}."
    read = {path for table in tables.values() for path in table.paths}
    alike = [path for path in (_listed(folder) if folder and folder.is_dir() else []) if path.name.lower().startswith(name.lower())]
    unread = [path for path in alike if path.name not in tables and path not in read]
    hints = [f"{path.name} is no file of a known kind by its name: {_remedy(path)}." for path in unread[:3]]
    return ConfigError(
        f"the source has no table `{name}`{did_you_mean(name, tables)}",
        where=where,
        todo=" ".join([*hints, *(_dated_name_hint(name, folder, tables) if folder and folder.is_dir() else []), has]),
    )


def _dated_name_hint(name: str, folder: Path, tables: Mapping[str, SourceTable]) -> list[str]:
    dated = sorted(other for other in tables if other.lower().startswith(name.lower()))
    if not dated:
        return []
    files = "its files" if len(dated) > 1 else "the file"
    return [f"Where names change, put {files} into a folder: {folder / name} is then the table `{name}`."]


def _remedy(path: Path) -> str:
    if path.is_dir():
        return "no such file lies in it"
    return _REMEDIES.get(path.suffix.lower(), "name it *.csv or *.parquet, if it is one")


def table_name(path: Path) -> str:
    """Return the name of the file without its suffix; empty where the file is no table."""
    suffix = _suffix(path)
    return path.name[: -len(suffix)] if suffix else ""


def file_kind(path: Path) -> FileKind | None:
    """Return what the file is, by its name; None where it is no table."""
    return SUFFIXES.get(_suffix(path))


def _suffix(path: Path) -> str:
    return next((suffix for suffix in SUFFIXES if path.name.lower().endswith(suffix)), "")


def _files_below(folder: Path) -> list[Path]:
    # Spark leaves `_SUCCESS` and `_temporary` beside its files, editors leave hidden ones.
    files = [
        path
        for path in sorted(folder.rglob("*"))
        if table_name(path) and not any(part.startswith((*_HIDDEN, "_")) for part in path.relative_to(folder).parts)
    ]
    kinds = sorted({SUFFIXES[_suffix(path)] for path in files})
    if len(kinds) > 1:
        raise ConfigError(f"one table has {' and '.join(kinds)} files", where=str(folder), todo="Keep one kind.")
    return files


def _listed(folder: Path) -> list[Path]:
    try:
        return [path for path in sorted(folder.iterdir()) if not path.name.startswith(_HIDDEN)]
    except OSError as error:
        raise _unreadable(folder, error) from None


def _unreadable(path: Path, error: OSError) -> DataError:
    reason = (error.strerror or type(error).__name__).lower()
    remedy = "Mend the link, or remove it." if path.is_symlink() else "Let the user that runs this read it."
    return DataError(f"{path.name} cannot be read: {reason}", where=str(path), todo=remedy)

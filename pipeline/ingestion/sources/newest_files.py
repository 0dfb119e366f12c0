"""Exports that overlap: of rows with the same key, those of the newest file stand.

The newest is the one with the latest date in its name or folder; of two with the same date, and where no name has one, the last by name,
with numbers in names counted as numbers. Never by the time of the last change: a copy of a folder would then give another night.
"""

from __future__ import annotations

import re
from calendar import monthrange
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import date
from pathlib import Path

import pyarrow as pa
from duckdb import DuckDBPyConnection, DuckDBPyRelation

from pipeline.errors import ConfigError
from pipeline.ingestion.sources import quote_name
from pipeline.ingestion.sources.table_files import SourceTable, table_name
from pipeline.ingestion.sources.text_rows import FILE_COLUMN, RECORD_COLUMN
from pipeline.spelling import did_you_mean

_PATH, _RANK = "segments_path", "segments_rank"  # beside columns of the company, which may well be called `file`
# A time of day may follow without a space: 20240131093000.
_DATE = re.compile(r"(?<!\d)(\d{4})(?:-(\d{2})-(\d{2})|_(\d{2})_(\d{2})|(\d{2})(\d{2})(?:\d{4}|\d{6})?)(?!\d)")
_MONTHS = {"jan": 1, "feb": 2, "mar": 3, "mär": 3, "apr": 4, "may": 5, "mai": 5, "jun": 6, "jul": 7, "aug": 8, "sep": 9}
_MONTHS |= {"oct": 10, "okt": 10, "nov": 11, "dec": 12, "dez": 12}
_MONTH = (
    r"(?<![^\W\d_])(jan(?:uary?)?|feb(?:ruary?)?|mar(?:ch)?|märz|apr(?:il)?|ma[yi]|jun[ei]?|jul[yi]?|aug(?:ust)?|sept?(?:ember)?"
    r"|o[ck]t(?:ober)?|nov(?:ember)?|de[cz](?:ember)?)(?![^\W\d_])"
)
_MONTH_AND_YEAR = re.compile(rf"(?:(?<!\d)(\d{{1,2}})\.?[-_ ]*)?{_MONTH}[-._ ]*(\d{{4}})(?!\d)", re.IGNORECASE)
_YEAR_AND_MONTH = re.compile(rf"(?<!\d)(\d{{4}})[-._ ]*{_MONTH}(?:[-._ ]*(\d{{1,2}})(?!\d))?", re.IGNORECASE)
# Their numbers are in another order than their days: 01-02-2024, 31012024, 12-2023 after 01-2024, and 5MAR24.
_OTHER_DATE = re.compile(
    r"(?<!\d)(?:\d{1,2}([-._ ])\d{1,2}\1(?:\d{4}|\d{2})|\d{4}(?:19|20)\d{2}|\d{1,2}[-._ ](?:19|20)\d{2})(?!\d)"
    rf"|(?<!\d)\d{{1,2}}\.?[-_ ]*{_MONTH}|{_MONTH}[-._ ]*\d",
    re.IGNORECASE,
)


def rows_of_newest_files(
    connection: DuckDBPyConnection, rows: DuckDBPyRelation, files: SourceTable, origins: Mapping[str, Path], key: Sequence[str]
) -> DuckDBPyRelation:
    """Return the `rows` that no newer file replaces; `origins` are files of the source, by the path that FILE_COLUMN names.

    All rows of one file stand, however often it has a key; so does a row without a key.
    Raises ConfigError where nobody can say which file is the newest.
    """
    place = {path: rank for rank, path in enumerate(oldest_first(files))}
    ranks = pa.table({_PATH: list(origins), _RANK: pa.array([place[path] for path in origins.values()], pa.int32())})
    named = f"segments ranks {files.name}"
    connection.register(named, ranks)
    columns, raw = ", ".join(map(quote_name, rows.columns)), quote_name(f"segments raw {files.name}")
    keys = ", ".join(map(quote_name, key))
    lacks_key = " OR ".join(f"{quote_name(name)} IS NULL" for name in key)
    return connection.sql(
        f"SELECT {columns} FROM {raw} JOIN {quote_name(named)} ON {_PATH} = {FILE_COLUMN} "  # noqa: S608 - names of columns, quoted
        f"QUALIFY {_RANK} = max({_RANK}) OVER (PARTITION BY {keys}) OR {lacks_key}"
    )


def require_key(files: SourceTable, path: Path, columns: Sequence[str], key: Sequence[str]) -> None:
    """Raise ConfigError where the key names what is none of the `columns` of one file."""
    # Such a file would have no key in any row, and so replace nothing.
    for name in key:
        known = [column for column in columns if column not in (FILE_COLUMN, RECORD_COLUMN)]
        if name.lower() not in {column.lower() for column in known}:
            what = f"source.formats.{files.name}.key names `{name}`, which {path.name} does not have{did_you_mean(name, known)}"
            todo = f"Name some of its columns in company.toml: {', '.join(known)}. Or have the file written again with those of the others."
            raise ConfigError(what, where=str(path), todo=todo)


def oldest_first(files: SourceTable) -> list[Path]:
    """Return the files of a table, the newest last; raises ConfigError where their names do not say which that is."""
    names = {path: path.relative_to(files.folder).as_posix() for path in files.paths}
    dates = {path: latest_date(name) for path, name in names.items()}
    where, todo = str(files.paths[0].parent), "Write dates as in orders_2024-01-31.csv, in the names of all files of the table or of none."
    undated = [path for path, day in dates.items() if day is None]
    if odd := next((path for path in undated if _OTHER_DATE.search(names[path])), None):
        what = f"which file of `{files.name}` is the newest cannot be told: the date in the name of {odd.name} may be read in two ways"
        raise ConfigError(what, where=where, todo=todo)
    if undated and len(undated) < len(names):
        what = f"which file of `{files.name}` is the newest cannot be told: {undated[0].name} has no date in its name, others have"
        raise ConfigError(what, where=where, todo=todo)
    return sorted(names, key=lambda path: (dates[path] or date.min, natural_order(names[path])))


def latest_date(name: str) -> date | None:
    """Return the latest date in the name of a file; None where it has none that reads in one way."""
    written = [tuple(part for part in match.groups() if part) for match in _DATE.finditer(name)]
    written += [(year, _month(word), day) for day, word, year in _MONTH_AND_YEAR.findall(name)]
    written += [(year, _month(word), day) for year, word, day in _YEAR_AND_MONTH.findall(name)]
    found = []
    for year, month, day in written:
        with suppress(ValueError):  # eight digits that are no date
            _, last = monthrange(int(year), int(month))
            # A month without a day is over on its last.
            found.append(date(int(year), int(month), int(day or last)))
    return max(found, default=None)


def _month(word: str) -> str:
    return str(_MONTHS[word[:3].lower()])


def natural_order(name: str) -> list[tuple[str, int]]:
    """Return the parts of a file's name so that `export (10)` comes after `export (2)`, and `export` before both.

    A month in words counts as its number: `march` comes after `february`.
    """
    # The ending is no part of it: `export.csv` would come after `export (2).csv`.
    stem = re.sub(_MONTH, lambda word: _month(word[0]), Path(name).with_name(table_name(Path(name))).as_posix(), flags=re.IGNORECASE)
    return [(text, int(number or -1)) for text, number in re.findall(r"(\D*)(\d*)", stem)]

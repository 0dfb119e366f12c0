"""Lists that rules ask about, such as `IN LIST vip`: the file `lists/vip.csv`, one value on each line.

A list is part of what a scheme says: its digest stands in the rules that name it, and the lake keeps the text of each that a night went
by, so that an old night can be computed again just as it was.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator
from functools import lru_cache
from hashlib import sha256
from pathlib import Path

import pyarrow as pa

from pipeline.definitions.company import Company
from pipeline.definitions.definition_files import unreadable_error
from pipeline.errors import ConfigError

SUFFIX = ".csv"
HEADINGS = ("customer_id", "value")
MOST_VALUES = 1_000_000
LARGEST_LIST = 200_000_000  # bytes: a million values of 200
_AROUND = " \t\r"
_DIGEST_LENGTH = 12


def list_digests(company: Company) -> dict[str, str]:
    """Return a digest of the text of each of the company's lists; raises ConfigError where a file cannot be read, or is too large."""
    files = company.list_files()
    if company.past_definitions is not None:  # kept by the digest of what was read, whoever was erased from it since
        return {name: path.stem for name, path in files.items()}
    return {name: _list_digest(path) for name, path in files.items()}


def require_list(path: Path) -> None:
    """Raise ConfigError where a list cannot be read or has no value."""
    if not len(list_values(path)):
        raise ConfigError("this list is empty", where=str(path), todo="Write a value on each line, or delete the rule that names it.")


def _list_digest(path: Path) -> str:
    try:
        status = path.stat()
    except OSError as error:
        raise unreadable_error(path, error) from None
    if status.st_size > LARGEST_LIST:
        raise ConfigError(f"longer than {LARGEST_LIST:,} bytes", where=str(path), todo="Write the values into an attribute of customers.")
    # With time and size, so that a list that is edited while the process lives is read again; else each list is read once.
    return _digest_of(path, status.st_mtime_ns, status.st_size)


def list_values(path: Path) -> pa.Array:
    """Return the distinct values of a list, in its order.

    Raises ConfigError naming the line where the file is not text, has several columns, or has too many values.
    """
    _list_digest(path)
    status = path.stat()
    return _values_of(path, status.st_mtime_ns, status.st_size)


@lru_cache(maxsize=64)
def _digest_of(path: Path, _changed: int, _size: int) -> str:
    return sha256(_read_bytes(path)).hexdigest()[:_DIGEST_LENGTH]


@lru_cache(maxsize=8)
def _values_of(path: Path, _changed: int, _size: int) -> pa.Array:
    values = list(dict.fromkeys(value for value in _lines(path) if value))
    if len(values) > MOST_VALUES:
        what = f"this list has {len(values):,} values, more than {MOST_VALUES:,}"
        raise ConfigError(what, where=str(path), todo="Make it an attribute of customers.")
    return pa.array(values, pa.string())


def _lines(path: Path) -> Iterator[str]:
    content = _read_bytes(path)
    try:
        # Spreadsheets put a byte order mark before what they save, which would belong to the first value.
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise _line_error(path, line, "is not UTF-8 text", "Save the file as UTF-8.") from None
    lines = text.split("\n")
    # Nearly every list is as simple as that, and may have a million lines.
    is_plain = not any(mark in text for mark in '",\0')
    values = (line.strip(_AROUND) for line in lines) if is_plain else _checked_values(path, lines, is_quoted='"' in text)
    first = next(values, "")
    # Exports begin with a heading, and an id of that name would be nobody's.
    if first not in HEADINGS:
        yield first
    yield from values


def _checked_values(path: Path, lines: Iterable[str], *, is_quoted: bool) -> Iterator[str]:
    rows = _quoted_rows(path, lines) if is_quoted else (line.split(",") for line in lines)
    for number, row in enumerate(rows, 1):
        if len(row) > 1:
            raise _line_error(path, number, f"has {len(row)} columns", "Leave one column; a value with a comma stands in double quotes.")
        value = row[0].strip(_AROUND) if row else ""
        if "\0" in value:
            raise _line_error(path, number, "has a NUL character", "Delete it.")
        yield value


def _quoted_rows(path: Path, lines: Iterable[str]) -> Iterator[list[str]]:
    rows = csv.reader((line.rstrip("\r") for line in lines), strict=True)
    first = 1
    try:
        for row in rows:
            yield row
            first = rows.line_num + 1
    except csv.Error:
        what = "has a quote that is not closed, or does not begin a value"
        raise _line_error(path, first, what, 'Write "" for a quote within a value.') from None


def _line_error(path: Path, line: int, what: str, todo: str) -> ConfigError:
    return ConfigError(f"line {line} of this list {what}", where=f"{path}:{line}", todo=todo)


def _read_bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise unreadable_error(path, error) from None

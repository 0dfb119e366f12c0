"""On which line of a TOML file a setting stands: the reader of the standard library tells none.

first_day = 2024-01-01           first_day
[source.column_types.orders]     source, source.column_types, source.column_types.orders
paid = "DECIMAL"                 source.column_types.orders.paid
[[segment]]                      segment.0
id = "loyal"                     segment.0.id
segment = [                      segment
  {id = "loyal", rule = "..."},  segment.0, segment.0.id, segment.0.rule
]
"""

from __future__ import annotations

import re
from collections.abc import Iterator

_KEY = r"(?:[A-Za-z0-9_-]+|\"[^\"]*\"|'[^']*')"
_KEYS = rf"{_KEY}(?:\s*\.\s*{_KEY})*"
_HEADER = re.compile(rf"\s*(\[\[?)\s*({_KEYS})\s*\]")
_SETTING = re.compile(rf"\s*({_KEYS})\s*=\s*(.*)")
_INLINE_SETTING = re.compile(rf"[{{,]\s*({_KEY})\s*=")
_ENTRY = re.compile(r"\s*\{")
_LONG_TEXT = re.compile(r"\"\"\"|'''")
_LIST_ENTRY = re.compile(r"\[([0-9]+)\]|\bsegment ([0-9]+):")

Path = tuple[str, ...]


def setting_line(text: str, setting: str) -> int:
    """Return the line, from 1, of a setting as errors name it, such as `segment 2: rule` or `features[0].name`.

    That of the table that it should be in, where it is missing; 0 where that is not found either.
    """
    # Messages count segments from 1, and entries of other lists from 0.
    named = _LIST_ENTRY.sub(lambda found: f".{found[1]}." if found[1] else f"segment.{int(found[2]) - 1}.", setting)
    path = tuple(part for part in re.split(r"[.\s]+", named) if part)
    lines: dict[Path, int] = {}
    for found, number in _paths(text):
        lines.setdefault(found, number)
    return next((lines[path[:length]] for length in range(len(path), 0, -1) if path[:length] in lines), 0)


def _paths(text: str) -> Iterator[tuple[Path, int]]:
    """Yield the path of each table, of each entry of a list of tables and of each setting, with its line."""
    table: Path = ()
    counts: dict[Path, int] = {}
    entries: Path | None = None  # the list of tables in brackets that the line is within
    open_quote = ""
    for number, line in enumerate(text.splitlines(), 1):
        if open_quote:
            open_quote = "" if open_quote in line else open_quote
            continue
        if header := _HEADER.match(line):
            table, entries = _table_of_header(_parts(header[2]), counts, is_entry=header[1] == "[["), None
            yield from ((table[:length], number) for length in range(1, len(table) + 1))
        elif entries is not None and _ENTRY.match(line):
            counts[entries] = counts.get(entries, -1) + 1
            entry = (*entries, str(counts[entries]))
            yield entry, number
            yield from (((*entry, *_parts(key)), number) for key in _INLINE_SETTING.findall(line))
        elif setting := _SETTING.match(line):
            path = (*table, *_parts(setting[1]))
            yield from ((path[:length], number) for length in range(len(table) + 1, len(path) + 1))
            entries = path if setting[2].startswith("[") else None
            yield from (((*path, *_parts(key)), number) for key in _INLINE_SETTING.findall(setting[2]))
            quotes = _LONG_TEXT.findall(setting[2])
            open_quote = quotes[0] if len(quotes) % 2 else ""


def _table_of_header(parts: Path, counts: dict[Path, int], *, is_entry: bool) -> Path:
    """Return the path of a table: `[segment.strategy]` belongs to the entry of `[[segment]]` before it."""
    table: Path = ()
    for part in parts:
        table = (*table, part)
        if is_entry and len(table) - sum(each.isdecimal() for each in table) == len(parts):
            counts[table] = counts.get(table, -1) + 1
        if table in counts:
            table = (*table, str(counts[table]))
    return table


def _parts(keys: str) -> Path:
    return tuple(part.strip("\"'") for part in re.findall(_KEY, keys))

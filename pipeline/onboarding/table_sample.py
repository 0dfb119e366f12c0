"""What a table of text looks like before anybody says what it means: its columns and their values. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

MOST_ROWS = 500_000
"""Rows that are looked at to find out what columns mean; what they add up to is told of all rows."""


@dataclass(frozen=True)
class ColumnSample:
    """The values of one column with how often each comes, blank ones left out."""

    name: str
    counts: Mapping[str, int]
    row_count: int

    @property
    def given_count(self) -> int:
        """Rows that have a value."""
        return sum(self.counts.values())

    @property
    def is_unique(self) -> bool:
        """Whether every row has a value of its own."""
        return self.row_count > 0 and len(self.counts) == self.row_count

    @cached_property
    def values(self) -> list[str]:
        """Values, the most frequent first."""
        return sorted(self.counts, key=lambda value: (-self.counts[value], value))


@dataclass(frozen=True, slots=True)
class TableSample:
    """A table as the source's own reader gives it, as text. `files` are those it was read from, `typed` columns that are no text there."""

    name: str
    rows: pa.Table
    files: tuple[Path, ...] = ()
    typed: frozenset[str] = frozenset()
    _columns: dict[str, ColumnSample] = field(default_factory=dict, compare=False)

    @property
    def column_names(self) -> list[str]:
        """Names of the columns as the file has them."""
        return list(self.rows.column_names)

    def spelling(self, name: str) -> str | None:
        """Return how the file spells the column `name`, whatever its case and the white space around it; None where it has none."""
        folded = fold_name(name)
        return next((each for each in self.rows.column_names if fold_name(each) == folded), None)

    def column(self, name: str) -> ColumnSample:
        """Return the values of the column; none where there is no such column."""
        spelled = self.spelling(name)
        if spelled is None:
            return ColumnSample(name, {}, self.rows.num_rows)
        if spelled not in self._columns:
            self._columns[spelled] = ColumnSample(spelled, _counts(self.rows[spelled]), self.rows.num_rows)
        return self._columns[spelled]

    def columns(self) -> Iterator[ColumnSample]:
        """Yield all columns in their order."""
        return (self.column(name) for name in self.rows.column_names)

    def records(self, names: Iterable[str]) -> Iterator[tuple[str, ...]]:
        """Yield the cells of each row in the columns `names`, trimmed; an empty text where a cell is empty or the column absent."""
        lists = [self._texts(name) for name in names]
        return zip(*lists, strict=True)

    def _texts(self, name: str) -> list[str]:
        spelled = self.spelling(name)
        if spelled is None:
            return [""] * self.rows.num_rows
        return [(value or "").strip() for value in self.rows[spelled].to_pylist()]


def fold_name(name: str) -> str:
    """Return the name of a column as names are compared: without case, and with single spaces."""
    return " ".join(name.replace("\ufeff", "").split()).casefold()


def _counts(values: pa.ChunkedArray) -> dict[str, int]:
    trimmed = pc.utf8_trim_whitespace(values.drop_null())
    found = pc.value_counts(trimmed.combine_chunks())
    pairs = zip(found.field("values").to_pylist(), found.field("counts").to_pylist(), strict=True)
    return {value: count for value, count in pairs if value}

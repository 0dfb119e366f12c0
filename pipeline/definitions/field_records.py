"""What readers of definitions ask for, written down as they ask: from it the schemas that editors check by are made.

A reader takes every field that it knows, whether the file has it or not. So one that reads a small valid file tells of all fields
there can be: no second list of them has to be kept.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from enum import IntEnum
from typing import Any

ENTRY, ANY_NAME = "[]", "*"
_LINE = re.compile(r":[0-9]+$")
_PLACE = re.compile(r" [0-9]+: |\[[0-9]+\]\.")


class TableKeys(IntEnum):
    """What is known of the keys of a table; a reader that asks more closely knows better."""

    UNTOLD = 0
    FIXED = 1
    NAMED = 2


@dataclass(frozen=True, slots=True)
class FieldRecord:
    """What is known of one field: the types of Python that it may have, and what else a reader requires of it.

    `low` and `high` are bounds of numbers, `count` is the length of a list, `pattern` that of a text or of the names of a table. `holds`
    says of a table what is known of its keys: nothing as it was taken whole, that they are fixed ones, or that whoever writes the file
    names them. `may_lack` says that the reader looked first whether the field is there.
    """

    kinds: frozenset[type] = frozenset()
    is_required: bool = False
    may_lack: bool = False
    choices: tuple[str, ...] = ()
    low: float | None = None
    high: float | None = None
    pattern: str = ""
    count: int | None = None
    holds: TableKeys = TableKeys.UNTOLD

    def merged_with(self, other: FieldRecord) -> FieldRecord:
        """Return what both say of one field of one file."""
        lows, highs = ([value for value in values if value is not None] for values in ((self.low, other.low), (self.high, other.high)))
        return FieldRecord(
            kinds=self.kinds | other.kinds,
            is_required=self.is_required or other.is_required,
            may_lack=self.may_lack or other.may_lack,
            choices=tuple(dict.fromkeys((*self.choices, *other.choices))),
            low=min(lows, default=None),
            high=max(highs, default=None),
            pattern=self.pattern or other.pattern,
            count=other.count if self.count is None else self.count,
            holds=max(self.holds, other.holds),
        )


@dataclass(frozen=True, slots=True)
class FieldRecords:
    """The fields of one file by path, such as `("segment", "[]", "rule")`.

    `[]` stands for each entry of a list, and `*` for each key of a table that whoever writes the file names.
    """

    fields: dict[tuple[str, ...], FieldRecord] = field(default_factory=dict)

    def note(self, path: tuple[str, ...], record: FieldRecord) -> None:
        """Add what a reader asked."""
        self.fields[path] = self.fields.get(path, FieldRecord()).merged_with(record)


_recording: ContextVar[dict[str, FieldRecords] | None] = ContextVar("recording", default=None)


@contextmanager
def recorded_fields() -> Iterator[dict[str, FieldRecords]]:
    """Yield what is asked for within the block, by the file that it is asked of."""
    records: dict[str, FieldRecords] = {}
    token = _recording.set(records)
    try:
        yield records
    finally:
        _recording.reset(token)


def note_field(where: str, prefix: str, key: str = "", **facts: Any) -> None:  # noqa: ANN401  # of FieldRecord
    """Write down what a reader asks of the field `key`, or of the table `prefix` itself, of a file; nothing where nobody records."""
    records = _recording.get()
    if records is not None:
        parts = (*_PLACE.sub(".[].", prefix).split("."), key)
        path = tuple(part for part in parts if part)
        records.setdefault(_LINE.sub("", where), FieldRecords()).note(path, replace(FieldRecord(), **facts))

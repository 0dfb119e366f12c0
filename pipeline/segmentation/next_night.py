"""Intervals once the next night is told: open ones go on where the membership stays, else they end; others begin.

That is what `customer_segment_intervals.sql` says of a night that no stored one follows. On such a night, which is nearly every one, open
rows and memberships come in the same order, so both are read side by side, and nothing is sorted. A batch of rows is held in memory; those
that end are set aside on disk until all open ones were written.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date

import numpy as np
import pyarrow as pa

from pipeline.definitions.audiences import MEMBER
from pipeline.lake.lake import Lake, Version
from pipeline.lake.row_spool import RowSpool
from pipeline.lake.tables import AUDIENCE_MEMBERS, CUSTOMER_SEGMENT_INTERVALS, CUSTOMER_SEGMENTS
from pipeline.segmentation.membership_windows import Codes, MembershipWindow, membership_windows

OPEN = date.max
_MEMBERSHIP = ["customer_id", "scheme", "segment"]


@dataclass(frozen=True, slots=True)
class NextNight:
    """The memberships of `night`, which no stored night follows, and the intervals that are open before it.

    `ended` takes the rows that end on it, and has them all once all `open_rows` were taken. Rows are in the stored columns of the table.
    """

    lake: Lake
    night: date
    ended: RowSpool

    def open_rows(self) -> Iterator[pa.RecordBatch]:
        """Yield the rows that are open from this night on, in order."""
        for window in membership_windows([self._open_before(), self._segments(), self._members()]):
            before, keys, segments = window.rows[0], *_in_order(window)
            stays, was_open = _staying(window, keys, segments)
            begins = np.full(len(keys), _day_number(self.night))
            begins[stays] = before["valid_from"].cast(pa.int32()).to_numpy()[was_open]
            yield _rows(window.memberships(keys, segments), _dates(begins), OPEN)
            ends = np.ones(before.num_rows, dtype=bool)
            ends[was_open] = False
            over = before.take(pa.array(np.flatnonzero(ends)))
            if over.num_rows:
                self.ended.append([_rows([over[name].cast(pa.string()) for name in _MEMBERSHIP], over["valid_from"], self.night)])

    def _open_before(self) -> Iterator[pa.RecordBatch]:
        yield _batch_without_rows([*_MEMBERSHIP, "valid_from"])
        version = Version(OPEN, OPEN)
        if version in self.lake.stored_versions(CUSTOMER_SEGMENT_INTERVALS):
            for _, rows in self.lake.rows(CUSTOMER_SEGMENT_INTERVALS, [version], dictionaries=_MEMBERSHIP):
                yield from rows.select([*_MEMBERSHIP, "valid_from"]).to_batches()

    def _segments(self) -> Iterator[pa.RecordBatch]:
        yield _batch_without_rows(_MEMBERSHIP)
        for rows in self.lake.pieces(CUSTOMER_SEGMENTS, _MEMBERSHIP, day=self.night):
            yield from rows.to_batches()

    def _members(self) -> Iterator[pa.RecordBatch]:
        yield _batch_without_rows(_MEMBERSHIP)
        if not self.lake.has(AUDIENCE_MEMBERS, day=self.night):
            return
        for rows in self.lake.pieces(AUDIENCE_MEMBERS, AUDIENCE_MEMBERS.column_names, day=self.night):
            for batch in rows.to_batches():
                segment = pa.DictionaryArray.from_arrays(pa.repeat(pa.scalar(0, pa.int32()), batch.num_rows), pa.array([MEMBER]))
                yield pa.RecordBatch.from_arrays([*batch.columns, segment], _MEMBERSHIP)


def _batch_without_rows(names: list[str]) -> pa.RecordBatch:
    return pa.RecordBatch.from_pylist([], schema=pa.schema([CUSTOMER_SEGMENT_INTERVALS.schema.field(name) for name in names]))


def _in_order(window: MembershipWindow) -> tuple[Codes, Codes]:
    """Return keys and segments of the night's rows, those of schemes and of audiences together, by key."""
    keys, segments = (np.concatenate(codes[1:]) for codes in (window.keys, window.segment_codes))
    order = np.argsort(keys, kind="stable")
    return keys[order], segments[order]


def _staying(window: MembershipWindow, keys: Codes, segments: Codes) -> tuple[Codes, Codes]:
    """Return which of the night's rows were so before, and which open row each of them goes on with."""
    before, segments_before = window.keys[0], window.segment_codes[0]
    if not len(before):
        return np.empty(0, np.int64), np.empty(0, np.int64)
    places = np.minimum(np.searchsorted(before, keys), len(before) - 1)
    stays = np.flatnonzero((before[places] == keys) & (segments_before[places] == segments))
    return stays, places[stays]


def _rows(memberships: list[pa.Array], valid_from: pa.Array, end: date) -> pa.RecordBatch:
    ends = pa.repeat(pa.scalar(end, pa.date32()), len(valid_from))
    valid_to = pa.nulls(len(valid_from), pa.date32()) if end == OPEN else ends
    return pa.RecordBatch.from_arrays(
        [ends, ends, *memberships, valid_from, valid_to, valid_from], schema=CUSTOMER_SEGMENT_INTERVALS.stored_schema
    )


def _day_number(day: date) -> int:
    return day.toordinal() - date(1970, 1, 1).toordinal()


def _dates(numbers: Codes) -> pa.Array:
    return pa.array(numbers.astype(np.int32)).cast(pa.date32())

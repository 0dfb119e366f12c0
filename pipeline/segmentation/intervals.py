"""Who was in which segment from when to when, and since when that is known: kept up to date by every night.

    customer_segment_intervals of day D, known on D             what night D ended; its facts name the memberships that they follow
    of 9999-12-31, known on 9999-12-31                          intervals that no stored night ended: they are open
    of day D, known on K                                        where night K knows D otherwise than was known before

The rows depend on the stored nights alone, in whatever order those came. A night that is simply the next one (`next_night.py`) reads and
writes the open rows and its own. One that comes later but lies in between, such as in a backfill, cuts intervals in two, and moves
the ends and beginnings that meet there: with nights 1 and 5 stored, Ann is in A from 1 to 5, then in B. Night 3 comes and has
her in B: A now ends on 3, and B begins there.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from itertools import groupby, pairwise
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
from sqlglot import exp

from pipeline.lake import addresses
from pipeline.lake.engines import Engine
from pipeline.lake.lake import Lake, Version
from pipeline.lake.parquet import content_digest
from pipeline.lake.statements import statement
from pipeline.lake.tables import AUDIENCE_MEMBERS, CUSTOMER_SEGMENT_INTERVALS, CUSTOMER_SEGMENTS, EVENT_DAY
from pipeline.segmentation.history import reading_intervals, register_memberships, restated_nights
from pipeline.segmentation.next_night import OPEN, NextNight

log = logging.getLogger("pipeline.segmentation.intervals")
TABLE = CUSTOMER_SEGMENT_INTERVALS
MEMBERSHIPS_DIGEST = "memberships"


@dataclass(frozen=True, slots=True)
class StoredNights:
    """The nights whose memberships are stored, those that the intervals already include, and what was restated."""

    stored: Sequence[date]
    included: Sequence[date]
    restated: Sequence[Version]

    def next_included(self, day: date) -> date:
        """Find the first later night that the intervals include."""
        return min((later for later in self.included if later > day), default=OPEN)

    def restated_around(self, day: date) -> list[Version]:
        """Return the restatements whose rows depend on whether `day` is included, and on what it says."""
        first = max((earlier for earlier in self.stored if earlier < day), default=date.min)
        last = min((later for later in self.stored if later > day), default=OPEN)
        return [version for version in self.restated if first <= version.day < last]

    def next_known(self, restated: Version) -> date:
        """Return the day until which a restatement holds, as far as the night that made it knows."""
        # What was restated later counts only for those who ask later.
        known = [version.day for version in self.restated if version.known_on <= restated.known_on]
        return min((later for later in (*self.stored, *known) if later > restated.day), default=OPEN)

    def known_before(self, restated: Version) -> Version | None:
        """Return the night that said what was so on the day before it was restated, if there was one."""
        nights = [Version(night, night) for night in self.stored]
        earlier = [version for version in (*nights, *self.restated) if version.day <= restated.day and version.known_on < restated.known_on]
        return max(earlier, default=None)


def write_intervals(lake: Lake, engine: Engine, day: date, *, known_on: date | None = None) -> None:
    """Bring CUSTOMER_SEGMENT_INTERVALS up to date with the stored memberships of `day`, as night `known_on` knows it.

    Stored nights that it does not include yet are included first. Nothing is written where it includes the night already.
    """
    is_restated = known_on not in (None, day)
    # All nights write this one table: two at once, as in a backfill, would each leave out what the other adds.
    with lake.lock("history"), reading_intervals(lake):
        lake.store.finish_transaction(TABLE.name)
        days = _stored_nights(lake)
        # A night may have stopped after its memberships, before its intervals: it is made up for here.
        for night in sorted({*days.stored}.difference(days.included) | (set() if is_restated else {day})):
            _write_night(lake, engine, night)
        if is_restated:
            with lake.store.transaction(TABLE.name) as folder:
                _write_restatements(lake, engine, day, _stored_nights(lake), folder)


def _stored_nights(lake: Lake) -> StoredNights:
    included = [version.day for version in lake.versions(TABLE) if version.day == version.known_on != OPEN]
    return StoredNights(lake.nights(CUSTOMER_SEGMENTS), included, restated_nights(lake))


def _write_night(lake: Lake, engine: Engine, night: date) -> None:
    """Include a night in all partitions that it changes, at once: a reader never finds an interval ended here and not begun there."""
    facts = _stored_memberships(lake, night)
    if _included_memberships(lake, night) == facts:
        return
    days = _stored_nights(lake)
    with lake.store.transaction(TABLE.name) as folder:
        if engine.keeps_order:
            for end, rows in _rows_by_end(lake, engine, night, days):
                _write_partition(lake, folder, Version(end, end), rows, facts if end == night else _included_memberships(lake, end))
        else:
            _write_ends_at_once(lake, engine, night, days, folder)
        _write_restatements(lake, engine, night, days, folder)
    log.info("%s: tells %s", TABLE.name, night)


def _write_ends_at_once(lake: Lake, engine: Engine, night: date, days: StoredNights, folder: Path) -> None:
    """Write every partition that may change once `night` is included: what stays the same is written with the bytes that it has."""
    ends = _ends_since(lake, night, days)
    facts = {Version(end, end): _included_memberships(lake, end) for end in {night, *ends, OPEN}}
    facts[Version(night, night)] = _stored_memberships(lake, night)
    lake.write_event_days(TABLE, _run_intervals(lake, engine, night, days, ends), facts, folder=folder)


def _ends_since(lake: Lake, night: date, days: StoredNights) -> list[date]:
    """Return the ends from `night` on of which a partition is stored."""
    stored = lake.stored_versions(TABLE)
    return [day for day in (*days.included, OPEN) if day >= night and Version(day, day) in stored]


def _run_intervals(lake: Lake, engine: Engine, night: date, days: StoredNights, ends: Sequence[date]) -> Iterable[pa.RecordBatch]:
    """Return the rows of all partitions that end from `night` on, once it is included; those stored until now have these `ends`."""
    engine.register(replace(TABLE, name="told"), lake.parts(TABLE, [Version(end, end) for end in ends]))
    register_memberships(lake, engine, night, name="night")
    return engine.run(statement(TABLE.name), {"day": night, "next_day": days.next_included(night), "open": OPEN})


def _rows_by_end(lake: Lake, engine: Engine, night: date, days: StoredNights) -> Iterator[tuple[date, Iterable[pa.RecordBatch]]]:
    """Yield the partitions that change once `night` is included, with their rows, one at a time; open ones come as a stream."""
    ends = _ends_since(lake, night, days)
    if not {*ends} - {OPEN}:
        with lake.row_spool(TABLE.stored_schema) as ended:
            yield OPEN, NextNight(lake, night, ended).open_rows()
            yield night, ended.batches()
        return
    intervals = _run_intervals(lake, engine, night, days, ends)
    # A partition whose rows all went elsewhere yields none, and yet has to be emptied.
    missing = {night, *ends, OPEN}
    for end, pieces in groupby(_pieces_of_one_end(intervals), key=lambda rows: rows[EVENT_DAY.name][0].as_py()):
        missing.discard(end)
        if end in {night, OPEN}:
            # There is an open row for each customer and scheme: they pass through and are never held in memory together.
            yield end, pieces
        # Writing what is there already would rewrite the months of the past for every night of a backfill.
        elif not _is_partition_unchanged(lake, end, rows := list(pieces)):
            yield end, rows
    for end in sorted(missing):
        if end in {night, OPEN} or not _is_partition_unchanged(lake, end, []):
            yield end, []


def _pieces_of_one_end(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Cut batches, which are sorted by the day on which intervals end, where that day changes."""
    for batch in batches:
        ends = [0, *pc.run_end_encode(batch[EVENT_DAY.name]).run_ends.to_pylist()]
        yield from (batch.slice(start, end - start) for start, end in pairwise(ends))


def _is_partition_unchanged(lake: Lake, end: date, rows: Iterable[pa.RecordBatch]) -> bool:
    tables = [pa.Table.from_batches([batch.select(TABLE.schema.names)]) for batch in rows]
    return bool(pa.concat_tables([TABLE.schema.empty_table(), *tables]).equals(lake.read(TABLE, day=end, known_on=end)))


def _write_restatements(lake: Lake, engine: Engine, day: date, days: StoredNights, folder: Path) -> None:
    """Write where each restatement around `day` differs from what was known before it."""
    for version in days.restated_around(day):
        before = days.known_before(version)
        if before:
            register_memberships(lake, engine, before.day, known_on=before.known_on, name="before")
        else:
            engine.register(replace(CUSTOMER_SEGMENTS, name="before"), [])
        register_memberships(lake, engine, version.day, known_on=version.known_on, name="restated")
        parameters = {"day": version.day, "known": version.known_on, "next_day": days.next_known(version), "open": OPEN}
        _write_partition(lake, folder, version, engine.run(statement("restated_segment_intervals"), parameters), {})


def _write_partition(lake: Lake, folder: Path, version: Version, rows: Iterable[pa.RecordBatch], facts: Mapping[str, str]) -> None:
    lake.write_event_days(TABLE, rows, {version: facts}, folder=folder)


def register_changed_memberships(lake: Lake, engine: Engine, before: date, day: date) -> bool:
    """Make readable as memberships_before and memberships_now what ended and what began on `day`, where the intervals tell just that.

    They do where both nights are included as they are stored, next to each other, and no later one is. Returns whether that is so.
    """
    included = _stored_nights(lake).included
    if included[-2:] != [before, day] or any(
        _included_memberships(lake, night) != _stored_memberships(lake, night) for night in (before, day)
    ):
        return False
    for name, version in (("memberships_before", Version(day, day)), ("memberships_now", Version(OPEN, OPEN))):
        intervals = replace(TABLE, name=f"{name}_told")
        engine.register(intervals, lake.parts(TABLE, [version]))
        rows = exp.select(*TABLE.column_names[:3], exp.alias_(exp.cast(exp.null(), "varchar"), "evidence")).from_(intervals.name)
        begun = exp.column("valid_from").eq(exp.cast(exp.Literal.string(day.isoformat()), "date"))
        engine.define(replace(CUSTOMER_SEGMENTS, name=name), rows.where(begun) if version.day == OPEN else rows)
    return True


def _stored_memberships(lake: Lake, night: date) -> dict[str, str]:
    """Return the digest of the memberships of `night` as they are stored, by its name among facts."""
    digest = ""
    for table in (CUSTOMER_SEGMENTS, AUDIENCE_MEMBERS) if lake.has(AUDIENCE_MEMBERS, day=night) else (CUSTOMER_SEGMENTS,):
        with lake.reading(table.name, addresses.partition(table, day=night)) as path:
            digest += content_digest(path)
    return {MEMBERSHIPS_DIGEST: digest}


def _included_memberships(lake: Lake, day: date) -> dict[str, str]:
    """Return the digest of the memberships of night `day` that the intervals include, by its name among facts; empty where none are."""
    version = Version(day, day)
    stored = lake.event_days(TABLE, verified={lake.month_file(TABLE, version)}).versions.get(version)
    return {name: value for name, value in stored.facts.items() if name == MEMBERSHIPS_DIGEST} if stored else {}

"""Who was in which segment from when to when, and since when that is known: kept up to date by every night.

    tables/customer_segment_intervals/day=D/known=D             what night D ended; its footer says which memberships it told
    tables/customer_segment_intervals/day=9999-12-31/known=...  what no stored night ended
    tables/customer_segment_intervals/day=D/known=K             where night K knows D otherwise than was known before

The rows depend on the stored nights alone, in whatever order those came. A night that is simply the next one reads and
writes the open rows and its own; one in between also moves the ends and beginnings that meet there.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from hashlib import file_digest
from pathlib import Path

import pyarrow as pa

from pipeline.ingestion.versions import stored_facts
from pipeline.lake import addresses
from pipeline.lake.engines import Engine
from pipeline.lake.lake import Lake, Version, reading
from pipeline.lake.parquet import cut_by_version
from pipeline.lake.statements import statement
from pipeline.lake.tables import CUSTOMER_SEGMENT_INTERVALS, CUSTOMER_SEGMENTS
from pipeline.lake.transaction import appearing_together, finish
from pipeline.segmentation.history import reading_intervals, restatements

log = logging.getLogger("pipeline.segmentation.intervals")
TABLE = CUSTOMER_SEGMENT_INTERVALS
OPEN = date.max
TOLD = "memberships"


@dataclass(frozen=True, slots=True)
class Days:
    """The nights whose memberships are stored, those that the intervals tell, and what was restated."""

    stored: Sequence[date]
    told: Sequence[date]
    restated: Sequence[Version]

    def next_told(self, day: date) -> date:
        """Return the first later night that the intervals tell."""
        return min((later for later in self.told if later > day), default=OPEN)

    def meeting(self, day: date) -> list[Version]:
        """Return the restatements whose rows depend on whether `day` is told, and on what it says."""
        first = max((earlier for earlier in self.stored if earlier < day), default=date.min)
        last = min((later for later in self.stored if later > day), default=OPEN)
        return [version for version in self.restated if first <= version.day < last]

    def next_known(self, restated: Version) -> date:
        """Return the day until which a restatement holds, as far as the night that made it knows."""
        known = [version.day for version in self.restated if version.known <= restated.known]
        return min((later for later in (*self.stored, *known) if later > restated.day), default=OPEN)

    def known_before(self, restated: Version) -> Version | None:
        """Return what told of the day before it was restated so, if anything did."""
        nights = [Version(night, night) for night in self.stored]
        told = [version for version in (*nights, *self.restated) if version.day <= restated.day and version.known < restated.known]
        return max(told, default=None)


def keep_intervals(lake: Lake, engine: Engine, day: date, *, known: date | None = None) -> None:
    """Let CUSTOMER_SEGMENT_INTERVALS tell the stored memberships of `day`, as night `known` knows it.

    Stored nights that it does not tell yet are told first. Nothing is written where it tells the night already.
    """
    is_restated = known not in (None, day)
    with lake.lock("intervals"), reading_intervals(lake):
        finish(lake, TABLE.name)
        days = _days(lake)
        for night in sorted({*days.stored}.difference(days.told) | (set() if is_restated else {day})):
            _tell(lake, engine, night)
        if is_restated:
            with appearing_together(lake, TABLE.name) as folder:
                _tell_restated(lake, engine, day, _days(lake), folder)


def _days(lake: Lake) -> Days:
    told = [version.day for version in lake.versions(TABLE) if version.day == version.known != OPEN]
    return Days(lake.nights(CUSTOMER_SEGMENTS), told, restatements(lake))


def _tell(lake: Lake, engine: Engine, night: date) -> None:
    facts = {TOLD: _file_digest(lake.path(CUSTOMER_SEGMENTS, day=night))}
    if _facts(lake, night) == facts:
        return
    days = _days(lake)
    with appearing_together(lake, TABLE.name) as folder:
        for end, rows in _rows_by_end(lake, engine, night, days):
            _write(lake, folder, Version(end, end), rows, facts if end == night else _facts(lake, end))
        _tell_restated(lake, engine, night, days, folder)
    log.info("%s: tells %s", TABLE.name, night)


def _rows_by_end(lake: Lake, engine: Engine, night: date, days: Days) -> Iterator[tuple[date, Iterable[pa.RecordBatch]]]:
    """Yield the partitions that change once `night` is told, with their rows, one at a time; the open ones come as a stream."""
    ends = [day for day in (*days.told, OPEN) if day >= night and lake.has(TABLE, day=day, known=day)]
    engine.register(replace(TABLE, name="told"), [_path(lake, end) for end in ends])
    engine.register(replace(CUSTOMER_SEGMENTS, name="night"), [lake.path(CUSTOMER_SEGMENTS, day=night)])
    parameters = {"day": night, "next_day": days.next_told(night), "open": OPEN}
    last = max([night, *days.told])
    closed = engine.run(statement(TABLE.name), {**parameters, "first_end": night, "last_end": last})
    missing = {night, *ends} - {OPEN}
    for version, rows in cut_by_version(closed):
        missing.discard(version.day)
        if version.day == night or not _is_stored(lake, version.day, rows):
            yield version.day, rows
    for end in missing:
        if end == night or not _is_stored(lake, end, []):
            yield end, []
    yield OPEN, engine.run(statement(TABLE.name), {**parameters, "first_end": OPEN, "last_end": OPEN})


def _is_stored(lake: Lake, end: date, rows: Iterable[pa.RecordBatch]) -> bool:
    tables = [pa.table(batch.select(TABLE.schema.names)) for batch in rows]
    return bool(pa.concat_tables([TABLE.schema.empty_table(), *tables]).equals(lake.read(TABLE, day=end, known=end)))


def _tell_restated(lake: Lake, engine: Engine, day: date, days: Days, folder: Path) -> None:
    """Write where each restatement that meets `day` differs from what was known before it."""
    for version in days.meeting(day):
        before = days.known_before(version)
        engine.register(replace(CUSTOMER_SEGMENTS, name="before"), [_memberships(lake, before)] if before else [])
        engine.register(replace(CUSTOMER_SEGMENTS, name="restated"), [_memberships(lake, version)])
        parameters = {"day": version.day, "known": version.known, "next_day": days.next_known(version), "open": OPEN}
        _write(lake, folder, version, engine.run(statement("restated_segment_intervals"), parameters), {})


def _write(lake: Lake, folder: Path, version: Version, rows: Iterable[pa.RecordBatch], facts: Mapping[str, str]) -> None:
    manifest = {"table": TABLE.name, "day": version.day, "known": version.known, **facts}
    lake.write_file(TABLE.schema, rows, folder / addresses.partition(TABLE, day=version.day, known=version.known), manifest)


def _memberships(lake: Lake, version: Version) -> Path:
    return lake.path(CUSTOMER_SEGMENTS, day=version.day, known=version.known)


def _path(lake: Lake, day: date) -> Path:
    return lake.path(TABLE, day=day, known=day)


def _facts(lake: Lake, day: date) -> dict[str, str]:
    """Return which memberships of night `day` are told, if any."""
    return {name: value for name, value in stored_facts(lake, _path(lake, day)).items() if name == TOLD}


def _file_digest(path: Path) -> str:
    with reading(CUSTOMER_SEGMENTS.name, path), path.open("rb") as file:
        return file_digest(file, "sha256").hexdigest()

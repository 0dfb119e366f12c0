"""What was known of a day: which stored partition tells who was in which segment then, as known on a later day.

What a night says holds until the next stored night. A night restated later is told by the newest restatement known by then.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import pyarrow as pa

from pipeline.errors import ConfigError, DataError
from pipeline.lake import addresses
from pipeline.lake.engines import Engine
from pipeline.lake.lake import Lake, Version
from pipeline.lake.statements import statement
from pipeline.lake.tables import CUSTOMER_SEGMENT_INTERVALS, CUSTOMER_SEGMENTS, SEGMENT_PROFILES
from pipeline.spelling import did_you_mean

TODO = "Choose a day that a night tells of, or run the night: segments run --day YYYY-MM-DD."


@dataclass(frozen=True, slots=True)
class Telling:
    """The stored night that tells what was so `on` a day: `day` as night `known` knows it.

    `asked_known` is the day as known on which it was asked for; None for as known now.
    """

    lake: Lake
    on: date
    asked_known: date | None
    day: date
    known: date

    @property
    def memberships(self) -> Path:
        """Return where its memberships are."""
        return self.lake.path(CUSTOMER_SEGMENTS, day=self.day, known=self.known)

    @property
    def words(self) -> str:
        """Return for people which night tells."""
        night = "that night" if self.day == self.on else f"the night of {self.day}, the last before it,"
        return f"as {night} said" if self.known == self.day else f"as {self.known} knows {night}".rstrip(",")


@dataclass(frozen=True, slots=True)
class Names:
    """What schemes and segments were called when a night was computed: titles by scheme and segment, in their order."""

    telling: Telling
    titles: dict[str, dict[str, str]]

    def scheme(self, name: str) -> str:
        """Return the scheme called `name`; raises ConfigError with the nearest where there is none."""
        return _chosen("scheme", name, {scheme: scheme for scheme in self.titles})

    def segment(self, scheme: str, name: str) -> str:
        """Return the segment of `scheme` that has the id or title `name`, in any case; raises ConfigError where there is none."""
        if not scheme:
            raise ConfigError("a segment belongs to a scheme", where="--segment", todo=f"Add --scheme, one of {', '.join(self.titles)}.")
        return _chosen("segment", name, self.titles[scheme])


def restatements(lake: Lake) -> list[Version]:
    """Return the nights that were restated and the nights that know them so, in order."""
    found = lake.list_addresses(addresses.restatements(CUSTOMER_SEGMENTS))
    return [Version(addresses.date_in(each, "day"), addresses.date_in(each, "known")) for each in found]


def told_names(lake: Lake, on: date | None, known: date | None) -> Names:
    """Return the names that were valid `on` a day, by default the last night's; see `telling`."""
    nights = [night for night in lake.nights(CUSTOMER_SEGMENTS) if known is None or night <= known]
    told = telling(lake, on or max(nights, default=known or date.min), known)
    rows = lake.read(SEGMENT_PROFILES, day=told.day, known=told.known).sort_by([("scheme", "ascending"), ("position", "ascending")])
    titles: dict[str, dict[str, str]] = {}
    for row in rows.select(["scheme", "segment", "title"]).to_pylist():
        titles.setdefault(row["scheme"], {})[row["segment"]] = row["title"]
    return Names(told, titles)


def telling(lake: Lake, on: date, known: date | None = None) -> Telling:
    """Return the night that tells of day `on`, as known on `known`; without it, as known now.

    Raises ConfigError where no stored night tells of that day, or where nobody could know of it yet.
    """
    if known is not None and known < on:
        raise ConfigError(f"nobody knew of {on} on {known}", where="--known", todo=f"Choose {on} or a later day.")
    known_by_then = [version for version in restatements(lake) if known is None or version.known <= known]
    days = {*lake.nights(CUSTOMER_SEGMENTS), *(version.day for version in known_by_then)}
    if not days:
        raise ConfigError("nothing is stored that tells who was in which segment", where=lake.where(), todo=TODO)
    if not min(days) <= on <= max(days):
        raise ConfigError(f"no night tells of {on}: they reach from {min(days)} to {max(days)}", where=lake.where(), todo=TODO)
    day = max(each for each in days if each <= on)
    return Telling(lake, on, known, day, max([version.known for version in known_by_then if version.day == day], default=day))


def _chosen(what: str, name: str, titles: dict[str, str]) -> str:
    words = {title.casefold(): key for key, title in titles.items()} | {key: key for key in titles}
    if name.casefold() not in words:
        hint = did_you_mean(name.casefold(), words)
        raise ConfigError(f"there is no {what} `{name}`{hint}", where=f"--{what}", todo=f"Choose one of {', '.join(titles)}.")
    return words[name.casefold()]


def members(engine: Engine, told: Telling, scheme: str, segment: str, limit: int) -> pa.RecordBatchReader:
    """Return the first `customer_id`s of those in a segment, in order."""
    engine.register(CUSTOMER_SEGMENTS, [told.memberships])
    return engine.run(statement("segment_members"), {"scheme": scheme, "segment": segment, "limit": limit})


def segment_sizes(engine: Engine, told: Telling) -> dict[tuple[str, str], int]:
    """Return how many customers were in each segment, by scheme and segment; empty ones are left out."""
    engine.register(CUSTOMER_SEGMENTS, [told.memberships])
    rows = engine.run(statement("segment_sizes"), {}).read_all().to_pylist()
    return {(row["scheme"], row["segment"]): row["customer_count"] for row in rows}


def intervals_of(lake: Lake, engine: Engine, customer_id: str) -> list[dict[str, object]]:
    """Return the rows of CUSTOMER_SEGMENT_INTERVALS of one customer, by scheme and day."""
    versions = lake.versions(CUSTOMER_SEGMENT_INTERVALS)
    with reading_intervals(lake):
        engine.register(CUSTOMER_SEGMENT_INTERVALS, [lake.path(CUSTOMER_SEGMENT_INTERVALS, day=v.day, known=v.known) for v in versions])
    rows: list[dict[str, object]] = engine.run(statement("intervals_of_customer"), {"customer_id": customer_id}).read_all().to_pylist()
    return rows


@contextmanager
def reading_intervals(lake: Lake) -> Iterator[None]:
    """Tell of a damaged interval table how to mend it: it is made of all nights, so that no single one can."""
    folder = lake.local(addresses.partitions(CUSTOMER_SEGMENT_INTERVALS))
    try:
        yield
    except DataError as error:
        if folder not in Path(error.where).parents:
            raise
        todo = "Remove this folder: the next night, or any that is run again, writes it anew from all stored ones."
        raise DataError(f"{CUSTOMER_SEGMENT_INTERVALS.name} is damaged", where=str(folder), todo=todo) from None

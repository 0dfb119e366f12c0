"""What was known of a day: which stored partition says who was in which segment then, as known on a later day.

What a night says holds until the next stored night. A night may be restated, such as by a backfill with corrected data; then
the newest restatement counts that was known by the day in question. With nights of 1 and 3 March, and the 1st restated on the 9th:

    2 March                     the night of 1 March, as the 9th knows it
    2 March, as known on the 5th   the night of 1 March, as it was computed then
    4 March                     the night of 3 March
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import date

import pyarrow as pa
from sqlglot import exp

from pipeline.definitions.audiences import MEMBER
from pipeline.errors import ConfigError, DataError
from pipeline.lake import addresses
from pipeline.lake.engines import Engine
from pipeline.lake.expressions import union_all
from pipeline.lake.lake import Lake, Version
from pipeline.lake.statements import statement
from pipeline.lake.tables import AUDIENCE_MEMBERS, AUDIENCES, CUSTOMER_SEGMENT_INTERVALS, CUSTOMER_SEGMENTS, SEGMENT_PROFILES
from pipeline.spelling import did_you_mean

_MEMBERSHIP = ("customer_id", "scheme", "segment")
OTHER_NIGHT_TODO = "Choose a day that a night tells of, or run the night: segments run --day YYYY-MM-DD."


@dataclass(frozen=True, slots=True)
class NightAsKnown:
    """The stored night that says what was so on `requested_day`: the night of `day`, as night `known_on` knows it.

    `requested_known` is the day whose knowledge was requested; None for what is known now.
    """

    lake: Lake
    requested_day: date
    requested_known: date | None
    day: date
    known_on: date

    @property
    def memberships_address(self) -> str:
        """Where the file of its memberships is."""
        return addresses.partition(CUSTOMER_SEGMENTS, day=self.day, known_on=self.known_on)

    @property
    def source_words(self) -> str:
        """Which night says so, for people, such as `as that night said`."""
        night = "that night" if self.day == self.requested_day else f"the night of {self.day}, the last before it,"
        return f"as {night} said" if self.known_on == self.day else f"as {self.known_on} knows {night}".rstrip(",")


@dataclass(frozen=True, slots=True)
class SchemeNames:
    """What schemes and segments were called when a night was computed: titles by scheme and segment, in their order."""

    night: NightAsKnown
    titles: dict[str, dict[str, str]]

    def scheme_named(self, name: str) -> str:
        """Find the scheme called `name`; raises ConfigError with the nearest where there is none."""
        return _key_of_name("scheme", name, {scheme: scheme for scheme in self.titles})

    def segment_named(self, scheme: str, name: str) -> str:
        """Find the segment of `scheme` that has the id or title `name`, in any case; raises ConfigError where there is none."""
        if not scheme:
            raise ConfigError("a segment belongs to a scheme", where="--segment", todo=f"Add --scheme, one of {', '.join(self.titles)}.")
        return _key_of_name("segment", name, self.titles[scheme])


def restated_nights(lake: Lake) -> list[Version]:
    """List every restated night with the night that knows it so, in order."""
    listed = lake.list_addresses(addresses.restatements(CUSTOMER_SEGMENTS))
    return [Version(addresses.date_in(each, "day"), addresses.date_in(each, "known")) for each in listed]


def scheme_names_on(lake: Lake, day: date | None, known_on: date | None) -> SchemeNames:
    """Look up the names that schemes and segments had on `day`, by default on the last night; see `night_as_known`.

    Titles may be edited from night to night: who asks about a day means them as they were called then.
    """
    nights = [stored for stored in lake.nights(CUSTOMER_SEGMENTS) if known_on is None or stored <= known_on]
    night = night_as_known(lake, day or max(nights, default=known_on or date.min), known_on)
    rows = lake.read(SEGMENT_PROFILES, day=night.day, known_on=night.known_on).sort_by([("scheme", "ascending"), ("position", "ascending")])
    titles: dict[str, dict[str, str]] = {}
    for row in rows.select(["scheme", "segment", "title"]).to_pylist():
        titles.setdefault(row["scheme"], {})[row["segment"]] = row["title"]
    if lake.has(AUDIENCES, day=night.day, known_on=night.known_on):
        audiences = lake.read(AUDIENCES, day=night.day, known_on=night.known_on).select(["audience", "title"]).to_pylist()
        titles |= {row["audience"]: {MEMBER: row["title"]} for row in audiences}
    return SchemeNames(night, titles)


def night_as_known(lake: Lake, requested: date, known_on: date | None = None) -> NightAsKnown:
    """Find the night that says what was so on day `requested`, as known on `known_on`; without it, as known now.

    Raises ConfigError where no stored night reaches to that day, or where nobody could know of it yet.
    """
    if known_on is not None and known_on < requested:
        raise ConfigError(f"nobody knew of {requested} on {known_on}", where="--known", todo=f"Choose {requested} or a later day.")
    known_by_then = [version for version in restated_nights(lake) if known_on is None or version.known_on <= known_on]
    days = {*lake.nights(CUSTOMER_SEGMENTS), *(version.day for version in known_by_then)}
    if not days:
        raise ConfigError("nothing is stored that tells who was in which segment", where=lake.where(), todo=OTHER_NIGHT_TODO)
    # Before the first night nothing is known, and after the last one it is not yet: what is unknown is not guessed.
    if not min(days) <= requested <= max(days):
        raise ConfigError(
            f"no night tells of {requested}: they reach from {min(days)} to {max(days)}", where=lake.where(), todo=OTHER_NIGHT_TODO
        )
    day = max(each for each in days if each <= requested)
    # A night that was never restated is known by itself.
    knowing = max([version.known_on for version in known_by_then if version.day == day], default=day)
    return NightAsKnown(lake, requested, known_on, day, knowing)


def _key_of_name(what: str, name: str, titles: dict[str, str]) -> str:
    # Ids come last, so that a title which reads like another segment's id cannot hide that one.
    keys = {title.casefold(): key for key, title in titles.items()} | {key: key for key in titles}
    if name.casefold() not in keys:
        hint = did_you_mean(name.casefold(), keys)
        raise ConfigError(f"there is no {what} `{name}`{hint}", where=f"--{what}", todo=f"Choose one of {', '.join(titles)}.")
    return keys[name.casefold()]


def register_memberships(  # noqa: PLR0913 - a stored night, and what to make of it
    lake: Lake, engine: Engine, day: date, *, name: str = CUSTOMER_SEGMENTS.name, known_on: date | None = None, has_evidence: bool = False
) -> None:
    """Make who was in which segment on a stored night readable as table `name`, and who was in which audience, as a scheme each.

    Evidence is most of what is stored of a membership: it is neither read nor verified where nobody asks for it.
    """
    segments = replace(CUSTOMER_SEGMENTS, name=name).only(CUSTOMER_SEGMENTS.column_names if has_evidence else _MEMBERSHIP)
    path = addresses.partition(CUSTOMER_SEGMENTS, day=day, known_on=known_on)
    if not lake.has(AUDIENCE_MEMBERS, day=day, known_on=known_on):
        engine.register(segments, [path])
        return
    of_schemes, of_audiences = (replace(table, name=f"{table.name}_of_{name}") for table in (CUSTOMER_SEGMENTS, AUDIENCE_MEMBERS))
    of_schemes = of_schemes.only(segments.column_names)
    engine.register(of_schemes, [path])
    engine.register(of_audiences, [addresses.partition(AUDIENCE_MEMBERS, day=day, known_on=known_on)])
    columns = {
        "customer_id": exp.column("customer_id"),
        "scheme": exp.column("audience"),
        "segment": exp.Literal.string(MEMBER),
        "evidence": exp.cast(exp.null(), "varchar"),
    }
    members = exp.select(*(exp.alias_(columns[each], each) for each in segments.column_names)).from_(of_audiences.name)
    engine.define(segments, union_all([exp.select(*segments.column_names).from_(of_schemes.name), members]))


def segment_members(engine: Engine, night: NightAsKnown, scheme: str, segment: str, limit: int) -> pa.RecordBatchReader:
    """Stream the first `customer_id`s of those in a segment, in order."""
    register_memberships(night.lake, engine, night.day, known_on=night.known_on)
    return engine.run(statement("segment_members"), {"scheme": scheme, "segment": segment, "limit": limit})


def segment_sizes(engine: Engine, night: NightAsKnown) -> dict[tuple[str, str], int]:
    """Count the customers of each segment, by scheme and segment; empty ones are left out."""
    register_memberships(night.lake, engine, night.day, known_on=night.known_on)
    rows = engine.run(statement("segment_sizes"), {}).read_all().to_pylist()
    return {(row["scheme"], row["segment"]): row["customer_count"] for row in rows}


def customer_intervals(lake: Lake, engine: Engine, customer_id: str) -> list[dict[str, object]]:
    """Read the rows of CUSTOMER_SEGMENT_INTERVALS of one customer, by scheme and day."""
    with reading_intervals(lake):
        versions = lake.versions(CUSTOMER_SEGMENT_INTERVALS)
        engine.register(CUSTOMER_SEGMENT_INTERVALS, lake.parts(CUSTOMER_SEGMENT_INTERVALS, versions))
    rows: list[dict[str, object]] = engine.run(statement("intervals_of_customer"), {"customer_id": customer_id}).read_all().to_pylist()
    return rows


@contextmanager
def reading_intervals(lake: Lake) -> Iterator[None]:
    """Raise DataError with the way to mend a damaged interval table: all nights make it, so running one again does not."""
    # Told by the folder: the error of a broken file says where it lies, and not which table it is of.
    folder = lake.where(addresses.partitions(CUSTOMER_SEGMENT_INTERVALS)).rstrip("/")
    try:
        yield
    except DataError as error:
        if not error.where.startswith(f"{folder}/"):
            raise
        todo = "Remove this folder: the next night, or any that is run again, writes it anew from all stored ones."
        raise DataError(f"{CUSTOMER_SEGMENT_INTERVALS.name} is damaged", where=folder, todo=todo) from None

"""Event days as files: which versions of days lie in which file, and the rows of each.

    tables/<table>/month=M/known=K/part-0.parquet    what night K learned of the days of month M
    tables/<table>/month=M/known=all/part-0.parquet  all versions of days of a month long past, once the nights' files were compacted

A file's rows are sorted by event day, night and key. Its footer lists every version, even one without rows, with its row count
and facts; where a version begins follows from the counts before it. So a day is found without reading any rows, and read
without the row groups of others.

A version may lie in a night's file and in a compacted one: that night was run again, or a compaction was killed. Then the one in
the night's file holds, which is the newer or the same.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any, NamedTuple


class Version(NamedTuple):  # as fast to sort and to look up as a tuple: a night does both with thousands
    """One stored version of an event day: what night `known_on` knew of `day`."""

    day: date
    known_on: date


@dataclass(frozen=True, slots=True)
class MonthFile:
    """One file of a month's event days: what night `known_on` learned or, where that is None, the compacted month."""

    address: str
    month: date
    known_on: date | None


@dataclass(frozen=True, slots=True)
class StoredVersion:
    """Where the rows of a version lie, and the facts that the footer lists of them."""

    version: Version
    file: MonthFile
    first_row: int
    row_count: int
    facts: Mapping[str, Any]

    @property
    def digest(self) -> str:
        """A digest of its rows, the same in whatever file they lie."""
        return str(self.facts["content_digest"])


@dataclass(frozen=True, slots=True)
class EventDays:
    """The versions of one table; of each damaged file, those that its footer still lists, if it can be read."""

    versions: Mapping[Version, StoredVersion]
    damaged: Mapping[MonthFile, Collection[Version]]

    def may_hold(self, version: Version) -> bool:
        """Return whether a version may lie in a damaged file: one of its month that is its night's or compacted."""
        return any(file.month == month_of(version.day) and file.known_on in (None, version.known_on) for file in self.damaged)

    def may_hold_any(self, day: date) -> bool:
        """Return whether any version of `day` may lie in a damaged file."""
        return any(file.month == month_of(day) for file in self.damaged)


def month_of(day: date) -> date:
    """Return the first day of the month."""
    return day.replace(day=1)


def known_versions(versions: Iterable[Version], *, through: date, known_on: date) -> list[Version]:
    """Return, for each event day up to `through`, the version that night `known_on` goes by; `versions` are in order.

    That is the newest it can know or, for a day first learned of later, the first.
    """
    chosen: dict[date, Version] = {}
    for version in versions:
        if version.day <= through and (version.day not in chosen or version.known_on <= known_on):
            chosen[version.day] = version
    return list(chosen.values())

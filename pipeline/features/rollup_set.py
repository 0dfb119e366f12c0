"""Which rollups a night goes by, what changed in them since another night, and which days its features are about."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from functools import cached_property
from typing import Any, NamedTuple

from pipeline.lake.event_days import StoredVersion, Version
from pipeline.lake.tables import CUSTOMER_DAY_CATEGORIES, CUSTOMER_DAYS, Table

ROLLUPS = (CUSTOMER_DAYS, CUSTOMER_DAY_CATEGORIES)


class Rollup(NamedTuple):  # as fast to sort and to look up as a tuple: a night does both with thousands
    """One version of an event day in the table of that name, and a digest of its rows."""

    table: str
    day: date
    known_on: date
    digest: str

    @property
    def version(self) -> Version:
        return Version(self.day, self.known_on)


@dataclass(frozen=True)
class RollupSet:
    """Rollups in order, by what they say rather than by the file they lie in.

    Rewriting or compacting files therefore leaves a set equal, and caches made from it usable.
    """

    rollups: tuple[Rollup, ...] = field(default=())

    @classmethod
    def of(cls, table: Table, stored: Iterable[StoredVersion]) -> RollupSet:
        """Make the set of these versions of one table."""
        return cls(tuple(sorted(Rollup(table.name, each.version.day, each.version.known_on, each.digest) for each in stored)))

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> RollupSet:
        """Read back what `to_json` wrote; other content raises ValueError, TypeError or AttributeError."""
        rows = ((table, day, known, digest) for table, days in content.items() for day, known, digest in days)
        return cls(tuple(Rollup(table, date.fromisoformat(day), date.fromisoformat(known), digest) for table, day, known, digest in rows))

    def to_json(self) -> dict[str, list[list[str]]]:
        """Return the set as a manifest holds it."""
        content: dict[str, list[list[str]]] = {}
        for each in self.rollups:
            content.setdefault(each.table, []).append([str(each.day), str(each.known_on), each.digest])
        return content

    def __iter__(self) -> Iterator[Rollup]:
        return iter(self.rollups)

    def __len__(self) -> int:
        return len(self.rollups)

    def __or__(self, other: RollupSet) -> RollupSet:
        return RollupSet(tuple(sorted({*self.rollups, *other.rollups})))

    def __xor__(self, other: RollupSet) -> RollupSet:
        # One that is in both sets is the same in both: its digest is part of it.
        return RollupSet(tuple(sorted(self._members ^ other._members)))

    def of_table(self, table: Table) -> list[Version]:
        """Return the versions of one table, in order."""
        return [each.version for each in self.rollups if each.table == table.name]

    def since(self, first: date) -> RollupSet:
        """Return the part with event days from `first` on."""
        return RollupSet(tuple(each for each in self.rollups if each.day >= first))

    def before(self, end: date) -> RollupSet:
        """Return the part with event days before `end`."""
        return RollupSet(tuple(each for each in self.rollups if each.day < end))

    @property
    def first_day(self) -> date:
        """The first event day of a set that has any."""
        return min(each.day for each in self.rollups)

    def changed_since(self, earlier: RollupSet, stored: RollupSet) -> RollupSet | None:
        """Return the rollups that entered or left since `earlier`; `stored` are all that can be read now.

        None where one of `earlier` was rewritten: its old rows are gone, and with them the customers whom it was about.
        """
        if not earlier._members <= stored._members:
            return None
        return earlier ^ self

    @cached_property
    def _members(self) -> frozenset[Rollup]:
        return frozenset(self.rollups)

    @cached_property
    def contents(self) -> list[str]:
        """A line for each table, day and digest: equal where the rows are, whichever night learned of them."""
        return sorted(f"{each.table} {each.day} {each.digest}" for each in self.rollups)

    @cached_property
    def identity(self) -> list[list[str]]:
        """Every member as texts, with its night: for the names of caches."""
        return [[each.table, str(each.day), str(each.known_on), each.digest] for each in self.rollups]


@dataclass(frozen=True, slots=True)
class FeatureWindow:
    """The days that features of one night are about: `window_days` up to the end of `day`, as night `known_on` knows them."""

    day: date
    known_on: date
    window_days: int

    @property
    def window_first_day(self) -> date:
        return self.day - timedelta(days=self.window_days - 1)

    @property
    def frozen(self) -> FeatureWindow:
        """The window of the night on which rhythm and baselines were frozen."""
        return FeatureWindow(*frozen_night(self.day, self.known_on), self.window_days)

    @property
    def archived_before(self) -> date:
        """First event day that the archive leaves to the rollups: the first of a month, so that the archive is rebuilt once a month."""
        return self.window_first_day.replace(day=1)

    @property
    def parameters(self) -> Mapping[str, date]:
        return {"day": self.day, "window_first_day": self.window_first_day, "archived_before": self.archived_before}


def frozen_night(day: date, known_on: date) -> tuple[date, date]:
    """Return the first night of the month and the night whose knowledge it goes by: its own, or that of the restatement `known_on`."""
    first = day.replace(day=1)
    # A restated night is frozen by what is known now, or the correction would change some figures and not their limits.
    return first, first if known_on == day else known_on

"""Vanished rows: order lines and visits of earlier days that are known and that the source has no more.

A few are corrections. When most are gone, the source holds only what is new, or was cut off; and a night that took it for
everything would forget what the shop sold yesterday.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import date
from typing import Any

from pipeline.definitions.command_options import command_options
from pipeline.definitions.company import Company
from pipeline.definitions.gate_limits import GateLimits
from pipeline.errors import GateClosed
from pipeline.lake.lake import Lake

FEWEST_ROWS = 20  # of fewer known rows some may be gone, but not all


@dataclass(frozen=True, slots=True)
class KnownRows:
    """Rows of `source` known of the days `first` to `last`, all before a night: how many, and how many of them the source still has.

    `new_count` are the rows that it has of the night itself.
    """

    source: str
    first: date
    last: date
    known_count: int
    kept_count: int
    new_count: int

    @classmethod
    def compared(cls, source: str, known: Mapping[date, int], found: Mapping[date, int], night: date) -> KnownRows:
        """Return what `source`, which has `found` rows per day, still has of those `known`, of which there is at least one."""
        days = [day for day, count in known.items() if count]
        # Day by day: rows that were added to one day do not make up for those that are gone from another.
        kept = sum(min(known[day], found.get(day, 0)) for day in days)
        return cls(source, min(days), max(days), sum(known[day] for day in days), kept, found.get(night, 0))

    @property
    def vanished_share(self) -> float:
        """The share of the known rows that are gone."""
        return 1 - self.kept_count / self.known_count

    def is_beyond(self, limit: float) -> bool:
        """Return whether too many are gone: all, or more than the share `limit` of more than a few."""
        return not self.kept_count or (self.known_count >= FEWEST_ROWS and self.vanished_share > limit)

    @property
    def words(self) -> str:
        """What was found, as a gate says it."""
        rows, days = self._count_words(self.known_count), f"{self.first}" + (f" to {self.last}" if self.last > self.first else "")
        kept = f"{self.kept_count:,} of the" if self.kept_count else "none of the"
        return f"the source has {kept} {rows} known of {days}, and {self._count_words(self.new_count)} of the night itself"

    def _count_words(self, count: int) -> str:
        noun = self.source.replace("_", " ").removesuffix("s")
        return f"{count:,} {noun}{'' if count == 1 else 's'}"

    def facts(self) -> dict[str, Any]:
        """Return the same as a manifest holds it."""
        return {name: value.isoformat() if isinstance(value, date) else value for name, value in asdict(self).items()}


def known_rows_from_facts(facts: Mapping[str, Any]) -> KnownRows:
    """Return what `facts` of a manifest tell."""
    days = {name: date.fromisoformat(facts[name]) for name in ("first", "last")}
    return KnownRows(**{**facts, **days})


def lost_rows(known: Iterable[KnownRows], limits: GateLimits) -> KnownRows | None:
    """Return the first source of whose known rows too many are gone; None where there is none, or the gate is switched off."""
    return next((rows for rows in known if "vanished" not in limits.off and rows.is_beyond(limits.vanished_rows_limit)), None)


def loss_refusal(company: Company, lake: Lake, rows: KnownRows, *, day: date) -> GateClosed:
    """Return the error for a night that is not read for the `rows` that it would forget."""
    return GateClosed(
        f"{day} is not read, or earlier days would be forgotten: {rows.words}",
        where=str(company.source_file(rows.source)),
        todo=f'If this source only ever gives what is new, write `{rows.source} = "append"` under [source] in company.toml: '
        "then what is known stays as it is. If it was cut off, have it written again. Then run the night again. "
        "If the rows are gone for good, let it pass: "
        f'segments run --day {day} --override-gate vanished --reason "..."{command_options(company, lake)}',
    )

"""Vanished lines: order lines of earlier days that are known and that the source has no more.

A few are corrections. When most are gone, the source holds only what is new, or was cut off; and a night that took it for
everything would forget what the shop sold yesterday.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import date
from typing import Any

from pipeline.definitions.gate_limits import GateLimits
from pipeline.errors import GateClosed

FEWEST_LINES = 20  # of fewer known lines some may be gone, but not all


@dataclass(frozen=True, slots=True)
class KnownLines:
    """Order lines known of the days `first` to `last`, all before a night: how many, and how many of them the source still has.

    `new_count` are the lines that it has of the night itself.
    """

    first: date
    last: date
    known_count: int
    kept_count: int
    new_count: int

    @classmethod
    def compared(cls, known: Mapping[date, int], found: Mapping[date, int], night: date) -> KnownLines | None:
        """Return what the source, which has `found` lines per day, still has of those `known`; None where none are known."""
        days = [day for day, count in known.items() if count and day < night]
        if not days:
            return None
        kept = sum(min(known[day], found.get(day, 0)) for day in days)
        return cls(min(days), max(days), sum(known[day] for day in days), kept, found.get(night, 0))

    @property
    def vanished_share(self) -> float:
        """The share of the known lines that are gone."""
        return 1 - self.kept_count / self.known_count

    def is_beyond(self, limit: float) -> bool:
        """Return whether too many are gone: all, or more than the share `limit` of more than a few."""
        return not self.kept_count or (self.known_count >= FEWEST_LINES and self.vanished_share > limit)

    @property
    def words(self) -> str:
        """What was found, as a gate says it."""
        lines, days = _count_words(self.known_count), f"{self.first}" + (f" to {self.last}" if self.last > self.first else "")
        kept = f"{self.kept_count:,} of the" if self.kept_count else "none of the"
        return f"the source has {kept} {lines} known of {days}, and {_count_words(self.new_count)} of the night itself"

    def facts(self) -> dict[str, Any]:
        """Return the same as a manifest holds it."""
        return {name: value.isoformat() if isinstance(value, date) else value for name, value in asdict(self).items()}


def known_lines_from_facts(facts: Mapping[str, Any]) -> KnownLines:
    """Return what `facts` of a manifest tell."""
    days = {name: date.fromisoformat(facts[name]) for name in ("first", "last")}
    return KnownLines(**{**facts, **days})


class LinesVanished(GateClosed):
    """The source has lost so many order lines that the night was not read; `lines` says how many."""

    def __init__(self, lines: KnownLines, *, day: date, where: str) -> None:
        super().__init__(
            f"{day} is not read, or earlier days would be forgotten: {lines.words}",
            where=where,
            todo='If this source only ever gives what is new, write `order_lines = "append"` under [source] in company.toml: '
            "then lines stay as they are known. If it was cut off, have it written again. Then run the night again. "
            "If the lines are gone for good, let it pass: "
            f'segments run --day {day} --override-gate vanished --reason "..."',
        )
        self.lines = lines


def stop_where_lines_vanished(lines: KnownLines | None, limits: GateLimits, *, day: date, where: str) -> None:
    """Raise LinesVanished where too many of the known lines are gone, unless the gate is switched off."""
    if lines is not None and "vanished" not in limits.off and lines.is_beyond(limits.vanished_lines_limit):
        raise LinesVanished(lines, day=day, where=where)


def _count_words(count: int) -> str:
    return f"{count:,} order line{'' if count == 1 else 's'}"

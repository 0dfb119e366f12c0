"""Who moved and why: by what customers did or left undone, as others bought and the ranking moved them, or as rules or data changed."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from enum import Enum

from pipeline.reporting.pages.morning.night_tables import Row


class Cause(Enum):
    """What moved a customer, as the page tells it."""

    CAME = "came"
    ROSE = "rose"
    SLID = "slid"
    OTHERS = "others"
    REDEFINED = "redefined"

    @property
    def is_own(self) -> bool:
        """Whether it is what customers did or left undone; by the others nobody who moved did anything."""
        return self in (Cause.CAME, Cause.ROSE, Cause.SLID)


CAUSES = {
    "new_customer": Cause.CAME,
    "own_purchase": Cause.ROSE,
    "own_event": Cause.ROSE,
    "attribute_change": Cause.ROSE,
    "ageing": Cause.SLID,
    "refund": Cause.SLID,
    "left": Cause.SLID,
}
"""Reasons that are the customers' own. By all others, such as `population_shift` or `rule_change`, nobody did anything."""
RANKING_REASONS = ("population_shift", "threshold_refreeze")
"""Reasons by which others bought more or less. By all that are left, a rule, a model, the source or data of earlier days changed."""


@dataclass(frozen=True, slots=True)
class Flow:
    """Customers who went from one segment to another for one cause; an empty segment is none: they were not there."""

    from_segment: str
    to_segment: str
    cause: Cause
    customer_count: int


@dataclass(frozen=True, slots=True)
class Entries:
    """Who entered a segment by themselves: how many, from where, why, and what they have spent in all their time."""

    customer_count: int = 0
    lifetime_spend_amount: Decimal = Decimal(0)
    by_origin: Mapping[str, int] = field(default_factory=dict)
    by_cause: Mapping[Cause, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class SizeChange:
    """How many customers came to a segment and left it by themselves, because of others, and as rules or data changed."""

    came_by_themselves: int = 0
    left_by_themselves: int = 0
    came_by_others: int = 0
    left_by_others: int = 0
    came_by_redefinition: int = 0
    left_by_redefinition: int = 0

    @property
    def by_themselves(self) -> int:
        """By how many it grew by what customers did."""
        return self.came_by_themselves - self.left_by_themselves

    @property
    def by_others(self) -> int:
        """By how many it grew because others did something."""
        return self.came_by_others - self.left_by_others

    @property
    def by_redefinition(self) -> int:
        """By how many it grew as a rule, a model, the source or data of earlier days changed."""
        return self.came_by_redefinition - self.left_by_redefinition

    @property
    def came(self) -> int:
        """How many came in all."""
        return self.came_by_themselves + self.came_by_others + self.came_by_redefinition

    @property
    def left(self) -> int:
        """How many left in all."""
        return self.left_by_themselves + self.left_by_others + self.left_by_redefinition

    @property
    def total(self) -> int:
        """The whole change."""
        return self.by_themselves + self.by_others + self.by_redefinition


def cause_of(reason: str) -> Cause:
    """Return the cause that a reason of a move stands for."""
    return CAUSES.get(reason, Cause.OTHERS if reason in RANKING_REASONS else Cause.REDEFINED)


def flows_of(rows: Iterable[Row], scheme: str) -> list[Flow]:
    """Return the flows of a scheme, reasons of one cause together, the largest first."""
    counts: dict[tuple[str, str, Cause], int] = defaultdict(int)
    for row in rows:
        if row["scheme"] == scheme:
            counts[row["from_segment"] or "", row["to_segment"] or "", cause_of(row["reason"])] += row["customer_count"]
    flows = [Flow(*key, count) for key, count in counts.items()]
    return sorted(flows, key=lambda flow: (-flow.customer_count, flow.from_segment, flow.to_segment, flow.cause.value))


def changes_of(flows: Iterable[Flow]) -> dict[str, SizeChange]:
    """Return the change of each segment that somebody entered or left."""
    came: dict[tuple[str, Cause | None], int] = defaultdict(int)
    left: dict[tuple[str, Cause | None], int] = defaultdict(int)
    for flow in flows:
        cause = None if flow.cause.is_own else flow.cause
        came[flow.to_segment, cause] += flow.customer_count
        left[flow.from_segment, cause] += flow.customer_count
    names = sorted({name for name, _ in (*came, *left)} - {""})
    causes = (None, Cause.OTHERS, Cause.REDEFINED)
    return {name: SizeChange(*(counts[name, cause] for cause in causes for counts in (came, left))) for name in names}


def entries_of(rows: Iterable[Row], scheme: str) -> dict[str, Entries]:
    """Return who entered each segment of a scheme for a reason of their own."""
    found: dict[str, Entries] = {}
    for row in rows:
        cause = cause_of(row["reason"])
        if row["scheme"] != scheme or not cause.is_own or not row["to_segment"]:
            continue
        before, count, origin = found.get(row["to_segment"], Entries()), row["customer_count"], row["from_segment"] or ""
        found[row["to_segment"]] = Entries(
            before.customer_count + count,
            before.lifetime_spend_amount + row["lifetime_spend_amount"],
            {**before.by_origin, origin: before.by_origin.get(origin, 0) + count},
            {**before.by_cause, cause: before.by_cause.get(cause, 0) + count},
        )
    return found


def counts_by_cause(flows: Iterable[Flow]) -> dict[Cause, int]:
    """Return how many moves there were by each cause."""
    counts = dict.fromkeys(Cause, 0)
    for flow in flows:
        counts[flow.cause] += flow.customer_count
    return counts

"""What the customers of each arm and segment did, as exact sums: all that measuring needs to know of customers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from pipeline.measurement.intervals import Rate
from pipeline.measurement.moments import Moments


@dataclass(frozen=True, slots=True)
class ArmSums:
    """`spend` has the spend in the campaign as y and that before as x; `orders` has the spend as y and the orders as x."""

    customer_count: int
    ordered_count: int
    visited_count: int
    spend: Moments
    orders: Moments

    def __add__(self, other: ArmSums) -> ArmSums:
        return ArmSums(
            self.customer_count + other.customer_count,
            self.ordered_count + other.ordered_count,
            self.visited_count + other.visited_count,
            self.spend + other.spend,
            self.orders + other.orders,
        )

    @property
    def ordered(self) -> Rate:
        """The share of customers who ordered."""
        return Rate(self.ordered_count, self.customer_count)

    @property
    def visited(self) -> Rate:
        """The share of customers who visited."""
        return Rate(self.visited_count, self.customer_count)


ALL = "all"
"""In place of a segment, and of an arm: the row is about all of them."""
NOBODY = ArmSums(0, 0, 0, Moments.of_sums(0, 0, 0), Moments.of_sums(0, 0, 0))


@dataclass(frozen=True, slots=True)
class CampaignSums:
    """Sums by arm and segment; customers of no segment are under the empty one."""

    by_segment: Mapping[tuple[str, str], ArmSums]

    @classmethod
    def of_rows(cls, rows: Iterable[Mapping[str, Any]]) -> CampaignSums:
        """Return the sums of rows of `campaign_sums`."""
        return cls({(row["arm"], row["segment"] or ""): _arm_sums(row) for row in rows})

    def of_arm(self, arm: str) -> ArmSums:
        """Return the sums of all customers of an arm."""
        return sum((sums for (name, _), sums in self.by_segment.items() if name == arm), NOBODY)

    def of_segment(self, arm: str, segment: str) -> ArmSums:
        """Return the sums of an arm's customers of a segment."""
        return self.by_segment.get((arm, segment), NOBODY)

    @property
    def segments(self) -> list[str]:
        """The segments of any customer, in order."""
        return sorted({segment for _, segment in self.by_segment if segment})


def _arm_sums(row: Mapping[str, Any]) -> ArmSums:
    n = row["customer_count"]
    return ArmSums(
        customer_count=n,
        ordered_count=row["ordered_count"],
        visited_count=row["visited_count"],
        spend=Moments.of_sums(n, row["y"], row["yy"], x=row["x"], xx=row["xx"], xy=row["xy"]),
        orders=Moments.of_sums(n, row["y"], row["yy"], x=row["o"], xx=row["oo"], xy=row["oy"]),
    )

"""What gates look at, and what they say: values without any I/O."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum


class GateState(StrEnum):
    """What a gate says of a night."""

    OPEN = "open"
    CLOSED = "closed"
    OVERRIDDEN = "overridden"
    NOT_MEASURED = "not measured"
    OFF = "off"


@dataclass(frozen=True, slots=True)
class GateResult:
    """What one gate said of one subject: a scheme, a table, an attribute."""

    gate: str
    subject: str
    state: GateState
    words: str
    measured: float | None = None
    limit: float | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class LargestSegment:
    """How many customers the largest segment of a scheme holds now and held before, of how many; None where the scheme is new."""

    scheme: str
    segment: str
    count: int
    total: int
    count_before: int | None
    total_before: int | None


@dataclass(frozen=True, slots=True)
class SchemeMoves:
    """Of the customers that a scheme had then and has now, how many changed segment; `is_explained` by a new model or definition."""

    scheme: str
    customer_count: int
    moved_count: int
    is_explained: bool


@dataclass(frozen=True, slots=True)
class ReachableCustomers:
    """Customers who can be written to, of how many, now and before."""

    count: int
    total: int
    count_before: int
    total_before: int


@dataclass(frozen=True, slots=True)
class GateMeasures:
    """What was measured of the night of `day` against the last good publication, that of `before`.

    `line_counts` holds the order lines per stored event day of the recent past, up to `day`; `rejected` the rows set
    aside and checked per source table. Who asked to be erased is gone from that publication too.
    """

    day: date
    before: date | None
    line_counts: Mapping[date, int]
    rejected: Mapping[str, tuple[int, int]]
    customer_count_before: int = 0
    vanished_count: int = 0
    largest_segments: Sequence[LargestSegment] = ()
    moves: Sequence[SchemeMoves] = ()
    reachable: ReachableCustomers | None = None

    @property
    def nights(self) -> int:
        """Return how many nights lie between the two; one where the night is compared with itself as it is live."""
        return max((self.day - self.before).days, 1) if self.before else 0

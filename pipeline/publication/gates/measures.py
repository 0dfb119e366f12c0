"""What gates look at, and what they say: values without any I/O."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum

from pipeline.ingestion.vanished_rows import KnownRows

# Of fewer ids of a list one that matches is enough; of a night's rows they say nothing.
FEW_IDS = 10


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
class AudienceSize:
    """Customers of an audience now and before; `is_explained` by another rule, or that it was not published before."""

    audience: str
    count: int
    count_before: int
    is_explained: bool

    @property
    def largest_count(self) -> int:
        """The customers of the night on which it had more."""
        return max(self.count, self.count_before)


@dataclass(frozen=True, slots=True)
class ReachableCustomers:
    """Customers who can be written to, of how many, now and before."""

    count: int
    total: int
    count_before: int
    total_before: int


@dataclass(frozen=True, slots=True)
class UnmatchedIds:
    """Of the ids of one source, how many belong to no customer; `forms` are those of such ids and of customers' ids.

    Those `is_of_night` are ids of one night's rows, which are called `rows`, not of all that is known.
    """

    source: str
    id_count: int
    unmatched_count: int
    is_of_night: bool = False
    forms: tuple[str, str] = ("", "")
    rows: str = "ids"

    @property
    def share(self) -> float:
        """The share of ids that belong to no customer."""
        return self.unmatched_count / self.id_count if self.id_count else 0.0

    def is_beyond(self, limit: float) -> bool:
        """Return whether too many are nobody's: of a few ids all, of more than a few a share above `limit`."""
        if self.id_count < FEW_IDS:
            return bool(self.id_count) and self.unmatched_count == self.id_count and not self.is_of_night
        return self.share > limit


@dataclass(frozen=True, slots=True)
class VanishedAnswers:
    """Customers on the consent list of the last good publication, and how many of them are not on it any more."""

    count_before: int
    vanished_count: int


@dataclass(frozen=True, slots=True)
class ImplausibleRows:
    """How many rows of a source table break a rule that only a mistake in the query makes nearly every row break."""

    source_table: str
    rule: str
    checked_count: int
    failed_count: int


@dataclass(frozen=True, slots=True)
class Takeovers:
    """Of `compared_count` order lines known on the last good night, how many are other customers' now.

    `line_count` lines went to `taker_count` ids that were never seen before, from `customer_count` customers, of whom the source lists
    `gone_count` no more; `known_line_count` went to customers who were known.
    """

    compared_count: int
    line_count: int = 0
    known_line_count: int = 0
    taker_count: int = 0
    customer_count: int = 0
    gone_count: int = 0

    @property
    def share(self) -> float:
        """Lines that went to ids never seen before, of those compared."""
        return self.line_count / self.compared_count if self.compared_count else 0.0


@dataclass(frozen=True, slots=True)
class GateMeasures:
    """What was measured of the night of `day` against the last good publication, that of `before`.

    `line_counts` holds the order lines per stored event day of the recent past, up to `day`, and `newest_line_day` is the newest of all
    event days with order lines, as any night knows them; `rejected` the rows set aside and checked per source table; `known_rows` what
    sources still have of earlier days;
    `listed_count` how many customers the source gave this night. A company that reads no order lines has none that could be missed.
    Who asked to be erased is gone from that publication too.
    """

    day: date
    before: date | None
    line_counts: Mapping[date, int]
    rejected: Mapping[str, tuple[int, int]]
    newest_line_day: date | None = None
    customer_count_before: int = 0
    vanished_count: int = 0
    listed_count: int | None = None
    largest_segments: Sequence[LargestSegment] = ()
    moves: Sequence[SchemeMoves] = ()
    reachable: ReachableCustomers | None = None
    answers: VanishedAnswers | None = None
    known_rows: Sequence[KnownRows] = ()
    unmatched: Sequence[UnmatchedIds] = ()
    implausible: Sequence[ImplausibleRows] = ()
    takeovers: Takeovers | None = None
    audiences: Sequence[AudienceSize] = ()
    reads_orders: bool = True

    @property
    def nights(self) -> int:
        """Return how many nights lie between the two; one where the night is compared with itself as it is live."""
        return max((self.day - self.before).days, 1) if self.before else 0


def unmeasured(gate: str, subject: str, words: str) -> GateResult:
    """Return a result that says why nothing was measured."""
    return GateResult(gate, subject, GateState.NOT_MEASURED, words)


def closed_above(gate: str, subject: str, measured: float, limit: float, words: str) -> GateResult:
    """Return a result that is closed where `measured` is above `limit`."""
    return GateResult(gate, subject, GateState.CLOSED if measured > limit else GateState.OPEN, words, measured, limit)

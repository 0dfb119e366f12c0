"""What the catalogue holds: schemes, segments, strategies and sizes; and what a publication says of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import Any, Literal

from pipeline.models.clusters import FeatureProfile

DefinitionState = Literal["live", "changed", "new", "not computed"]
AudienceState = Literal["live", "changed", "new", "not computed", "expired"]


@dataclass(frozen=True, slots=True)
class PublishedSize:
    """How many customers a segment has, what they spent in the window, and both as shares of the scheme's, 0 to 1."""

    customer_count: int
    customer_share: float | None
    spend_amount: Decimal
    spend_share: float | None


@dataclass(frozen=True, slots=True)
class PublishedSegment:
    """A segment as it was published."""

    segment: str
    title: str
    size: PublishedSize


@dataclass(frozen=True, slots=True)
class LiveSegments:
    """The live publication: its night, customers, segments by scheme in their order, and digests of what its schemes were then.

    `cluster_profiles` are by scheme and cluster, `strategies` the rows of segment_strategies by scheme, segment and language; both are
    empty in publications of older versions.
    """

    day: date
    publication_id: str
    profiles: Mapping[str, Sequence[PublishedSegment]]
    digests: Mapping[str, str]
    customer_count: int
    cluster_profiles: Mapping[tuple[str, str], tuple[FeatureProfile, ...]] = field(default_factory=dict)
    strategies: Mapping[tuple[str, str, str], Mapping[str, Any]] = field(default_factory=dict)

    def outside_count(self, scheme: str) -> int | None:
        """Return how many customers are in no segment of a scheme, or None where it was not published."""
        sizes = [each.size.customer_count for each in self.profiles.get(scheme, ())]
        return self.customer_count - sum(sizes) if sizes else None

    def size_of(self, scheme: str, segment: str) -> PublishedSize | None:
        """Return the size of a segment, or None where the publication has no such segment."""
        return next((each.size for each in self.profiles.get(scheme, ()) if each.segment == segment), None)


@dataclass(frozen=True, slots=True)
class StrategyCard:
    """What to do about a segment's customers: texts by name in the language asked for; `assumes` says for whom of them alone."""

    texts: Mapping[str, str]
    priority: int
    budget_share: float
    assumes: str = ""


@dataclass(frozen=True, slots=True)
class SegmentEntry:
    """One segment: `words` say who is in it, `rule` is its rule as written, if any; `size` is None until a night published it.

    `profile` has what sets a cluster apart, in figures.
    """

    segment: str
    title: str
    description: str
    words: str
    rule: str = ""
    parameters: Mapping[str, object] = field(default_factory=dict)
    card: StrategyCard | None = None
    size: PublishedSize | None = None
    crosswalk: Mapping[str, str] = field(default_factory=dict)
    profile: tuple[FeatureProfile, ...] = ()


@dataclass(frozen=True, slots=True)
class SchemeEntry:
    """One scheme with its segments; `features` is all that decides, `card` is for those segments that have none of their own.

    `applies_to` is the rule of whom it is for, empty for everybody; `outside_count` are the published customers whom it is not for.
    """

    scheme: str
    title: str
    level: str
    kind: str
    question: str
    decision: str
    proof: str
    file: str
    state: DefinitionState
    segments: tuple[SegmentEntry, ...]
    reason: str = ""
    undecided: tuple[str, ...] = ()
    parameters: Mapping[str, object] = field(default_factory=dict)
    features: tuple[str, ...] = ()
    evidence: tuple[str, ...] = ()
    references: tuple[str, ...] = ()
    card: StrategyCard | None = None
    applies_to: str = ""
    outside_count: int | None = None


@dataclass(frozen=True, slots=True)
class AudienceEntry:
    """One audience: whom it takes, who answers for it and until when it is published; `size` is None until a night published it.

    Of `unknown_count` customers the rule is unknown.
    """

    audience: str
    title: str
    purpose: str
    owner: str
    expires: date | None
    rule: str
    file: str
    state: AudienceState
    applies_to: str = ""
    reason: str = ""
    parameters: Mapping[str, object] = field(default_factory=dict)
    features: tuple[str, ...] = ()
    references: tuple[str, ...] = ()
    card: StrategyCard | None = None
    size: PublishedSize | None = None
    unknown_count: int | None = None


@dataclass(frozen=True, slots=True)
class Catalog:
    """Every scheme of a company, by level and name, and every audience by name.

    `gone` names the schemes that are live though nothing defines them any more.
    """

    company: str
    language: str
    day: date | None
    publication_id: str | None
    schemes: tuple[SchemeEntry, ...]
    gone: tuple[str, ...] = ()
    audiences: tuple[AudienceEntry, ...] = ()

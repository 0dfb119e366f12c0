"""Schemes decided for one customer, worked out here instead of by an engine, to the same answer.

A night decides for everybody by SQL. To find what would take one customer elsewhere, hundreds of what-ifs are tried, each with one
feature otherwise, and a scheme of values needs the counts of everybody for each. So a scheme is decided here a second time, on values
in memory. Nothing outside `reporting/explain` may use it, and tests/property proves that it equals the engine for every scheme.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from fractions import Fraction
from itertools import accumulate, chain
from typing import Any

from sqlglot import exp

from pipeline.definitions.rules import Value, rule_value
from pipeline.definitions.schemes import Scheme, Segment
from pipeline.definitions.schemes.references import SEGMENT_SUFFIX
from pipeline.definitions.schemes.scheme import FEWEST_OF_LEADING_VALUE, INSUFFICIENT_EVIDENCE, OTHER, UNKNOWN
from pipeline.reporting.explain.cluster_centres import CustomerClustering, Row
from pipeline.reporting.explain.scores import Ranks, with_scheme_scores


@dataclass(frozen=True, slots=True)
class ValueRank:
    """Where a value stands among all of an attribute: its place, its customers, and the share of customers with more frequent values.

    `spend_place` is its place by spend, None without any.
    """

    place: int
    customer_count: int
    rank_share: float
    spend_place: int | None = None


@dataclass(frozen=True, slots=True)
class ValueRanks:
    """How many other customers have each value of an attribute, of those whom the scheme takes: any value can be tried for this one.

    `spends` is what they spent, `by_spend` has (-spend, -count, value) of each, `own_spend` is this customer's.

    `order` has (-count, value), the most frequent first; `cumulative` the customers of the first 0, 1, 2 ... of these.
    `own` is 1, or 0 where this customer does not count yet.
    """

    counts: Mapping[str, int]
    order: tuple[tuple[int, str], ...]
    cumulative: tuple[int, ...]
    own: int = 1
    spends: Mapping[str, Fraction] = field(default_factory=dict)
    by_spend: tuple[tuple[Fraction, int, str], ...] = ()
    own_spend: Fraction = Fraction(0)

    @classmethod
    def from_counts(
        cls, counts: Mapping[str, int], *, own: int = 1, spends: Mapping[str, Fraction] | None = None, own_spend: Fraction = Fraction(0)
    ) -> ValueRanks:
        """Rank the values by the `counts` of the other customers who have each; of equally frequent ones the first by name is first."""
        named = {value: count for value, count in counts.items() if is_named_value(value)}
        order = sorted((-count, value) for value, count in named.items())
        given = spends or {}
        by_spend = sorted((-given.get(value, Fraction(0)), -count, value) for value, count in named.items())
        return cls(named, tuple(order), (0, *accumulate(-count for count, _ in order)), own, given, tuple(by_spend), own_spend)

    def rank_of(self, value: Value) -> ValueRank | None:
        """Work out where `value` stands once this customer has it too; None for no value."""
        if not isinstance(value, str) or not is_named_value(value):
            return None
        # With this customer among those who have it: a rare value becomes less rare by one who takes it up.
        count, total = self.counts.get(value, 0) + self.own, self.cumulative[-1] + self.own
        # A shorter tuple comes before every one that begins like it.
        more_frequent = self.cumulative[bisect_left(self.order, (-count,))]
        place = bisect_left(self.order, (-count, value)) + 1
        return ValueRank(place, count, more_frequent / total if total else 1, self._spend_place_of(value, count))

    def _spend_place_of(self, value: str, count: int) -> int | None:
        others = self.spends.get(value, Fraction(0))
        spend = others + self.own_spend
        if spend <= 0:
            return None
        before = bisect_left(self.by_spend, (-spend, -count, value))
        # The value stood somewhere without this customer, and is not before itself.
        stood = (-others, -self.counts[value], value) if value in self.counts else None
        return before + 1 - (stood is not None and bisect_left(self.by_spend, stood) < before)


def is_named_value(value: str) -> bool:
    """Return whether a value names something: blanks and what the source itself calls other or unknown do not."""
    return value.strip(" ").lower() not in ("", OTHER, UNKNOWN)


@dataclass(frozen=True, slots=True)
class ScoredSegment:
    """One segment that competes by score: what counts for it, and its score, None where it may not have this customer."""

    segment: Segment
    holds: Value
    signals: tuple[tuple[str, bool], ...]
    score: float | None


@dataclass(frozen=True, slots=True)
class SchemeCase:
    """All that decides one scheme for one customer but the features: the schemes that it refers to, ranks of values, clusters.

    `score_ranks` has the other customers' figures of each score that goes by rank.
    """

    scheme: Scheme
    by_name: Mapping[str, Scheme]
    ranks: ValueRanks | None = None
    other_ranks: Mapping[str, ValueRanks] = field(default_factory=dict)
    clusterings: Mapping[str, CustomerClustering] = field(default_factory=dict)
    score_ranks: Ranks = field(default_factory=dict)

    @property
    def ranked_schemes(self) -> list[tuple[Scheme, ValueRanks]]:
        """The schemes of values that decide, this one or those that it refers to, with how common their values are."""
        own = [] if self.ranks is None else [(self.scheme, self.ranks)]
        return [*own, *((self.by_name[name], ranks) for name, ranks in self.other_ranks.items())]

    def with_references(self, row: Row) -> Row:
        """Return `row` with the segment of each scheme that is referred to, and with the scheme's own scores.

        Clusters come first, then schemes in their order: each may look at the ones before it.
        """
        known = {**row, **{f"{name}{SEGMENT_SUFFIX}": clustering.segment_of(row) for name, clustering in self.clusterings.items()}}
        for name in self.scheme.references:
            other = self.by_name[name]
            scored = with_scheme_scores(other, known, self.score_ranks)
            known[f"{name}{SEGMENT_SUFFIX}"] = _decide_scheme(other, scored, self.other_ranks.get(name))
        return with_scheme_scores(self.scheme, known, self.score_ranks)

    def segment_of(self, row: Row) -> str | None:
        """Decide the segment of a customer with the features `row`."""
        return _decide_scheme(self.scheme, self.with_references(row), self.ranks)

    def without_impossible_rules(self, row: Row, changing: Collection[str]) -> SchemeCase:
        """Leave out the rules that cannot hold, whatever the features `changing` are, while all others are as in `row`.

        A what-if tries many values of one feature; most rules fail on another one already, and need not be asked again.
        """
        if self.scheme.kind != "rules" or self.scheme.decision != "first_match":
            return self
        segments = (f"{name}{SEGMENT_SUFFIX}" for name in (*self.scheme.references, *self.scheme.clusters))
        varied = {*changing, *segments, *self.scheme.scores}
        known = self.with_references(row)
        possible = tuple(segment for segment in self.scheme.segments if segment.rule is None or _may_hold(segment.rule, known, varied))
        return replace(self, scheme=replace(self.scheme, segments=possible))


def _decide_scheme(scheme: Scheme, row: Row, ranks: ValueRanks | None) -> str | None:
    # Not true rather than false: of whom a value is unknown the scheme is not for, as WHERE has it.
    if scheme.applies_to is not None and rule_value(scheme.applies_to, row) is not True:
        return None
    return _decide_by_rules(scheme, row) if scheme.kind == "rules" else _decide_by_value(scheme, row, ranks)


def _decide_by_value(scheme: Scheme, row: Row, ranks: ValueRanks | None) -> str | None:
    if scheme.rule is not None and rule_value(scheme.rule, row) is not True:
        return INSUFFICIENT_EVIDENCE
    value = row[scheme.attribute]
    # What the source itself calls other is the segment of that name, and takes no place among the values.
    if scheme.kind == "values" and isinstance(value, str) and value.strip(" ").lower() == OTHER:
        return OTHER
    rank = ranks.rank_of(value) if ranks else None
    if scheme.kind == "value_tiers" and isinstance(value, str) and value.strip(" ").lower() not in ("", UNKNOWN):
        limited = (segment for segment in scheme.segments if segment.below is not None)
        tiers = (segment.id for segment in limited if rank is not None and rank.rank_share < (segment.below or 0))
        # The last tier has no limit; what stands after the tiers is no tier.
        last = next(segment.id for segment in reversed(scheme.segments) if segment.id not in (UNKNOWN, INSUFFICIENT_EVIDENCE))
        is_rare = rank is not None and rank.customer_count < scheme.fewest_customers
        return last if is_rare or rank is None else next(tiers, last)
    if rank is None:
        return UNKNOWN
    # Without spend a value has no place by it; then its place by customers alone decides whether it is among the shown.
    spend_place = rank.spend_place or rank.place
    is_leading = rank.spend_place is not None and rank.spend_place <= scheme.leading_values
    is_rare = rank.customer_count < scheme.fewest_customers and not (is_leading and rank.customer_count >= FEWEST_OF_LEADING_VALUE)
    return OTHER if is_rare or min(rank.place, spend_place) > scheme.most_segments else str(value)


def _may_hold(rule: exp.Expr, row: Row, varied: Collection[str]) -> bool:
    """Whether a rule could hold if the columns `varied` were otherwise: none of its parts fails that does not look at them."""
    parts = rule.flatten(unnest=False) if isinstance(rule, exp.And) else (rule,)
    return all(rule_value(part, row) is True or any(column.name in varied for column in part.find_all(exp.Column)) for part in parts)


def _decide_by_rules(scheme: Scheme, row: Row) -> str | None:
    if scheme.decision == "highest_score":
        return _decide_by_score(scheme, row)
    holding = (each.id for each in scheme.segments if each.rule is None or rule_value(each.rule, row) is True)
    return next(holding, None)


def _decide_by_score(scheme: Scheme, row: Row) -> str | None:
    # Who gives too little evidence is told so before any score counts.
    before = (each.id for each in scheme.segments if each.rule is not None and not each.competes and rule_value(each.rule, row) is True)
    competing = scored_segments(scheme, row)
    best = max((each.score for each in competing if each.score is not None), default=None)
    # Of equal scores the segment that the definition names first wins, as in the statement.
    winners = (each.segment.id for each in competing if best is not None and each.score == best)
    return next(chain(before, winners), next((segment.id for segment in scheme.segments if segment.is_otherwise), None))


def scored_segments(scheme: Scheme, row: Row) -> list[ScoredSegment]:
    """Score each segment that competes, for a `row` that has the segments referred to."""
    return [_score_segment(scheme, segment, row) for segment in scheme.competing]


def _score_segment(scheme: Scheme, segment: Segment, row: Row) -> ScoredSegment:
    holds = True if segment.rule is None else rule_value(segment.rule, row)
    signals: tuple[tuple[str, bool], ...] = ()
    if segment.signals is not None:
        pairs = zip(segment.signals.texts, segment.signals.conditions, strict=True)
        signals = tuple((text, rule_value(condition, row) is True) for text, condition in pairs)
    signal_count = sum(is_shown for _, is_shown in signals)
    score: Any = rule_value(segment.score, row) if segment.score is not None else signal_count / len(signals)
    # Unknown is not true: a rule that cannot be told of a customer does not let the segment compete, as in SQL.
    is_enough = segment.signals is None or signal_count >= segment.signals.needed
    may_win = holds is True and is_enough and score is not None and score > scheme.floor
    return ScoredSegment(segment, holds, signals, float(score) if may_win else None)

"""What a scheme is: a question about customers, and the segments that answer it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from pathlib import Path
from typing import Literal

from sqlglot import exp

from pipeline.definitions.proofs import Proof
from pipeline.definitions.rules import Quantile, Vocabulary, joined_kind
from pipeline.definitions.schemes.score_methods import ScoreMethod, axes_behind
from pipeline.definitions.schemes.strategies import Strategy

UNKNOWN, OTHER, INSUFFICIENT_EVIDENCE = "unknown", "other", "insufficient_evidence"
FEWEST_OF_LEADING_VALUE = 2  # a value of one customer would be that customer


@dataclass(frozen=True, slots=True)
class Signals:
    """Conditions of which a customer must show `needed`; the share that is shown is the segment's score."""

    texts: tuple[str, ...]
    conditions: tuple[exp.Expression, ...]
    needed: int


@dataclass(frozen=True, slots=True)
class Segment:
    """One segment; `rule` is None for the one that takes everybody left over, `score` is given where the highest one decides.

    `titles` and `descriptions` are those of other languages, by language. `below` is the limit of a tier of values.
    """

    id: str
    title: str
    description: str
    rule_text: str = ""
    rule: exp.Expression | None = None
    score_text: str = ""
    score: exp.Expression | None = None
    signals: Signals | None = None
    below: float | None = None
    titles: Mapping[str, str] = field(default_factory=dict, hash=False)
    descriptions: Mapping[str, str] = field(default_factory=dict, hash=False)
    strategy: Strategy | None = None
    crosswalk: Mapping[str, str] = field(default_factory=dict, hash=False)

    @property
    def competes(self) -> bool:
        """Whether a score, or signals, decide on the segment."""
        return self.score is not None or self.signals is not None

    @property
    def is_otherwise(self) -> bool:
        """Whether a segment of a scheme of rules takes everybody left over."""
        return self.rule is None and not self.competes

    @property
    def languages(self) -> frozenset[str]:
        """The languages that anything of the segment is translated into."""
        return frozenset({*self.titles, *self.descriptions, *(self.strategy.translations if self.strategy else ())})

    @property
    def texts(self) -> tuple[str, ...]:
        """Every rule, score and signal of the segment as it is written."""
        signals = self.signals.texts if self.signals else ()
        return tuple(text for text in (self.rule_text, self.score_text, *signals) if text)

    @property
    def trees(self) -> tuple[exp.Expression, ...]:
        """Every rule, score and signal of the segment as a checked tree."""
        signals = self.signals.conditions if self.signals else ()
        return tuple(tree for tree in (self.rule, self.score, *signals) if tree is not None)


@dataclass(frozen=True, slots=True)
class AudienceTerms:
    """What an audience is beside a scheme: who answers for it, the last night on which it is published, and its rules as written."""

    owner: str
    expires: date | None
    rule_text: str
    applies_to_text: str = ""


@dataclass(frozen=True, slots=True)
class Scheme:
    """A total, disjoint set of segments for those whom it `applies_to`; `missing` names what the company does not supply.

    Without `applies_to` that is everybody; who is not among them is in no segment of the scheme.

    Of kind `rules`, segments decide in order or by score; of kind `values`, each value of `attribute` is a segment, at most
    `most_segments` of them by customers and as many by spend, and none of fewer than `fewest_customers` unless it is among the
    `leading_values` by spend, for those whom `rule` takes; of kind `value_tiers`, values are ranked by their customers.
    `references` names the schemes that its rules look at, those that these look at before them; `clusters` the schemes of clusters
    that these or its own rules look at, `assignments` the statement of `customer_id, segment` of each. `uncomputed` are segments
    that look at a feature which nobody has, as the source does not give what it is made of. `quantiles` are the parameters that a
    night sets, by rules read again in the words of `vocabulary`.
    `scores` are those that it decides by or shows, `score_methods` how each axis of them is scored. `declared` are the declared features
    that its rules look at, with a digest of what each means.
    `audience` is given where it is an audience: one segment, for those whom its rule takes.
    """

    name: str
    title: str
    level: str
    question: str
    kind: Literal["rules", "values", "value_tiers"]
    evidence: tuple[str, ...]
    segments: tuple[Segment, ...]
    file: Path
    uncomputed: tuple[Segment, ...] = ()
    missing: tuple[str, ...] = ()
    applies_to_text: str = ""
    applies_to: exp.Expression | None = None
    decision: Literal["first_match", "highest_score"] = "first_match"
    floor: float = 0.0
    attribute: str = ""
    rule_text: str = ""
    rule: exp.Expression | None = None
    most_segments: int = 0
    fewest_customers: int = 0
    leading_values: int = 0
    strategy: Strategy | None = None
    titles: Mapping[str, str] = field(default_factory=dict, hash=False)
    questions: Mapping[str, str] = field(default_factory=dict, hash=False)
    parameters: Mapping[str, object] = field(default_factory=dict, hash=False)
    quantiles: Mapping[str, Quantile] = field(default_factory=dict, hash=False)
    vocabulary: Vocabulary | None = field(default=None, compare=False, repr=False)
    references: tuple[str, ...] = ()
    clusters: tuple[str, ...] = ()
    assignments: Mapping[str, exp.Query] = field(default_factory=dict, hash=False)
    proof: Proof | None = None
    scores: tuple[str, ...] = ()
    score_methods: Mapping[str, ScoreMethod] = field(default_factory=dict, hash=False)
    declared: Mapping[str, str] = field(default_factory=dict, hash=False)
    audience: AudienceTerms | None = None

    @property
    def shown_methods(self) -> tuple[ScoreMethod, ...]:
        """How the scores came about that the scheme shows as evidence."""
        return tuple(self.score_methods[name] for name in axes_behind(self.evidence))

    @property
    def is_closed(self) -> bool:
        """Whether the definition names every segment; where values are segments, customers do."""
        return self.kind != "values"

    @property
    def languages(self) -> frozenset[str]:
        """The languages that anything of the scheme and its segments is translated into."""
        own = frozenset({*self.titles, *self.questions, *(self.strategy.translations if self.strategy else ())})
        return own.union(*(segment.languages for segment in self.segments))

    @property
    def competing(self) -> tuple[Segment, ...]:
        """The segments of which the highest score wins; the others of such a scheme take who has none, or come before any score."""
        return tuple(segment for segment in self.segments if segment.competes)

    @property
    def texts(self) -> tuple[str, ...]:
        """Every rule text of the scheme and its segments."""
        own = (text for text in (self.applies_to_text, self.rule_text) if text)
        return (*own, *(text for segment in self.segments for text in segment.texts))

    @property
    def trees(self) -> tuple[exp.Expression, ...]:
        """Every rule, score and signal of the scheme and its segments."""
        own = (tree for tree in (self.applies_to, self.rule) if tree is not None)
        return (*own, *(tree for segment in self.segments for tree in segment.trees))


@dataclass(frozen=True, slots=True)
class Schemes:
    """The schemes that can be computed, and why each of the others, the `uncomputed` ones, or a segment `scheme.segment` cannot.

    `unknown` are the features that nobody has, with what each of them needs.
    """

    schemes: tuple[Scheme, ...]
    not_computed: Mapping[str, str]
    uncomputed: tuple[Scheme, ...] = ()
    unknown: Mapping[str, str] = field(default_factory=dict, hash=False)


def joined_columns_of(schemes: Iterable[Scheme]) -> frozenset[str]:
    """Return the columns that rules of any of these schemes look at and that are neither features nor attributes."""
    named = {column.name for scheme in schemes for tree in scheme.trees for column in tree.find_all(exp.Column)}
    return frozenset(name for name in named if joined_kind(name) is not None)


def referenced_clusters(schemes: Iterable[Scheme]) -> frozenset[str]:
    """Return the names of the schemes of clusters that any of these look at."""
    return frozenset(name for scheme in schemes for name in scheme.clusters)


def schemes_with_assignments(schemes: Iterable[Scheme], assignments: Mapping[str, exp.Query]) -> tuple[Scheme, ...]:
    """Return the schemes with the statements of the clusters that they look at, without which none of such a scheme can be made."""
    return tuple(replace(scheme, assignments={name: assignments[name] for name in scheme.clusters}) for scheme in schemes)

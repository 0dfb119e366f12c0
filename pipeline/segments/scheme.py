"""What a scheme is: a question about customers, and the segments that answer it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from sqlglot import exp

from pipeline.proofs import Proof
from pipeline.segments.strategies import Strategy

UNKNOWN, OTHER, INSUFFICIENT_EVIDENCE = "unknown", "other", "insufficient_evidence"


@dataclass(frozen=True, slots=True)
class Signals:
    """Conditions of which a customer must show `needed`; the share that is shown is the segment's score."""

    texts: tuple[str, ...]
    conditions: tuple[exp.Expression, ...]
    needed: int


@dataclass(frozen=True, slots=True)
class Segment:
    """One segment; `rule` is None for the one that takes everybody left over, `score` is given where the highest one decides.

    `titles` are those of other languages, by language. `below` is the limit of a tier of values.
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
    strategy: Strategy | None = None
    crosswalk: Mapping[str, str] = field(default_factory=dict, hash=False)

    @property
    def is_otherwise(self) -> bool:
        """Whether a segment of a scheme of rules takes everybody left over."""
        return self.rule is None and self.score is None and self.signals is None

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
class Scheme:
    """A total, disjoint set of segments; `missing` names what the company does not supply.

    Of kind `rules`, segments decide in order or by score; of kind `values`, each value of `attribute` is a segment, at most
    `most_segments` of them and none of fewer than `fewest_customers`, for those whom `rule` takes; of kind `value_tiers`, values are
    ranked by their customers.
    `references` names the schemes that its rules look at, those that these look at before them.
    """

    name: str
    title: str
    level: str
    question: str
    kind: Literal["rules", "values", "value_tiers"]
    evidence: tuple[str, ...]
    segments: tuple[Segment, ...]
    file: Path
    missing: tuple[str, ...] = ()
    decision: Literal["first_match", "highest_score"] = "first_match"
    floor: float = 0.0
    attribute: str = ""
    rule_text: str = ""
    rule: exp.Expression | None = None
    most_segments: int = 0
    fewest_customers: int = 0
    strategy: Strategy | None = None
    titles: Mapping[str, str] = field(default_factory=dict, hash=False)
    parameters: Mapping[str, object] = field(default_factory=dict, hash=False)
    references: tuple[str, ...] = ()
    proof: Proof | None = None

    @property
    def texts(self) -> tuple[str, ...]:
        """Every rule text of the scheme and its segments."""
        own = (self.rule_text,) if self.rule_text else ()
        return (*own, *(text for segment in self.segments for text in segment.texts))

    @property
    def trees(self) -> tuple[exp.Expression, ...]:
        """Every rule, score and signal of the scheme and its segments."""
        own = () if self.rule is None else (self.rule,)
        return (*own, *(tree for segment in self.segments for tree in segment.trees))


@dataclass(frozen=True, slots=True)
class Schemes:
    """The schemes that can be computed, and why each of the others, the `uncomputed` ones, cannot."""

    schemes: tuple[Scheme, ...]
    not_computed: Mapping[str, str]
    uncomputed: tuple[Scheme, ...] = ()

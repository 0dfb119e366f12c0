"""One customer in one scheme: what decided, and the nearest other segment."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from sqlglot import exp

from pipeline.definitions.rules import parameters_of
from pipeline.definitions.schemes import Scheme, Segment
from pipeline.definitions.schemes.scheme import INSUFFICIENT_EVIDENCE
from pipeline.definitions.schemes.score_methods import AXES, axes_behind
from pipeline.lake.tables import Kind
from pipeline.models.clusters import UNCLUSTERED
from pipeline.reporting.explain.cluster_borders import what_ifs_at_borders
from pipeline.reporting.explain.cluster_centres import Row
from pipeline.reporting.explain.decide import SchemeCase, ScoredSegment, ValueRank, scored_segments
from pipeline.reporting.explain.what_if import WhatIf, what_ifs_of_rules


@dataclass(frozen=True, slots=True)
class NearestSegment:
    """Another segment, and the smallest change of one feature that leads there."""

    segment: str
    title: str
    change: WhatIf


@dataclass(frozen=True, slots=True)
class SchemeExplanation:
    """Why a customer is in `segment` of a scheme; without `nearest` no change of one feature leads elsewhere.

    `segment_now` is what the definitions say now of what is stored: it differs from `segment` where another version computed the night.
    `rule_text` is empty where everybody left over is taken, or where no rule decides; `scored_segments` are those that compete by
    score, `value_rank` is where the value of an attribute stands.
    """

    scheme: Scheme
    segment: str
    title: str
    segment_now: str | None
    rule_text: str
    values: Mapping[str, object]
    scored_segments: tuple[ScoredSegment, ...]
    value_rank: ValueRank | None
    nearest: NearestSegment | None


def scheme_explanation(case: SchemeCase, segment: str, row: Row, kinds: Mapping[str, Kind]) -> SchemeExplanation:
    """Explain why a customer with the features `row`, of these `kinds`, is in the stored `segment`."""
    scheme, known = case.scheme, case.with_references(row)
    chosen = next((each for each in scheme.segments if each.id == segment), None)
    segment_now = case.segment_of(row)
    trees, texts = _deciding_rules(scheme, chosen)
    columns = [column.name for tree in trees for column in tree.find_all(exp.Column, bfs=False)]
    # In the order in which the rules name them, the attribute of a scheme of values first, and last the figures that scores tell of.
    figures = [AXES[score].figure for score in axes_behind(columns)]
    names = dict.fromkeys([scheme.attribute, *columns, *figures] if scheme.attribute else [*columns, *figures])
    parameters = {name for text in texts for name in parameters_of(text)}
    # A rule of a scheme of scores takes its customers before any score counts.
    is_by_score = scheme.decision == "highest_score" and (chosen is None or chosen.competes or chosen.is_otherwise)
    return SchemeExplanation(
        scheme=scheme,
        segment=segment,
        title=segment_title(scheme, segment),
        segment_now=segment_now,
        rule_text=scheme.rule_text if chosen is None else chosen.rule_text or scheme.rule_text,
        values={
            **{name: known[name] for name in names},
            **{f"@{name}": value for name, value in scheme.parameters.items() if name in parameters},
        },
        scored_segments=tuple(scored_segments(scheme, known)) if is_by_score else (),
        value_rank=case.ranks.rank_of(row[scheme.attribute]) if case.ranks and segment != INSUFFICIENT_EVIDENCE else None,
        # Where another version computed the night, these rules cannot say what would have changed it.
        nearest=nearest_segment(case, row, kinds) if segment_now == segment else None,
    )


def nearest_segment(case: SchemeCase, row: Row, kinds: Mapping[str, Kind]) -> NearestSegment | None:
    """Return the segment that the smallest change of one feature leads to, or None where none leads to another.

    A what-if is only a proposal: each is tried, from the smallest on, and the first that lands elsewhere is the answer.
    """
    own, cases = case.segment_of(row), dict[str, SchemeCase]()
    for change in sorted(what_ifs_of_case(case, row, kinds), key=lambda change: change.size):
        # Which rules can hold depends on the feature alone, and one feature has many what-ifs.
        if change.feature not in cases:
            cases[change.feature] = case.without_impossible_rules(row, (change.feature, *change.follows))
        other = cases[change.feature].segment_of(change.apply_to(row))
        # No segment is no answer to what would have to be otherwise: a customer whom the scheme leaves is nowhere nearer.
        if other not in (own, None):
            return NearestSegment(str(other), segment_title(case.scheme, str(other)), change)
    return None


def what_ifs_of_case(case: SchemeCase, row: Row, kinds: Mapping[str, Kind]) -> Iterator[WhatIf]:
    """Propose what-ifs of one feature that may lead to another segment, through rules or the clusters that they look at."""
    fixed = frozenset[str]().union(*(clustering.fixed_features for clustering in case.clusterings.values()))
    what_ifs = what_ifs_of_rules(case, row, kinds)
    for clustering in case.clusterings.values():
        if clustering.model is not None and clustering.segment_of(row) != UNCLUSTERED:
            what_ifs += what_ifs_at_borders(clustering.model, row, kinds)
    yield from (change for change in what_ifs if change.feature not in fixed)


def segment_title(scheme: Scheme, segment: str) -> str:
    """Look up what people call a segment; a value is its own title."""
    return next((each.title for each in scheme.segments if each.id == segment), segment)


def _deciding_rules(scheme: Scheme, chosen: Segment | None) -> tuple[Sequence[exp.Expr], Sequence[str]]:
    """Return the rules that decided, and their texts: all of them where scores compete, or where none took a customer left over."""
    if chosen is not None and chosen.rule is not None and not chosen.competes:
        return [chosen.rule], [chosen.rule_text]
    # Whom the scheme is for was decided before: it does not tell segments apart.
    return [tree for tree in scheme.trees if tree is not scheme.applies_to], [
        text for text in scheme.texts if text != scheme.applies_to_text
    ]

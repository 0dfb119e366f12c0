"""One customer in one scheme: what decided, and the nearest other segment."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from sqlglot import exp

from pipeline.definitions.rules import Value, parameters_of
from pipeline.definitions.schemes import Scheme, Segment
from pipeline.definitions.schemes.scheme import INSUFFICIENT_EVIDENCE
from pipeline.lake.tables import Kind
from pipeline.models.clusters import UNCLUSTERED
from pipeline.reporting.explain.cluster_borders import border_changes
from pipeline.reporting.explain.cluster_centres import Row
from pipeline.reporting.explain.decide import Case, Judged, Standing, judged
from pipeline.reporting.explain.what_if import Change, changes_of


@dataclass(frozen=True, slots=True)
class Nearest:
    """Another segment, and the smallest change of one feature that leads there."""

    segment: str
    title: str
    change: Change


@dataclass(frozen=True, slots=True)
class Explanation:
    """Why a customer is in `segment` of a scheme; without `nearest` no change of one feature leads elsewhere.

    `decided` is what the definitions say now of what is stored: it differs from `segment` where another version computed the night.
    `rule_text` is empty where everybody left over is taken, or where no rule decides; `judged` holds the segments that compete by
    score, `standing` where the value of an attribute stands.
    """

    scheme: Scheme
    segment: str
    title: str
    decided: str | None
    rule_text: str
    values: Mapping[str, object]
    judged: tuple[Judged, ...]
    standing: Standing | None
    nearest: Nearest | None


def explanation_of(case: Case, segment: str, row: Row, kinds: Mapping[str, Kind]) -> Explanation:
    """Return why a customer with the features `row`, of these `kinds`, is in `segment`."""
    scheme, known = case.scheme, case.completed(row)
    chosen = next((each for each in scheme.segments if each.id == segment), None)
    decided = case.segment_of(row)
    trees, texts = _looked_at(scheme, chosen)
    return Explanation(
        scheme=scheme,
        segment=segment,
        title=title_of(scheme, segment),
        decided=decided,
        rule_text=scheme.rule_text if chosen is None else chosen.rule_text or scheme.rule_text,
        values={**_values(scheme, trees, known), **_parameters(scheme, texts)},
        judged=tuple(judged(scheme, known)) if _is_by_score(scheme, chosen) else (),
        standing=case.ranks.standing(row[scheme.attribute]) if case.ranks and segment != INSUFFICIENT_EVIDENCE else None,
        nearest=nearest_segment(case, row, kinds) if decided == segment else None,
    )


def nearest_segment(case: Case, row: Row, kinds: Mapping[str, Kind]) -> Nearest | None:
    """Return the segment that the smallest change of one feature leads to, or None where none leads to another."""
    own, narrowed = case.segment_of(row), dict[str, Case]()
    for change in sorted(_changes(case, row, kinds), key=lambda change: change.size):
        if change.feature not in narrowed:
            narrowed[change.feature] = case.narrowed(row, (change.feature, *change.follows))
        other = narrowed[change.feature].segment_of(change.applied(row))
        if other not in (own, None):
            return Nearest(str(other), title_of(case.scheme, str(other)), change)
    return None


def _changes(case: Case, row: Row, kinds: Mapping[str, Kind]) -> Iterator[Change]:
    """Yield the changes of one feature that may lead to another segment, through rules or the clusters that they look at."""
    held = frozenset[str]().union(*(clustering.held for clustering in case.clusterings.values()))
    found = changes_of(case, row, kinds)
    for clustering in case.clusterings.values():
        if clustering.model is not None and clustering.segment_of(row) != UNCLUSTERED:
            found += border_changes(clustering.model, row, kinds)
    yield from (change for change in found if change.feature not in held)


def title_of(scheme: Scheme, segment: str) -> str:
    """Return what people call a segment; a value is its own title."""
    return next((each.title for each in scheme.segments if each.id == segment), segment)


def _looked_at(scheme: Scheme, chosen: Segment | None) -> tuple[Sequence[exp.Expr], Sequence[str]]:
    """Return the rules that decided, and their texts: all of them where scores compete, or where none took a customer left over."""
    if chosen is not None and chosen.rule is not None and not chosen.competes:
        return [chosen.rule], [chosen.rule_text]
    return scheme.trees, scheme.texts


def _is_by_score(scheme: Scheme, chosen: Segment | None) -> bool:
    """Return whether scores decided: a rule of a scheme of scores takes its customers before any of them counts."""
    return scheme.decision == "highest_score" and (chosen is None or chosen.competes or chosen.is_otherwise)


def _values(scheme: Scheme, trees: Iterable[exp.Expr], row: Row) -> dict[str, Value]:
    names = [column.name for tree in trees for column in tree.find_all(exp.Column, bfs=False)]
    return {name: row[name] for name in dict.fromkeys([scheme.attribute, *names] if scheme.attribute else names)}


def _parameters(scheme: Scheme, texts: Iterable[str]) -> dict[str, object]:
    named = {name for text in texts for name in parameters_of(text)}
    return {f"@{name}": value for name, value in scheme.parameters.items() if name in named}

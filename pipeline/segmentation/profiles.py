"""What every segment is like, and what to do about it: a statement for its size and character, rows for its strategy.

Segments come from three places: rules define them, a cluster model finds them, or the values of an attribute are themselves segments
(`region`: north, south). Only customers show the third kind, so that they are read from the night's memberships.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import pyarrow as pa
from sqlglot import exp

from pipeline.definitions.schemes import LIFECYCLE, ClusterScheme, Scheme, Segment, Strategy
from pipeline.definitions.schemes.fixed_segments import TITLES, UNCLUSTERED
from pipeline.definitions.schemes.scheme import INSUFFICIENT_EVIDENCE
from pipeline.lake.expressions import union_all
from pipeline.lake.statements import statement
from pipeline.lake.tables import CUSTOMER_SEGMENTS, SEGMENT_PROFILES, SEGMENT_STRATEGIES
from pipeline.models.clusters import ClusterCard, ClusterModel, NotFitted, cluster_cards, translated_title

Models = Sequence[tuple[ClusterScheme, ClusterModel | NotFitted]]
Clustered = tuple[ClusterScheme, Mapping[str, ClusterCard]]


def profiles_statement(schemes: Sequence[Scheme], models: Models) -> exp.Query:
    """Build the statement of segment_profiles; it reads customer_features and customer_segments.

    Segments that are values come after the defined ones of their scheme, by name.
    """
    columns = ["scheme", "segment", "title", "position"]
    rows = exp.values(_defined_segments(schemes, models), alias="defined", columns=columns)
    defined: exp.Query = exp.select("*").from_(rows)
    if any(scheme.kind == "values" for scheme in schemes):
        defined = union_all([defined, _value_segments([scheme for scheme in schemes if scheme.kind == "values"])])
    query = statement(SEGMENT_PROFILES.name).copy()
    for table in query.find_all(exp.Table):
        if table.name == "defined_segments":
            table.replace(exp.alias_(defined.subquery(), table.alias, table=True))
    return query


@dataclass(frozen=True, slots=True)
class PlacedCard:
    """The card of a segment, and what else decides which of a customer's cards comes first."""

    scheme: str
    segment: str
    level: str
    strategy: Strategy
    is_default: bool = False

    @property
    def order(self) -> tuple[object, ...]:
        """The smaller, the earlier: more urgent ones, then those that somebody wrote, then those with more of the spend at stake.

        Of equals the lifecycle comes first, then what customers do before what they are.
        """
        urgency = self.strategy.priority, self.is_default, -self.strategy.stake_share
        return *urgency, self.scheme != LIFECYCLE, self.level != "behavioural", self.scheme, self.segment


def strategy_rows(schemes: Sequence[Scheme], segments: Sequence[tuple[str, str, str]], language: str, clusters: Models = ()) -> pa.Table:
    """Return the rows of segment_strategies, sorted by its key: each of `segments` in each language that any scheme is translated into.

    `segments` are (scheme, segment, title) as profiled, `language` is the company's; the card of a scheme stands for those of its
    values that have none. A cluster has the card of its model.
    """
    by_name = {scheme.name: scheme for scheme in schemes}
    clustered = {scheme.name: (scheme, cluster_cards(scheme, model)) for scheme, model in clusters if isinstance(model, ClusterModel)}
    placed = sorted(_placed_cards(by_name, clustered, segments), key=lambda card: card.order)
    orders = {(card.scheme, card.segment): place for place, card in enumerate(placed, 1)}
    languages = {language}.union(*(scheme.languages for scheme in schemes), *(scheme.languages for scheme, _ in clusters))
    rows = []
    for name, segment, title in segments:
        for each in languages:
            if name in by_name:
                row = _strategy_row(by_name[name], segment, title, each)
            elif name in clustered:
                row = _cluster_row(*clustered[name], segment, title, each)
            else:
                row = _title_row(name, segment, each, title)
            rows.append({**row, "card_order": orders.get((name, segment))})
    return pa.Table.from_pylist(
        sorted(rows, key=lambda row: [row[name] for name in SEGMENT_STRATEGIES.key]), schema=SEGMENT_STRATEGIES.schema
    )


def _placed_cards(
    schemes: Mapping[str, Scheme], clustered: Mapping[str, Clustered], segments: Iterable[tuple[str, str, str]]
) -> Iterator[PlacedCard]:
    """Yield the cards of these segments, as far as they have one."""
    for name, segment, _ in segments:
        if name in schemes and (card := _card_of(schemes[name], segment)) is not None:
            yield PlacedCard(name, segment, schemes[name].level, card)
        elif name in clustered and (found := clustered[name][1].get(segment)) is not None:
            yield PlacedCard(name, segment, clustered[name][0].level, found.strategy, found.is_default)


def _card_of(scheme: Scheme, segment: str) -> Strategy | None:
    return next((each.strategy for each in scheme.segments if each.id == segment), None) or scheme.strategy


def _strategy_row(scheme: Scheme, value: str, title: str, language: str) -> dict[str, object]:
    """Say what a segment, such as a value that no definition names, is called in `language`, and its card where there is one."""
    segment = next((segment for segment in scheme.segments if segment.id == value), Segment(value, title, ""))
    named = _title_row(scheme.name, value, language, segment.titles.get(language, segment.title))
    named["description"] = segment.descriptions.get(language, segment.description) or None
    strategy = _card_of(scheme, value)
    return named if strategy is None else {**named, **_card_cells(strategy, language)}


def _cluster_row(scheme: ClusterScheme, cards: Mapping[str, ClusterCard], segment: str, title: str, language: str) -> dict[str, object]:
    """Say what a cluster is called in `language`, who is in it, and what its card says."""
    said = scheme.fixed_titles.get(segment, {}).get(language) or translated_title(title, scheme.features, language)
    named = _title_row(scheme.name, segment, language, said)
    card = cards.get(segment)
    return named if card is None else {**named, "description": card.description or None, **_card_cells(card.strategy, language)}


def _card_cells(strategy: Strategy, language: str) -> dict[str, object]:
    facts = {"priority": strategy.priority, "budget_share": strategy.budget_share, "assumes": strategy.assumes or None}
    return {**strategy.texts(language), **facts}


def _title_row(scheme: str, segment: str, language: str, title: str) -> dict[str, object]:
    return {"scheme": scheme, "segment": segment, "language": language, "title": title}


def _value_segments(schemes: Sequence[Scheme]) -> exp.Query:
    """Build the query of the segments that are values of customers, which no definition names."""
    conditions = []
    for scheme in schemes:
        names = [exp.Literal.string(segment.id) for segment in scheme.segments]
        is_defined = exp.In(this=exp.column("segment"), expressions=names)
        conditions.append(exp.and_(exp.column("scheme").eq(exp.Literal.string(scheme.name)), exp.not_(is_defined)))
    values = exp.select("scheme", "segment").distinct().from_(CUSTOMER_SEGMENTS.name).where(exp.or_(*conditions))
    order = exp.Window(
        this=exp.RowNumber(), partition_by=[exp.column("scheme")], order=exp.Order(expressions=[exp.Ordered(this=exp.column("segment"))])
    )
    # They are numbered on from the scheme with the most defined segments, which keeps one number for all schemes.
    place = exp.Add(this=order, expression=exp.Literal.number(max(len(scheme.segments) for scheme in schemes)))
    return exp.select("scheme", "segment", exp.alias_(exp.column("segment"), "title"), exp.alias_(place, "position")).from_(
        values.subquery("found")
    )


def _defined_segments(schemes: Sequence[Scheme], models: Models) -> list[tuple[str, str, str, int]]:
    """List (scheme, segment, title, position) of everything that a definition or a model names; positions count from 1."""
    titles = [(scheme.name, [(segment.id, segment.title) for segment in scheme.segments]) for scheme in schemes]
    for scheme, model in models:
        clusters = [] if isinstance(model, NotFitted) else [(cluster.id, cluster.title) for cluster in model.clusters]
        # Those in no cluster are a segment even before there is a model: then it has everybody.
        lacking = [(INSUFFICIENT_EVIDENCE, TITLES[INSUFFICIENT_EVIDENCE])] if scheme.attributes else []
        titles.append((scheme.name, [*clusters, *lacking, (UNCLUSTERED, TITLES[UNCLUSTERED])]))
    return [(name, segment, title, place) for name, pairs in titles for place, (segment, title) in enumerate(pairs, 1)]

"""One customer on one night, read from the lake: the segment in every scheme, why, and the moves that led there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from datetime import date
from decimal import Decimal
from fractions import Fraction
from typing import Any

from sqlglot import exp

from pipeline.definitions.audiences import MEMBER
from pipeline.definitions.company import Company
from pipeline.definitions.history import company_on
from pipeline.definitions.rules import Value
from pipeline.definitions.schemes import load_cluster_schemes, referenced_clusters
from pipeline.definitions.schemes.score_methods import AXES
from pipeline.errors import ConfigError
from pipeline.features import CustomerMerge, MergeHistory
from pipeline.lake import addresses
from pipeline.lake.engines.duckdb import open_engine
from pipeline.lake.lake import Lake
from pipeline.lake.limits import MEMORY_LIMIT
from pipeline.lake.tables import (
    AUDIENCE_MEMBERS,
    AUDIENCE_MOVES,
    CUSTOMER_FEATURES,
    CUSTOMER_NEXT_ACTIONS,
    CUSTOMER_SEGMENTS,
    SEGMENT_MOVES,
    SEGMENT_PROFILES,
)
from pipeline.models.clusters import UNCLUSTERED, ClusterModel
from pipeline.models.refits.model_store import stored_model
from pipeline.publication.current import current_publication
from pipeline.reporting.cluster_figures import stored_profiles
from pipeline.reporting.explain.audiences import AudienceExplanation, explain_audience
from pipeline.reporting.explain.cards import NextAction, SegmentCard, cards_of_segments, next_action_of, stored_cards
from pipeline.reporting.explain.cluster_centres import CustomerClustering
from pipeline.reporting.explain.cluster_explanation import ClusterExplanation, cluster_explanation
from pipeline.reporting.explain.decide import SchemeCase
from pipeline.reporting.explain.explained_night import ExplainedNight
from pipeline.reporting.explain.explanation import SchemeExplanation, scheme_explanation
from pipeline.reporting.explain.moves import CustomerMove, customer_moves
from pipeline.reporting.explain.ranks import figure_ranks, value_ranks
from pipeline.segmentation import OTHER_NIGHT_TODO, NightFeatures, audiences_of_night, customer_intervals, not_computed_on, schemes_of_night


@dataclass(frozen=True, slots=True)
class ExplainedMembership:
    """The stored segment of one scheme, explained by its rules or by its `clusters`; by neither where no definition or model is left."""

    scheme: str
    segment: str
    title: str
    evidence: str
    explanation: SchemeExplanation | None
    moves: Sequence[CustomerMove]
    clusters: ClusterExplanation | None = None
    card: SegmentCard | None = None


@dataclass(frozen=True, slots=True)
class OutsideScheme:
    """A scheme that does not apply to the customer: the rule that says whom it is for, and the customer's values that it looks at."""

    scheme: str
    title: str
    applies_to: str
    values: Mapping[str, object]
    moves: Sequence[CustomerMove]


@dataclass(frozen=True, slots=True)
class CustomerExplanation:
    """One customer on one night; `not_computed` says of each scheme or audience that was left out why.

    `merges` lead from the id that was asked for to `customer_id`, where that customer was merged into others by then. `aggregates` are
    the columns that aggregates within rules are, each with how a rule says it.
    """

    customer_id: str
    day: date
    is_live: bool
    memberships: Sequence[ExplainedMembership]
    outside: Sequence[OutsideScheme]
    not_computed: Mapping[str, str]
    next_action: NextAction | None = None
    merges: Sequence[CustomerMerge] = ()
    audiences: Sequence[AudienceExplanation] = ()
    aggregates: Mapping[str, str] = field(default_factory=dict)


def explain_customer(
    company: Company, lake: Lake, customer_id: str, day: date | None, *, memory_limit: str = MEMORY_LIMIT
) -> CustomerExplanation:
    """Explain why the customer was where they were on the night of `day`, by default the live one, as it was computed.

    Of a customer who was merged into another by then, that one is explained.

    Raises ConfigError where there is no such night, or no such customer on it.
    """
    live = current_publication(lake)
    day = _require_stored_night(lake, day or (live.day if live else None))
    valid = company_on(lake, company, day)
    merges = MergeHistory(lake, valid.zone).merges_of(customer_id, day, day)
    customer_id = merges[-1].merged_into if merges else customer_id
    with closing(open_engine(lake, memory_limit=memory_limit)) as engine:
        schemes, audiences = schemes_of_night(valid, lake, day), audiences_of_night(valid, lake, day)
        table, looked_at = valid.table(CUSTOMER_FEATURES), (*schemes.schemes, *audiences.schemes)
        with NightFeatures([valid], lake, engine, day).registered(looked_at, table) as features:
            night = ExplainedNight(valid, lake, engine, day, customer_id, features, schemes, audiences)
            memberships, outside, explained = _explained_memberships(night)
        cards = stored_cards(lake, day, valid.language)
        action = _next_action(night, cards)
    fitting = cards_of_segments(cards, {each.scheme: each.segment for each in memberships})
    memberships = [replace(each, card=fitting.get(each.scheme)) for each in memberships]
    lacking = {**not_computed_on(valid, lake, day), **audiences.not_computed}
    is_live = live is not None and live.day == day
    aggregates = {each.name: each.call for feature in valid.features for each in feature.aggregates if feature.name == each.name}
    return CustomerExplanation(customer_id, day, is_live, memberships, outside, lacking, action, merges, explained, aggregates)


def _next_action(night: ExplainedNight, cards: Mapping[tuple[str, str], Mapping[str, Any]]) -> NextAction | None:
    """Read the customer's next action; None where they have none, as who must not be written to, or an older version wrote the night."""
    if not night.lake.has(CUSTOMER_NEXT_ACTIONS, day=night.day):
        return None
    rows = night.customer_rows(CUSTOMER_NEXT_ACTIONS, addresses.partition(CUSTOMER_NEXT_ACTIONS, day=night.day))
    intervals = customer_intervals(night.lake, night.engine, night.customer_id) if rows else []
    return next_action_of(rows[0], cards, intervals, night.day) if rows else None


def _require_stored_night(lake: Lake, day: date | None) -> date:
    if day is None:
        raise ConfigError("nothing is published yet", where=lake.where(), todo="Name a night with --day, or publish one: segments run.")
    nights = lake.nights(CUSTOMER_SEGMENTS)
    if day not in nights:
        reach = f": they reach from {nights[0]} to {nights[-1]}" if nights else ""
        raise ConfigError(f"there is no night of {day}{reach}", where=lake.where(), todo=OTHER_NIGHT_TODO)
    return day


def _explained_memberships(
    night: ExplainedNight,
) -> tuple[list[ExplainedMembership], list[OutsideScheme], list[AudienceExplanation]]:
    """Explain what is stored of the customer, list the schemes that do not apply to them, and explain the audiences."""
    stored = night.customer_rows(CUSTOMER_SEGMENTS, addresses.partition(CUSTOMER_SEGMENTS, day=night.day))
    features = night.rows_of_customer(night.features)
    if not stored or not features:
        todo = "Check the id, letter for letter as the source has it. The customer may be newer, or erased: segments history --customer ID."
        raise ConfigError(f"no customer of that id was known on {night.day}", where=night.lake.where(), todo=todo)
    # Exact, so that a what-if at the very limit of a rule falls on the side where SQL has it.
    row: dict[str, Value] = {name: Fraction(value) if isinstance(value, Decimal) else value for name, value in features[0].items()}
    profiles = night.lake.read(SEGMENT_PROFILES, day=night.day).select(["scheme", "segment", "title"]).to_pylist()
    titles = {(profile["scheme"], profile["segment"]): profile["title"] for profile in profiles}
    figures = stored_profiles(night.lake, night.day)
    first_nights = night.lake.manifest(addresses.partition(CUSTOMER_SEGMENTS, day=night.day)).get("models", {})
    models = {scheme: stored_model(night.lake, scheme, first) for scheme, first in first_nights.items() if first}
    moves = _moves_with_reasons(night)
    kinds = {column.name: column.kind for column in night.features.columns}
    cases = _scheme_cases(night, row, models, {each["scheme"]: each["segment"] for each in stored})
    needs_order = {scheme.name: scheme.goes_by_orders for scheme in load_cluster_schemes(night.company)} if models else {}
    memberships = []
    for each in stored:
        scheme, segment = each["scheme"], each["segment"]
        membership = ExplainedMembership(
            scheme=scheme,
            segment=segment,
            title=titles.get((scheme, segment), segment),
            evidence=each["evidence"] or "",
            explanation=scheme_explanation(cases[scheme], segment, row, kinds) if scheme in cases else None,
            moves=[move for move in moves if move.scheme == scheme],
            clusters=cluster_explanation(
                models[scheme], row, kinds, figures.get((scheme, segment), ()), needs_order=needs_order.get(scheme, True)
            )
            if scheme in models
            else None,
        )
        memberships.append(membership)
    held = {each["scheme"] for each in stored}
    audiences = {audience.name for audience in night.audiences.schemes}
    others = (case for name, case in cases.items() if name not in held and name not in audiences and case.scheme.applies_to is not None)
    entered = _stored_audiences(night)
    explained = [
        explain_audience(cases[name], row, kinds, is_member=name in entered, moves=moves)
        for name in sorted(audiences, key=lambda name: (name not in entered, name))
    ]
    return memberships, [_outside_scheme(case, row, moves) for case in others], explained


def _stored_audiences(night: ExplainedNight) -> set[str]:
    """Return the audiences that the night has the customer in."""
    if not night.lake.has(AUDIENCE_MEMBERS, day=night.day):
        return set()
    rows = night.customer_rows(AUDIENCE_MEMBERS, addresses.partition(AUDIENCE_MEMBERS, day=night.day))
    return {row["audience"] for row in rows}


def _outside_scheme(case: SchemeCase, row: Mapping[str, Value], moves: Sequence[CustomerMove]) -> OutsideScheme:
    scheme, known = case.scheme, case.with_references(row)
    columns = scheme.applies_to.find_all(exp.Column, bfs=False) if scheme.applies_to else ()
    return OutsideScheme(
        scheme=scheme.name,
        title=scheme.title,
        applies_to=scheme.applies_to_text,
        values={name: known[name] for name in dict.fromkeys(column.name for column in columns)},
        moves=[move for move in moves if move.scheme == scheme.name],
    )


def _scheme_cases(
    night: ExplainedNight, row: Mapping[str, Value], models: Mapping[str, ClusterModel], stored: Mapping[str, str]
) -> dict[str, SchemeCase]:
    """Gather by name all that decides each scheme for the customer; `stored` is the segment in each scheme."""
    by_name = {scheme.name: scheme for scheme in (*night.schemes.schemes, *night.audiences.schemes)}
    named = referenced_clusters(by_name.values())
    clusterings = {
        scheme.name: CustomerClustering.from_stored_segment(scheme, models.get(scheme.name), stored.get(scheme.name, UNCLUSTERED))
        for scheme in load_cluster_schemes(night.company)
        if scheme.name in named
    }
    # One query for each scheme of values, however many schemes look at it.
    ranks = {name: value_ranks(night, scheme, row) for name, scheme in by_name.items() if scheme.kind != "rules"}
    methods = {(score, method.name) for scheme in by_name.values() for score, method in scheme.score_methods.items()}
    score_ranks = {score: figure_ranks(night, AXES[score]) for score, method in methods if method == "rank"}
    return {
        name: SchemeCase(
            scheme,
            by_name,
            ranks.get(name),
            {other: ranks[other] for other in scheme.references if other in ranks},
            {cluster: clusterings[cluster] for cluster in scheme.clusters},
            score_ranks,
        )
        for name, scheme in by_name.items()
    }


def _moves_with_reasons(night: ExplainedNight) -> list[CustomerMove]:
    """Read the customer's moves, each with its reason as far as the night that found it stored one."""
    # Moves come from the intervals, since those of one customer are few rows of one table; segment_moves has a file for every night.
    moves = customer_moves(customer_intervals(night.lake, night.engine, night.customer_id), night.day)
    reasons = {
        (day, row["scheme"], row["to_segment"]): row["reason"]
        for day in {move.day for move in moves}
        if night.lake.has(SEGMENT_MOVES, day=day)
        for row in night.customer_rows(SEGMENT_MOVES, addresses.partition(SEGMENT_MOVES, day=day))
    }
    reasons |= {
        (day, row["audience"], MEMBER if row["move"] == "entered" else None): row["reason"]
        for day in {move.day for move in moves}
        if night.lake.has(AUDIENCE_MOVES, day=day)
        for row in night.customer_rows(AUDIENCE_MOVES, addresses.partition(AUDIENCE_MOVES, day=day))
    }
    return [replace(move, reason=reasons.get((move.day, move.scheme, move.to_segment), "")) for move in moves]

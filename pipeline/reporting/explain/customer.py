"""One customer on one night, read from the lake: the segment in every scheme, why, and the moves that led there."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

from sqlglot import exp

from pipeline.definitions.company import Company
from pipeline.definitions.history import company_valid
from pipeline.definitions.rules import Value
from pipeline.definitions.schemes import Scheme, Schemes, clusters_looked_at, load_cluster_schemes, load_schemes
from pipeline.definitions.schemes.scheme import INSUFFICIENT_EVIDENCE
from pipeline.definitions.schemes.sql import NEW_THIS_MONTH
from pipeline.errors import ConfigError
from pipeline.lake.engines import Engine
from pipeline.lake.engines.duckdb import open_engine
from pipeline.lake.lake import Lake
from pipeline.lake.limits import MEMORY_LIMIT
from pipeline.lake.tables import CUSTOMER_FEATURES, CUSTOMER_SEGMENTS, SEGMENT_MOVES, SEGMENT_PROFILES, Table
from pipeline.models.clusters import UNCLUSTERED, ClusterModel
from pipeline.models.refits.model_store import stored_model
from pipeline.publication.current import current_publication
from pipeline.reporting.explain import (
    Case,
    ClusterExplanation,
    Clustering,
    Explanation,
    Move,
    Ranks,
    cluster_explanation,
    explanation_of,
    moves_of,
)
from pipeline.segmentation.history import TODO, customer_intervals


@dataclass(frozen=True, slots=True)
class Membership:
    """The stored segment of one scheme, explained by its rules or by its `clusters`; by neither where no definition or model is left."""

    scheme: str
    segment: str
    title: str
    evidence: str
    explanation: Explanation | None
    moves: Sequence[Move]
    clusters: ClusterExplanation | None = None


@dataclass(frozen=True, slots=True)
class Explained:
    """One customer on one night; `not_computed` says of each scheme that was left out what it needs."""

    customer_id: str
    day: date
    is_live: bool
    memberships: Sequence[Membership]
    not_computed: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class _Night:
    """What is read of a night for one customer."""

    company: Company
    lake: Lake
    engine: Engine
    day: date
    customer_id: str
    features: Table
    schemes: Schemes

    def rows(self, table: Table, path: Path) -> list[dict[str, Any]]:
        """Return the customer's rows of a partition."""
        self.engine.register(table, [path])
        query = exp.select(*map(exp.column, table.column_names)).from_(table.name).where(_is_customer()).order_by(*table.key)
        found: list[dict[str, Any]] = self.engine.run(query, {"customer_id": self.customer_id}).read_all().to_pylist()
        return found


def explained(company: Company, lake: Lake, customer_id: str, day: date | None, *, memory_limit: str = MEMORY_LIMIT) -> Explained:
    """Return why the customer was where they were on the night of `day`, by default the live one, as it was computed.

    Raises ConfigError where there is no such night, or no such customer on it.
    """
    live = current_publication(lake)
    night = _stored_night(lake, day or (live.day if live else None))
    valid = company_valid(lake, company, night)
    with closing(open_engine(lake, memory_limit=memory_limit)) as engine:
        asked = _Night(valid, lake, engine, night, customer_id, valid.table(CUSTOMER_FEATURES), load_schemes(valid))
        memberships = _memberships(asked)
    return Explained(customer_id, night, live is not None and live.day == night, memberships, asked.schemes.not_computed)


def _stored_night(lake: Lake, day: date | None) -> date:
    if day is None:
        raise ConfigError("nothing is published yet", where=lake.where(), todo="Name a night with --day, or publish one: segments run.")
    nights = lake.nights(CUSTOMER_SEGMENTS)
    if day not in nights:
        reach = f": they reach from {nights[0]} to {nights[-1]}" if nights else ""
        raise ConfigError(f"there is no night of {day}{reach}", where=lake.where(), todo=TODO)
    return day


def _memberships(asked: _Night) -> list[Membership]:
    stored = asked.rows(CUSTOMER_SEGMENTS, asked.lake.path(CUSTOMER_SEGMENTS, day=asked.day))
    features = asked.rows(asked.features, asked.lake.path(CUSTOMER_FEATURES, day=asked.day))
    if not stored or not features:
        todo = "Check the id, letter for letter as the source has it. The customer may be newer, or erased: segments history --customer ID."
        raise ConfigError(f"no customer of that id was known on {asked.day}", where=asked.lake.where(), todo=todo)
    row = {name: _exact(value) for name, value in features[0].items()}
    titles, moves, models = _titles(asked), _moves(asked), _models(asked)
    kinds = {column.name: column.kind for column in asked.features.columns}
    by_name = {scheme.name: scheme for scheme in asked.schemes.schemes}
    clusterings = _clusterings(asked, models, {each["scheme"]: each["segment"] for each in stored})
    return [
        Membership(
            scheme=each["scheme"],
            segment=each["segment"],
            title=titles.get((each["scheme"], each["segment"]), each["segment"]),
            evidence=each["evidence"] or "",
            explanation=explanation_of(_case(asked, by_name, each["scheme"], row, clusterings), each["segment"], row, kinds)
            if each["scheme"] in by_name
            else None,
            moves=[move for move in moves if move.scheme == each["scheme"]],
            clusters=cluster_explanation(models[each["scheme"]], row, kinds) if each["scheme"] in models else None,
        )
        for each in stored
    ]


def _models(asked: _Night) -> dict[str, ClusterModel]:
    """Return the models that the night went by, by scheme."""
    stored = asked.lake.manifest(asked.lake.path(CUSTOMER_SEGMENTS, day=asked.day)).get("models", {})
    return {scheme: stored_model(asked.lake, scheme, first_night) for scheme, first_night in stored.items() if first_night}


def _clusterings(asked: _Night, models: Mapping[str, ClusterModel], stored: Mapping[str, str]) -> dict[str, Clustering]:
    """Return how the customer is clustered by each scheme of clusters that the rules of others look at."""
    named = clusters_looked_at(asked.schemes.schemes)
    schemes = [scheme for scheme in load_cluster_schemes(asked.company) if scheme.name in named]
    return {each.name: Clustering.of(each, models.get(each.name), stored.get(each.name, UNCLUSTERED)) for each in schemes}


def _case(asked: _Night, by_name: Mapping[str, Scheme], name: str, row: Mapping[str, Value], clusterings: Mapping[str, Clustering]) -> Case:
    scheme = by_name[name]
    ranks = {name: _ranks(asked, by_name[name], row) for name in (scheme.name, *scheme.references) if by_name[name].kind != "rules"}
    return Case(scheme, by_name, ranks.pop(name, None), ranks, {cluster: clusterings[cluster] for cluster in scheme.clusters})


def _ranks(asked: _Night, scheme: Scheme, row: Mapping[str, Value]) -> Ranks:
    """Return how many other customers, of those whom the scheme took, have each value; tiers are made of those who are not new."""
    value = exp.column(scheme.attribute, "features", quoted=True)
    members = exp.select("customer_id").from_(CUSTOMER_SEGMENTS.name).where(exp.column("scheme").eq(exp.Placeholder(this="scheme")))
    if scheme.rule is not None:
        members = members.where(exp.column("segment").neq(exp.Literal.string(INSUFFICIENT_EVIDENCE)))
    query = (
        exp.select(exp.alias_(value, "value"), exp.alias_(exp.Count(this=exp.Star()), "customer_count"))
        .from_(exp.to_table(CUSTOMER_FEATURES.name, alias="features"))
        .where(exp.column("customer_id", "features").isin(query=members), exp.not_(_is_customer()), value.neq(exp.Literal.string("")))
        .group_by(value)
    )
    is_tiered = scheme.kind == "value_tiers"
    if is_tiered:
        query = query.where(exp.not_(exp.column(NEW_THIS_MONTH, "features")))
    rows = asked.engine.run(query, {"scheme": scheme.name, "customer_id": asked.customer_id}).read_all().to_pylist()
    counts = {each["value"]: each["customer_count"] for each in rows}
    return Ranks.of(counts, own=int(not (is_tiered and row[NEW_THIS_MONTH])))


def _is_customer() -> exp.Expr:
    return exp.column("customer_id").eq(exp.Placeholder(this="customer_id"))


def _titles(asked: _Night) -> dict[tuple[str, str], str]:
    rows = asked.lake.read(SEGMENT_PROFILES, day=asked.day).select(["scheme", "segment", "title"]).to_pylist()
    return {(row["scheme"], row["segment"]): row["title"] for row in rows}


def _moves(asked: _Night) -> list[Move]:
    moves = moves_of(customer_intervals(asked.lake, asked.engine, asked.customer_id), asked.day)
    reasons = _reasons(asked, {move.day for move in moves})
    return [replace(move, reason=reasons.get((move.day, move.scheme, move.to_segment), "")) for move in moves]


def _reasons(asked: _Night, days: Iterable[date]) -> dict[tuple[date, str, str | None], str]:
    """Return why the customer moved, by night, scheme and segment moved to, as far as it is stored."""
    return {
        (day, row["scheme"], row["to_segment"]): row["reason"]
        for day in days
        if asked.lake.has(SEGMENT_MOVES, day=day)
        for row in asked.rows(SEGMENT_MOVES, asked.lake.path(SEGMENT_MOVES, day=day))
    }


def _exact(value: Any) -> Value:  # noqa: ANN401  # a cell of any kind
    found: Value = Fraction(value) if isinstance(value, Decimal) else value
    return found

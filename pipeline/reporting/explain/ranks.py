"""Where one customer stands among all others: by the values that schemes rank, and by the figures that scores rank."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from typing import Any

from sqlglot import exp

from pipeline.definitions.rules import Value
from pipeline.definitions.schemes import Scheme
from pipeline.definitions.schemes.scheme import INSUFFICIENT_EVIDENCE
from pipeline.definitions.schemes.score_methods import ScoreAxis
from pipeline.definitions.schemes.sql import NEW_THIS_MONTH
from pipeline.lake.tables import CUSTOMER_FEATURES, CUSTOMER_SEGMENTS
from pipeline.reporting.explain.decide import ValueRanks
from pipeline.reporting.explain.explained_night import ExplainedNight, is_customer
from pipeline.reporting.explain.scores import FigureRanks


def value_ranks(night: ExplainedNight, scheme: Scheme, row: Mapping[str, Value]) -> ValueRanks:
    """Count how many other customers, of those whom the scheme took, have each value.

    Tiers are frozen for a month, so that customers who are new in it do not count for them.
    """
    # The others alone: a what-if moves this customer from one value to another, and must not count them twice.
    value = exp.column(scheme.attribute, "features", quoted=True)
    members = exp.select("customer_id").from_(CUSTOMER_SEGMENTS.name).where(exp.column("scheme").eq(exp.Placeholder(this="scheme")))
    if scheme.rule is not None:
        members = members.where(exp.column("segment").neq(exp.Literal.string(INSUFFICIENT_EVIDENCE)))
    query = (
        exp.select(
            exp.alias_(value, "value"),
            exp.alias_(exp.Count(this=exp.Star()), "customer_count"),
            exp.alias_(exp.Sum(this=exp.column("spend_amount", "features")), "spend_amount"),
        )
        .from_(exp.to_table(CUSTOMER_FEATURES.name, alias="features"))
        .where(exp.column("customer_id", "features").isin(query=members), exp.not_(is_customer()), value.neq(exp.Literal.string("")))
        .group_by(value)
    )
    is_tiered = scheme.kind == "value_tiers"
    if is_tiered:
        query = query.where(exp.not_(exp.column(NEW_THIS_MONTH, "features")))
    rows = night.engine.run(query, {"scheme": scheme.name, "customer_id": night.customer_id}).read_all().to_pylist()
    counts = {each["value"]: each["customer_count"] for each in rows}
    spends = {each["value"]: Fraction(each["spend_amount"]) for each in rows}
    spent: Any = row["spend_amount"]
    own = int(not (is_tiered and row[NEW_THIS_MONTH]))
    return ValueRanks.from_counts(counts, own=own, spends=spends, own_spend=own * Fraction(spent))


def figure_ranks(night: ExplainedNight, axis: ScoreAxis) -> FigureRanks:
    """Count how many other customers whom the axis ranks have each figure."""
    is_ranked = exp.column("order_day_count" if axis.needs_order else axis.figure) > exp.Literal.number(0)
    query = (
        exp.select(exp.alias_(exp.column(axis.figure), "figure"), exp.alias_(exp.Count(this=exp.Star()), "customer_count"))
        .from_(CUSTOMER_FEATURES.name)
        .where(is_ranked, exp.not_(is_customer()))
        .group_by(axis.figure)
        .order_by("figure")
    )
    rows = night.engine.run(query, {"customer_id": night.customer_id}).read_all().to_pylist()
    return FigureRanks.from_counts((Fraction(each["figure"]), each["customer_count"]) for each in rows)

"""The prediction of every customer, as one statement: weighed sums of the columns of `sql/customer_signals.sql`, and their links."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import cast

from sqlglot import exp

from pipeline.lake.expressions import double_literal, greatest, least, ordered_sum
from pipeline.lake.statements import statement
from pipeline.lake.tables import CUSTOMER_FEATURES, CUSTOMER_PREDICTIONS
from pipeline.models.predictions.model import DECLARED_PREFIX, NotPredicted, PredictionModel, Signal

NOT_PREDICTED = "not predicted"
NEVER_ORDERED = f"{NOT_PREDICTED}: no order is known"
AMOUNT_DECIMALS, PROBABILITY_DECIMALS = 2, 4


def predictions_statement(decision: PredictionModel | NotPredicted) -> exp.Query:
    """Build the statement of `customer_predictions`, a row per customer; its parameters are those of the signals.

    Whoever has no order, and everybody where there is no model, has a reason in place of figures.
    """
    # Joined to everyone: signals exist for those who ordered, but no customer may be missing from the table.
    everyone = exp.select("customer_id AS known_id").from_(CUSTOMER_FEATURES.name).subquery("everyone")
    if isinstance(decision, NotPredicted):
        nothing = exp.cast(exp.null(), "DOUBLE")
        return _prediction_rows(
            exp.select("*").from_(everyone), (nothing, nothing.copy()), exp.Literal.string(f"{NOT_PREDICTED}: {decision.reason}")
        )
    joined = (
        exp.select("*")
        .from_(everyone)
        .join(_predicted_figures(decision).subquery("figures"), on="customer_id = known_id", join_type="left")
    )
    is_unknown = exp.Is(this=exp.column("customer_id"), expression=exp.null())
    words = exp.case().when(is_unknown, exp.Literal.string(NEVER_ORDERED)).else_(exp.Literal.string(f"model of {decision.day.isoformat()}"))
    return _prediction_rows(joined, (exp.column("spend"), exp.column("chance")), words)


def signals_statement(declared: Iterable[str]) -> exp.Select:
    """Return the statement of `customer_signals` with a further signal for each declared feature: ln(1 + it), nothing below 0."""
    query = cast("exp.Select", statement("customer_signals").copy())
    for name in declared:
        value = exp.Coalesce(this=exp.cast(exp.column(name, quoted=True), "double"), expressions=[double_literal(0)])
        amount = exp.Add(this=double_literal(1), expression=greatest(value, double_literal(0)))
        query.select(exp.alias_(exp.Ln(this=amount), f"{DECLARED_PREFIX}{name}", quoted=True), copy=False)
    return query


def signals_without(unknown: Mapping[str, str], declared: Iterable[str] = ()) -> dict[str, str]:
    """Return the signals that are made of the features in `unknown`, with what these need: they say nothing of anybody.

    `declared` are the declared features that predictions go by; the signal of one is called by its name.
    """
    found = {name: unknown[name] for name in declared if name in unknown}
    for selected in statement("customer_signals").selects:
        needs = sorted({unknown[column.name] for column in selected.find_all(exp.Column) if column.name in unknown})
        if needs:
            found[selected.alias_or_name] = ", ".join(needs)
    return found


def _predicted_figures(decision: PredictionModel) -> exp.Select:
    """Build the rows of both figures, for every customer who ever ordered."""
    # In one fixed order: doubles add up to other last digits in another one, and a statement promises the same cents everywhere.
    log_spend = ordered_sum(
        [double_literal(decision.spend_intercept), *(_weighted_distance(signal, signal.spend_weight) for signal in decision.signals)]
    )
    logit = ordered_sum(
        [double_literal(decision.repeat_intercept), *(_weighted_distance(signal, signal.repeat_weight) for signal in decision.signals)]
    )
    odds = exp.Exp(this=exp.Neg(this=exp.paren(logit)))
    chance = exp.Div(this=double_literal(1), expression=exp.paren(ordered_sum([double_literal(1), odds])))
    spend = ordered_sum(
        [
            exp.Mul(this=double_literal(decision.regression_share), expression=exp.Exp(this=log_spend)),
            exp.Mul(this=double_literal(decision.last_year_factor), expression=exp.column("last_years_spend")),
        ]
    )
    columns = [
        exp.alias_(_round_to(spend, AMOUNT_DECIMALS), "spend"),
        exp.alias_(_round_to(chance, PROBABILITY_DECIMALS), "chance"),
    ]
    return exp.select("customer_id", *columns).from_(signals_statement(sorted(decision.declared)).subquery("signals"))


def _prediction_rows(rows: exp.Select, figures: tuple[exp.Expression, exp.Expression], words: exp.Expression) -> exp.Query:
    values = (exp.column("known_id"), *figures, words)
    columns = [exp.alias_(value, name) for name, value in zip(CUSTOMER_PREDICTIONS.column_names, values, strict=True)]
    return exp.select(*columns).from_(rows.subquery("known")).order_by("customer_id")


def _weighted_distance(signal: Signal, weight: float) -> exp.Expression:
    column = exp.column(signal.name, quoted=signal.name.startswith(DECLARED_PREFIX))
    held = least(greatest(column, double_literal(signal.low)), double_literal(signal.high))
    distance = exp.paren(exp.Sub(this=held, expression=double_literal(signal.mean)))
    # Divided here and not for every customer; the forecast in Python divides at the same place, for the same last digits.
    return exp.Mul(this=distance, expression=double_literal(weight / signal.scale))


def _round_to(value: exp.Expression, decimals: int) -> exp.Expression:
    return exp.Round(this=value, decimals=exp.Literal.number(decimals))

"""Segments that compete: their scores as SQL, for schemes of which the highest one decides."""

from __future__ import annotations

from decimal import Decimal

from sqlglot import exp

from pipeline.definitions.schemes.scheme import Scheme, Segment
from pipeline.lake.expressions import ordered_sum


def competing_score(scheme: Scheme, segment: Segment) -> exp.Expression:
    """Return the score of a segment that competes where it may have the customer, else the floor, which does not win."""
    floor, score = limit_literal(scheme.floor), _score_expression(segment)
    conditions: list[exp.Expr] = [exp.GT(this=exp.Paren(this=score), expression=floor)]
    if segment.rule is not None:
        conditions.append(segment.rule)
    if segment.signals is not None:
        conditions.append(exp.GTE(this=_shown_signal_count(segment), expression=exp.Literal.number(segment.signals.needed)))
    return exp.Case().when(exp.and_(*conditions), score).else_(floor)


def _score_expression(segment: Segment) -> exp.Expression:
    """Return the score of a segment that competes: a DOUBLE."""
    if segment.score is not None:
        return segment.score
    count = len(segment.signals.conditions) if segment.signals else 1
    share = exp.Div(this=exp.cast(_shown_signal_count(segment), "double"), expression=exp.Literal.number(count))
    return exp.Paren(this=share)


def _shown_signal_count(segment: Segment) -> exp.Expression:
    """Return how many of the segment's signals a customer shows."""
    conditions = segment.signals.conditions if segment.signals else ()
    shown: list[exp.Expression] = [
        exp.Case().when(condition, exp.Literal.number(1)).else_(exp.Literal.number(0)) for condition in conditions
    ]
    return exp.Paren(this=ordered_sum(shown))


def score_column(place: int) -> exp.Column:
    """Return the column that holds the score of the competing segment in this place."""
    return exp.column(f"score.{place}", quoted=True)


def limit_literal(value: float) -> exp.Expression:
    """Return a limit of a definition, such as a floor, as the DOUBLE that rules and customers are compared with."""
    return exp.cast(exp.Literal.number(format(Decimal(repr(value)), "f")), "double")


def score_texts(place: int, segment: Segment) -> list[exp.Expression]:
    """Return the signals shown, or the score of one who may win in whole percent: doubles print differently from engine to engine."""
    if segment.signals is None:
        percent = exp.cast(exp.Floor(this=exp.Mul(this=exp.Literal.number(100), expression=score_column(place))), "bigint")
        return [exp.cast(percent, "varchar"), exp.Literal.string("%")]
    return [exp.cast(_shown_signal_count(segment), "varchar"), exp.Literal.string(f"/{len(segment.signals.conditions)}")]

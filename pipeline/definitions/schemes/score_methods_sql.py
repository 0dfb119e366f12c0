"""Scores as SQL: how many limits a customer's figure reaches, by the method that a scheme names.

Frozen limits are columns of customer_features, thresholds are numbers of the definition. A rank has limits too, those of tonight's
customers: so a figure that nobody has tonight is scored like any other, as the reasons of moves need it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from sqlglot import exp

from pipeline.definitions.schemes.score_methods import AXES, COMBINED_OF, COMBINED_SCORE, SCORE_NAMES, ScoreAxis, ScoreMethods, axes_behind
from pipeline.lake.statements import statement
from pipeline.lake.tables import CUSTOMER_FEATURES, Kind

SCORE_LIMITS_STATEMENT = "score_limits"
RANKED_BUYERS = "buyers"
"""How a statement calls the customers among whom a score ranks."""
_TYPES = {Kind.INTEGER: "bigint", Kind.MONEY: "decimal(18, 4)"}
_RECENCY_RANKS = tuple(f"r_{score}_after_date" for score in range(2, 6))


def score_limits_statement(buyers: exp.Query) -> exp.Query:
    """Return the statement of the limits that `buyers` make, one row; they have last_order_date, order_day_count, spend_amount."""
    query = statement(SCORE_LIMITS_STATEMENT).copy()
    for table in list(query.find_all(exp.Table)):
        if table.name == RANKED_BUYERS:
            table.replace(buyers.copy().subquery(RANKED_BUYERS, copy=False))
    return query


def with_scores(
    relation: exp.Expression, names: Iterable[str], methods: ScoreMethods, *, everybody: str = CUSTOMER_FEATURES.name
) -> exp.Expression:
    """Return `relation`, which has the columns of customer_features, with the scores `names` by `methods` instead of those it holds.

    `everybody` is the table of all customers, among whom a rank is counted.
    """
    scores = [name for name in SCORE_NAMES if name in set(names)]
    if not scores:
        return relation
    ranked = [AXES[name] for name in axes_behind(scores) if methods[name].name == "rank"]
    added = [column for axis in ranked for column in (_RECENCY_RANKS if axis.is_low_better else axis.limits)]
    if ranked:
        buyers = exp.select("last_order_date", "order_day_count", "spend_amount").from_(everybody)
        limits = exp.select(*(exp.alias_(exp.column(name), _rank_name(name), quoted=True) for name in added))
        limits = limits.from_(score_limits_statement(buyers).subquery(SCORE_LIMITS_STATEMENT, copy=False), copy=False)
        joined = (
            exp.select("*").from_(exp.alias_(relation, "known", table=True)).join(limits.subquery("ranks", copy=False), join_type="cross")
        )
        relation = joined.subquery("ranked", copy=False)
    # Below them are the columns of the same names that customer_features holds, which are by the methods of its night.
    replaced = exp.Star(except_=[exp.to_identifier(name, quoted=True) for name in (*scores, *(_rank_name(name) for name in added))])
    values = [exp.alias_(_score_value(name, methods), name, quoted=True) for name in scores]
    return exp.Select().select(replaced, *values, copy=False).from_(relation, copy=False).subquery("scored", copy=False)


def _rank_name(column: str) -> str:
    """Return a name for a limit of tonight, which no feature or attribute can have."""
    return f"rank.{column}"


def _score_value(name: str, methods: ScoreMethods) -> exp.Expression:
    if name != COMBINED_SCORE:
        return _axis_score(AXES[name], methods)
    frequency, money = (_axis_score(AXES[part], methods) for part in COMBINED_OF)
    # Rounded half up by adding one before halving: engines round halves in different ways.
    doubled = exp.cast(exp.Paren(this=frequency + money + exp.Literal.number(1)), "double")
    return exp.cast(exp.Floor(this=exp.Div(this=doubled, expression=exp.Literal.number(2))), "bigint")


def _axis_score(axis: ScoreAxis, methods: ScoreMethods) -> exp.Expression:
    """Return the score as whole number; who bought only before the window scores 1, who never did has none."""
    method, one = methods[axis.score], exp.Literal.number(1)
    if method.name == "rank" and axis.is_low_better:
        # Days are counted back from tonight and age with it; dates do not, so that ageing is no change of rank.
        limits: Sequence[exp.Expression] = [exp.column(_rank_name(name), quoted=True) for name in _RECENCY_RANKS]
        score = _falling_score(exp.column("last_order_date"), limits, exp.LTE)
    else:
        limits = [*_limit_values(axis, methods)]
        figure = exp.column(axis.figure)
        score = _falling_score(figure, limits, exp.GT) if axis.is_low_better else _rising_score(figure, limits)
    if not axis.needs_order:
        return exp.cast(exp.Case().when(_is_above_zero(axis.figure), score), "bigint")
    scored = exp.Case().when(_is_above_zero("order_day_count"), score).when(_is_above_zero("lifetime_order_day_count"), one)
    return exp.cast(scored, "bigint")


def _limit_values(axis: ScoreAxis, methods: ScoreMethods) -> Iterable[exp.Expression]:
    method = methods[axis.score]
    if method.name == "thresholds":
        # Of the figure's own type: as a double, 0.1 would be no limit that an exact amount can meet.
        return (exp.cast(exp.Literal.number(format(limit, "f")), _TYPES[axis.kind], dialect="duckdb") for limit in method.limits)
    return (exp.column(name if method.name == "frozen" else _rank_name(name), quoted=True) for name in axis.limits)


def _falling_score(figure: exp.Expression, limits: Sequence[exp.Expression], beyond: type[exp.Binary]) -> exp.Case:
    """Return the score of a figure that is the worse the further it goes; a limit that is empty takes nobody."""
    case = exp.Case()
    for score, limit in enumerate(limits, 1):
        case = case.when(beyond(this=figure.copy(), expression=limit), exp.Literal.number(score))
    return case.else_(exp.Literal.number(len(limits) + 1))


def _rising_score(figure: exp.Expression, limits: Sequence[exp.Expression]) -> exp.Case:
    """Return the score of a figure that is the better the larger it is; a limit that is empty is reached by nobody."""
    case = exp.Case()
    for score, limit in reversed([*enumerate(limits, 2)]):
        case = case.when(exp.GTE(this=figure.copy(), expression=limit), exp.Literal.number(score))
    return case.else_(exp.Literal.number(1))


def _is_above_zero(column: str) -> exp.Expression:
    return exp.GT(this=exp.column(column), expression=exp.Literal.number(0))

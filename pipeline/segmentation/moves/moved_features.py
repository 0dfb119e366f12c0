"""The features of those who moved, of the night before and of tonight beside each other, with what they did meanwhile."""

from __future__ import annotations

from collections.abc import Collection

from sqlglot import exp

from pipeline.lake.statements import statement
from pipeline.lake.tables import SEGMENT_MOVES, Column, Table

BEFORE, NOW, PAIRS, DOING = "features_before", "features_now", "moved_features", "doing"
# Figures of a whole life do not change by age: where they did and no rollup says why, something was learned of late.
LIFETIME = ("first_order_date", "last_order_date", "lifetime_order_day_count", "lifetime_order_count", "lifetime_spend_amount")


def pairs_statement(table: Table, schemes: Collection[str]) -> exp.Query:
    """Build the query of the features before and now of each customer who moved within a scheme, and what they did meanwhile, if anything.

    Who came to be among those whom a scheme applies to, or is not any more, counts for the `schemes` where that needs a reason.
    `table` is what `table_looked_at` returns; a column `c` of it becomes `before_c` and `now_c`.
    """
    named = [
        exp.alias_(exp.column(column.name, side, quoted=True), f"{side}_{column.name}", quoted=True)
        for column in table.columns
        for side in ("before", "now")
        if column.name not in table.key
    ]
    lived = exp.or_(*(exp.NullSafeNEQ(this=exp.column(name, "before"), expression=exp.column(name, "now")) for name in LIFETIME))
    learned = exp.Case().when(lived, exp.Literal.string("late_data"))
    doing = exp.alias_(exp.Coalesce(this=exp.column(DOING, "doings"), expressions=[learned]), DOING)
    is_within = exp.and_(*(exp.not_(exp.column(side).is_(exp.null())) for side in ("from_segment", "to_segment")))
    needs_reason = exp.or_(is_within, exp.column("scheme").isin(*sorted(schemes))) if schemes else is_within
    moved = exp.select("customer_id").distinct().from_("moved").where(needs_reason)
    query = exp.select(exp.column("customer_id", "movers"), doing, *named).from_(moved.subquery("movers"))
    for name, alias, side in ((BEFORE, "before", "inner"), (NOW, "now", "inner")):
        query = query.join(exp.to_table(name).as_(alias), on=_same_customer(alias), join_type=side)
    return query.join(statement("doings").subquery("doings"), on=_same_customer("doings"), join_type="left")


def _same_customer(table: str) -> exp.Expr:
    return exp.column("customer_id", table).eq(exp.column("customer_id", "movers"))


def pair_columns(table: Table) -> tuple[Column, ...]:
    """Declare the columns that `pairs_statement` gives."""
    [key] = (column for column in table.columns if column.name in table.key)
    kinds = [column for column in table.columns if column.name not in table.key]
    sides = [Column(f"{side}_{column.name}", column.kind, column.description) for column in kinds for side in ("before", "now")]
    doing = next(column for column in SEGMENT_MOVES.columns if column.name == "reason")
    return (key, Column(DOING, doing.kind, doing.description), *sides)

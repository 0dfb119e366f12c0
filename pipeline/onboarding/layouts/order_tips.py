"""Tips beside the amounts of a table of orders: whether these hold them, as sums show that hold in every row. Pure."""

from __future__ import annotations

import re
from decimal import Decimal

from pipeline.onboarding.layouts.layout import TableReading
from pipeline.onboarding.layouts.order_columns import OrderColumns
from pipeline.onboarding.layouts.order_totals import CENT, MOST_TERMS, numbers_of, subsets_of, terms_of
from pipeline.onboarding.roles import Role, plain_name

_TIP = re.compile(r"\b(tips?|gratuity|gratuities|trinkgeld(er)?|pourboires?|propinas?|mancia|mance|fooi|bahsis|napiwek)\b")


def tips_taken_off(reading: TableReading, columns: OrderColumns) -> str:
    """Return the SQL that takes tips off an amount that holds them where somebody wants that; says that they count otherwise."""
    amount = columns.get(Role.AMOUNT)
    others = [name for name in terms_of(reading, columns) if name != amount]
    tip = next((name for name in others if _TIP.search(plain_name(name))), "")
    if not amount or not tip or columns.is_amount_of_order:
        return ""
    total, added = _sum_without(reading, columns, amount, tip)
    if not total:
        return ""
    key = f"{reading.table}.tips"
    if reading.option(key, "counted", ["taken-off"]) == "taken-off":
        reading.assume(f"{reading.table}: `{tip}` is part of `{amount}`, and taken off.")
        return f" - COALESCE({reading.amount(tip)}, 0)"
    plus = "".join(f" plus `{name}`" for name in added)
    reading.assume(
        f"{reading.table}: `{tip}` is part of `{amount}`, and counts, as in every row `{total}` is `{amount}`{plus}; "
        f"--set {key}=taken-off takes it off."
    )
    return ""


def _sum_without(reading: TableReading, columns: OrderColumns, amount: str, tip: str) -> tuple[str, tuple[str, ...]]:
    """Return a column that in every row is the amount plus other columns, signed as they are, without the tip; empty where none is."""
    others = [name for name in (*terms_of(reading, columns), columns.get(Role.REFUND)) if name and name not in {amount, tip}]
    numbers = {name: numbers_of(reading, name) for name in (amount, *others)}
    for total in others:
        for chosen in subsets_of([name for name in others if name != total][:MOST_TERMS]):
            rows = zip(*(numbers[name] for name in (total, amount, *chosen)), strict=True)
            if all(abs(whole - sum(parts, Decimal())) < CENT for whole, *parts in rows):
                return total, chosen
    return "", ()

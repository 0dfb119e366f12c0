"""Whether the amount on each row is that row's own or its whole order's, which would be counted several times. Pure."""

from __future__ import annotations

import re
from decimal import Decimal

from pipeline.onboarding.column_names import is_subtotal_name
from pipeline.onboarding.layouts.layout import TableReading
from pipeline.onboarding.layouts.order_columns import OrderColumns
from pipeline.onboarding.layouts.order_totals import CENT, cells_by_order, is_of_whole_order, is_sum_of_orders, numbers_of
from pipeline.onboarding.questions import Choice
from pipeline.onboarding.roles import Role, plain_name

_OF_ORDER = re.compile(r"\b(orders?|bestell\w*|auftrag\w*|gesamt\w*|commande|pedido|ordine|siparis|grand total|invoice|rechnung\w*)\b")
_OF_LINE = re.compile(r"\b(lines?|items?|rows?|products?|position\w*|artikel\w*|zeile\w*|ligne|article|linea|riga|satir|urun)\b")
# So many orders of which every line has the same amount are no chance, where the amounts differ between orders.
_FEWEST_ORDERS, _FEWEST_AMOUNTS = 10, 3


def is_amount_of_order(reading: TableReading, columns: OrderColumns) -> bool:
    """Return whether the amount is of a whole order on each of its rows; asks where rows could as well have one price each."""
    order, amount = columns.get(Role.ORDER_ID), columns.get(Role.AMOUNT)
    if not order or not amount or not is_of_whole_order(reading, order, amount) or _is_of_row(reading, columns):
        return False
    rows, amounts = _alike(reading, order, amount)
    if not rows:
        return False
    plain = plain_name(amount)
    is_named = (is_subtotal_name(plain) or _OF_ORDER.search(plain)) and not _OF_LINE.search(plain)
    if not is_named and (rows < _FEWEST_ORDERS or len(amounts) < _FEWEST_AMOUNTS):
        text = f"{reading.table}: `{amount}` is the same on all rows of each of the {rows:,} orders with several. Is it of the order?"
        choices = (Choice("order", "then it counts once, shared out over the rows"), Choice("row", "then each row adds its own"))
        if reading.choose(f"{reading.table}.amount_of", text, choices) == "row":
            return False
    elif reading.option(f"{reading.table}.amount_of", "order", ["row"]) == "row":
        return False
    quantity = columns.get(Role.QUANTITY)
    how = f"by `{quantity}`" if quantity else "evenly"
    reading.assume(
        f"{reading.table}: `{amount}` is the same on all rows of each order: it is the order's, counts once, and is shared out over its "
        f"rows {how}, to the cent."
    )
    return True


def _is_of_row(reading: TableReading, columns: OrderColumns) -> bool:
    """Return whether each amount is its row's price, times the quantity, or the rows of orders add up to a total."""
    price, quantity, amount = (columns.get(role) for role in (Role.PRICE, Role.QUANTITY, Role.AMOUNT))
    if "times" in columns.reasons[Role.AMOUNT]:
        return True
    amounts = numbers_of(reading, amount)
    if price:
        counts = numbers_of(reading, quantity) if quantity else [Decimal(1)] * len(amounts)
        prices = numbers_of(reading, price)
        if all(abs(one * count - paid) < CENT for one, count, paid in zip(prices, counts, amounts, strict=True)):
            return True
    return is_sum_of_orders(reading, columns, amounts)


def _alike(reading: TableReading, order: str, amount: str) -> tuple[int, set[str]]:
    """Return how many orders have several rows with an amount, and which amounts those are."""
    given = [[*filter(None, cells)] for cells in cells_by_order(reading, order, amount).values()]
    several = [amounts for amounts in given if len(amounts) > 1]
    return len(several), {cell for amounts in several for cell in amounts}

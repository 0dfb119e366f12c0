"""What each row of a table of orders says, as SQL: when, how much, in which currency. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from pipeline.definitions.settings import CURRENCIES
from pipeline.onboarding.column_names import is_shipping, is_subtotal_name
from pipeline.onboarding.currencies import currency_of_sign, signs_of
from pipeline.onboarding.layouts.layout import TableReading, quoted_text
from pipeline.onboarding.layouts.order_columns import OrderColumns
from pipeline.onboarding.layouts.order_refunds import refunds
from pipeline.onboarding.layouts.order_states import OrderStates
from pipeline.onboarding.layouts.order_tips import tips_taken_off
from pipeline.onboarding.layouts.order_totals import implied_discount, is_of_whole_order, is_order_discount_taken_off, numbers_of, terms_of
from pipeline.onboarding.layouts.row_time_zones import in_zone_of_row, zone_column
from pipeline.onboarding.questions import Choice
from pipeline.onboarding.roles import Role, plain_name
from pipeline.onboarding.table_sample import TableSample
from pipeline.onboarding.time_zones import is_utc


def row_columns(reading: TableReading, columns: OrderColumns, customer: str, states: OrderStates) -> Mapping[str, str]:
    """Return the SQL of each column of a row, by its name."""
    date, time = columns.get(Role.DATE), columns.get(Role.TIME)
    found = {"customer_id": customer, "ordered_at": _moment(reading, date, time)}
    order = columns.get(Role.ORDER_ID)
    if order:
        found["order_id"] = reading.text(order)
    else:
        reading.assume(f"{reading.table}: no column says which order a row is of: what a customer buys on one day is one order.")
        found["order_id"] = f"concat_ws(' ', {customer}, {reading.day_of(date)})"
    found["quantity"] = (
        f"COALESCE({reading.amount(columns.get(Role.QUANTITY))}, 1)" if columns.get(Role.QUANTITY) else "CAST(1 AS DECIMAL(18, 4))"
    )
    found |= _amounts(reading, columns, states)
    for name, role in {"product_id": Role.PRODUCT, "category": Role.CATEGORY, "channel": Role.CHANNEL}.items():
        if column := columns.get(role):
            found[name] = reading.text(column)
    if states.cancelled:
        found["is_cancelled"] = states.cancelled
    if currency := _currency(reading, columns):
        found["currency"] = currency
    return found


def _currency(reading: TableReading, columns: OrderColumns) -> str:
    """Return the SQL of the currency of a row, by a column of codes or the sign of its amount; empty where all have one."""
    given = columns.get(Role.CURRENCY)
    if found := [given] if given else currency_columns(reading.sample, ()):
        return f"upper({reading.text(*found)})"
    amount = columns.get(Role.AMOUNT) or columns.get(Role.PRICE)
    signs = {sign: code for sign in signs_of(reading.column(amount).counts) if (code := currency_of_sign(sign))} if amount else {}
    if len(set(signs.values())) <= 1:
        return ""
    cases = " ".join(f"WHEN contains(upper({reading.text(amount)}), {quoted_text(sign)}) THEN '{code}'" for sign, code in signs.items())
    return f"CASE {cases} END"


def _amounts(reading: TableReading, columns: OrderColumns, states: OrderStates) -> dict[str, str]:
    amount, price, quantity = (columns.get(role) for role in (Role.AMOUNT, Role.PRICE, Role.QUANTITY))
    product = f"CAST(round({reading.amount(quantity)} * {reading.amount(price)}, 4) AS DECIMAL(18, 4))" if price and quantity else ""
    full = reading.amount(amount or price)
    if not amount and product and not columns.is_price_of_row:
        full = product
        reading.assume(f"{reading.table}: what was paid is `{quantity}` times `{price}`.")
    found = {"net_amount": full} | _discounts(reading, columns, full)
    if columns.percentage:
        found["discount_amount"] = f"COALESCE({product} - {full}, 0)"
    found["net_amount"] += _shipping_taken_off(reading, columns) + tips_taken_off(reading, columns)
    if states.negative:
        found["net_amount"] = f"CASE WHEN {states.negative} THEN -abs({found['net_amount']}) ELSE {found['net_amount']} END"
    return found | refunds(reading, columns, states, found["net_amount"])


def _shipping_taken_off(reading: TableReading, columns: OrderColumns) -> str:
    """Return the SQL that takes shipping off an amount that holds it; asks where no sum shows whether it does."""
    amount, order = columns.get(Role.AMOUNT), columns.get(Role.ORDER_ID)
    # Sums and products have shown what the amount holds.
    if not amount or "in every row" in columns.reasons[Role.AMOUNT]:
        return ""
    level = is_of_whole_order(reading, order, amount)
    names = [name for name in terms_of(reading, columns) if is_shipping(plain_name(name)) and name != amount]
    names = [name for name in names if is_of_whole_order(reading, order, name) == level]
    if not names:
        return ""
    # Of shipping with and without tax that which is named like the amount.
    words = set(plain_name(amount).split())
    name = max(names, key=lambda each: len(words & set(plain_name(each).split())))
    said = f"`{name}`"
    if is_subtotal_name(plain_name(amount)):
        reading.assume(f"{reading.table}: `{amount}` is without {said}, as its name says.")
        return ""
    choices = (Choice("included", "then it is taken off, as it is not paid for goods"), Choice("not-included", "then nothing is taken off"))
    if reading.choose(f"{reading.table}.shipping", f"{reading.table}: does `{amount}` hold {said}?", choices) == "not-included":
        return ""
    reading.assume(f"{reading.table}: {said} is in `{amount}`, and taken off.")
    return f" - COALESCE({reading.amount(name)}, 0)"


def _discounts(reading: TableReading, columns: OrderColumns, full: str) -> dict[str, str]:
    """Return the SQL of what was taken off a row, or off its whole order, and of what was left where the amount is before it."""
    discount = columns.get(Role.DISCOUNT)
    if not discount or not any(numbers_of(reading, discount)):
        usual = {"discount_amount": f"COALESCE(abs({reading.amount(discount)}), 0)"} if discount else {}
        return _implied_discount(reading, columns, full) or usual
    taken_off = f"COALESCE(abs({reading.amount(discount)}), 0)"
    amount = columns.get(Role.AMOUNT) or columns.get(Role.PRICE)
    order = columns.get(Role.ORDER_ID)
    if columns.is_amount_of_order:
        return _order_discount(reading, columns, taken_off)
    if is_of_whole_order(reading, order, discount) and not is_of_whole_order(reading, order, amount):
        shown = is_order_discount_taken_off(reading, columns)
        if shown or (shown is None and _is_discount_taken_off(reading, columns)):
            return {}
        reading.assume(f"{reading.table}: `{discount}` is of a whole order, and is shared out over its lines to the cent.")
        return {"order_discount": taken_off, "discount_amount": "CAST(0 AS DECIMAL(18, 4))"}
    if _is_discount_taken_off(reading, columns):
        return {"discount_amount": taken_off}
    return {"discount_amount": taken_off, "net_amount": f"{full} - {taken_off}"}


def _order_discount(reading: TableReading, columns: OrderColumns, taken_off: str) -> dict[str, str]:
    """Return the SQL of what was taken off a whole order whose amount stands on each of its rows, if that is before it."""
    order, discount = columns.get(Role.ORDER_ID), columns.get(Role.DISCOUNT)
    shown = is_order_discount_taken_off(reading, columns) if columns.is_discount_taken_off is None else columns.is_discount_taken_off
    if shown or (shown is None and _is_discount_taken_off(reading, columns)):
        return {}
    if not is_of_whole_order(reading, order, discount):
        taken_off = f"sum({taken_off}) OVER (PARTITION BY {reading.text(order)})"
    return {"order_discount": taken_off, "discount_amount": "CAST(0 AS DECIMAL(18, 4))"}


def _implied_discount(reading: TableReading, columns: OrderColumns, full: str) -> dict[str, str]:
    """Return the SQL of what was taken off a whole order where its total alone shows it; nothing where none does."""
    total, added = implied_discount(reading, columns)
    if not total:
        return {}
    plus = "".join(f" plus `{name}`" for name in added)
    reading.assume(
        f"{reading.table}: most orders' `{total}` is the sum of their lines{plus}, and no one's is more; what others lack was taken off "
        "the whole order, as by a coupon, and is shared out over its lines."
    )
    terms = "".join(f" + COALESCE({reading.amount(name)}, 0)" for name in added)
    lines = full if columns.is_amount_of_order else f"sum({full}) OVER (PARTITION BY {reading.text(columns.get(Role.ORDER_ID))})"
    off = f"CAST(greatest(COALESCE({lines}{terms} - {reading.amount(total)}, 0), 0) AS DECIMAL(18, 4))"
    return {"order_discount": off, "discount_amount": "CAST(0 AS DECIMAL(18, 4))"}


def _is_discount_taken_off(reading: TableReading, columns: OrderColumns) -> bool:
    """Return whether the amount is what was left after the discount; asks where nothing shows it."""
    amount, discount = columns.get(Role.AMOUNT), columns.get(Role.DISCOUNT)
    if not amount:
        return False
    if columns.is_discount_taken_off is not None and not is_of_whole_order(reading, columns.get(Role.ORDER_ID), discount):
        return columns.is_discount_taken_off
    text = f"{reading.table}: is `{amount}` what was left after `{discount}`, or before it?"
    choices = (Choice("taken-off", "after it"), Choice("to-take-off", "before it"))
    return reading.choose(f"{reading.table}.discounts", text, choices) != "to-take-off"


def _moment(reading: TableReading, date: str, time: str) -> str:
    """Return the SQL of when a row was sold: in UTC where a column says so, in the time zone that the row names, else in the company's."""
    found = reading.moment_of(date, time)
    if is_utc(plain_name(date)) or is_utc(plain_name(time)):
        reading.assume(f"{reading.table}: `{time or date}` is in UTC, as its name says.")
        return found
    column = zone_column(reading.sample)
    moment = in_zone_of_row(reading, found, column) if column else found
    if moment != found:
        reading.assume(f"{reading.table}: the time of each row is that of its `{column}`.")
    return moment


def currency_columns(sample: TableSample, named: Iterable[str]) -> list[str]:
    """Return the columns of currency codes: that which is named so, else that of which every value is a code of ISO 4217."""
    by_value = (each.name for each in sample.columns() if each.counts and all(value.upper() in CURRENCIES for value in each.counts))
    return [*named, *by_value][:1]

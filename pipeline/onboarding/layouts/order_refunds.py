"""What was given back of the rows of a table of orders, and when. Pure."""

from __future__ import annotations

import re

from pipeline.onboarding.date_formats import date_format
from pipeline.onboarding.layouts.layout import TableReading
from pipeline.onboarding.layouts.order_columns import OrderColumns
from pipeline.onboarding.layouts.order_states import OrderStates
from pipeline.onboarding.layouts.order_totals import is_of_whole_order, numbers_of
from pipeline.onboarding.roles import Role, plain_name

_REFUND = re.compile(r"refund|erstatt|ruckzahl|zuruckgezahlt|rembours|rimbors|reembols|terugbet|iade|zwrot|returned|retourniert")


def refund_date(reading: TableReading, columns: OrderColumns) -> str:
    """Return the column of dates that says when the amounts of refunds were given back; empty where none does, or none are known."""
    refund = columns.get(Role.REFUND)
    if not refund or not any(numbers_of(reading, refund)):
        return ""
    taken = {*columns.by_role.values()}
    dates = [each for each in reading.sample.columns() if each.name not in taken and _REFUND.search(plain_name(each.name))]
    return next((each.name for each in dates if each.counts and date_format(each.counts)), "")


def refunds(reading: TableReading, columns: OrderColumns, states: OrderStates, net: str) -> dict[str, str]:
    """Return the SQL of what was given back of a row, or of its whole order where the amount stands on each of its rows."""
    refund, order = columns.get(Role.REFUND), columns.get(Role.ORDER_ID)
    dated = refund_date(reading, columns)
    amount = columns.get(Role.AMOUNT) or columns.get(Role.PRICE)
    is_refund_of_order = bool(refund) and is_of_whole_order(reading, order, refund)
    is_of_order = is_refund_of_order and (columns.is_amount_of_order or not is_of_whole_order(reading, order, amount))
    found = f"COALESCE(abs({reading.amount(refund)}), 0)" if refund else ""
    if columns.is_amount_of_order and refund and not is_of_order:
        # No line's own refund can be compared with its share of the order.
        found, is_of_order = f"sum({found}) OVER (PARTITION BY {reading.text(order)})", True
    if refund:
        day = f"its `{dated}`" if dated else "the day of its order, as no column says when"
        reading.assume(f"{reading.table}: what `{refund}` says was given back counts for {day}.")
    if is_of_order:
        reading.assume(f"{reading.table}: `{refund}` is of a whole order, and is shared out over its lines to the cent.")
    if states.given_back:
        # A refund without its amount gave everything back.
        everything = f"sum({net}) OVER (PARTITION BY {reading.text(order)})" if is_of_order and not columns.is_amount_of_order else net
        whole = f"COALESCE(NULLIF({found}, 0), {everything})" if refund else everything
        found = f"CASE WHEN {states.given_back} THEN {whole} ELSE {found or '0'} END"
    if not found:
        return {}
    moment = f"max({reading.moment(dated)}) OVER (PARTITION BY {reading.text(order)})" if is_of_order else reading.moment(dated)
    return {"order_refunded" if is_of_order else "refunded": found} | ({"refunded_at": moment} if dated else {})

"""A table of orders that is no known export, one row per line, order or payment: its columns are known by names and values."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping

from pipeline.definitions.settings import CURRENCIES
from pipeline.onboarding.attributes import attribute_columns
from pipeline.onboarding.column_names import is_total
from pipeline.onboarding.currencies import currency_of_sign, signs_of
from pipeline.onboarding.customer_columns import CustomerColumns
from pipeline.onboarding.layouts.customer_ids import chosen_columns, customer_id
from pipeline.onboarding.layouts.flat_orders import SHOP_RANK, FlatOrders, order_part
from pipeline.onboarding.layouts.gaps import Gaps, find_gaps
from pipeline.onboarding.layouts.layout import Layout, TablePart, TableReading, quoted_name, quoted_text
from pipeline.onboarding.layouts.marketing_consent import find_consent
from pipeline.onboarding.layouts.order_columns import AS_YOU_SAID, NONE, OrderColumns, named_column, order_columns
from pipeline.onboarding.layouts.order_states import OrderStates, read_states, state_columns
from pipeline.onboarding.questions import Choice
from pipeline.onboarding.roles import ColumnRole, Role, column_roles, plain_name
from pipeline.onboarding.table_sample import TableSample
from pipeline.onboarding.time_zones import is_utc, zone_of_name

NAME = "table_of_orders"
_OF_ORDER = (Role.DATE, Role.TIME, Role.EMAIL, Role.CUSTOMER, Role.CURRENCY, Role.CHANNEL)
_MOST_NOBODYS = 0.2
_WORDS = {Role.ORDER_ID: "order", Role.EMAIL: "e-mail", Role.PRICE: "unit price"}


def read(reading: TableReading) -> TablePart:
    """Return what a table of orders gives a company."""
    columns = order_columns(reading)
    table = reading.table
    _assume_columns(reading, columns)
    states = _state_columns(reading, columns)
    used = {*columns.by_role.values(), columns.name, *states}
    customer = customer_id(reading, _buyer(reading, columns), taken=used, order=columns.get(Role.ORDER_ID))
    gaps = find_gaps(
        reading,
        order=columns.get(Role.ORDER_ID),
        date=columns.get(Role.DATE),
        amount=columns.get(Role.AMOUNT) or columns.get(Role.PRICE),
        customer=columns.get(Role.CUSTOMER) or columns.get(Role.EMAIL) or columns.name,
        of_order=[*(columns.get(role) for role in _OF_ORDER), columns.name, *states],
    )
    if gaps.filled:
        said = ", ".join(f"`{name}`" for name in gaps.filled)
        reading.assume(f"{table}: {said} stand on the first line of an order alone, and count for all of its lines.")
    _ask_about_nobody(reading, columns, gaps)
    consent = find_consent(reading, used)
    used |= {*consent.columns}
    return order_part(
        reading,
        FlatOrders(
            rows=_row_columns(reading, columns, customer, read_states(reading, states, columns.get(Role.AMOUNT))),
            condition=_condition(reading, columns, gaps),
            source=f"{table}_filled" if gaps.filled else "",
            prelude=_filled_table(reading, columns, gaps) if gaps.filled else "",
            attributes=attribute_columns(reading, used, are_words_taken=False),
            consent=consent.sql,
            rank=SHOP_RANK + 1,
        ),
    )


def _assume_columns(reading: TableReading, columns: OrderColumns) -> None:
    """Say which column was taken for what: those whose name and values say so in one sentence, the others with their reason."""
    words = {role: _WORDS.get(role, role.value) for role in columns.by_role}
    by_name = [
        f"`{name}` is the {words[role]}" for role, name in columns.by_role.items() if columns.reasons[role].startswith("by its name")
    ]
    if by_name:
        reading.assume(f"{reading.table}: by name and values, {', '.join(by_name)}.")
    for role, name in columns.by_role.items():
        if not columns.reasons[role].startswith("by its name"):
            reading.assume(f"{reading.table}: `{name}` is the {words[role]}: {columns.reasons[role]}.")


def _state_columns(reading: TableReading, columns: OrderColumns) -> list[str]:
    if given := reading.settings.get(f"{reading.table}.status"):
        return [] if given == NONE else [named_column(reading, given, "status")]
    named = [each.column for each in column_roles(reading.sample) if each.role is Role.STATUS]
    return state_columns(reading, named, {*columns.by_role.values(), columns.name})


def _ask_about_nobody(reading: TableReading, columns: OrderColumns, gaps: Gaps) -> None:
    column = columns.get(Role.CUSTOMER) or columns.get(Role.EMAIL) or columns.name
    if column and gaps.nobodys > _MOST_NOBODYS * gaps.sold:
        text = (
            f"{reading.table}: {gaps.nobodys:,} of {gaps.sold:,} sales have no `{column}`. Does it stand in a heading above them? "
            "Then fill it down in the spreadsheet first. Else go on without them?"
        )
        reading.choose(f"{reading.table}.nobody", text, [Choice("left-out", "sales of nobody known make no segment")])


def _filled_table(reading: TableReading, columns: OrderColumns, gaps: Gaps) -> str:
    """Return the common table expression in which cells that stand on one line of an order stand on all of them."""
    order = reading.text(columns.get(Role.ORDER_ID))
    filled = ",\n".join(f"    max({reading.text(name)}) OVER (PARTITION BY {order}) AS {quoted_name(name)}" for name in gaps.filled)
    return (
        f"{reading.table}_filled AS (\n  -- These cells stand on one line of an order alone.\n"
        f"  SELECT * REPLACE (\n{filled}\n  )\n  FROM {reading.table}\n)"
    )


def _buyer(reading: TableReading, columns: OrderColumns) -> CustomerColumns:
    said = next((columns.get(role) for role in (Role.CUSTOMER, Role.EMAIL) if columns.reasons.get(role) == AS_YOU_SAID), "")
    return chosen_columns(reading, columns.buyer, said or reading.linked_column)


def _row_columns(reading: TableReading, columns: OrderColumns, customer: str, states: OrderStates) -> Mapping[str, str]:
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
    if found := [given] if given else _currency_columns(reading.sample, ()):
        return f"upper({reading.text(*found)})"
    amount = columns.get(Role.AMOUNT) or columns.get(Role.PRICE)
    signs = {sign: code for sign in signs_of(reading.column(amount).counts) if (code := currency_of_sign(sign))} if amount else {}
    if len(set(signs.values())) < len(("one", "other")):
        return ""
    cases = " ".join(f"WHEN contains(upper({reading.text(amount)}), {quoted_text(sign)}) THEN '{code}'" for sign, code in signs.items())
    return f"CASE {cases} END"


def _amounts(reading: TableReading, columns: OrderColumns, states: OrderStates) -> dict[str, str]:
    amount, price, quantity, discount = (columns.get(role) for role in (Role.AMOUNT, Role.PRICE, Role.QUANTITY, Role.DISCOUNT))
    taken_off = f"COALESCE(abs({reading.amount(discount)}), 0)" if discount else ""
    full = reading.amount(amount) if amount else reading.amount(price)
    if not amount and quantity:
        full = f"CAST(round({reading.amount(quantity)} * {reading.amount(price)}, 4) AS DECIMAL(18, 4))"
        reading.assume(f"{reading.table}: what was paid is `{quantity}` times `{price}`{f', less `{discount}`' if discount else ''}.")
    refund = columns.get(Role.REFUND)
    found = {"net_amount": full} | ({"discount_amount": taken_off} if taken_off else {})
    if taken_off and not _is_discount_taken_off(reading, columns):
        found["net_amount"] = f"{full} - {taken_off}"
    if states.negative:
        found["net_amount"] = f"CASE WHEN {states.negative} THEN -abs({found['net_amount']}) ELSE {found['net_amount']} END"
    if refund:
        reading.assume(f"{reading.table}: what `{refund}` says was given back counts for the day of its order, as no column says when.")
        found["refunded"] = f"COALESCE(abs({reading.amount(refund)}), 0)"
    if states.given_back:
        # A refund without its amount gave everything back.
        whole = f"COALESCE(NULLIF({found['refunded']}, 0), {found['net_amount']})" if refund else found["net_amount"]
        found["refunded"] = f"CASE WHEN {states.given_back} THEN {whole} ELSE {found.get('refunded', '0')} END"
    return found


def _is_discount_taken_off(reading: TableReading, columns: OrderColumns) -> bool:
    """Return whether the amount is what was left after the discount; asks where nothing shows it."""
    amount, discount = columns.get(Role.AMOUNT), columns.get(Role.DISCOUNT)
    if not amount:
        return False
    reason = columns.reasons[Role.AMOUNT]
    if " less " in reason or not any(reading.style(discount).number(value) for value in reading.column(discount).counts):
        return True
    if " times " in reason:
        return False
    text = f"{reading.table}: is `{amount}` what was left after `{discount}`, or before it?"
    return (
        reading.choose(f"{reading.table}.discounts", text, (Choice("taken-off", "after it"), Choice("to-take-off", "before it")))
        != "to-take-off"
    )


def _condition(reading: TableReading, columns: OrderColumns, gaps: Gaps) -> str:
    """Return the SQL condition for rows that are of an order: they have a date, and are no row of sums."""
    date = columns.get(Role.DATE)
    column = reading.column(date)
    labels = sorted(value for value in column.counts if is_total(value))
    if gaps.left_out:
        rows = "1 row" if gaps.left_out == 1 else f"{gaps.left_out:,} rows"
        reading.assume(f"{reading.table}: {rows} without a date in `{date}` left out: sums or notes.")
    if gaps.undated:
        text = (
            f"{reading.table}: {gaps.undated:,} rows have an amount ({gaps.amount:,.2f} in all) and no date in `{date}`. Are they no sales?"
        )
        reading.choose(f"{reading.table}.undated", text, [Choice("left-out", "they are sums or notes; else give the cells their dates")])
    condition = f"{reading.text(date)} IS NOT NULL"
    if labels:
        listed = ", ".join(f"'{value}'" for value in labels)
        condition += f" AND trim({reading.quoted(date)}) NOT IN ({listed})"
    return condition


def _moment(reading: TableReading, date: str, time: str) -> str:
    """Return the SQL of when a row was sold: in UTC where a column says so, in the time zone that the row names, else in the company's."""
    found = reading.moment_of(date, time)
    if is_utc(plain_name(date)) or is_utc(plain_name(time)):
        reading.assume(f"{reading.table}: `{time or date}` is in UTC, as its name says.")
        return found
    local = found.removesuffix(f" AT TIME ZONE '{reading.zone}'")
    column = zone_column(reading.sample)
    if not column or local == found:
        return found
    reading.assume(f"{reading.table}: the time of each row is that of its `{column}`.")
    cases = " ".join(f"WHEN {quoted_text(name)} THEN '{zone_of_name(name)}'" for name in sorted(reading.column(column).counts))
    return f"{local} AT TIME ZONE CASE {reading.text(column)} {cases} ELSE '{reading.zone}' END"


def zone_column(sample: TableSample) -> str:
    """Return the column of which every value names a time zone; empty where there is none."""
    return next((each.name for each in sample.columns() if each.counts and all(map(zone_of_name, each.counts))), "")


def _currency_columns(sample: TableSample, named: Iterable[str]) -> list[str]:
    """Return the columns of currency codes: that which is named so, else that of which every value is a code of ISO 4217."""
    by_value = (each.name for each in sample.columns() if each.counts and all(value.upper() in CURRENCIES for value in each.counts))
    return [*named, *by_value][:1]


def layout(sample: TableSample, roles: Iterable[ColumnRole]) -> Layout:
    """Return the layout of a table of orders that has these columns."""
    by_role: dict[Role, list[str]] = defaultdict(list)
    for each in roles:
        by_role[each.role].append(each.column)
    order = by_role[Role.ORDER_ID][:1]
    return Layout(
        NAME,
        "A table of orders",
        "orders",
        (),
        read,
        key=tuple(order),
        moments=tuple(by_role[Role.DATE]),
        currencies=tuple(_currency_columns(sample, by_role[Role.CURRENCY])),
        money=(*by_role[Role.AMOUNT], *by_role[Role.PRICE]),
        zone_column=zone_column(sample),
        is_known=False,
    )

"""A table of orders that is no known export, one row per line, order or payment: its columns are known by names and values."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from pipeline.onboarding.attributes import attribute_columns
from pipeline.onboarding.column_names import is_total
from pipeline.onboarding.customer_columns import CustomerColumns
from pipeline.onboarding.layouts.customer_ids import chosen_columns, customer_id
from pipeline.onboarding.layouts.flat_orders import SHOP_RANK, FlatOrders, order_part
from pipeline.onboarding.layouts.gaps import Gaps, find_gaps
from pipeline.onboarding.layouts.layout import Layout, TablePart, TableReading, quoted_name, quoted_text
from pipeline.onboarding.layouts.marketing_consent import find_consent
from pipeline.onboarding.layouts.numbered_items import split_items
from pipeline.onboarding.layouts.order_column_choice import order_columns
from pipeline.onboarding.layouts.order_columns import AS_YOU_SAID, NONE, OrderColumns, named_column
from pipeline.onboarding.layouts.order_refunds import refund_date
from pipeline.onboarding.layouts.order_rows import currency_columns, row_columns
from pipeline.onboarding.layouts.order_states import read_states, state_columns
from pipeline.onboarding.layouts.row_time_zones import zone_column
from pipeline.onboarding.questions import Choice
from pipeline.onboarding.roles import ColumnRole, Role, column_roles
from pipeline.onboarding.table_sample import TableSample

NAME = "table_of_orders"
_OF_ORDER = (Role.DATE, Role.TIME, Role.EMAIL, Role.CUSTOMER, Role.CURRENCY, Role.CHANNEL)
_MOST_NOBODYS = 0.2
_MOST_NAMED = 15
_WORDS = {Role.ORDER_ID: "order", Role.EMAIL: "e-mail", Role.PRICE: "unit price"}


def read(reading: TableReading) -> TablePart:
    """Return what a table of orders gives a company."""
    split_items(reading)
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
        customers=_known_by(columns),
        of_order=[*(columns.get(role) for role in _OF_ORDER), columns.name, *states],
    )
    if gaps.filled:
        said = ", ".join(f"`{name}`" for name in gaps.filled)
        reading.assume(f"{table}: {said} stand on the first line of an order alone, and count for all of its lines.")
    _ask_about_nobody(reading, columns, gaps)
    consent = find_consent(reading, used, _known_by(columns))
    used |= {*consent.columns}
    attributes = attribute_columns(reading, used, are_words_taken=False)
    used |= {refund_date(reading, columns)}
    found = read_states(reading, states, columns.get(Role.AMOUNT), used)
    rows = row_columns(reading, columns, customer, found)
    _assume_unread(reading, used | {columns.percentage, *found.flags} | {each.column for each in attributes})
    return order_part(
        reading,
        FlatOrders(
            rows=rows,
            condition=_condition(reading, columns, gaps),
            source=f"{table}_filled" if gaps.filled else reading.source,
            prelude=",\n".join(filter(None, (reading.prelude, _filled_table(reading, columns, gaps) if gaps.filled else ""))),
            attributes=attributes,
            consent=consent.sql,
            is_silence_no=consent.is_silence_no,
            rank=SHOP_RANK + 1,
            is_amount_of_order=columns.is_amount_of_order,
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


def _assume_unread(reading: TableReading, used: set[str]) -> None:
    """Say which columns have values and are not read: amounts, refunds or products may be among them."""
    known = {*used, zone_column(reading.sample), *currency_columns(reading.sample, ())}
    unread = [column.name for column in reading.sample.columns() if column.counts and column.name not in known]
    if unread:
        more = f" and {len(unread) - _MOST_NAMED:,} more" if len(unread) > _MOST_NAMED else ""
        reading.assume(f"{reading.table}: not read: {', '.join(f'`{name}`' for name in unread[:_MOST_NAMED])}{more}.")


def _state_columns(reading: TableReading, columns: OrderColumns) -> list[str]:
    if given := reading.settings.get(f"{reading.table}.status"):
        return [] if given == NONE else [named_column(reading, given, "status")]
    named = [each.column for each in column_roles(reading.sample) if each.role is Role.STATUS]
    return state_columns(reading, named, {*columns.by_role.values(), columns.name})


def _known_by(columns: OrderColumns) -> list[str]:
    """Return the columns that say who bought: a number and an address, and names where there is neither."""
    return [name for name in (columns.get(Role.CUSTOMER), columns.get(Role.EMAIL)) if name] or [columns.name][: bool(columns.name)]


def _ask_about_nobody(reading: TableReading, columns: OrderColumns, gaps: Gaps) -> None:
    column = "` and no `".join(_known_by(columns))
    if column and gaps.nobodys > _MOST_NOBODYS * gaps.sold:
        text = (
            f"{reading.table}: {gaps.nobodys:,} of {gaps.sold:,} sales have no `{column}`. Does it stand in a heading above them? "
            "Then fill it down in the spreadsheet first. Else go on without them?"
        )
        reading.choose(f"{reading.table}.nobody", text, [Choice("left-out", "sales of nobody known make no segment")])


def _filled_table(reading: TableReading, columns: OrderColumns, gaps: Gaps) -> str:
    """Return the common table expression in which cells that stand on one line of an order stand on all of them."""
    order = reading.text(columns.get(Role.ORDER_ID))
    filled = ",\n".join(
        f"    CASE WHEN {order} IS NULL THEN {reading.text(name)} ELSE max({reading.text(name)}) OVER (PARTITION BY {order}) END "
        f"AS {quoted_name(name)}"
        for name in gaps.filled
    )
    return (
        f"{reading.table}_filled AS (\n  -- These cells stand on one line of an order alone.\n"
        f"  SELECT * REPLACE (\n{filled}\n  )\n  FROM {reading.source or reading.table}\n)"
    )


def _buyer(reading: TableReading, columns: OrderColumns) -> CustomerColumns:
    said = next((columns.get(role) for role in (Role.CUSTOMER, Role.EMAIL) if columns.reasons.get(role) == AS_YOU_SAID), "")
    return chosen_columns(reading, columns.buyer, said or reading.linked_column)


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
        condition += f" AND trim({reading.quoted(date)}) NOT IN ({', '.join(map(quoted_text, labels))})"
    return condition


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
        currencies=tuple(currency_columns(sample, by_role[Role.CURRENCY])),
        money=(*by_role[Role.AMOUNT], *by_role[Role.PRICE]),
        zone_column=zone_column(sample),
        is_known=False,
    )

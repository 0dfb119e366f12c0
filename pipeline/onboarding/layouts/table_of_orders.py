"""A table of orders that is no known export, one row per line, order or payment: its columns are known by names and values."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping

from pipeline.onboarding.attributes import attribute_columns
from pipeline.onboarding.column_names import has_status, is_total
from pipeline.onboarding.layouts.flat_orders import SHOP_RANK, FlatOrders, order_part
from pipeline.onboarding.layouts.gaps import Gaps, find_gaps
from pipeline.onboarding.layouts.layout import Layout, TablePart, TableReading, quoted_name
from pipeline.onboarding.layouts.order_columns import OrderColumns, order_columns
from pipeline.onboarding.questions import Choice
from pipeline.onboarding.roles import ColumnRole, Role

NAME = "table_of_orders"
_OF_ORDER = (Role.DATE, Role.TIME, Role.EMAIL, Role.CUSTOMER, Role.CURRENCY, Role.STATUS, Role.CHANNEL)
_MOST_NOBODYS = 0.2
_WORDS = {Role.ORDER_ID: "order", Role.EMAIL: "e-mail", Role.PRICE: "unit price"}


def read(reading: TableReading) -> TablePart:
    """Return what a table of orders gives a company."""
    columns = order_columns(reading)
    table = reading.table
    _assume_columns(reading, columns)
    customer = _customer(reading, columns)
    gaps = find_gaps(
        reading,
        order=columns.get(Role.ORDER_ID),
        date=columns.get(Role.DATE),
        amount=columns.get(Role.AMOUNT) or columns.get(Role.PRICE),
        customer=columns.get(Role.CUSTOMER) or columns.get(Role.EMAIL),
        of_order=[columns.get(role) for role in _OF_ORDER],
    )
    if gaps.filled:
        said = ", ".join(f"`{name}`" for name in gaps.filled)
        reading.assume(f"{table}: {said} stand on the first line of an order alone, and count for all of its lines.")
    _ask_about_nobody(reading, columns, gaps)
    used = set(columns.by_role.values())
    consent = columns.get(Role.CONSENT)
    return order_part(
        reading,
        FlatOrders(
            rows=_row_columns(reading, columns, customer),
            condition=_condition(reading, columns, gaps),
            source=f"{table}_filled" if gaps.filled else "",
            prelude=_filled_table(reading, columns, gaps) if gaps.filled else "",
            attributes=attribute_columns(reading, used, are_words_taken=False),
            consent=reading.text(consent) if consent else "",
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


def _ask_about_nobody(reading: TableReading, columns: OrderColumns, gaps: Gaps) -> None:
    column = columns.get(Role.CUSTOMER) or columns.get(Role.EMAIL)
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


def _customer(reading: TableReading, columns: OrderColumns) -> str:
    """Return the SQL of the customer's id."""
    email, customer = columns.get(Role.EMAIL), columns.get(Role.CUSTOMER)
    if reading.linked_column and "as you said" not in (columns.reasons.get(Role.CUSTOMER), columns.reasons.get(Role.EMAIL)):
        is_email = reading.linked_column == email
        email, customer = (email, "") if is_email else ("", reading.linked_column)
    if email and (reading.identity == "email" or not customer):
        reading.assume("A customer is an e-mail address, whatever its case.")
        return f"lower({reading.text(email)})"
    if customer:
        reading.assume(f"{reading.table}: a customer is who has the same `{customer}`.")
        return reading.text(customer)
    reading.choose(
        f"{reading.table}.customer",
        f"{reading.table}: no column says who bought. Which one tells customers apart?",
        [Choice(name, "") for name in reading.sample.column_names if name not in columns.by_role.values()],
    )
    return "NULL"


def _row_columns(reading: TableReading, columns: OrderColumns, customer: str) -> Mapping[str, str]:
    """Return the SQL of each column of a row, by its name."""
    date, time = columns.get(Role.DATE), columns.get(Role.TIME)
    found = {"customer_id": customer, "ordered_at": reading.moment_of(date, time)}
    order = columns.get(Role.ORDER_ID)
    if order:
        found["order_id"] = reading.text(order)
    else:
        reading.assume(f"{reading.table}: no column says which order a row is of: what a customer buys on one day is one order.")
        found["order_id"] = f"concat_ws(' ', {customer}, {reading.day_of(date)})"
    found["quantity"] = (
        f"COALESCE({reading.amount(columns.get(Role.QUANTITY))}, 1)" if columns.get(Role.QUANTITY) else "CAST(1 AS DECIMAL(18, 4))"
    )
    found |= _amounts(reading, columns)
    for name, role in {"product_id": Role.PRODUCT, "category": Role.CATEGORY, "channel": Role.CHANNEL}.items():
        if column := columns.get(role):
            found[name] = reading.text(column)
    if is_cancelled := _is_cancelled(reading, columns):
        found["is_cancelled"] = is_cancelled
    if currency := columns.get(Role.CURRENCY):
        found["currency"] = f"upper({reading.text(currency)})"
    return found


def _amounts(reading: TableReading, columns: OrderColumns) -> dict[str, str]:
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
    if refund:
        reading.assume(f"{reading.table}: what `{refund}` says was given back counts for the day of its order, as no column says when.")
        found["refunded"] = f"COALESCE(abs({reading.amount(refund)}), 0)"
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


def _is_cancelled(reading: TableReading, columns: OrderColumns) -> str:
    status = columns.get(Role.STATUS)
    values = reading.column(status).values if status else []
    gone = [value for value in values if has_status(value, "called_off")]
    if not columns.get(Role.REFUND):
        gone += [value for value in values if has_status(value, "given_back") and value not in gone]
    if not gone:
        return ""
    rest = [value for value in values if value not in gone]
    reading.assume(f"{reading.table}: rows whose `{status}` is {', '.join(gone)} count nowhere; those with {', '.join(rest[:8])} do.")
    listed = ", ".join("'" + value.replace("'", "''") + "'" for value in gone)
    return f"COALESCE({reading.text(status)} IN ({listed}), FALSE)"


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


def layout(roles: Iterable[ColumnRole]) -> Layout:
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
        currencies=tuple(by_role[Role.CURRENCY][:1]),
        money=(*by_role[Role.AMOUNT], *by_role[Role.PRICE]),
        is_known=False,
    )

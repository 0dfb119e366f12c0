"""A table with a row for each customer and a column for each month: a report, made of orders that it does not show any more."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import date

from pipeline.onboarding.attributes import attribute_columns
from pipeline.onboarding.column_names import sum_labels
from pipeline.onboarding.customer_columns import customer_columns
from pipeline.onboarding.layouts.flat_orders import SHOP_RANK, FlatOrders, order_part
from pipeline.onboarding.layouts.layout import Layout, TablePart, TableReading, quoted_text
from pipeline.onboarding.number_styles import number_style
from pipeline.onboarding.roles import column_roles, plain_name
from pipeline.onboarding.table_sample import TableSample

NAME = "table_of_periods"
FEWEST_PERIODS = 2
# The beginnings of the names of months in English, German, French, Spanish, Italian, Dutch and Turkish.
_MONTHS = (
    *("jan|janv|ene|gen|oca", "feb|fev|sub", "mar|mrz|maart|mrt", "apr|avr|abr|nis", "may|mai|mag|mei", "jun|juin|giu|haz"),
    *("jul|juil|lug|tem", "aug|aou|ago|agu", "sep|set|eyl", "oct|okt|ott|eki", "nov|kas", "dec|dez|dic|ara"),
)
_CENTURY = 2000
_NAMED = re.compile(r"(?P<name>[a-z]{3,})\.? ?(?P<year>\d{4}|\d{2})")
_NUMERIC = re.compile(r"(?P<year>\d{4}) (?P<month>\d{1,2})(?: 0?1)?|(?P<month2>\d{1,2}) (?P<year2>\d{4})")


def read(reading: TableReading) -> TablePart:
    """Return what a table of months gives a company."""
    roles = column_roles(reading.sample)
    known = customer_columns(reading.sample, roles, of_people=True)
    column = known.email or known.number or known.name or reading.sample.column_names[0]
    periods = month_columns(reading.sample)
    reading.assume(
        f"{reading.table}: the file has sums of months and no orders: each counts as one order on the first of its month. How often "
        "somebody ordered is not known; give an export of orders if you have one."
    )
    reading.assume(f"{reading.table}: a customer is who has the same `{column}`.")
    days = " ".join(f"WHEN {quoted_text(name)} THEN DATE '{day}'" for name, day in periods.items())
    month = f"CASE month {days} END"
    customer = reading.text(column)
    labels = sum_labels(reading.column(column).counts)
    if labels:
        reading.assume(f"{reading.table}: rows of sums ({len(labels)}) are left out.")
    table = f"{reading.table}_months"
    named = ", ".join(reading.quoted(name) for name in periods)
    amount = reading.style(*periods).sql("amount")
    rows = {
        "order_id": f"concat_ws(' ', {customer}, {month})",
        "customer_id": customer,
        "ordered_at": f"CAST({month} AS TIMESTAMP) AT TIME ZONE '{reading.zone}'",
        "quantity": "CAST(1 AS DECIMAL(18, 4))",
        "net_amount": amount,
    }
    condition = f"{customer} IS NOT NULL AND trim(amount) <> '' AND {amount} <> 0"
    if labels:
        condition += f" AND {customer} NOT IN ({', '.join(map(quoted_text, labels))})"
    prelude = f"{table} AS (\n  SELECT * FROM (UNPIVOT {reading.table} ON {named} INTO NAME month VALUE amount)\n)"
    attributes = attribute_columns(reading, {column, *periods}, are_words_taken=False)
    return order_part(reading, FlatOrders(rows, condition, source=table, prelude=prelude, attributes=attributes, rank=SHOP_RANK + 1))


def month_columns(sample: TableSample) -> dict[str, date]:
    """Return the columns of numbers whose name is a month, with its first day."""
    found = {}
    for column in sample.columns():
        day = month_of(plain_name(column.name))
        if day and number_style(column.counts):
            found[column.name] = day
    return found


def month_of(plain: str) -> date | None:
    """Return the first day of the month that a plain name is of; None where it is none."""
    if match := _NUMERIC.fullmatch(plain):
        year, month = int(match["year"] or match["year2"]), int(match["month"] or match["month2"])
        return date(year, month, 1) if 1 <= month <= len(_MONTHS) else None
    if match := _NAMED.fullmatch(plain):
        place = next((place for place, names in enumerate(_MONTHS, 1) if re.match(names, match["name"])), 0)
        year = int(match["year"])
        return date(year if year > _CENTURY else _CENTURY + year, place, 1) if place else None
    return None


def layout(periods: Iterable[str]) -> Layout:
    """Return the layout of a table that has these columns of months."""
    return Layout(NAME, "A table of months", "orders", (), read, money=tuple(periods), is_known=False)

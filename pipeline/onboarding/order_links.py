"""Two tables of the same orders, one with a row for each order, one with its lines: by what they belong together, and both as one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import pyarrow as pa

from pipeline.onboarding.column_names import is_plain_id
from pipeline.onboarding.layouts import table_of_customers, table_of_orders
from pipeline.onboarding.layouts.layout import Layout, TableReading, quoted_name
from pipeline.onboarding.recognised_table import RecognisedTable
from pipeline.onboarding.roles import AMOUNTS, Role, column_roles, plain_name
from pipeline.onboarding.table_sample import TableSample, fold_name

NAME = "table_of_lines"
_FEWEST_SHARED = 0.5


@dataclass(frozen=True, slots=True)
class OrderLink:
    """Lines of orders and the table that has a row for each of these orders, with the column of each that says which order it is."""

    lines: TableSample
    orders: TableSample
    lines_key: str
    orders_key: str


def link_of(lines: TableSample, orders: TableSample) -> OrderLink | None:
    """Return how two tables belong together; None where one is not of lines of the other's orders."""
    found = []
    for whole in _order_columns(orders):
        numbers = orders.column(whole).counts
        if max(numbers.values(), default=2) > 1:
            continue
        for part in _order_columns(lines):
            given = lines.column(part).counts
            shared = len(given.keys() & numbers.keys()) / max(len(given), 1)
            is_repeated = max(given.values(), default=0) > 1
            if is_repeated and shared >= _FEWEST_SHARED:
                found.append((shared, fold_name(part) == fold_name(whole), part, whole))
    if not found:
        return None
    _, _, part, whole = max(found)
    return OrderLink(lines, orders, part, whole)


def _order_columns(sample: TableSample) -> list[str]:
    named = [each.column for each in column_roles(sample) if each.role is Role.ORDER_ID]
    return [*named, *(name for name in sample.column_names if name not in named and is_plain_id(plain_name(name)))]


def lines_layout(sample: TableSample, orders: Sequence[TableSample]) -> Layout | None:
    """Return the layout of a table without dates that has the lines of one of the tables of orders; None where it is none."""
    roles = column_roles(sample)
    links = [link for each in orders if (link := link_of(sample, each))]
    if not links or not {each.role for each in roles} & AMOUNTS:
        return None
    found = table_of_orders.layout(sample, roles)
    return replace(found, name=NAME, title="Lines of orders", table="lines", key=(links[0].lines_key,))


def find_links(tables: Sequence[RecognisedTable]) -> dict[str, OrderLink]:
    """Return for each table of lines, by its name, the table of its orders."""
    samples = [table.sample for table in tables if table.layout.name in {table_of_orders.NAME, NAME}]
    orders = [table.sample for table in tables if table.layout.name == table_of_orders.NAME]
    found: dict[str, OrderLink] = {}
    for lines in samples:
        link = next((link for each in orders if each is not lines and (link := link_of(lines, each))), None)
        if link and {each.role for each in column_roles(lines)} & AMOUNTS:
            found[lines.name] = link
    return found


def may_be_lines(layout: Layout | None, sample: TableSample) -> bool:
    """Return whether a table that is known as no orders by itself may have the lines of another one's."""
    roles = {each.role for each in column_roles(sample)}
    return layout is None or (layout.name == table_of_customers.NAME and bool(roles & AMOUNTS) and Role.EMAIL not in roles)


def join_orders(reading: TableReading, link: OrderLink) -> None:
    """Let the reading of lines have the columns of their orders as well, and say what is in one of the tables alone."""
    places = {number: place for place, (number,) in enumerate(link.orders.records((link.orders_key,))) if number}
    numbers = [number for (number,) in link.lines.records((link.lines_key,))]
    kept = [place for place, number in enumerate(numbers) if number in places]
    own = {fold_name(name) for name in link.lines.column_names}
    added = [name for name in link.orders.column_names if fold_name(name) not in own]
    rows = link.lines.rows.take(pa.array(kept, pa.int64()))
    of_orders = link.orders.rows.take(pa.array([places[numbers[place]] for place in kept], pa.int64()))
    for name in added:
        rows = rows.append_column(name, of_orders[name])
    reading.sample = TableSample(link.lines.name, rows, link.lines.files, link.lines.typed | (link.orders.typed & set(added)))
    reading.of_orders = frozenset(added)
    reading.source = f"{link.lines.name}_joined"
    reading.prelude = _joined_sql(link, reading.source, added)
    orphans, empty = len(numbers) - len(kept), len(places.keys() - set(numbers))
    reading.assume(f"{link.lines.name}: each row is a line of an order in {link.orders.name}, by `{link.lines_key}`.")
    if orphans or empty:
        said = f"{orphans:,} lines are of no order in {link.orders.name}, and {empty:,} orders have no lines"
        reading.assume(f"{link.lines.name}: {said}; both count nowhere.")


def _joined_sql(link: OrderLink, name: str, added: Sequence[str]) -> str:
    columns = ", ".join(["lines.*", *(f"orders.{quoted_name(each)}" for each in added)])
    on = f"{_key_sql('lines', link.lines, link.lines_key)} = {_key_sql('orders', link.orders, link.orders_key)}"
    tables = f"{link.lines.name} AS lines\n  JOIN {link.orders.name} AS orders ON {on}"
    return f"{name} AS (\n  -- Lines with what is known of their orders.\n  SELECT {columns}\n  FROM {tables}\n)"


def _key_sql(alias: str, sample: TableSample, key: str) -> str:
    """Return a column as a text without white space around it."""
    column = f"{alias}.{quoted_name(key)}"
    return f"trim(CAST({column} AS VARCHAR))" if key in sample.typed else f"trim({column})"

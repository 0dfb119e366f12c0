"""Which tables aggregates may be made from, and how a row of each is dated, ordered and left out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from sqlglot import exp

from pipeline.lake.tables import EVENT_DAY, ORDER_LINES, ORDERS, Kind, Table

_CUSTOMER = "customer_id"


@dataclass(frozen=True)
class EventSource:
    """A table of events.

    `day` is the column of the local day that a row counts for, which is never later than its event day. `counted` is a condition on the
    rows that count at all; empty where all do. A table that no night stores is `made_of` a stored one, by the statement of its name.
    `zone` is the time zone by whose clock events happen.
    """

    table: Table
    day: str = EVENT_DAY.name
    counted: str = ""
    made_of: Table | None = None
    zone: str = "UTC"

    @property
    def name(self) -> str:
        return self.table.name

    @property
    def stored(self) -> Table:
        """The table of the lake that its rows come from."""
        return self.made_of or self.table

    @property
    def names(self) -> Mapping[str, Kind]:
        """The columns that a definition may name, by kind, without `instants`. Personal data enter no feature and no rule."""
        stored = self.table.stored_columns
        columns = {column.name: column.kind for column in stored if column.kind is not Kind.INSTANT and not column.pii}
        return {name: kind for name, kind in columns.items() if name in {self.day, *self.table.column_names} - {_CUSTOMER}}

    @property
    def instants(self) -> Mapping[str, str]:
        """The columns with instants, whose hour and day a definition may look at, each with the time zone of both."""
        return {column.name: self.zone for column in self.table.columns if column.kind is Kind.INSTANT and not column.pii}

    @property
    def separators(self) -> Mapping[str, str]:
        """The columns that hold several texts, each with what stands between them."""
        return {column.name: column.separator for column in self.table.columns if column.separator}

    @property
    def hint(self) -> str:
        """What may be named, for people who named something else."""
        return f"Name a column of {self.name}: {', '.join(self.names)}; or HOUR({self.table.instant})."

    @property
    def optional(self) -> frozenset[str]:
        """The columns that a source may leave out."""
        return frozenset(column.name for column in self.table.columns if not column.required)

    @property
    def order(self) -> tuple[str, ...]:
        """The columns by which rows of a customer follow each other, of which no two rows are equal."""
        return (self.day, self.table.instant, *self.table.key)

    @property
    def is_counted(self) -> exp.Expr | None:
        """The condition `counted` as a tree; None where all rows count."""
        return exp.condition(self.counted, dialect="duckdb") if self.counted else None


def event_sources(events: Iterable[Table], *, has_free_orders: bool = True, zone: str = "UTC") -> dict[str, EventSource]:
    """Return the sources by name: order lines, whole orders, and the tables of a company's `events`.

    Without `has_free_orders` an order whose lines were all free is none, as the company's `counts_as_order` says. `zone` is where the
    company's days begin and end.
    """
    # A linked refund counts for the day of its order, as it does in every figure of ours; what was cancelled never counts.
    lines = EventSource(ORDER_LINES, day="order_day", counted="line_kind <> 'cancelled'", zone=zone)
    # No line of an order costs less than nothing, so that a sum of nothing is made of free ones.
    orders = EventSource(ORDERS, day="order_day", counted="" if has_free_orders else "net_amount > 0", made_of=ORDER_LINES, zone=zone)
    return {source.name: source for source in (lines, orders, *(EventSource(event, zone=zone) for event in events))}

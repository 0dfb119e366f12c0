"""Events: what customers do besides ordering, such as visits and e-mails. One structure for those of a company and those built in."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from pipeline.lake.tables.columns import CUSTOMER_ID
from pipeline.lake.tables.schema import RAW_PREFIX, Column, Kind, Partition, Table


@dataclass(frozen=True)
class EventType:
    """One kind of event: the query `sources/<name>.sql` gives its rows, one per event.

    `instant` is the column that says when it happened, `columns` are all others but `customer_id`. An event is told from others of its
    day by `key`, which names columns, `customer_id` or the instant. Days before the
    lookback are compared with the source for `late_check_days`, as many as the company says where that is None.
    """

    name: str
    title: str
    description: str
    key: tuple[str, ...]
    instant: Column
    columns: tuple[Column, ...] = ()
    late_check_days: int | None = None

    @cached_property
    def raw_table(self) -> Table:
        """Rows as the source gave them, one version of a day for each night that learned something new."""
        said = self.description.removesuffix(".") or self.title
        description = f"{said}, as the source gave them: versions of days, as of order lines."
        return self._table(f"{RAW_PREFIX}{self.name}", description)

    @cached_property
    def table(self) -> Table:
        """Rows that passed validation."""
        return self._table(self.name, f"{self.title} that passed validation.")

    def _table(self, name: str, description: str) -> Table:
        keys = [column for column in self.columns if column.name in self.key]
        others = [column for column in self.columns if column.name not in self.key]
        # The instant before any other instant: the first one is what days are cut by.
        columns = (*keys, CUSTOMER_ID, self.instant, *others)
        return Table(name, description, columns, self.key, Partition.EVENT_DAY, later_columns=tuple(column.name for column in others))


VISIT_EVENTS = EventType(
    "visits",
    "Visits",
    "Visits to the shop with or without an order.",
    ("visit_id",),
    Column("visited_at", Kind.INSTANT, "When the visit began.", required=True),
    (Column("visit_id", Kind.TEXT, "Id of the visit, such as a session of the web shop.", required=True),),
)
BUILT_IN_EVENTS = (VISIT_EVENTS,)
RAW_VISITS, VISITS = VISIT_EVENTS.raw_table, VISIT_EVENTS.table

"""What changed since the last night: orders of the day, and who moved in the main scheme, and why."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date

from pipeline.calendar import ONE_DAY
from pipeline.lake.lake import Lake
from pipeline.lake.tables import SEGMENT_FLOWS
from pipeline.reporting.pages.morning.movement import Cause, Flow, counts_by_cause, flows_of
from pipeline.reporting.pages.morning.night_tables import NightTables, Row, compared_night

LAST_NIGHT = 1
SHOWN_FLOWS = 3
_CAUSES = {
    Cause.CAME: "joined",
    Cause.ROSE: "moved up by what they bought or did",
    Cause.SLID: "moved down, as they stayed away or gave back",
    Cause.OTHERS: "did nothing: others bought more or less",
    Cause.REDEFINED: "did nothing: rules, models or earlier data changed",
}
_WHY = {
    Cause.CAME: "new",
    Cause.ROSE: "by what they did",
    Cause.SLID: "as they stayed away",
    Cause.OTHERS: "because of others",
    Cause.REDEFINED: "as rules, models or earlier data changed",
}


@dataclass(frozen=True, slots=True)
class NightChanges:
    """The flows of the main scheme since `since`, the last night before, None where none is stored; and days of sales, if any."""

    since: date | None
    flows: Sequence[Flow]
    sales: dict[date, Row]


def night_changes(lake: Lake, tables: NightTables) -> NightChanges:
    """Return what changed between the night of `tables` and the last one before it."""
    day = tables.day
    rows = lake.read(SEGMENT_FLOWS, day=day).to_pylist() if lake.has(SEGMENT_FLOWS, day=day) else []
    flows = flows_of((row for row in rows if row["nights"] == LAST_NIGHT), tables.main_scheme)
    return NightChanges(compared_night(lake, day, LAST_NIGHT), flows, {row["order_day"]: row for row in tables.sales})


def change_lines(changes: NightChanges, tables: NightTables) -> Iterator[str]:
    """Yield the lines: the day's orders beside those of the day before, moves by cause, and the largest of them."""
    if today := changes.sales.get(tables.day):
        before = changes.sales.get(tables.day - ONE_DAY)
        beside = f", after {_sales_words(before, tables.currency)} the day before" if before else ""
        yield f"{_sales_words(today, tables.currency)}{beside}."
    if changes.since is None:
        yield "No earlier night is stored that it could be compared with."
        return
    told = ", ".join(f"{count:,} {_CAUSES[cause]}" for cause, count in counts_by_cause(changes.flows).items() if count)
    yield f"{told[0].upper()}{told[1:]}." if told else "Nobody is in another segment."
    for flow in changes.flows[:SHOWN_FLOWS]:
        yield f"{flow.customer_count:>6,}  {_way_words(flow, tables)}, {_WHY[flow.cause]}"


def _way_words(flow: Flow, tables: NightTables) -> str:
    origin, target = (tables.title_of(tables.main_scheme, each) if each else "" for each in (flow.from_segment, flow.to_segment))
    return f"{origin} > {target}" if origin and target else f"into {target}" if target else f"out of {origin}"


def _sales_words(row: Row, currency: str) -> str:
    orders = "1 order" if row["order_count"] == 1 else f"{row['order_count']:,} orders"
    return f"{orders} for {row['spend_amount']:,.0f} {currency}"

"""The summary of a night in the terminal, for whoever wants to know who the customers are this morning."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from rich.bar import Bar
from rich.console import Console, Group, RenderableType
from rich.panel import Panel
from rich.table import Table as Grid
from rich.text import Text

from pipeline.company import Company
from pipeline.lake import Lake
from pipeline.tables import CUSTOMER_FEATURES, EXTRACTIONS, REJECTED_ROWS, SEGMENT_PROFILES

Row = Mapping[str, Any]


def print_summary(company: Company, lake: Lake, day: date, *, console: Console | None = None) -> None:
    """Print what the night of `day` found: customers, rejected rows by rule, segments, and where to go next."""
    chosen = console or Console()
    for part in _summary(company, lake, day):
        chosen.print(part)


def _summary(company: Company, lake: Lake, day: date) -> Iterator[RenderableType]:
    yield Panel(_headline(company, lake, day), title=f"{company.name} · {day:%A %d %B %Y}", title_align="left", padding=(1, 2))
    profiles = lake.read(SEGMENT_PROFILES, day=day).to_pylist()
    for scheme in dict.fromkeys(row["scheme"] for row in profiles):
        rows = sorted((row for row in profiles if row["scheme"] == scheme), key=lambda row: row["position"])
        yield _segments(scheme, rows, company.currency)
    yield _rejected(lake, day)
    yield _where_next(company, lake, day)


def _headline(company: Company, lake: Lake, day: date) -> Text:
    names = ["is_prospect", "order_day_count", "spend_amount"]
    features = lake.read(CUSTOMER_FEATURES, day=day).select(names)
    prospects = pc.sum(features["is_prospect"]).as_py() or 0
    buyers = pc.sum(pc.greater(features["order_day_count"], 0)).as_py() or 0
    spend = pc.sum(features["spend_amount"]).as_py() or Decimal(0)
    return Text.assemble(
        (f"{features.num_rows - prospects:,}", "bold"), " customers and ", (f"{prospects:,}", "bold"), " prospects. ",
        (f"{buyers:,}", "bold"), f" bought in the last {company.window_days} days, for ",
        (f"{spend:,.2f} {company.currency}", "bold"), " net of refunds.\n",
        (_lines_read(lake, day), "dim"),
    )


def _lines_read(lake: Lake, day: date) -> str:
    if day not in lake.nights(EXTRACTIONS):
        return ""
    rows = lake.read(EXTRACTIONS, day=day).to_pylist()
    read = ", ".join(f"{row['row_count']:,} {row['source_table'].removeprefix('raw_').replace('_', ' ')}" for row in rows)
    return f"Read from the source this night: {read}."


def _segments(scheme: str, rows: Sequence[Row], currency: str) -> RenderableType:
    grid = Grid(title=scheme.replace("_", " ").capitalize(), title_style="bold", title_justify="left", box=None, pad_edge=False)
    grid.add_column("Segment", min_width=28, no_wrap=True)
    for name in ("Customers", "Share", f"Spend {currency}", "Share", "Last order"):
        grid.add_column(name, justify="right", no_wrap=True)
    grid.add_column("Customers ▇ / spend ▇", min_width=24)
    for row in rows:
        grid.add_row(*_cells(row))
    return Group(grid, Text())


def _cells(row: Row) -> tuple[RenderableType, ...]:
    recency = row["mean_recency_days"]
    style = "dim" if row["customer_count"] == 0 else ""
    cells = (
        row["title"], f"{row['customer_count']:,}", _percent(row["customer_share"]),
        f"{row['spend_amount']:,.0f}", _percent(row["spend_share"]), "–" if recency is None else f"{recency:,.0f} days ago",
    )
    return (*(Text(cell, style=style) for cell in cells), _bars(row))


def _bars(row: Row) -> RenderableType:
    return Group(
        Bar(1, 0, row["customer_share"] or 0, width=24, color="cyan"),
        Bar(1, 0, max(row["spend_share"] or 0, 0), width=24, color="yellow"),
    )


def _rejected(lake: Lake, day: date) -> RenderableType:
    rows = lake.read(REJECTED_ROWS, day=day).select(["source_table", "rule"]) if day in lake.nights(REJECTED_ROWS) else None
    if rows is None or rows.num_rows == 0:
        return Text("No row was rejected.\n")
    grid = Grid(title=f"Rejected rows: {rows.num_rows:,}", title_style="bold", title_justify="left", box=None, pad_edge=False)
    for name in ("Table", "Rule it broke"):
        grid.add_column(name)
    grid.add_column("Rows", justify="right")
    for row in _counted(rows):
        grid.add_row(row["source_table"], row["rule"].replace("_", " "), f"{row['rule_count']:,}")
    return Group(grid, Text())


def _counted(rows: pa.Table) -> list[Row]:
    counts: list[Row] = rows.group_by(["source_table", "rule"]).aggregate([("rule", "count")]).to_pylist()
    return sorted(counts, key=lambda row: (row["source_table"], -row["rule_count"], row["rule"]))


def _where_next(company: Company, lake: Lake, day: date) -> RenderableType:
    current = _shown(lake.root / "current")
    return Panel(
        Text.assemble(
            "Parquet   ", (f"{current}/customer_segments.parquet", "bold"), "  also segment_profiles, customer_features\n",
            "Try       ", (f"python -c \"import pandas; print(pandas.read_parquet('{current}/customer_segments.parquet'))\"", "bold"), "\n",
            "Checks    ", (f"{_shown(lake.root)}/reports/day={day}/validation.html", "bold"), "\n",
            "Next      ", (f"segments run --company {_shown(company.folder)} --day {day}", "bold"), "  runs this night again",
        ),
        title="Where it is", title_align="left",
    )


def _shown(path: Path) -> str:
    return str(path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path)


def _percent(share: float | None) -> str:
    return "–" if share is None else f"{share:.1%}"

"""The whole summary: every scheme with its segments, and all that is known of what went wrong."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from typing import Any

from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table as Grid
from rich.text import Text

from pipeline.definitions.command_options import command_options
from pipeline.definitions.company import Company
from pipeline.definitions.company_sections import LEVELS
from pipeline.definitions.history import company_on
from pipeline.definitions.schemes import ClusterScheme, Scheme
from pipeline.lake import addresses
from pipeline.lake.lake import Lake
from pipeline.lake.tables import CUSTOMER_FEATURES, CUSTOMER_SEGMENTS, REJECTED_ROWS, SEGMENT_PROFILES
from pipeline.models.refits.prediction_refit import prediction_source_words
from pipeline.publication.gates.results import stored_gates
from pipeline.reporting.applies_to import applies_to_words
from pipeline.reporting.column_warnings import column_warnings
from pipeline.reporting.next_actions import next_action_counts, next_action_grid
from pipeline.reporting.pages import gates_line
from pipeline.reporting.source_notices import source_notices
from pipeline.reporting.summary.headline import headline_text
from pipeline.reporting.summary.where_next import NightPlaces, places_text
from pipeline.reporting.terminal import Terminal
from pipeline.segmentation import clusters_of_night, not_computed_on, schemes_of_night
from pipeline.spelling import printable_line

Row = Mapping[str, Any]
# Up to MOST_ROWS are shown whole: cutting a few more would save less than the line that says so.
MOST_ROWS, SHOWN_ROWS = 15, 12
# In a narrower terminal bars would leave no room for titles, so there are none.
BAR_WIDTH, WIDTH_WITH_BARS = 12, 120


def print_whole_summary(company: Company, lake: Lake, day: date, *, console: Terminal | None = None) -> None:
    """Print what the night of `day` found: customers, rejected rows by rule, segments, and where to go next.

    Schemes are named as the definitions valid on that night have them; `console` is where to print, by default the terminal.
    """
    screen = console or Terminal()
    valid = company_on(lake, company, day)
    for part in _summary_parts(valid, lake, day, bar_width=BAR_WIDTH if screen.width >= WIDTH_WITH_BARS else 0):
        # Commands must stay on one line to be pasted; only grids are made to fit.
        screen.print(part, soft_wrap=isinstance(part, Text))


def _summary_parts(company: Company, lake: Lake, day: date, *, bar_width: int) -> Iterator[RenderableType]:
    heading = Text(f"{company.name} · {day:%A %d %B %Y}")  # a panel takes a plain title for markup
    yield Panel(headline_text(company, lake, day), title=heading, title_align="left", padding=(1, 2))
    profiles = lake.read(SEGMENT_PROFILES, day=day).to_pylist()
    customer_count = lake.row_count(addresses.partition(CUSTOMER_FEATURES, day=day))
    actions = next_action_counts(lake, day)
    if actions:
        titles = {(row["scheme"], row["segment"]): row["title"] for row in profiles}
        yield next_action_grid(actions, titles, customer_count, company.currency)
    schemes, options = schemes_of_night(company, lake, day), command_options(company, lake)
    applies_to = {scheme.name: scheme.applies_to_text for scheme in schemes.schemes if scheme.applies_to_text}
    unclustered = lake.manifest(addresses.partition(CUSTOMER_SEGMENTS, day=day)).get("unclustered", {})
    for name, title, question in _scheme_questions(schemes.schemes, clusters_of_night(company, lake, day)):
        rows = sorted((row for row in profiles if row["scheme"] == name), key=lambda row: row["position"])
        yield _segment_grid(title, question, _largest_segments(rows), company.currency, bar_width)
        if name in applies_to:
            outside = customer_count - sum(row["customer_count"] for row in rows)
            words = applies_to_words(applies_to[name], outside)
            yield Text(f"{words[0].upper()}{words[1:]}.\n", style="dim")
        if len(rows) > MOST_ROWS:
            yield Text(f"and {len(rows) - SHOWN_ROWS} smaller ones: segments catalog --scheme {name}{options}\n", style="dim")
    yield from (Text(f"{warning}\n", style="yellow") for warning in column_warnings(company, lake, day))
    lacking = {**not_computed_on(company, lake, day, schemes=schemes), **unclustered}
    if lacking:
        yield Text("".join(f"{name}: not computed: {reason}\n" for name, reason in lacking.items()))
    yield _rejected_grid(lake, day)
    if notices := source_notices(company, lake, day):
        yield Text("".join(f"{notice}\n" for notice in notices), style="yellow")
    record = stored_gates(lake, day)
    if record:
        yield Text(f"{gates_line(record.results)}\n")
    yield Text(f"Predicted value: {prediction_source_words(lake, day)}\n")
    yield places_text(NightPlaces(company, lake, day))


def _largest_segments(rows: Sequence[Row]) -> Sequence[Row]:
    """Return all rows where they are few, else the largest by customers or by spend: a scheme may have a segment for every region."""
    if len(rows) <= MOST_ROWS:
        return rows
    by_customers = sorted(rows, key=lambda row: (-row["customer_count"], row["position"]))
    by_spend = sorted(rows, key=lambda row: (-row["spend_amount"], row["position"]))
    # The first of either, then the second of either, and so on: who brings much of the money is not hidden by being few.
    taken = list(dict.fromkeys(row["segment"] for pair in zip(by_customers, by_spend, strict=True) for row in pair))[:SHOWN_ROWS]
    return [row for row in by_customers if row["segment"] in taken]


def _scheme_questions(schemes: Sequence[Scheme], clusters: Sequence[ClusterScheme]) -> list[tuple[str, str, str]]:
    """List (name, title, question) of every scheme: what customers do before what they are, then rules, values and clusters."""
    by_kind = sorted(schemes, key=lambda scheme: scheme.kind != "rules")
    # Python sorts stably: within a level, the order by kind stays.
    described: list[Scheme | ClusterScheme] = [*by_kind, *clusters]
    described.sort(key=lambda scheme: (scheme.level != "behavioural", LEVELS.index(scheme.level)))
    return [(scheme.name, scheme.title, scheme.question) for scheme in described]


def _segment_grid(title: str, question: str, rows: Sequence[Row], currency: str, bar_width: int) -> RenderableType:
    grid = Grid(
        title=Text.assemble((title, "bold"), f"  {question}"),
        title_justify="left",
        title_style="",
        box=None,
        pad_edge=False,
        collapse_padding=True,
    )
    grid.add_column("Segment", width=42 if bar_width else 24, overflow="fold")
    for name, width in (
        ("Customers", 9),
        ("Share", 6),
        ("", bar_width),
        (f"Spend {currency}", 14),
        ("Share", 6),
        ("", bar_width),
        ("Last order", 11),
    ):
        if width:
            grid.add_column(name, justify="right" if name else "left", no_wrap=True, width=width)
    for row in rows:
        cells = (cell for cell in _segment_cells(row, bar_width) if cell is not None)
        grid.add_row(*cells, style="dim" if row["customer_count"] == 0 else "")
    return Group(grid, Text())


def _segment_cells(row: Row, bar_width: int) -> tuple[RenderableType | None, ...]:
    recency = row["mean_recency_days"]
    return (
        printable_line(row["title"]),
        f"{row['customer_count']:,}",
        _percent_text(row["customer_share"]),
        _share_bar(row["customer_share"], "cyan", bar_width),
        f"{row['spend_amount']:,.0f}",
        _percent_text(row["spend_share"]),
        _share_bar(row["spend_share"], "yellow", bar_width),
        "-" if recency is None else f"{recency:,.0f} d ago",
    )


def _share_bar(share: float | None, color: str, width: int) -> Text | None:
    if not width:
        return None
    # A share is negative where a segment's refunds exceed what it bought.
    eighths = round(max(share or 0, 0) * width * 8)
    return Text("█" * (eighths // 8) + " ▏▎▍▌▋▊▉"[eighths % 8].strip(), style=color)


def _rejected_grid(lake: Lake, day: date) -> RenderableType:
    rows = lake.read(REJECTED_ROWS, day=day).select(["source_table", "rule"]) if day in lake.nights(REJECTED_ROWS) else None
    if rows is None or rows.num_rows == 0:
        return Text("No row was rejected.\n")
    grid = Grid(
        title=f"Rejected rows: {rows.num_rows:,}", title_style="bold", title_justify="left", box=None, pad_edge=False, collapse_padding=True
    )
    for name in ("Table", "Rule it broke"):
        grid.add_column(name)
    grid.add_column("Rows", justify="right")
    counts: list[Row] = rows.group_by(["source_table", "rule"]).aggregate([("rule", "count")]).to_pylist()
    for row in sorted(counts, key=lambda row: (row["source_table"], -row["rule_count"], row["rule"])):
        grid.add_row(row["source_table"], row["rule"].replace("_", " "), f"{row['rule_count']:,}")
    return Group(grid, Text())


def _percent_text(share: float | None) -> str:
    return "-" if share is None else f"{share:.1%}"

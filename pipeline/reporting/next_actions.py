"""What to do next, in sum: how many customers each card is the next action of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

import pyarrow as pa
from rich.console import Group, RenderableType
from rich.table import Table as Grid
from rich.text import Text

from pipeline.lake.lake import Lake
from pipeline.lake.tables import CUSTOMER_NEXT_ACTIONS

SHOWN_ROWS = 12


@dataclass(frozen=True, slots=True)
class NextActionCount:
    """How many customers the card of a segment is the next action of, and what is at stake with them."""

    scheme: str
    segment: str
    priority: int
    customer_count: int
    stake_amount: Decimal


def next_action_counts(lake: Lake, day: date) -> list[NextActionCount]:
    """Count the next actions of a night by the card that they are, the one of most customers first; none of a night without any."""
    if not lake.has(CUSTOMER_NEXT_ACTIONS, day=day):
        return []
    rows: pa.Table = lake.read_columns(CUSTOMER_NEXT_ACTIONS, ["scheme", "segment", "priority", "stake_amount"], day=day)
    counted: Sequence[Mapping[str, Any]] = (
        rows.group_by(["scheme", "segment", "priority"]).aggregate([("stake_amount", "sum"), ("scheme", "count")]).to_pylist()
    )
    counts = [NextActionCount(r["scheme"], r["segment"], r["priority"], r["scheme_count"], r["stake_amount_sum"]) for r in counted]
    # All the way to the segment, as group_by of pyarrow promises no order of groups.
    return sorted(counts, key=lambda each: (-each.customer_count, each.priority, each.scheme, each.segment))


def next_action_grid(
    counts: Sequence[NextActionCount], titles: Mapping[tuple[str, str], str], customer_count: int, currency: str
) -> RenderableType:
    """Show the cards by how many customers they are for, and how many of all `customer_count` have none."""
    heading = Text.assemble(("Next actions", "bold"), "  What to do next about each customer?")
    grid = Grid(title=heading, title_justify="left", title_style="", box=None, pad_edge=False, collapse_padding=True)
    grid.add_column("Card", width=24, overflow="fold")
    grid.add_column("Scheme", overflow="fold")
    for name in ("Priority", "Customers", "Share", f"At stake {currency}"):
        grid.add_column(name, justify="right", no_wrap=True)
    for each in counts[:SHOWN_ROWS]:
        title = titles.get((each.scheme, each.segment), each.segment)
        share = f"{each.customer_count / customer_count:.1%}"
        grid.add_row(title, each.scheme, str(each.priority), f"{each.customer_count:,}", share, f"{each.stake_amount:,.0f}")
    others = [f"and {len(counts) - SHOWN_ROWS} more cards"] if len(counts) > SHOWN_ROWS else []
    without = customer_count - sum(each.customer_count for each in counts)
    if without:
        who = "1 customer has none: not to be written to" if without == 1 else f"{without:,} customers have none: not to be written to"
        others.append(f"{who}, departed, or no card fits")
    return Group(grid, Text("\n".join([*others, ""]) if others else "", style="dim"))

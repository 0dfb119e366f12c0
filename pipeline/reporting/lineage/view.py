"""A lineage for the terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.box import SIMPLE_HEAD
from rich.console import RenderableType
from rich.table import Table as Grid
from rich.text import Text

from pipeline.reporting.lineage import Lineage
from pipeline.reporting.lineage.words import USE_WORDS
from pipeline.reporting.terminal import print_parts


def print_lineage(lineage: Lineage) -> None:
    """Print where something comes from, and what breaks where it goes."""
    print_parts(render(lineage))


def render(lineage: Lineage) -> Iterator[RenderableType]:
    """Yield what to print: where it comes from, then who uses it."""
    columns = ", ".join(str(field) for field in lineage.fields)
    yield Text.assemble((lineage.name, "bold"), f": {lineage.kind}", f" {columns}" if columns else "", "\n", lineage.description, "\n")
    if lineage.sources:
        yield _render_steps(lineage)
        yield _render_sources(lineage)
        yield _names_line("These only choose which rows count", [str(source.field) for source in lineage.sources if not source.is_value])
    if lineage.is_source:
        yield _render_loss(lineage)
    elif lineage.fields and lineage.features != (lineage.name,):
        yield _names_line("Features that change with it", lineage.features)
    yield _render_uses(lineage)


def _render_steps(lineage: Lineage) -> Grid:
    grid = _titled_grid("Comes from", "Table", "Columns that are read")
    if not lineage.fields:
        # A scheme or segment is no column: its way begins with the features that decide it.
        grid.add_row("customer_features", ", ".join(lineage.features))
    for table, columns in lineage.steps:
        grid.add_row(table, ", ".join(columns))
    return grid


def _render_sources(lineage: Lineage) -> Grid:
    grid = _titled_grid("Columns of sources", "Column", "Needed", "Meaning")
    for source in lineage.sources:
        if source.is_value:
            needed = "every night" if source.is_required else "optional"
            grid.add_row(str(source.field), needed, Text.assemble(source.description, *_expression_lines(source.given_by)))
    return grid


def _expression_lines(expression: str | None) -> Iterator[tuple[str, str]]:
    if expression is not None:
        yield (f"\n= {expression}", "dim") if expression else ("\nThe company's query does not give it.", "yellow")


def _render_loss(lineage: Lineage) -> Text:
    loss = (
        Text("Without it no night can run: the last good one stays live.\n", style="red")
        if lineage.is_required
        else Text("It is optional: without it nights go on as if it were empty everywhere.\n", style="yellow")
    )
    for field, expression in zip(lineage.fields, lineage.given_by, strict=True):
        for text, style in _expression_lines(expression):
            loss.append(f"{field} {text.strip()}\n", style=style)
    loss.append_text(_names_line("Features that change with it", lineage.features))
    if lineage.chosen_features:
        loss.append_text(_names_line("Features for which it chooses the rows that count", lineage.chosen_features))
    return loss


def _names_line(what: str, names: Sequence[str]) -> Text:
    return Text.assemble((f"{what}: ", "bold"), ", ".join(names) or "none", "\n")


def _render_uses(lineage: Lineage) -> RenderableType:
    what = "Schemes that refer to it" if not lineage.fields else "Schemes that break without it" if lineage.is_source else "Used by"
    if not lineage.uses:
        return _names_line(what, ())
    grid = _titled_grid(what, "Scheme", "How", "Segments")
    for use in lineage.uses:
        words = [f"{USE_WORDS[way]} {', '.join(use.through)}" if way == "reference" else USE_WORDS[way] for way in use.ways]
        # What is only shown as evidence decides about no segment.
        segments = ", ".join(use.segments) or ("-" if use.ways == ("evidence",) else "all")
        grid.add_row(use.scheme, ", ".join(words), segments)
    return grid


def _titled_grid(title: str, *columns: str) -> Grid:
    grid = Grid(title=title, title_justify="left", title_style="bold", box=SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    for place, name in enumerate(columns):
        grid.add_column(name, overflow="fold", no_wrap=not place)
    return grid

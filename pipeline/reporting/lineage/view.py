"""A lineage for the terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.box import SIMPLE_HEAD
from rich.console import Console, RenderableType
from rich.table import Table as Grid
from rich.text import Text

from pipeline.reporting.catalog import WAYS
from pipeline.reporting.lineage import Lineage, Use


def print_lineage(lineage: Lineage) -> None:
    """Print where something comes from, and what breaks where it goes."""
    console = Console(highlight=False, markup=False, emoji=False)
    for part in render(lineage):
        console.print(part)


def render(lineage: Lineage) -> Iterator[RenderableType]:
    """Yield what to print: where it comes from, then who uses it."""
    columns = ", ".join(str(field) for field in lineage.fields)
    yield Text.assemble((lineage.name, "bold"), f": {lineage.kind}", f" {columns}" if columns else "", "\n", lineage.description, "\n")
    if lineage.sources:
        yield _steps(lineage)
        yield _sources(lineage)
        yield _named("These only choose which rows count", [str(source.field) for source in lineage.sources if not source.is_value])
    if lineage.is_source:
        yield _loss(lineage)
    elif lineage.fields and lineage.features != (lineage.name,):
        yield _named("Features that change with it", lineage.features)
    yield _uses(lineage)


def _steps(lineage: Lineage) -> Grid:
    grid = _grid("Comes from", "Table", "Columns that are read")
    if not lineage.fields:
        grid.add_row("customer_features", ", ".join(lineage.features))
    for table, columns in lineage.steps:
        grid.add_row(table, ", ".join(columns))
    return grid


def _sources(lineage: Lineage) -> Grid:
    grid = _grid("Columns of sources", "Column", "Needed", "Meaning")
    for source in lineage.sources:
        if source.is_value:
            needed = "every night" if source.is_required else "optional"
            grid.add_row(str(source.field), needed, Text.assemble(source.description, *_given(source.given_by)))
    return grid


def _given(expression: str | None) -> Iterator[tuple[str, str]]:
    if expression is not None:
        yield (f"\n= {expression}", "dim") if expression else ("\nThe company's query does not give it.", "yellow")


def _loss(lineage: Lineage) -> Text:
    loss = (
        Text("Without it no night can run: the last good one stays live.\n", style="red")
        if lineage.is_required
        else Text("It is optional: without it nights go on as if it were empty everywhere.\n", style="yellow")
    )
    for field, expression in zip(lineage.fields, lineage.given_by, strict=True):
        for text, style in _given(expression):
            loss.append(f"{field} {text.strip()}\n", style=style)
    loss.append_text(_named("Features that change with it", lineage.features))
    if lineage.chosen_features:
        loss.append_text(_named("Features for which it chooses the rows that count", lineage.chosen_features))
    return loss


def _named(what: str, names: Sequence[str]) -> Text:
    return Text.assemble((f"{what}: ", "bold"), ", ".join(names) or "none", "\n")


def _uses(lineage: Lineage) -> RenderableType:
    what = "Schemes that refer to it" if not lineage.fields else "Schemes that break without it" if lineage.is_source else "Used by"
    if not lineage.uses:
        return _named(what, ())
    grid = _grid(what, "Scheme", "How", "Segments")
    for use in lineage.uses:
        grid.add_row(use.scheme, _ways(use), _segments(use))
    return grid


def _ways(use: Use) -> str:
    words = [f"{WAYS[way]} {', '.join(use.through)}" if way == "reference" else WAYS[way] for way in use.ways]
    return ", ".join(words)


def _segments(use: Use) -> str:
    return ", ".join(use.segments) or ("-" if use.ways == ("evidence",) else "all")


def _grid(title: str, *columns: str) -> Grid:
    grid = Grid(title=title, title_justify="left", title_style="bold", box=SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    for place, name in enumerate(columns):
        grid.add_column(name, overflow="fold", no_wrap=not place)
    return grid

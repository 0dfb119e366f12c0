"""A refit in the terminal: what was tried, what would become of the clusters, what it was measured by, and the verdict."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from rich.console import RenderableType
from rich.table import Table as Grid
from rich.text import Text

from pipeline.models.refits.model_store import Judgement
from pipeline.models.refits.verdict import RefitVerdict
from pipeline.reporting.terminal import Terminal

STYLES = {
    RefitVerdict.PROMOTE: "bold green",
    RefitVerdict.KEEP: "green",
    RefitVerdict.ASK: "bold yellow",
    RefitVerdict.REFUSE: "bold red",
    RefitVerdict.NO_CLUSTERS: "bold red",
}
VERDICT_WORDS = {
    RefitVerdict.PROMOTE: "good enough to be promoted",
    RefitVerdict.KEEP: "as the current model",
    RefitVerdict.ASK: "for a person to decide, the current model stays until then",
    RefitVerdict.REFUSE: "refused, the current model stays",
    RefitVerdict.NO_CLUSTERS: "no clusters, the current model stays",
}
WIDEST_BAR = 16
FOLDED, RIGHT = ("Title", "What it says"), ("Now", "Then", "Silhouette", "Gap", "Jaccard", "Smallest", "Largest", "Tried")
Row = Mapping[str, Any]


def print_refits(judgements: Iterable[Judgement]) -> None:
    """Print refits one after the other."""
    console = Terminal()
    for judgement in judgements:
        for part in render(judgement):
            console.print(part)


def render(judgement: Judgement) -> Iterator[RenderableType]:
    """Yield what to print of one refit."""
    verdict = RefitVerdict(judgement["verdict"])
    head = (judgement["scheme"], "bold"), f"  candidate of {judgement['day']}: ", (VERDICT_WORDS[verdict], STYLES[verdict])
    yield Text.assemble(*head, f"\n{judgement['reason']}")
    if judgement["clusters"]:
        yield _clusters_grid(judgement["clusters"], is_first=judgement["current"] is None)
    for event in judgement["events"]:
        yield Text(f"{event['change']}: {event['words']}", style="yellow")
    if judgement["measures"]:
        yield _measures_grid(judgement["measures"])
    if judgement["tried"]:
        yield _trials_grid(judgement["tried"])


def _figures_grid(*names: str, title: str) -> Grid:
    grid = Grid(title=f"\n{title}", title_style="bold", title_justify="left", box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for name in names:
        grid.add_column(name, no_wrap=name not in FOLDED, overflow="fold", justify="right" if name in RIGHT else "left")
    return grid


def _clusters_grid(sizes: Sequence[Row], *, is_first: bool) -> Grid:
    grid = _figures_grid("Cluster", "Title", "Now", "Then", "", title="Clusters")
    # Relative to the largest cluster: with many clusters, bars of plain shares would all be short.
    widest = max(size["share_then"] for size in sizes) or 1
    for size in sizes:
        bar = "█" * round(WIDEST_BAR * size["share_then"] / widest)
        now = "-" if is_first or not size["share_now"] else f"{size['share_now']:.1%}"
        then = f"{size['share_then']:.1%}" if size["share_then"] else "-"
        grid.add_row(size["cluster"], size["title"], now, then, Text(bar, style="cyan"))
    return grid


def _measures_grid(measures: Row) -> Grid:
    grid = _figures_grid("Measure", "Now", "Then", "What it says", title="Beside the current model")
    grid.add_row("customers who move", "", f"{measures['moved_share']:.2%}", "share that gets another cluster")
    grid.add_row("stability", "", f"{measures['stability']:.3f}", "adjusted Rand index: 1 where both group alike")
    grid.add_row("shift of sizes", "", f"{measures['psi']:.3f}", "population stability index: above 0.25 is large")
    grid.add_row("silhouette", f"{measures['silhouette_now']:.3f}", f"{measures['silhouette']:.3f}", "1 is wholly apart, 0 is not")
    if test := measures["backtest"]:
        words = f"Gini, {test['days']} days after {test['day']}; by last year's spend {test['naive']:.3f}"
        grid.add_row("spend told apart", f"{test['now']:.3f}", f"{test['then']:.3f}", words)
    else:
        grid.add_row("spend told apart", "-", "-", f"not measured: {measures['backtest_missing']}")
    return grid


def _trials_grid(trials: Sequence[Row]) -> Grid:
    grid = _figures_grid(
        "Tried", "Silhouette", "Gap", "Jaccard", "Smallest", "Largest", "What it says", title="Numbers of clusters that were tried"
    )
    # The chosen number first, then the refused ones from the best silhouette down; those never measured come last.
    for trial in sorted(trials, key=lambda trial: (bool(trial["refusal"]), -(trial["silhouette"] or -1))):
        figures = ("-" if trial[name] is None else f"{trial[name]:.3f}" for name in ("silhouette", "gap", "jaccard"))
        refusal = Text(trial["refusal"], style="dim") if trial["refusal"] else Text("chosen", style="green")
        grid.add_row(str(trial["count"]), *figures, f"{trial['smallest_share']:.1%}", f"{trial['largest_share']:.1%}", refusal)
    return grid

"""The status of a lake in the terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.console import RenderableType
from rich.table import Table as Grid
from rich.text import Text

from pipeline.publication.gates import GateResult, GateState
from pipeline.publication.iceberg import RegisteredTables
from pipeline.reporting.status.status import LakeStatus, NewestNight, NightState
from pipeline.reporting.terminal import print_parts

# In the order in which gates are listed: those that need somebody come first.
COLORS = {
    GateState.CLOSED: "bold red",
    GateState.OVERRIDDEN: "yellow",
    GateState.OPEN: "green",
    GateState.NOT_MEASURED: "dim",
    GateState.OFF: "dim",
}
FEW_DAYS = 5


def print_status(status: LakeStatus) -> None:
    """Print the status."""
    print_parts(render(status))


def render(status: LakeStatus) -> Iterator[RenderableType]:
    """Yield what to print, the most urgent first."""
    yield _status_rows(status)
    if status.newest and status.newest.gates:
        yield _gates_cell(status.newest.gates)


def _status_rows(status: LakeStatus) -> Grid:
    grid = Grid(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    grid.add_column(style="bold", no_wrap=True)
    grid.add_column(overflow="fold")
    late_days = [str(day) for day in status.late_days]
    reread = f"segments run --since {min(late_days)}{status.command_options}" if late_days else ""
    for name, value in (
        ("Newest night", _newest_night_cell(status.newest)),
        ("Live", _live_cell(status)),
        ("Due", Text(f"{status.due} is not live" if status.is_due else "-", style="bold red" if status.is_due else "")),
        ("Rollback leads to", (status.live and status.live.previous) or "-"),
        ("Iceberg", _catalogue_cell(status.catalogue)),
        ("Events", "\n".join(event.words for event in status.events) or "-"),
        (
            "Late days",
            f"{_first_few(late_days)}; to read them: {reread}" if late_days else "-",
        ),
        ("Misdated", Text("\n".join(status.misdated) or "-", style="yellow" if status.misdated else "")),
        ("Restated", _first_few([f"{day} as of {known}" for day, known in status.restated_nights])),
        ("Refit asked for", Text("\n".join(status.requested_refits) or "-", style="yellow" if status.requested_refits else "")),
        ("Predicted value", status.predictions or "-"),
        ("Audiences", "\n".join(status.audiences) or "-"),
        ("Size", ", ".join(f"{name} {size / 1_000_000:,.1f} MB" for name, size in status.sizes.items() if size) or "-"),
    ):
        grid.add_row(name, value)
    return grid


def _newest_night_cell(newest: NewestNight | None) -> Text:
    if newest is None:
        return Text("no night was run yet")
    style = "green" if newest.outcome is NightState.LIVE else "bold red"
    return Text.assemble(f"{newest.day}  ", (newest.outcome.words, style), *(f"\n{rule}" for rule in newest.broken_rules))


def _live_cell(status: LakeStatus) -> str:
    if status.live is None:
        return "nothing is published"
    rows = ", ".join(f"{count:,} {name}" for name, count in sorted(status.live.row_counts.items()))
    return f"{status.live.day}  {status.live.publication_id}\n{rows}"


def _catalogue_cell(catalogue: RegisteredTables | None) -> Text:
    if catalogue is None:
        return Text("-")
    return Text(catalogue.words, style="" if catalogue.is_in_step else "yellow")


def _gates_cell(gates: Sequence[GateResult]) -> Grid:
    grid = Grid(title="\nGates of that night", title_style="bold", title_justify="left", box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for name in ("State", "Gate", "Of"):
        grid.add_column(name, no_wrap=True)
    grid.add_column("What was measured", overflow="fold")
    for gate in sorted(gates, key=lambda gate: list(COLORS).index(gate.state)):
        words = f"{gate.words}; overridden: {gate.reason}" if gate.reason else gate.words
        grid.add_row(Text(gate.state, style=COLORS[gate.state]), gate.gate, gate.subject, Text(words))
    return grid


def _first_few(items: Sequence[str]) -> str:
    rest = len(items) - FEW_DAYS
    return ", ".join(items[:FEW_DAYS]) + (f" and {rest:,} more" if rest > 0 else "") or "-"

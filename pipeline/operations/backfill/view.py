"""A backfill in the terminal: the plan, the progress, what changed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from rich.console import RenderableType
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table as Grid

from pipeline.lake.lake import Lake
from pipeline.operations.backfill import BackfillPlan, BackfillReport, PlannedNight
from pipeline.operations.backfill.changes import ComparedNight, changed_nights
from pipeline.operations.backfill.night import StageResult
from pipeline.operations.backfill.plan import Stage
from pipeline.publication.publish import current_publication
from pipeline.reporting.terminal import Terminal

MOST_COLUMNS = 12  # of schemes and audiences, in the grid of what changed
VERBS: dict[Stage, str] = {
    "read": "read and checked",
    "features": "described",
    "segments": "segmented",
    "audit": "audited",
    "publish": "audited, published",
}


def print_plan(plan: BackfillPlan) -> None:
    """Print what would be done to each night."""
    Terminal().print(render_plan(plan))


def render_plan(plan: BackfillPlan) -> Grid:
    """Return a row per night."""
    grid = Grid("Day", "As known on", "Source", "Compute", "Publish", title="Nothing is done: this is a dry run", title_justify="left")
    for night in plan.nights:
        computed = ", ".join(stage for stage in ("features", "segments") if stage in night.stages)
        grid.add_row(str(night.day), str(night.known_on), _source_words(night), computed, "yes" if "publish" in night.stages else "-")
    return grid


def _source_words(night: PlannedNight) -> str:
    if night.since:
        return f"read again from {night.since}"
    if "read" not in night.stages:
        return "-"
    return "already read" if night.is_read else "read"


class ProgressBars:
    """Shows progress on standard error: bars in a terminal, a line per night elsewhere."""

    def __init__(self, bars: Progress) -> None:
        self._bars, self._printed = bars, set[str]()
        self._bar = TaskID(0)
        self.total = self.done_count = 0

    def begin_stage(self, stage: Stage, *, total: int, done: int) -> None:
        """Start the bar of a stage."""
        self.total, self.done_count = self.total + total, self.done_count + done
        if total:
            self._bar = self._bars.add_task(VERBS[stage], total=total, completed=done)

    def end_night(self, result: StageResult) -> None:
        """Move the bar on by one night."""
        # A failed night moves the bar, so that it ends full, but counts as not done.
        self.done_count += result.failure is None
        self._bars.advance(self._bar)
        # In a log bars would be drawn anew on every line.
        if not self._bars.console.is_terminal:
            what = "failed" if result.failure else VERBS[result.stage]
            bar = self._bars.tasks[self._bar]
            self.print_line(f"[{bar.completed:.0f}/{bar.total:.0f}] {result.day} {what} in {result.seconds:.1f} s")

    def print_line(self, text: str) -> None:
        """Print a line above the bars; the same line only once, as each of a hundred nights may warn of the same thing."""
        if text not in self._printed:
            self._printed.add(text)
            self._bars.console.print(text, soft_wrap=True)


@contextmanager
def showing_progress() -> Iterator[ProgressBars]:
    """Yield progress bars on standard error for the time of the block."""
    console = Terminal(stderr=True)
    columns = (
        TextColumn("{task.description:16}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, disable=not console.is_terminal) as bars:
        yield ProgressBars(bars)


def print_report(report: BackfillReport, lake: Lake, plan: BackfillPlan) -> None:
    """Print what a backfill did."""
    console = Terminal()
    for part in render_report(report, lake, plan):
        console.print(part, soft_wrap=isinstance(part, str))


def render_report(report: BackfillReport, lake: Lake, plan: BackfillPlan) -> Iterator[RenderableType]:
    """Yield what to print: what changed, what was published, and which nights failed and why."""
    changed = changed_nights(report)
    if changed:
        yield _changes_grid(changed)
    yield _summary_words(report, plan, changed)
    yield _published_words(report, lake)
    for result in report.failures:
        if result.failure:
            yield f"\n{result.day} was not {VERBS[result.stage]}\n{result.failure.message}"
    if report.failures:
        yield "\nThe same command tries the failed nights again."


def _changes_grid(changed: Sequence[ComparedNight]) -> Grid:
    moved = Counter[str]()
    for _, _, difference in changed:
        moved.update(difference.moved)
    # A company may have a thousand audiences: those with the most moves, then all others together.
    schemes = sorted(name for name, _ in sorted(moved.items(), key=lambda each: (-each[1], each[0]))[:MOST_COLUMNS])
    others = moved.keys() - set(schemes)
    grid = Grid("Day", "Against", title="What changed", title_justify="left")
    words = [f"Moved in {scheme}" for scheme in schemes] + ([f"Moved in {len(others):,} others"] if others else [])
    for name in ("New", "Gone", "Changed", *words, "Spend"):
        grid.add_column(name, justify="right")
    for result, against, difference in changed:
        counts = [difference.customers_added, difference.customers_removed, difference.customers_changed]
        counts += [difference.moved.get(scheme, 0) for scheme in schemes]
        counts += [sum(count for name, count in difference.moved.items() if name in others)] if others else []
        grid.add_row(str(result.day), against, *(f"{count:,}" for count in counts), f"{difference.spend_amount:+,.2f}")
    return grid


def _summary_words(report: BackfillReport, plan: BackfillPlan, changed: Sequence[ComparedNight]) -> str:
    done = {(result.day, result.known_on) for result in report.results}.difference((each.day, each.known_on) for each in report.failures)
    # By night and not by stage: one night has several, and only some are compared.
    different = {(result.day, result.known_on) for result, _, _ in changed}
    compared = {(result.day, result.known_on) for result in report.results if result.differences}
    return (
        f"{len(done):,} of {len(plan.nights):,} nights done: {len(different & done):,} differ from what was there, "
        f"{len((compared - different) & done):,} do not, {len(done - compared):,} are new."
    )


def _published_words(report: BackfillReport, lake: Lake) -> str:
    days = [result.day for result in report.results if result.stage == "publish"]
    current = current_publication(lake)
    live = f"{current.publication_id} is live." if current else "Nothing is live."
    return f"Nights published: {len(days):,}. {live}"

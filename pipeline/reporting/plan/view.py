"""A plan for the terminal."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import RenderableType
from rich.table import Table as Grid
from rich.text import Text

from pipeline.reporting.plan import SchemePlan, SegmentFlow, SegmentPlan
from pipeline.reporting.terminal import print_parts
from pipeline.spelling import printable_line


def print_plan(plan: SegmentPlan) -> None:
    """Print the plan."""
    print_parts(render(plan))


def render(plan: SegmentPlan) -> Iterator[RenderableType]:
    """Yield what to print: the plan as a whole, then scheme by scheme."""
    yield Text.assemble(("Plan ", "bold"), (plan.plan_id, "bold cyan"), f" over the customers of {plan.day} ({plan.publication_id})")
    for name in plan.settings_changed:
        yield Text(f"`{name}` changed too: what that does shows only once a night has run.", style="yellow")
    yield from (Text(f"{each}.", style="yellow") for each in (*plan.unmet, *plan.left_out))
    yield from (Text(f"{name}: not computed: {reason}", style="dim") for name, reason in plan.not_computed.items())
    if plan.changes.is_nothing:
        yield Text("Nothing would change.", style="green")
        return
    for what, names in (("New", plan.changes.added), ("Gone", plan.changes.removed), ("Worded otherwise", plan.changes.worded_otherwise)):
        if names:
            yield Text(f"{what}: {', '.join(names)}")
    for scheme in plan.schemes:
        yield Text()
        yield _segment_grid(scheme)
        if scheme.messages:
            yield _message_grid(scheme)
        if scheme.moving_flows:
            yield _move_grid(scheme)
        if scheme.sample:
            yield _sample_grid(scheme)
        if scheme.downstream:
            yield Text(f"Changes with it: {', '.join(scheme.downstream)}", style="yellow")
    yield Text()
    moved = sum(flow.customer_count for scheme in plan.schemes for flow in scheme.moving_flows)
    yield Text(f"{moved:,} memberships would change, {plan.write_count:,} rows would be sent to a CRM.", style="bold")
    yield Text("Next actions follow segments and cards: which of them change shows once it is applied.", style="dim")
    yield Text(f"To make it so: {plan.applied_by or f'segments apply {plan.plan_id}'}", style="dim")


def _segment_grid(scheme: SchemePlan) -> Grid:
    grid = Grid(
        title=Text.assemble((scheme.title, "bold"), f"  {scheme.scheme}"), title_justify="left", title_style="", box=None, pad_edge=False
    )
    grid.add_column("Audience" if scheme.is_audience else "Segment")
    for name in ("Priority", "Now", "Entering", "Leaving", "Then", "Spend moved"):
        grid.add_column(name, justify="right", no_wrap=True)
    for segment in scheme.segments:
        named = f"{segment}  {scheme.titles[segment]}" if segment in scheme.titles else segment
        grid.add_row(printable_line(named), *_count_cells(scheme, segment))
    if scheme.applies_to:
        grid.add_row("(not in it)" if scheme.is_audience else "(does not apply)", *_count_cells(scheme, None), style="dim")
    return grid


def _message_grid(scheme: SchemePlan) -> Grid:
    grid = Grid(box=None, pad_edge=False)
    grid.add_column("Card", no_wrap=True)
    grid.add_column("", overflow="fold")
    for segment, message in scheme.messages.items():
        grid.add_row(printable_line(segment), printable_line(message))
    return grid


def _count_cells(scheme: SchemePlan, segment: str | None) -> Iterator[RenderableType]:
    entering = [flow for flow in scheme.moving_flows if flow.to_segment == segment]
    leaving = [flow for flow in scheme.moving_flows if flow.from_segment == segment]
    now = _customer_total([flow for flow in scheme.flows if flow.from_segment == segment])
    came, went = _customer_total(entering), _customer_total(leaving)
    moved = sum(flow.spend_amount for flow in entering) - sum(flow.spend_amount for flow in leaving)
    yield str(scheme.priorities.get(segment, "-")) if segment else "-"
    yield f"{now:,}"
    yield Text(f"+{came:,}" if came else "-", style="green" if came else "dim")
    yield Text(f"-{went:,}" if went else "-", style="red" if went else "dim")
    yield f"{now + came - went:,}"
    yield f"{moved:+,.2f}" if moved else "-"


def _customer_total(flows: list[SegmentFlow]) -> int:
    return sum(flow.customer_count for flow in flows)


def _move_grid(scheme: SchemePlan) -> Grid:
    grid = Grid(box=None, pad_edge=False)
    for name in ("From", "", "To"):
        grid.add_column(name)
    for name in ("Customers", "Spend"):
        grid.add_column(name, justify="right", no_wrap=True)
    # The largest flows first; names only make the order of equal ones the same every time.
    for flow in sorted(scheme.moving_flows, key=lambda flow: (-flow.customer_count, str(flow.from_segment), str(flow.to_segment))):
        came_from, goes_to = (printable_line(name or "(none)") for name in (flow.from_segment, flow.to_segment))
        grid.add_row(came_from, ">", goes_to, f"{flow.customer_count:,}", f"{flow.spend_amount:,.2f}")
    return grid


def _sample_grid(scheme: SchemePlan) -> Grid:
    grid = Grid(box=None, pad_edge=False)
    for name in ("Customer", "From", "To", "Because"):
        grid.add_column(name, overflow="fold")
    for mover in scheme.sample:
        names = (mover.customer_id, mover.from_segment or "(none)", mover.to_segment or "(none)")
        grid.add_row(*map(printable_line, names), mover.reason)
    return grid

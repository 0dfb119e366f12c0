"""A plan of a campaign for the terminal."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from shlex import join

from rich.console import RenderableType
from rich.table import Table as Grid
from rich.text import Text

from pipeline.definitions.campaigns import EVERYBODY
from pipeline.measurement.planning import CampaignPlan
from pipeline.reporting.terminal import Terminal

REASONS = {
    "left_out": "said no, or are gone",
    "holdout": "are held out of all campaigns",
    "other_campaign": "are in another campaign at the same time",
}
_VERBS = {"ordered": "ordered", "visited": "visited", "spend": "spent anything"}
_METRICS = {"ordered": "customers who order", "visited": "customers who visit", "spend": "spend per customer"}


def print_plan(plan: CampaignPlan, *, started_by: tuple[Path, Path, str] | None) -> None:
    """Print a plan with the command that starts it, by file, company and lake; None where it was started."""
    screen = Terminal()
    for part in render(plan, started_by=started_by):
        # Sentences are made to fit; a command must stay on one line to be pasted.
        screen.print(part, soft_wrap=isinstance(part, Text) and part.plain.startswith(_START))


_START = "segments campaign start"


def render(plan: CampaignPlan, *, started_by: tuple[Path, Path, str] | None) -> Iterator[RenderableType]:
    """Yield what to print."""
    count = sum(arm.customer_count for arm in plan.arms)
    yield Text.assemble((f"{plan.title}: ", "bold"), (f"{count:,} customers", "bold cyan"), f" of the night of {plan.night}")
    days = f"{plan.day_count} days, {plan.start_day} to {plan.end_day}"
    looks = f", and at {plan.look_count - 1} looks before" if plan.look_count > 1 else ""
    yield Text(f"{days}; results with the night of {plan.due_date}{looks}.")
    for reason, excluded in plan.excluded.items():
        yield Text(f"{excluded:,} more of the audience {REASONS[reason]}: they take no part.")
    yield _arm_grid(plan, count)
    yield Text(f"Drawn in {plan.stratum_count:,} strata: segments of {plan.scheme}, by tenths of spend.", style="dim")
    yield from map(Text, effect_sentences(plan))
    if started_by is None:
        yield Text("Started: who is in which arm is stored, and stays so.")
        return
    if plan.refusal:
        yield Text(f"It cannot be started: {plan.refusal.what}. {plan.refusal.todo}")
        return
    file, company, lake = map(str, started_by)
    yield Text("Nothing was written. To draw the arms once and for all:")
    yield Text(f"{_START} {join([file, '--company', company, '--lake', lake])}")


def effect_sentences(plan: CampaignPlan) -> Iterator[str]:
    """Yield what effects the campaign could show at all."""
    words = _METRICS[plan.primary_metric]
    if plan.metric_value == 0:
        # Most likely they are in the audience for doing nothing; what they will do is another matter.
        did, when = _VERBS[plan.primary_metric], f"after {plan.reckoned_from}" if plan.reckoned_from else "before"
        yield f"None of them {did} in the {plan.day_count} days {when}, so what it could show is not known."
        return
    if plan.reckoned_from:
        yield f"Reckoned from what the same audience of {plan.reckoned_from} did in the {plan.day_count} days after it."
    else:
        caution = "" if plan.audience == EVERYBODY else ", which is too little where customers are in the audience for not ordering lately"
        yield f"Reckoned from what they did in the last {plan.day_count} days{caution}."
    if plan.visible_value is None or plan.visible_lift is None:
        yield f"It could show no effect on {words} at all: too few customers."
    else:
        number = "{:,.2f}" if plan.primary_metric == "spend" else "{:.2%}"
        yield (
            f"It can show a lift of {words} of {plan.visible_lift:.0%} or more: "
            f"from {number.format(plan.metric_value)} to {number.format(plan.visible_value)}."
        )
    if not plan.can_tell_spend:
        yield (
            f"Spend could not be told: of the smaller arm about {plan.expected_buyers:,.0f} would buy, "
            f"and it takes {plan.needed_buyers}. Let it have 20 % or more of a larger audience, or run longer."
        )
    elif plan.primary_metric != "spend" and plan.visible_spend_lift is not None:
        yield f"Of spend per customer it can show a lift of {plan.visible_spend_lift:.0%} or more, from {plan.spend_value:,.2f} on."


def _arm_grid(plan: CampaignPlan, count: int) -> Grid:
    grid = Grid(box=None, pad_edge=False)
    grid.add_column("Arm")
    grid.add_column("Customers", justify="right")
    grid.add_column("Share", justify="right")
    for arm in plan.arms:
        name = f"{arm.name} (control)" if arm.is_control and arm.name != "control" else arm.name
        grid.add_row(name, f"{arm.customer_count:,}", f"{arm.customer_count / count:.1%}" if count else "-")
    return grid

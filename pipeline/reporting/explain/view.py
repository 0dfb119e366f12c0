"""Why a customer is in their segments, for the terminal."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from rich.console import RenderableType
from rich.padding import Padding
from rich.table import Table as Grid
from rich.text import Text

from pipeline.reporting.cluster_figures import profile_lines
from pipeline.reporting.explain import (
    AudienceExplanation,
    ClusterExplanation,
    CustomerExplanation,
    ExplainedMembership,
    SchemeExplanation,
)
from pipeline.reporting.explain.words import (
    audience_state_words,
    card_words,
    cluster_words,
    merge_words,
    move_words,
    nearest_change_words,
    nearest_words,
    next_action_words,
    outside_words,
    rank_words,
    reason_words,
    rule_words,
    score_words,
    values_words,
    with_calls,
)
from pipeline.reporting.terminal import print_parts
from pipeline.spelling import printable_text


def print_explanation(explanation: CustomerExplanation) -> None:
    """Print the explanation."""
    print_parts(render(explanation))


def render(explanation: CustomerExplanation) -> Iterator[RenderableType]:
    """Yield what to print, scheme by scheme."""
    night = "the live night" if explanation.is_live else "that night"
    yield Text(f"Customer {printable_text(explanation.customer_id)} on {explanation.day}, as {night} was computed", style="bold")
    if explanation.merges:
        yield Text(printable_text(merge_words(explanation.merges)))
    calls = explanation.aggregates
    yield Text(printable_text(with_calls(next_action_words(explanation.next_action), calls)))
    for membership in explanation.memberships:
        yield Text.assemble(f"\n{membership.scheme}: ", (printable_text(membership.title), "bold cyan"))
        yield Padding(_render_membership(membership, calls), (0, 0, 0, 2))
    for outside in explanation.outside:
        yield Text.assemble(f"\n{outside.scheme}: ", (printable_text(with_calls(outside_words(outside), calls)), "dim"))
        if outside.moves:
            yield Padding(Text("\n".join(map(move_words, outside.moves))), (0, 0, 0, 2))
    yield from (_render_audience(audience, calls) for audience in explanation.audiences)
    if explanation.not_computed:
        yield Text("\nNot computed: " + "; ".join(f"{scheme} {reason}" for scheme, reason in explanation.not_computed.items()))


def _render_audience(audience: AudienceExplanation, calls: Mapping[str, str]) -> Padding:
    grid = Grid(
        title=Text.assemble(f"\n{audience.audience}: ", (audience_state_words(audience), "bold cyan" if audience.is_member else "dim")),
        title_justify="left",
        title_style="",
        box=None,
        show_header=False,
        pad_edge=False,
        padding=(0, 2, 0, 2),
    )
    grid.add_column(style="dim", no_wrap=True)
    grid.add_column(overflow="fold")
    lines = [
        ("rule", " ".join(audience.rule.split())),
        ("with", values_words(audience.values)),
        ("would be", nearest_change_words(audience)),
    ]
    if audience.moves:
        lines.append(("moves", "\n".join(f"{m.day}  {'entered' if m.to_segment else 'left'}{reason_words(m)}" for m in audience.moves)))
    for name, value in lines:
        grid.add_row(name, Text(printable_text(with_calls(value, calls))))
    return Padding(grid, 0)


def _render_membership(membership: ExplainedMembership, calls: Mapping[str, str]) -> Grid:
    grid = Grid(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    grid.add_column(style="dim", no_wrap=True)
    grid.add_column(overflow="fold")
    if membership.explanation:
        lines = list(_scheme_lines(membership.explanation))
    elif membership.clusters:
        lines = list(_cluster_lines(membership, membership.clusters))
    else:
        lines = [("evidence", membership.evidence)]
    if membership.card:
        lines.append(("card", card_words(membership.card)))
    if membership.moves:
        lines.append(("moves", "\n".join(map(move_words, membership.moves))))
    for name, value in lines:
        grid.add_row(name, Text(printable_text(with_calls(value, calls))))
    return grid


def _cluster_lines(membership: ExplainedMembership, explanation: ClusterExplanation) -> Iterator[tuple[str, str]]:
    yield "by", "the nearest centre, in standard deviations" if explanation.centres else f"nothing: {membership.evidence}"
    yield "with", values_words(explanation.values)
    if explanation.centres:
        yield "centres", "\n".join(f"{centre.distance:.2f}  {centre.title} ({centre.segment})" for centre in explanation.centres)
        if explanation.profile:
            yield "apart", "\n".join(profile_lines(explanation.profile))
        yield "margin", explanation.margin
        yield "nearest", cluster_words(membership.segment, explanation)


def _scheme_lines(explanation: SchemeExplanation) -> Iterator[tuple[str, str]]:
    yield "rule", rule_words(explanation)
    if explanation.values:
        yield "with", values_words(explanation.values)
    if explanation.value_rank:
        yield "rank", rank_words(explanation.value_rank)
    for scored in explanation.scored_segments:
        yield scored.segment.id, score_words(scored)
    yield "nearest", nearest_words(explanation)

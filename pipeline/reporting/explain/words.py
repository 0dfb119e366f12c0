"""What an explanation says in words: pure texts, for the terminal and for programs alike."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any

from pipeline.definitions.rules import ListColumn, column_words, joined_column
from pipeline.features import CustomerMerge
from pipeline.reporting.explain import (
    ANY_OTHER_TEXT,
    AudienceExplanation,
    ClusterExplanation,
    CustomerMove,
    NextAction,
    OutsideScheme,
    SchemeExplanation,
    ScoredSegment,
    SegmentCard,
    ValueRank,
    WhatIf,
)
from pipeline.reporting.explain.what_if import TODAY
from pipeline.spelling import printable_text

LEFT_OVER = "everybody whom no other rule takes"


def with_calls(text: str, calls: Mapping[str, str]) -> str:
    """Return `text` with aggregates as rules say them, in the place of the columns that hold them: no other name is like one of these."""
    for column, call in calls.items():
        text = text.replace(column, call)
    return text


def merge_words(merges: Sequence[CustomerMerge]) -> str:
    """Say into whom the customer who was asked for was merged, and when."""
    steps = [f"{each.customer_id} was merged into {each.merged_into} on {each.merged_on}" for each in merges]
    return f"{', '.join(steps)}: all that {merges[0].customer_id} did is told as {merges[-1].merged_into}'s"


def audience_state_words(audience: AudienceExplanation) -> str:
    """Say whether the customer is in the audience."""
    return f"{'in' if audience.is_member else 'not in'} the audience {printable_text(audience.title)}"


def nearest_change_words(audience: AudienceExplanation) -> str:
    """Say what would make the customer enter or leave, such as `in it if order_count were 2 instead of 1`."""
    other = "out of it" if audience.is_member else "in it"
    if audience.is_member_now != audience.is_member:
        return "not told: the rule now says otherwise of what is stored, so another version computed this night"
    return f"{other} {change_words(audience.nearest)}" if audience.nearest else f"{other} by no single change of a feature"


def next_action_words(action: NextAction | None) -> str:
    """Say what to do next about the customer, why, and since when."""
    if action is None:
        return "Next action: none, since the customer must not be written to, departed, or no card fits"
    since = f", since {action.since_date}" if action.since_date else ""
    return f"Next action, by {action.scheme} (priority {action.priority}{since}): {action.message}\n  because {action.reason}"


def card_words(card: SegmentCard) -> str:
    """Show what a card says, or why it is not for this customer."""
    if card.fits:
        return f"priority {card.priority}: {card.message}"
    said = {"on_time": "on time", "": "neither late nor on time"}
    assumed, rhythm = said.get(card.assumes, card.assumes), said.get(card.rhythm, card.rhythm)
    return f"not for this customer: it is for who is {assumed}, and by the lifecycle they are {rhythm}"


def outside_words(outside: OutsideScheme) -> str:
    """Say why a scheme does not apply to the customer, by the values that its rule looks at: those that are given before empty ones."""
    given = [f"{column_words(name)} = {value_words(value)}" for name, value in outside.values.items() if value is not None]
    # What is empty is named after what is given: values may have decided, and an empty one leaves only the rule unknown.
    *first, last = [column_words(name) for name, value in outside.values.items() if value is None] or [""]
    empty = f"{', '.join(first)} and {last} are empty" if first else f"{last} is empty" if last else ""
    why = "; ".join(part for part in (", ".join(given), empty) if part)
    return f"does not apply: {why} (it applies where {' '.join(outside.applies_to.split())})"


def cluster_words(segment: str, explanation: ClusterExplanation) -> str:
    """Say which cluster is next, and what would take the customer to another one."""
    if explanation.segment_now != segment:
        return _other_version_words(explanation.segment_now)
    if explanation.lacking:
        known = "is known" if len(explanation.lacking) == 1 else "are known"
        return f"a cluster, once {' and '.join(explanation.lacking)} {known}"
    if not explanation.centres:
        return "no order in the window"
    # There is one: no model has fewer than two clusters.
    next_one = explanation.centres[1]
    nearest = explanation.nearest
    change = f"{nearest.title}, {change_words(nearest.change)}" if nearest else "no single change of a feature leads to another cluster"
    return f"{next_one.title} is next ({next_one.segment}, {next_one.distance:.2f} away)\n{change}"


def values_words(values: Mapping[str, object]) -> str:
    """Say the values that a rule or a model looked at."""
    return ", ".join(f"{column_words(name)} = {value_words(value)}" for name, value in values.items())


def rule_words(explanation: SchemeExplanation) -> str:
    """Say by what the scheme decided."""
    words = {
        "values": f"the value of {explanation.scheme.attribute}",
        "value_tiers": f"how many customers share the value of {explanation.scheme.attribute}",
        "rules": "the highest score" if explanation.scored_segments else explanation.rule_text or LEFT_OVER,
    }[explanation.scheme.kind]
    if explanation.scored_segments:
        return f"{words} above {explanation.scheme.floor:g}"
    is_also = explanation.rule_text and explanation.scheme.kind != "rules"
    return f"{words}, of those with {explanation.rule_text}" if is_also else words


def rank_words(rank: ValueRank) -> str:
    """Say where a value stands among all values of its attribute."""
    others = f"{rank.rank_share:.1%} of customers have more frequent values"
    return f"{rank.place}. of all values, with {rank.customer_count:,} customers who count; {others}"


def score_words(scored: ScoredSegment) -> str:
    """Say what a segment that competes by score came to, and why."""
    parts = [f"score {value_words(scored.score)}" if scored.score is not None else "does not compete"]
    if scored.segment.score_text:
        parts.append(f"score = {scored.segment.score_text}")
    if scored.segment.rule_text:
        parts.append(f"{_truth_word(scored.holds)}: {scored.segment.rule_text}")
    if scored.segment.signals:
        needed = f"{sum(holds for _, holds in scored.signals)} of {len(scored.signals)} signals, {scored.segment.signals.needed} needed"
        parts += [needed, *(f"{_truth_word(holds)}: {text}" for text, holds in scored.signals)]
    return "\n  ".join(parts)


def nearest_words(explanation: SchemeExplanation) -> str:
    """Say which other segment is nearest, and what would take the customer there."""
    if explanation.segment_now != explanation.segment:
        return _other_version_words(explanation.segment_now)
    nearest = explanation.nearest
    return f"{nearest.title}, {change_words(nearest.change)}" if nearest else "no single change of a feature leads to another segment"


def _other_version_words(segment: str | None) -> str:
    return f"not told: the definitions now say {segment} of what is stored, so another version computed this night"


def change_words(change: WhatIf) -> str:
    """Say what would be otherwise, such as `if r_score were 4 instead of 2`."""
    after = "another one" if change.after == ANY_OTHER_TEXT else value_words(change.after)
    follows = ", ".join(f"{name} then {value_words(value)}" for name, value in change.follows.items())
    return _would_be_words(change, after) + (f" ({follows})" if follows else "")


def _would_be_words(change: WhatIf, after: str) -> str:
    before: Any = change.before
    later: Any = change.after
    if change.feature == TODAY:
        days = (later - before).days
        return f"in {days} {'day' if days == 1 else 'days'}, on {later}"
    column = joined_column(change.feature)
    if isinstance(column, ListColumn):
        who = "they" if column.value == "customer_id" else column.value
        return f"if {who} were{'' if later else ' not'} on the list {column.name}"
    return f"if {change.feature} were {after} instead of {value_words(before)}"


def value_words(value: object) -> str:
    """Write a value for people, numbers with at most four decimals."""
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Fraction | float):
        return f"{float(value):.4f}".rstrip("0").rstrip(".")
    return f"'{value}'" if isinstance(value, str) else str(value)


def _truth_word(value: object) -> str:
    return "yes" if value is True else "no" if value is False else "unknown"


def move_words(move: CustomerMove) -> str:
    """Write a move for people, `>` from one segment to the other."""
    reason = reason_words(move)
    if move.from_segment is None:
        return f"{move.day}  first in {move.to_segment}{reason}"
    return f"{move.day}  {move.from_segment} > {move.to_segment or '-'}{reason}"


def reason_words(move: CustomerMove) -> str:
    """Say the reason of a move in brackets, where there is one."""
    return f" ({move.reason})" if move.reason else ""

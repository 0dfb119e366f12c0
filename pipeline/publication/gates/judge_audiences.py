"""Whether an audience emptied or exploded since the last good publication."""

from __future__ import annotations

from collections.abc import Iterator

from pipeline.definitions.gate_limits import GateLimits
from pipeline.publication.gates.measures import AudienceSize, GateMeasures, GateResult, GateState, unmeasured

GATE = "audiences"


def judge_audiences(measures: GateMeasures, limits: GateLimits) -> Iterator[GateResult]:
    """Yield what the gate says: of each audience that is beyond a limit, and of all others together."""
    judged = [each for each in measures.audiences if not each.is_explained and each.largest_count >= limits.smallest_population]
    if not judged:
        if measures.audiences:
            yield unmeasured(GATE, GATE, "none of them was published before by the same rule, with customers enough to tell")
        return
    low, high = limits.audience_low_factor, limits.audience_high_factor
    beyond = [each for each in judged if not each.count_before * low <= each.count <= each.count_before * high]
    yield from (_closed(each, measures, limits) for each in beyond)
    if not beyond:
        words = f"each of {len(judged):,} holds {low:g} to {high:g} times as many as before"
        yield GateResult(GATE, GATE, GateState.OPEN, words)


def _closed(size: AudienceSize, measures: GateMeasures, limits: GateLimits) -> GateResult:
    is_less = size.count < size.count_before
    limit = limits.audience_low_factor if is_less else limits.audience_high_factor
    factor = size.count / size.count_before if size.count_before else None
    words = (
        f"{size.count:,} customers, {size.count_before:,} on {measures.before}; "
        f"the limit is {limit:g} times {'as few' if is_less else 'as many'}"
    )
    return GateResult(GATE, size.audience, GateState.CLOSED, words, factor, limit)

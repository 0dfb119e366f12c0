"""Which segments to merge: those that spent and came back alike in the 90 days after an older night, and in 90 days before these."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import combinations

from pipeline.segmentation.insights.effectiveness import SegmentOutcome
from pipeline.segmentation.insights.proposals import REPEAT_MARGIN, Proposal

FEWEST_TO_MERGE = 200
MERGE_MARGIN = 0.2
TELLING_LIFT = 1.25
Z_90, Z_80_POWER = 1.6448536269514722, 0.8416212335729143
"""Standard normal quantiles of 95 % (one-sided) and of 80 %."""
OutcomeBefore = Callable[[str, str], SegmentOutcome | None]
"""What a segment, by scheme and name, did in an earlier period; None where that is not known."""


def _unknown_outcome(_scheme: str, _segment: str) -> None:
    return None


def merge_proposals(
    outcomes: Sequence[SegmentOutcome], telling: Iterable[tuple[str, str]], outcome_before: OutcomeBefore = _unknown_outcome
) -> Iterator[Proposal]:
    """Yield the pairs of segments of each scheme that behave alike, by two one-sided tests; and of the others the nearest, if it may be.

    `telling` are (scheme, segment) of those who buy something beyond 1.25 times as often as customers who buy as much. A pair that did
    not behave alike in the period of `outcome_before` is none; where that is not known for sure, the pair is seen once.
    """
    distinct = set(telling)
    enough = [each for each in outcomes if each.customer_count >= FEWEST_TO_MERGE and (each.scheme, each.segment) not in distinct]
    for scheme in sorted({each.scheme for each in enough}):
        found = [pair for one, two in combinations([each for each in enough if each.scheme == scheme], 2) if (pair := _pair(one, two))]
        pairs = [pair for each in found if (pair := _in_both_periods(each, outcome_before))]
        alike = [pair for pair in pairs if pair.needed_count is None]
        yield from alike or sorted(pairs, key=lambda each: (each.needed_count or 0, each.segment, each.with_segment))[:1]


def _in_both_periods(pair: Proposal, outcome_before: OutcomeBefore) -> Proposal | None:
    """Return the pair as both periods show it; None where the earlier one contradicts."""
    before = (outcome_before(pair.scheme, segment) for segment in (pair.segment, pair.with_segment))
    enough = [each for each in before if each and each.customer_count >= FEWEST_TO_MERGE]
    are_known = len(enough) == 2  # noqa: PLR2004 - both of the pair
    then = _pair(*enough) if are_known else None
    if are_known and then is None:
        return None
    return pair.seen_once() if pair.is_sure and not (then and then.is_sure) else pair


def _pair(one: SegmentOutcome, two: SegmentOutcome) -> Proposal | None:
    """Return the proposal to merge two segments; None where they differ by more than the margins, as far as can be seen."""
    margin = MERGE_MARGIN * min(one.mean_spend, two.mean_spend)
    difference = one.mean_spend - two.mean_spend
    if abs(difference) >= margin or abs(one.repeat_share - two.repeat_share) >= REPEAT_MARGIN:
        return None
    error = math.sqrt(one.spend_variance / one.customer_count + two.spend_variance / two.customer_count)
    low, high = difference - Z_90 * error, difference + Z_90 * error
    is_alike = -margin < low and high < margin
    room = ((margin - abs(difference)) / (Z_90 + Z_80_POWER)) ** 2
    needed = None if is_alike else math.ceil((one.spend_variance + two.spend_variance) / room)
    names = f"{one.scheme}.{one.segment} and {two.segment}"
    sure = "" if needed is None else f"; to be sure, {needed:,} customers of each would be needed"
    return Proposal(
        "merge",
        one.scheme,
        difference,
        f"{names} behaved alike in 90 days: {one.mean_spend:,.2f} and {two.mean_spend:,.2f} spent each, "
        f"{one.repeat_share:.1%} and {two.repeat_share:.1%} came back{sure}",
        f"In segments/{one.scheme}.toml make one segment of `{one.segment}` and `{two.segment}`: their rules joined by OR; then run "
        "`segments plan`, which shows who would move.",
        f"segments preview \"{one.scheme}.segment IN ('{one.segment}', '{two.segment}')\"",
        segment=one.segment,
        with_segment=two.segment,
        low=low,
        high=high,
        counts=(one.customer_count, two.customer_count),
        amounts=(one.mean_spend, two.mean_spend),
        shares=(one.repeat_share, two.repeat_share),
        needed_count=needed,
    )

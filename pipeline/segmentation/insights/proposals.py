"""What might make segments better, each with the figure behind it. Nothing is applied: whoever reads a proposal decides.

split                two parts of a segment by a score that its scheme looks at, which spend 5 : 1 or more
move_threshold       a limit of a rule that lies elsewhere than where it would tell most; see `thresholds`
merge                two segments that spent and came back alike in the 90 days after an older night; see `merges`
tells_nothing_new    a scheme that adds nothing to tenths of customers by spend
refit                a cluster model that customers have drifted from
empty_segment        a segment that was nearly empty for 90 nights

What to do about campaigns is in `campaign_proposals`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa

from pipeline.lake.rounding import rounded
from pipeline.lake.tables import SEGMENT_PROPOSALS
from pipeline.segmentation.insights.effectiveness import SUFFICIENT_Z, AddedR2, Labels, SchemeOutcome
from pipeline.segmentation.insights.risk_ratios import Z_95, Numbers

HIGHEST_SCORE = 5
FEWEST_IN_PART, SMALLEST_PART = 100, 0.1
LEAST_SPEND_RATIO, LEAST_SURE_RATIO = 5.0, 2.0
REPEAT_MARGIN = 0.05  # shares of customers who come back that differ by less are alike
UNKNOWN = (math.nan, math.nan)


@dataclass(frozen=True, slots=True)
class Proposal:
    """One proposal; `measured` is the figure behind it with its interval, `needed_count` how many customers would make it sure.

    `counts`, `amounts` and `shares` are those of the two that it compares, as SEGMENT_PROPOSALS describes them. `is_seen_once` says that
    it should show in two periods, and was looked for in one alone.
    """

    kind: str
    scheme: str
    measured: float
    words: str
    edit: str
    command: str
    segment: str = ""
    with_segment: str = ""
    rule: str = ""
    low: float = math.nan
    high: float = math.nan
    counts: tuple[int | None, int | None] = (None, None)
    amounts: tuple[float, float] = UNKNOWN
    shares: tuple[float, float] = UNKNOWN
    needed_count: int | None = None
    is_seen_once: bool = False

    @property
    def is_sure(self) -> bool:
        """Whether the figure suffices."""
        return self.needed_count is None and not self.is_seen_once

    def seen_once(self) -> Proposal:
        """Return it as one that no second period of 90 days could confirm."""
        return replace(self, is_seen_once=True, words=f"{self.words}; seen once: no second period of 90 days confirms it yet")

    def row(self) -> dict[str, Any]:
        """Return it as a row of SEGMENT_PROPOSALS."""
        return {
            "kind": self.kind,
            "scheme": self.scheme,
            "segment": self.segment or None,
            "with_segment": self.with_segment or None,
            "rule": self.rule or None,
            "measured": rounded(self.measured),
            "low": rounded(self.low),
            "high": rounded(self.high),
            "customer_count": self.counts[0],
            "other_customer_count": self.counts[1],
            "amount": rounded(self.amounts[0]),
            "other_amount": rounded(self.amounts[1]),
            "share": rounded(self.shares[0]),
            "other_share": rounded(self.shares[1]),
            "needed_count": self.needed_count,
            "is_sure": self.is_sure,
            "edit": self.edit,
            "command": self.command,
            "words": self.words,
        }


@dataclass(frozen=True, slots=True)
class ScoredSegments:
    """Customers of one scheme: number of the segment of each, spend in the window, and the scores that the scheme looks at.

    A score is NaN where it is not known. `names` are those of the numbers of segments that may be split.
    """

    scheme: str
    names: Mapping[int, str]
    groups: Labels
    spend: Numbers
    scores: Mapping[str, Numbers]


def proposal_rows(proposals: Iterable[Proposal]) -> pa.Table:
    """Return the rows of SEGMENT_PROPOSALS."""
    rows = [each.row() for each in sorted(proposals, key=lambda each: (each.kind, each.scheme, each.segment, each.with_segment, each.rule))]
    return pa.Table.from_pylist(rows, schema=SEGMENT_PROPOSALS.schema)


def split_proposals(scored: ScoredSegments) -> Iterator[Proposal]:
    """Yield for each segment the cut of a score that parts its customers most surely by what they spend, where one does."""
    for number, segment in scored.names.items():
        members = np.nonzero(scored.groups == number)[0]
        cuts = [
            cut
            for score, values in scored.scores.items()
            for limit in range(2, HIGHEST_SCORE + 1)
            if (cut := _cut(scored, segment, members, f"{score} >= {limit}", values[members] >= limit))
        ]
        if cuts:
            yield max(cuts, key=lambda each: (each.low, each.rule))


def _cut(scored: ScoredSegments, segment: str, members: Labels, rule: str, is_above: np.ndarray) -> Proposal | None:
    """Return the proposal to split a segment by `rule`; None where the parts are small, or do not differ enough for sure."""
    above, below = scored.spend[members[is_above]], scored.spend[members[~is_above]]
    smallest = max(FEWEST_IN_PART, SMALLEST_PART * len(members))
    if min(len(above), len(below)) < smallest or min(above.mean(), below.mean()) <= 0:
        return None
    more, less = (above, below) if above.mean() >= below.mean() else (below, above)
    ratio = float(more.mean() / less.mean())
    error = math.sqrt(sum(float(part.var(ddof=1)) / len(part) / float(part.mean()) ** 2 for part in (more, less)))
    low, high = (math.exp(math.log(ratio) + side * Z_95 * error) for side in (-1, 1))
    if ratio < LEAST_SPEND_RATIO or low <= LEAST_SURE_RATIO:
        return None
    taken = f"{scored.scheme}.segment = '{segment}' AND {rule}"
    return Proposal(
        "split",
        scored.scheme,
        ratio,
        f"{len(above):,} customers with {rule} spent {above.mean():,.0f} each in the window, the other {len(below):,} spent "
        f"{below.mean():,.0f} each",
        f"In segments/{scored.scheme}.toml put a segment before `{segment}` whose rule is that of `{segment}` AND {rule}; then run "
        "`segments plan`, which shows who would move.",
        f'segments preview "{taken}"',
        segment=segment,
        rule=rule,
        low=low,
        high=high,
        counts=(len(above), len(below)),
        amounts=(float(above.mean()), float(below.mean())),
    )


def nothing_new_proposals(outcomes: Iterable[SchemeOutcome]) -> Iterator[Proposal]:
    """Yield the schemes that add nothing to tenths of spend, neither about spend nor about buying."""
    for each in outcomes:
        if not each.adds:
            best = max((each.spend, each.buying), key=lambda added: added.z)
            low, high = _interval(best)
            yield Proposal(
                "tells_nothing_new",
                each.scheme,
                best.gain,
                f"{each.scheme} tells nothing about the next 90 days that tenths of customers by spend do not tell: it adds "
                f"{each.spend.gain:.4f} to R2 of spend, {each.buying.gain:.4f} to R2 of buying",
                f"Look at other features in segments/{each.scheme}.toml, then run `segments plan`, which shows who would move; or leave "
                "it as it is where it is there to describe customers.",
                f"segments effectiveness --scheme {each.scheme}",
                low=low,
                high=high,
                needed_count=_needed_to_tell(best, each.customer_count),
            )


def _interval(added: AddedR2) -> tuple[float, float]:
    error = added.gain / added.z if added.z else math.nan
    return added.gain - Z_95 * error, added.gain + Z_95 * error


def _needed_to_tell(added: AddedR2, count: int) -> int | None:
    """Return how many customers would make a gain of this size stand out; None where there is no gain."""
    return math.ceil(count * (SUFFICIENT_Z / added.z) ** 2) if added.gain > 0 and added.z > 0 else None


def refit_proposals(drifts: Iterable[Mapping[str, Any]]) -> Iterator[Proposal]:
    """Yield a proposal for each cluster scheme that a measure is beyond its limit of; `drifts` are such rows of CLUSTER_DRIFTS."""
    worst: dict[str, Mapping[str, Any]] = {}
    for row in drifts:
        if row["measured"] > worst.get(row["scheme"], {"measured": -math.inf})["measured"]:
            worst[row["scheme"]] = row
    for scheme, row in worst.items():
        yield Proposal(
            "refit",
            scheme,
            row["measured"],
            f"customers have drifted from the model of {scheme}: {row['words']}; the limit is {row['limit']:g}",
            f"Fit the model of {scheme} anew: it is judged beside the current one, and `segments promote` makes it the next night's.",
            f"segments refit --scheme {scheme} --hold",
        )


def empty_segment_proposals(largest_shares: Mapping[tuple[str, str], float], smallest: float, nights: int) -> Iterator[Proposal]:
    """Yield the segments whose largest share over `nights` stored nights was below `smallest`; shares by scheme and segment."""
    for (scheme, segment), share in largest_shares.items():
        if share < smallest:
            yield Proposal(
                "empty_segment",
                scheme,
                share,
                f"{scheme}.{segment} has held at most {share:.2%} of the customers for 90 days ({nights} nights)",
                f"In segments/{scheme}.toml widen the rule of `{segment}`, or let another segment take its customers; then run "
                "`segments plan`, which shows who would move.",
                f"segments history --scheme {scheme}",
                segment=segment,
            )

"""What to do about campaigns whose results are final: stop one that did not pay, move some of a budget to one that paid better."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from itertools import permutations
from typing import Any

from pipeline.definitions.campaigns import CampaignState
from pipeline.segmentation.insights.proposals import Proposal
from pipeline.segmentation.insights.risk_ratios import Z_95

UNLIKELY, LIKELY = 0.1, 0.9
Row = Mapping[str, Any]


def campaign_proposals(summaries: Sequence[Row], values: Sequence[Row]) -> Iterator[Proposal]:
    """Yield proposals from the rows of CAMPAIGN_SUMMARIES and CAMPAIGN_VALUES of one night.

    Only campaigns that are final count, which had as many customers as planned; the company-wide holdout is none.
    """
    final = {row["campaign_id"] for row in summaries if row["state"] == CampaignState.FINAL and not row["is_holdout"]}
    measured = [row for row in values if row["campaign_id"] in final and row["probability_paid"] is not None]
    failed = [row for row in measured if row["probability_paid"] < UNLIKELY]
    yield from (_stop(row) for row in failed)
    likelier = [(better_probability(one, two), one, two) for one, two in permutations([row for row in measured if row not in failed], 2)]
    sure = [each for each in likelier if each[0] >= LIKELY and each[1]["profit"] > 0 and each[1]["campaign_id"] != each[2]["campaign_id"]]
    if sure:
        yield _shift(*max(sure, key=lambda each: (each[0], _name(each[1]), _name(each[2]))))


def better_probability(one: Row, other: Row) -> float:
    """Return the probability that a customer of `one` arm brought more profit than one of the `other`; both by the normal distribution.

    The standard error of each is that of its profit's 95 % interval.
    """
    means, errors = zip(*((row["profit"] / row["customer_count"], _error(row)) for row in (one, other)), strict=True)
    spread = math.hypot(*errors)
    return 0.5 * (1 + math.erf((means[0] - means[1]) / spread / math.sqrt(2))) if spread > 0 else float(means[0] > means[1])


def _error(row: Row) -> float:
    return float((row["profit_high"] - row["profit_low"]) / (2 * Z_95 * row["customer_count"]))


def _stop(row: Row) -> Proposal:
    return Proposal(
        "stop_campaign",
        row["campaign_id"],
        row["probability_paid"],
        f"campaign {_name(row)} most likely did not pay: the probability that it did is {row['probability_paid']:.1%}, its profit "
        f"{row['profit']:,.2f} (between {row['profit_low']:,.2f} and {row['profit_high']:,.2f})",
        "Do not repeat it as it is: try another offer, a cheaper channel or fewer customers.",
        f"segments campaign results {row['campaign_id']}",
        rule=row["arm"],
        low=row["profit_low"],
        high=row["profit_high"],
        amounts=(row["profit"], math.nan),
    )


def _shift(probability: float, better: Row, worse: Row) -> Proposal:
    means = [row["profit"] / row["customer_count"] for row in (better, worse)]
    return Proposal(
        "shift_budget",
        worse["campaign_id"],
        probability,
        f"campaign {_name(better)} brought {means[0]:,.2f} for each customer, {_name(worse)} {means[1]:,.2f}; the first is "
        f"better with a probability of {probability:.1%}",
        f"Move at most a quarter of a month's budget from {worse['campaign_id']} to {better['campaign_id']}, and measure again.",
        "segments campaign results",
        with_segment=better["campaign_id"],
        rule=better["arm"],
        amounts=(means[0], means[1]),
    )


def _name(row: Row) -> str:
    return f"{row['campaign_id']} ({row['arm']})"

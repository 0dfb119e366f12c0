"""What a backfill changed, night by night: the differences of its stages put together."""

from __future__ import annotations

from collections import defaultdict
from datetime import date
from functools import reduce

from pipeline.operations.backfill.differences import NightDifference
from pipeline.operations.backfill.night import StageResult
from pipeline.operations.backfill.running import BackfillReport

ComparedNight = tuple[StageResult, str, NightDifference]


def changed_nights(report: BackfillReport) -> list[ComparedNight]:
    """Sum up what changed, per night and what it was compared with, in order of days; unchanged nights are left out.

    Two stages of a night are compared: features (customers and spend) and segments (moves).
    """
    by_night: dict[tuple[date, date, str], list[tuple[StageResult, NightDifference]]] = defaultdict(list)
    for result in report.results:
        for against, difference in (result.differences or {}).items():
            by_night[result.day, result.known_on, against].append((result, difference))
    sums = [
        (pairs[0][0], key[2], reduce(_sum_of_differences, (difference for _, difference in pairs)))
        for key, pairs in sorted(by_night.items())
    ]
    return [each for each in sums if not each[2].is_nothing]


def _sum_of_differences(one: NightDifference, other: NightDifference) -> NightDifference:
    return NightDifference(
        one.customers_added + other.customers_added,
        one.customers_removed + other.customers_removed,
        one.customers_changed + other.customers_changed,
        one.spend_amount + other.spend_amount,
        {**one.moved, **other.moved},
    )

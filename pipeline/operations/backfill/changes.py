"""What a backfill changed, night by night."""

from __future__ import annotations

from collections import defaultdict
from datetime import date
from functools import reduce

from pipeline.operations.backfill.differences import NightDifference
from pipeline.operations.backfill.night import StageResult
from pipeline.operations.backfill.running import BackfillReport

ComparedNight = tuple[StageResult, str, NightDifference]


def changed_nights(report: BackfillReport) -> list[ComparedNight]:
    """Return, per night and what it was compared with, everything that changed; nights that did not are left out."""
    found: dict[tuple[date, date, str], list[tuple[StageResult, NightDifference]]] = defaultdict(list)
    for outcome in report.outcomes:
        for against, difference in (outcome.differences or {}).items():
            found[outcome.day, outcome.known, against].append((outcome, difference))
    united = [
        (pairs[0][0], key[2], reduce(_sum_of_differences, (difference for _, difference in pairs))) for key, pairs in sorted(found.items())
    ]
    return [each for each in united if not each[2].is_nothing]


def _sum_of_differences(one: NightDifference, other: NightDifference) -> NightDifference:
    return NightDifference(
        one.customers_added + other.customers_added,
        one.customers_removed + other.customers_removed,
        one.customers_changed + other.customers_changed,
        one.spend_amount + other.spend_amount,
        {**one.moved, **other.moved},
    )

"""The days of an aggregate: which may be written, and of which rows it is known in time that nothing follows."""

from __future__ import annotations

from datetime import date, timedelta

import pytest

from pipeline.definitions.rules import Vocabulary, aggregates_of
from pipeline.definitions.rules.day_windows import DayWindow, Period
from pipeline.definitions.rules.event_sources import event_sources
from pipeline.errors import ConfigError

WORDS = Vocabulary({}, sources=event_sources([]))
NIGHTS = [date(2024, 1, 1) + timedelta(number) for number in range(4 * 366)]
# The most days that a period can have when its last one is the night's, from its first day on.
LONGEST = {
    "THIS WEEK": 7,
    "LAST WEEK": 14,
    "THIS MONTH": 31,
    "LAST MONTH": 62,
    "THIS QUARTER": 92,
    "LAST QUARTER": 184,
    "THIS YEAR": 366,
    "LAST YEAR": 731,
}


def window_of(clauses: str) -> DayWindow:
    [aggregate] = aggregates_of(f"COUNT(order_lines {clauses})", WORDS, where="x")
    return aggregate.window


def count_days(window: DayWindow, night: date) -> int:
    first = window.first_day(night)
    assert first is not None
    return (window.final_day(night) - first).days + 1


def test_there_is_a_longest_one_of_each_period() -> None:
    assert set(LONGEST) == {f"{which} {period.value.upper()}" for period in Period for which in ("THIS", "LAST")}


@pytest.mark.parametrize(("days", "longest"), [*LONGEST.items(), ("LAST 14 DAYS", 14), ("LAST 2 WEEKS", 14), ("LAST 1 DAYS", 1)])
def test_days_that_are_never_over_in_time_are_refused(days: str, longest: int) -> None:
    if longest > 1:  # on some night the first row of such days is known to have been followed by nothing
        window = window_of(f"NOT FOLLOWED BY orders WITHIN {longest - 1} DAYS {days}")
        assert max(count_days(window, night) for night in NIGHTS) == 1
    for too_many in (longest, longest + 1):
        with pytest.raises(ConfigError, match=f"whether nothing follows within {too_many} days is known of no row of these days"):
            window_of(f"NOT FOLLOWED BY orders WITHIN {too_many} DAYS {days}")


@pytest.mark.parametrize("days", [*LONGEST, "LAST 14 DAYS"])
@pytest.mark.parametrize(
    "sequence", ["FOLLOWED BY orders WITHIN 3000 DAYS", "NOT PRECEDED BY orders WITHIN 3000 DAYS", "NOT FOLLOWED BY orders"]
)
def test_what_is_known_at_once_may_be_asked_of_any_days(sequence: str, days: str) -> None:
    assert window_of(f"{sequence} {days}") == window_of(days)


@pytest.mark.parametrize("days", LONGEST)
@pytest.mark.parametrize("sequence", ["", "NOT FOLLOWED BY orders WITHIN 3 DAYS "])
def test_a_period_of_the_calendar_takes_no_days_before_the_night(sequence: str, days: str) -> None:
    text = f"COUNT(order_lines {sequence}{days} BEFORE 3 DAYS AGO)"
    with pytest.raises(ConfigError, match=f"BEFORE does not stand beside {days}") as told:
        aggregates_of(text, WORDS, where="x")
    assert told.value.place == (1, text.index("BEFORE") + 1)


@pytest.mark.parametrize("days", [*LONGEST, "LAST 14 DAYS", "LAST 14 DAYS BEFORE 2 DAYS AGO", "BEFORE 30 DAYS AGO", ""])
@pytest.mark.parametrize("sequence", ["", "NOT FOLLOWED BY orders WITHIN 3 DAYS"])
def test_an_aggregate_is_told_in_words_that_a_rule_may_say(sequence: str, days: str) -> None:
    [aggregate] = aggregates_of(f"COUNT(order_lines {sequence} {days})", WORDS, where="x")
    assert aggregates_of(aggregate.call, WORDS, where="x") == [aggregate]
    assert days not in LONGEST or "BEFORE" not in aggregate.call

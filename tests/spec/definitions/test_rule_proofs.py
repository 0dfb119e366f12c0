"""What can be proven of functions: that nobody is left over, that a rule is dead; and what only customers can show."""

from __future__ import annotations

import pytest

from pipeline.definitions.proofs import Domains, Proof, SegmentRule, require_proven
from pipeline.definitions.rules import Vocabulary, parse_rule
from pipeline.errors import ConfigError
from pipeline.lake.tables import Kind

WORDS = Vocabulary(
    {
        "customer_id": Kind.TEXT, "as_of_date": Kind.DATE, "born": Kind.DATE, "first_order_date": Kind.DATE, "last_order_date": Kind.DATE,
        "city": Kind.TEXT, "tags": Kind.TEXT, "spend_amount": Kind.MONEY, "order_count": Kind.INTEGER,
    },
    separators={"tags": ","}, lists={"vip": "0123456789ab"}, schemes={"rfm": {"champions": "champions"}},
)  # fmt: skip


def proof(*texts: str | None, is_ordered: bool = True) -> Proof:
    rules = [
        SegmentRule(f"s{place}", None if text is None else parse_rule(text, WORDS, where="x"), f"x:{place}")
        for place, text in enumerate(texts)
    ]
    return require_proven(rules, Domains(WORDS.names), where="x", is_ordered=is_ordered)


@pytest.mark.parametrize(
    "texts",
    [
        ("DAYS_SINCE(last_order_date) > 60", "last_order_date >= TODAY - 60", "last_order_date IS NULL"),
        ("TODAY - born > 60", "born >= TODAY - INTERVAL 60 DAYS", "DAYS_SINCE(born) IS NULL"),
        ("MONTH(born) <= 6", "MONTH(born) > 6", "born IS NULL"),
        ("MONTH(TODAY) IN (12, 1, 2)", "MONTH(TODAY) BETWEEN 3 AND 11"),
        ("WEEKDAY(TODAY) <= 5", "WEEKDAY(TODAY) > 5"),
        ("DAYS_UNTIL_ANNIVERSARY(born) <= 14", "DAYS_UNTIL_ANNIVERSARY(born) > 14", "born IS NULL"),
        ("CONTAINS(city, 'a')", "NOT CONTAINS(city, 'a')", "city IS NULL"),
        ("LOWER(city) = 'a'", "LOWER(city) < 'a'", "LOWER(city) > 'a'", "city IS NULL"),
        ("ANY(tags) = 'a'", "NONE(tags) = 'a'", "tags IS NULL"),
        ("RANDOM_SHARE('x') < 0.5", "RANDOM_SHARE('x') >= 0.5"),
        ("WAS IN rfm.champions WITHIN 30 DAYS", "NOT WAS IN rfm.champions WITHIN 30 DAYS"),
        (
            "last_order_date - first_order_date > 30",
            "first_order_date + 30 >= last_order_date",
            "last_order_date - first_order_date IS NULL",
        ),
    ],
)
def test_rules_that_leave_nobody_over_are_proven_to(texts: tuple[str, ...]) -> None:
    assert proof(*texts) == Proof("intervals")


@pytest.mark.parametrize(
    "texts",
    [
        ("last_order_date < TODAY - 60", "DAYS_SINCE(last_order_date) > 90", None),
        ("DAYS_SINCE(last_order_date) < 0", None),
        ("MONTH(born) = 13", None),
        ("MONTH(born) = 0", None),
        ("DAY(born) > 31", None),
        ("WEEKDAY(born) = 0", None),
        ("DAYS_UNTIL_ANNIVERSARY(born) > 365", None),
        ("DAYS_UNTIL_ANNIVERSARY(born) < 0", None),
        ("RANDOM_SHARE('x') >= 1", None),
        ("ANY(tags) = 'a'", "ANY(tags) = 'a' AND ANY(tags) = 'b'", None),
        ("WAS IN rfm.champions WITHIN 30 DAYS", "WAS IN rfm.champions WITHIN 20 DAYS", None),
        ("CONTAINS(city, 'a')", "NOT CONTAINS(city, 'a')", "city IS NULL", None),
    ],
)
def test_a_segment_that_nobody_can_be_in_is_refused(texts: tuple[str | None, ...]) -> None:
    with pytest.raises(ConfigError, match="nobody can ever be in"):
        proof(*texts)


def test_a_rule_that_may_leave_somebody_over_is_refused_with_an_example() -> None:
    with pytest.raises(ConfigError, match=r"such as one with DAYS_SINCE\(born\) = nothing"):
        proof("DAYS_SINCE(born) > 60", "DAYS_SINCE(born) <= 60")
    with pytest.raises(ConfigError, match="such as one with customer_id IN LIST vip@0123456789ab = nothing"):
        proof("IN LIST vip", "NOT IN LIST vip")


@pytest.mark.parametrize(
    ("texts", "undecided"),
    [
        (("MONTH(born) = 2 AND DAY(born) = 30", None), ("s0",)),
        (("MONTH(TODAY) = 2 AND DAY(TODAY) = 30", None), ("s0",)),
        (("LOWER(city) = 'a'", "city = 'A'", None), ("s1",)),
        (("MONTH(born) = 2", "born = DATE '2000-03-01'", None), ("s1",)),
        (("ANY(tags) = 'a'", "ALL(tags) = 'b'", None), ("s1",)),
        (("COALESCE(spend_amount, 0) < 0.5", "spend_amount / order_count > 3", None), ("s0", "s1")),
        (("DAYS_SINCE(born) > 3 AND MONTH(TODAY) = 2", None), ()),
        (("ANY(tags) = 'a'", "ANY(tags) = 'b'", None), ()),
        (("RANDOM_SHARE('x') < 0.5", "RANDOM_SHARE('y') < 0.3", None), ()),
    ],
)
def test_what_depends_on_each_other_is_left_to_customers_and_said_to_be(texts: tuple[str | None, ...], undecided: tuple[str, ...]) -> None:
    assert proof(*texts).undecided == undecided

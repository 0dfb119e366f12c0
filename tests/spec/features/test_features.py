"""What each feature means: a few order lines in, the features of a customer out."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from support.builders import a_company, an_order_line, features_by_customer, parsed, write_customers, write_order_lines

from pipeline.lake.lake import Lake

NIGHT = date(2024, 3, 31)


def features(lake: Lake, text: str, *, customers: list[dict[str, Any]] | None = None, day: date = NIGHT) -> dict[str, dict[str, Any]]:
    company = a_company(lake.root)
    lines = [an_order_line(number, **row) for number, row in enumerate(parsed(text), 1)]
    write_order_lines(lake, lines, known_on=day)
    if customers is not None:
        write_customers(lake, company, customers, known_on=day)
    return features_by_customer(company, lake, day)


def test_recency_is_zero_for_an_order_on_the_day_itself(lake: Lake) -> None:
    found = features(lake, "day | customer_id\n 2024-03-31 | c1\n 2024-03-01 | c2")
    assert (found["c1"]["recency_days"], found["c2"]["recency_days"]) == (0, 30)


def test_the_window_covers_365_days_and_the_night_is_the_last(lake: Lake) -> None:
    found = features(
        lake,
        """
        day        | customer_id | net_amount
        2023-04-02 | first_day   | 5
        2023-04-01 | day_before  | 5
        """,
    )
    assert found["first_day"]["order_day_count"] == 1
    assert found["day_before"]["order_day_count"] == 0
    assert found["day_before"]["lifetime_order_day_count"] == 1
    assert found["day_before"]["spend_amount"] == Decimal(0)
    assert found["day_before"]["lifetime_spend_amount"] == Decimal(5)


def test_frequency_counts_order_days_not_orders_or_lines(lake: Lake) -> None:
    found = features(
        lake,
        """
        day        | order_id
        2024-03-01 | a
        2024-03-01 | a
        2024-03-01 | b
        2024-03-05 | c
        """,
    )["c1"]
    assert (found["order_day_count"], found["order_count"], found["line_count"]) == (2, 3, 4)


def test_spend_is_net_of_refunds_but_a_refund_is_no_order_day(lake: Lake) -> None:
    found = features(
        lake,
        """
        day        | net_amount | quantity | line_kind
        2024-03-01 | 100.0001   | 1        | order
        2024-03-09 | -30        | -1       | refund
        """,
    )["c1"]
    assert found["spend_amount"] == Decimal("70.0001")
    assert found["refund_amount"] == Decimal(30)
    assert found["order_day_count"] == 1
    assert found["last_order_date"] == date(2024, 3, 1)
    assert found["return_share"] == pytest.approx(30 / 100.0001)


def test_a_linked_refund_counts_for_its_orders_day_and_only_once_it_happened(lake: Lake) -> None:
    text = """
        day        | net_amount | line_kind | order_day
        2023-04-01 | 100        | order     | 2023-04-01
        2024-03-31 | -100       | refund    | 2023-04-01
        2024-03-01 | 10         | order     | 2024-03-01
        """
    found = features(lake, text)["c1"]
    assert (found["spend_amount"], found["lifetime_spend_amount"]) == (Decimal(10), Decimal(10))
    before = features_by_customer(a_company(lake.root), lake, date(2024, 3, 30))["c1"]
    assert before["lifetime_spend_amount"] == Decimal(110)


def test_cancelled_lines_count_nowhere(lake: Lake) -> None:
    found = features(
        lake,
        """
        day        | customer_id | line_kind
        2024-03-01 | c1          | cancelled
        2024-03-01 | c2          | order
        """,
        customers=[{"customer_id": "c1"}],
    )
    assert found["c1"]["is_prospect"]
    assert not found["c2"]["is_prospect"]


def test_gaps_give_mean_median_and_variation(lake: Lake) -> None:
    found = features(lake, "day\n2024-01-01\n2024-01-11\n2024-01-31\n2024-03-01\n2024-03-31")["c1"]
    assert found["gap_count"] == 4
    assert found["gap_mean_days"] == 22.5
    assert found["gap_median_days"] == 25.0
    assert found["gap_variation"] == pytest.approx(9.574271077563381 / 22.5)
    assert found["last_gap_days"] == 30


def test_one_order_has_no_gaps(lake: Lake) -> None:
    found = features(lake, "day\n2024-03-01")["c1"]
    assert (found["gap_count"], found["gap_mean_days"], found["gap_median_days"], found["gap_variation"]) == (0, None, None, None)


def test_discount_share_counts_lines_and_full_price_share_counts_money(lake: Lake) -> None:
    found = features(
        lake,
        """
        day        | net_amount | discount_amount
        2024-03-01 | 90         | 10
        2024-03-01 | 10         | 0
        2024-03-02 | 0          | 0
        """,
    )["c1"]
    assert found["discount_share"] == pytest.approx(1 / 3)
    assert found["full_price_share"] == pytest.approx(0.1)


def test_weekend_share_counts_saturdays_and_sundays(lake: Lake) -> None:
    found = features(lake, "day\n2024-03-29\n2024-03-30\n2024-03-31\n2024-03-25")["c1"]
    assert found["weekend_share"] == 0.5


def test_favourite_category_is_the_one_bought_on_most_days_then_with_most_spend_then_first_by_name(lake: Lake) -> None:
    found = features(
        lake,
        """
        day        | customer_id | category | net_amount
        2024-03-01 | days        | bread    | 1
        2024-03-02 | days        | bread    | 1
        2024-03-02 | days        | wine     | 99
        2024-03-02 | spend       | bread    | 1
        2024-03-02 | spend       | wine     | 99
        2024-03-02 | name        | wine     | 1
        2024-03-02 | name        | bread    | 1
        """,
    )
    assert {name: row["favourite_category"] for name, row in found.items()} == {"days": "bread", "spend": "wine", "name": "bread"}
    assert found["days"]["category_count"] == 2
    assert found["days"]["category_concentration"] == pytest.approx(5 / 9)


def test_new_category_share_leaves_the_first_order_day_out(lake: Lake) -> None:
    found = features(
        lake,
        """
        day        | category
        2024-03-01 | bread
        2024-03-02 | bread
        2024-03-02 | wine
        2024-03-03 | wine
        2024-03-03 | cheese
        """,
    )["c1"]
    assert found["new_category_share"] == 0.5


def test_main_channel_has_most_lines_then_is_first_by_name(lake: Lake) -> None:
    found = features(
        lake,
        """
        day        | customer_id | channel
        2024-03-01 | c1          | web
        2024-03-02 | c1          | web
        2024-03-03 | c1          | store
        2024-03-03 | c2          | web
        2024-03-03 | c2          | store
        """,
    )
    assert (found["c1"]["main_channel"], found["c1"]["main_channel_share"]) == ("web", pytest.approx(2 / 3))
    assert found["c2"]["main_channel"] == "store"


def test_one_time_buyers_all_share_the_lowest_frequency_score(lake: Lake) -> None:
    rows = "\n".join(f"2024-03-{day:02} | c{day}" for day in range(1, 10))
    found = features(lake, f"day | customer_id\n{rows}\n2024-03-10 | c9\n2024-03-11 | c9")
    assert {row["f_score"] for name, row in found.items() if name != "c9"} == {1}
    assert found["c9"]["f_score"] == 5


def test_five_different_customers_score_one_to_five(lake: Lake) -> None:
    rows = "\n".join(f"2024-03-0{n} | c{n} | {n}0" for n in range(1, 6))
    found = features(lake, f"day | customer_id | net_amount\n{rows}")
    assert [(found[f"c{n}"]["r_score"], found[f"c{n}"]["m_score"]) for n in range(1, 6)] == [(n, n) for n in range(1, 6)]


def test_who_ordered_only_before_the_window_scores_one_and_who_never_ordered_has_no_score(lake: Lake) -> None:
    found = features(lake, "day | customer_id\n2022-01-01 | old\n2024-03-01 | fresh", customers=[{"customer_id": "never"}])
    assert [found["old"][f"{axis}_score"] for axis in ("r", "f", "m", "fm")] == [1, 1, 1, 1]
    assert found["never"]["r_score"] is None
    assert found["never"]["is_prospect"]


def test_value_rank_share_is_the_spend_of_strictly_richer_customers_and_ties_stay_together(lake: Lake) -> None:
    found = features(
        lake,
        """
        day        | customer_id | net_amount
        2024-03-01 | rich        | 60
        2024-03-01 | twin_a      | 20
        2024-03-01 | twin_b      | 20
        2024-03-01 | free        | 0
        """,
    )
    assert {name: row["value_rank_share"] for name, row in found.items()} == {"rich": 0.0, "twin_a": 0.6, "twin_b": 0.6, "free": None}


def test_spend_rank_share_counts_strictly_richer_customers_among_those_who_spent(lake: Lake) -> None:
    lines = "".join(f"\n2024-03-01 | c{number:02} | {number}" for number in range(21))
    twins = "\n2024-03-01 | twin | 19\n2023-01-01 | before | 900\n2024-03-02 | given_back | -5"
    found = features(lake, f"day | customer_id | net_amount{lines}{twins}", customers=[{"customer_id": "never"}])
    shares = {name: row["spend_rank_share"] for name, row in found.items()}
    # Of 21 spenders, 1 to 20 and the twin of 19: the twins share a place, and nobody is between them and the one below.
    assert (shares["c20"], shares["c19"], shares["twin"], shares["c18"]) == (0.0, 1 / 21, 1 / 21, 3 / 21)
    assert shares["c01"] == 20 / 21
    assert [shares[name] for name in ("c00", "before", "given_back", "never")] == [None] * 4
    assert {name for name, share in shares.items() if share is not None and share < 0.05} == {"c20", "c19", "twin"}


def test_rhythm_is_the_populations_until_the_customer_has_three_gaps(lake: Lake) -> None:
    steady = "\n".join(f"2024-01-{day:02} | steady" for day in (1, 3, 5, 7, 9, 11))
    found = features(lake, f"day | customer_id\n{steady}\n2024-01-01 | twice\n2024-02-10 | twice")
    assert found["twice"]["rhythm_days"] == found["twice"]["new_limit_days"] == 2.0
    assert found["steady"]["rhythm_days"] == 2.0
    assert found["twice"]["active_limit_days"] == 2.0
    assert found["twice"]["dormant_limit_days"] == 40.0


def test_without_any_reorder_the_limits_are_unknown(lake: Lake) -> None:
    assert features(lake, "day\n2024-03-01")["c1"]["active_limit_days"] is None


def test_a_customer_is_invisible_before_the_source_knew_them(lake: Lake) -> None:
    from datetime import UTC, datetime

    customers = [
        {"customer_id": "tonight", "created_at": datetime(2024, 3, 31, 21, 59, tzinfo=UTC)},
        {"customer_id": "tomorrow", "created_at": datetime(2024, 3, 31, 22, 0, tzinfo=UTC)},
    ]
    assert set(features(lake, "day | customer_id\n2024-03-01 | c1", customers=customers)) == {"c1", "tonight"}

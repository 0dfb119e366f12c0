"""Nights of a week of a real company, over a turn of the month: nobody moves without a reason, and no reason contradicts the orders."""

from __future__ import annotations

from collections import Counter
from datetime import date
from typing import Any

import duckdb
import pytest
from support.nights import night_of

from pipeline.definitions.company import PROJECT_ROOT
from pipeline.lake.lake import Lake
from pipeline.lake.tables import (
    CUSTOMER_FEATURES,
    CUSTOMER_SEGMENTS,
    NEXT_CATEGORIES,
    ORDER_LINES,
    SEGMENT_FLOWS,
    SEGMENT_MOVES,
    SEGMENT_PROPOSALS,
    VALUE_CONCENTRATION,
)
from pipeline.operations import steps
from pipeline.segmentation import REASONS
from pipeline.segmentation.insights import refined_night

FIRST, LAST, NEW_YEAR = date(2013, 12, 29), date(2014, 1, 5), date(2014, 1, 1)
# The two nights around the turn of the month follow each other, as do the last two; the others tell of a few days at once.
NIGHTS = (FIRST, date(2013, 12, 31), NEW_YEAR, date(2014, 1, 4), LAST)
BUYING = ("behaviour_clusters", "lifecycle", "rfm", "value_tier")
COMPANY = PROJECT_ROOT / "examples" / "adventureworks"


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    """Return a lake whose last night read the source, and that told five nights from it."""
    lake = Lake(tmp_path_factory.mktemp("adventureworks"))
    steps.extract(night_of(COMPANY, lake, LAST))
    steps.validate(night_of(COMPANY, lake, LAST))
    for day in NIGHTS:
        steps.features(night_of(COMPANY, lake, day))
        steps.segment(night_of(COMPANY, lake, day))
    return lake


@pytest.fixture(scope="module")
def moves(lake: Lake) -> list[dict[str, Any]]:
    return [{"day": day, **row} for day in lake.nights(SEGMENT_MOVES) for row in lake.read(SEGMENT_MOVES, day=day).to_pylist()]


def reasons(moves: list[dict[str, Any]], scheme: str) -> Counter[str]:
    return Counter(row["reason"] for row in moves if row["scheme"] == scheme)


def test_every_move_has_one_of_the_reasons(lake: Lake, moves: list[dict[str, Any]]) -> None:
    assert lake.nights(SEGMENT_MOVES) == list(NIGHTS)
    assert {row["reason"] for row in moves} <= set(REASONS)
    assert len({(row["day"], row["customer_id"], row["scheme"]) for row in moves}) == len(moves)


def test_who_ordered_since_moved_by_it_and_nobody_else(lake: Lake, moves: list[dict[str, Any]]) -> None:
    files = str(lake.root / "tables" / ORDER_LINES.name / "month=*" / "known=*" / "*.parquet")
    select = "SELECT DISTINCT customer_id, order_day FROM read_parquet(?) WHERE line_kind = 'order' AND order_day >= ?"
    found = duckdb.execute(select, [files, FIRST]).fetchall()
    ordered = {(customer, min(night for night in NIGHTS if night >= day)) for customer, day in found}
    bought = [row for row in moves if row["scheme"] in BUYING]
    by_reason = {reason: {(row["customer_id"], row["day"]) for row in bought if row["reason"] == reason} for reason in REASONS}
    assert by_reason["own_purchase"] <= ordered
    assert not ordered & (by_reason["ageing"] | by_reason["population_shift"] | by_reason["threshold_refreeze"])


def test_with_frozen_limits_who_did_nothing_moves_by_age_alone_but_on_the_first_of_a_month(moves: list[dict[str, Any]]) -> None:
    others = {"own_purchase", "new_customer"}
    assert set(reasons([row for row in moves if row["day"] != NEW_YEAR], "lifecycle")) - others == {"ageing"}
    assert {"threshold_refreeze"} <= set(reasons([row for row in moves if row["day"] == NEW_YEAR], "lifecycle")) - others


def test_clusters_move_nobody_because_others_did(moves: list[dict[str, Any]]) -> None:
    """The model is pinned, and made of no ranks."""
    assert set(reasons(moves, "behaviour_clusters")) == {"ageing", "own_purchase", "new_customer"}


@pytest.mark.parametrize("scheme", ["rfm", "value_tier"])
def test_between_two_freezes_of_the_limits_nobody_moves_because_others_did(moves: list[dict[str, Any]], scheme: str) -> None:
    own = {"ageing", "own_purchase", "new_customer"}
    assert set(reasons([row for row in moves if row["day"] != NEW_YEAR], scheme)) == own
    new_year = reasons([row for row in moves if row["day"] == NEW_YEAR], scheme)
    assert new_year["threshold_refreeze"] > 0
    assert set(new_year) <= own | {"threshold_refreeze"}


def test_newcomers_move_nobody_to_another_city_tier_but_on_the_first_of_a_month(moves: list[dict[str, Any]]) -> None:
    assert set(reasons([row for row in moves if row["day"] != NEW_YEAR], "city_tier")) == {"new_customer"}
    assert set(reasons([row for row in moves if row["day"] == NEW_YEAR], "city_tier")) == {"new_customer", "threshold_refreeze"}


def test_nobody_is_of_another_shopper_group_because_others_did_something(moves: list[dict[str, Any]]) -> None:
    own = {"ageing", "own_purchase", "new_customer"}
    assert set(reasons([row for row in moves if row["day"] != NEW_YEAR], "shopper_groups")) <= own
    assert set(reasons([row for row in moves if row["day"] == NEW_YEAR], "shopper_groups")) <= own | {"threshold_refreeze"}


def memberships(lake: Lake, night: date) -> dict[tuple[str, str], str]:
    return {(row["customer_id"], row["scheme"]): row["segment"] for row in lake.read(CUSTOMER_SEGMENTS, day=night).to_pylist()}


def test_flows_of_a_week_are_the_differences_of_its_two_nights(lake: Lake) -> None:
    now = memberships(lake, LAST)
    for nights, since in ((1, date(2014, 1, 4)), (7, FIRST)):
        then = memberships(lake, since)
        differing = Counter((key[1], then.get(key), now.get(key)) for key in then.keys() | now.keys() if then.get(key) != now.get(key))
        told: Counter[tuple[str, str | None, str | None]] = Counter()
        for row in lake.read(SEGMENT_FLOWS, day=LAST).to_pylist():
            if row["nights"] == nights:
                assert row["since_night"] == since
                told[row["scheme"], row["from_segment"], row["to_segment"]] += row["customer_count"]
        assert told == differing
        assert len(told) > 20


def test_a_tenth_of_the_buyers_hold_three_quarters_of_the_years_spend(lake: Lake) -> None:
    shares = {row["customer_percent"]: row["spend_share"] for row in lake.read(VALUE_CONCENTRATION, day=NEW_YEAR).to_pylist()}
    assert shares[10] == pytest.approx(0.77, abs=0.01)
    spend = sorted((row["spend_amount"] for row in lake.read(CUSTOMER_FEATURES, day=NEW_YEAR).to_pylist()), reverse=True)
    buyers = [each for each in spend if each > 0]
    assert shares[1] == float(sum(buyers[: -(-len(buyers) // 100)])) / float(sum(buyers))


def test_what_customers_of_a_category_buy_next_is_told_better_than_by_what_is_popular(lake: Lake) -> None:
    assert refined_night(lake, LAST) == NEW_YEAR
    [rates] = {(row["hit_rate"], row["base_hit_rate"], row["is_better"]) for row in lake.read(NEXT_CATEGORIES, day=NEW_YEAR).to_pylist()}
    assert rates == (pytest.approx(0.786, abs=0.005), pytest.approx(0.723, abs=0.005), True)


def test_champions_and_loyal_customers_hide_two_kinds(lake: Lake) -> None:
    """Frequent small buyers beside those who spend a hundred times as much: the score of both together lets them in."""
    split = {row["segment"]: row for row in lake.read(SEGMENT_PROPOSALS, day=NEW_YEAR).to_pylist() if row["kind"] == "split"}
    for segment in ("champions", "loyal"):
        assert split[segment]["rule"].startswith("m_score >= ")
        assert split[segment]["low"] > 100

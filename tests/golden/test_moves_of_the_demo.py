"""Nine days of a real company, over a turn of the month: nobody moves without a reason, and no reason contradicts the orders."""

from __future__ import annotations

from collections import Counter
from datetime import date
from typing import Any

import duckdb
import pytest
from support.nights import night_of

from pipeline.calendar import days_between
from pipeline.definitions.company import PROJECT_ROOT
from pipeline.lake.lake import Lake
from pipeline.lake.tables import ORDER_LINES, SEGMENT_MOVES
from pipeline.operations import steps
from pipeline.segmentation import REASONS

FIRST, LAST, NEW_YEAR = date(2013, 12, 28), date(2014, 1, 5), date(2014, 1, 1)
BUYING = ("behaviour_clusters", "lifecycle", "rfm", "value_tier")
COMPANY = PROJECT_ROOT / "examples" / "adventureworks"


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    """Return a lake whose last night read the source, and that told 9 nights from it."""
    lake = Lake(tmp_path_factory.mktemp("adventureworks"))
    steps.extract(night_of(COMPANY, lake, LAST))
    steps.validate(night_of(COMPANY, lake, LAST))
    for day in days_between(FIRST, LAST):
        steps.features(night_of(COMPANY, lake, day))
        steps.segment(night_of(COMPANY, lake, day))
    return lake


@pytest.fixture(scope="module")
def moves(lake: Lake) -> list[dict[str, Any]]:
    return [{"day": day, **row} for day in lake.nights(SEGMENT_MOVES) for row in lake.read(SEGMENT_MOVES, day=day).to_pylist()]


def reasons(moves: list[dict[str, Any]], scheme: str) -> Counter[str]:
    return Counter(row["reason"] for row in moves if row["scheme"] == scheme)


def test_every_move_has_one_of_the_reasons(lake: Lake, moves: list[dict[str, Any]]) -> None:
    assert lake.nights(SEGMENT_MOVES) == list(days_between(FIRST, LAST))
    assert {row["reason"] for row in moves} <= set(REASONS)
    assert len({(row["day"], row["customer_id"], row["scheme"]) for row in moves}) == len(moves)


def test_who_ordered_since_moved_by_it_and_nobody_else(lake: Lake, moves: list[dict[str, Any]]) -> None:
    files = str(lake.root / "tables" / ORDER_LINES.name / "month=*" / "known=*" / "*.parquet")
    select = "SELECT DISTINCT customer_id, order_day FROM read_parquet(?) WHERE line_kind = 'order' AND order_day >= ?"
    ordered = set(duckdb.execute(select, [files, FIRST]).fetchall())
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

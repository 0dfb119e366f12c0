"""Flows: net moves since 1, 7 and 28 nights ago, each with the reason of the last move; the same in whatever order nights came."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import closing
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from support.builders import write_rows
from support.nights import tree_bytes

from pipeline.lake.engines import Engine
from pipeline.lake.engines.duckdb import DuckDBEngine
from pipeline.lake.lake import Lake
from pipeline.lake.tables import CUSTOMER_FEATURES, SEGMENT_FLOWS, SEGMENT_MOVES
from pipeline.segmentation.insights import write_flows

SUNDAY = date(2024, 3, 31)
SPEND = {"ann": "30", "ben": "20.5", "cem": "0", "dee": "7"}
Move = tuple[str, str | None, str | None, str]


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(tmp_path / "lake")


@pytest.fixture
def engine(lake: Lake) -> Iterator[Engine]:
    with closing(DuckDBEngine(lake.store, memory_limit="500MB")) as engine:
        yield engine


def store_night(lake: Lake, day: date, moves: list[Move], *, scheme: str = "rfm") -> None:
    """Store the moves (customer, from, to, reason) of a night, and features of all customers."""
    rows = [dict(zip(("customer_id", "from_segment", "to_segment", "reason"), move, strict=True), scheme=scheme) for move in moves]
    write_rows(lake, SEGMENT_MOVES, rows, day=day)
    spent = [
        {"customer_id": name, "spend_amount": Decimal(each), "lifetime_spend_amount": 2 * Decimal(each)} for name, each in SPEND.items()
    ]
    write_rows(lake, CUSTOMER_FEATURES, spent, day=day)


def flows(lake: Lake, day: date) -> dict[tuple[Any, ...], tuple[int, Decimal]]:
    rows = lake.read(SEGMENT_FLOWS, day=day).to_pylist()
    return {
        (row["nights"], row["from_segment"], row["to_segment"], row["reason"]): (row["customer_count"], row["spend_amount"]) for row in rows
    }


def test_who_went_on_counts_once_with_the_last_reason_and_who_came_back_not_at_all(lake: Lake, engine: Engine) -> None:
    days = [SUNDAY - timedelta(back) for back in (8, 3, 1, 0)]
    store_night(lake, days[0], [])
    store_night(lake, days[1], [("ann", "new", "loyal", "own_purchase"), ("ben", "loyal", "lost", "ageing")])
    store_night(lake, days[2], [("ann", "loyal", "best", "population_shift"), ("cem", None, "new", "new_customer")])
    store_night(lake, days[3], [("ben", "lost", "loyal", "own_purchase"), ("dee", "lost", None, "left")])
    write_flows(lake, engine, SUNDAY)
    assert flows(lake, SUNDAY) == {
        (1, "lost", "loyal", "own_purchase"): (1, Decimal("20.5")),
        (1, "lost", None, "left"): (1, Decimal(7)),
        (7, "new", "best", "population_shift"): (1, Decimal(30)),
        (7, None, "new", "new_customer"): (1, Decimal(0)),
        (7, "lost", None, "left"): (1, Decimal(7)),
    }
    rows = lake.read(SEGMENT_FLOWS, day=SUNDAY).to_pylist()
    assert {(row["nights"], row["since_night"]) for row in rows} == {(1, days[2]), (7, days[0])}, "no night lies 28 nights back"
    assert {row["lifetime_spend_amount"] for row in rows if row["to_segment"] == "best"} == {Decimal(60)}


def test_a_customer_whom_the_night_does_not_know_any_more_counts_without_spend(lake: Lake, engine: Engine) -> None:
    store_night(lake, SUNDAY - timedelta(1), [])
    store_night(lake, SUNDAY, [("gone", "lost", None, "left"), ("ann", "new", "lost", "ageing")])
    write_flows(lake, engine, SUNDAY)
    assert flows(lake, SUNDAY)[1, "lost", None, "left"] == (1, Decimal(0))


def test_the_flows_of_one_night_are_its_moves(lake: Lake, engine: Engine) -> None:
    store_night(lake, SUNDAY - timedelta(1), [("ann", "lost", "new", "own_purchase")])
    moves = [
        (name, "new", to, reason)
        for name, to, reason in zip(SPEND, ("a", "a", "b", "a"), ("ageing", "ageing", "ageing", "left"), strict=True)
    ]
    store_night(lake, SUNDAY, moves)
    write_flows(lake, engine, SUNDAY)
    counted: Mapping[tuple[Any, ...], int] = Counter((1, before, after, reason) for _, before, after, reason in moves)
    assert {key: count for key, (count, _) in flows(lake, SUNDAY).items()} == counted


def test_the_first_night_of_all_has_none(lake: Lake, engine: Engine) -> None:
    store_night(lake, SUNDAY, [])
    write_flows(lake, engine, SUNDAY)
    assert not lake.has(SEGMENT_FLOWS, day=SUNDAY)


def test_a_night_that_is_added_later_changes_the_flows_of_those_that_count_its_moves(lake: Lake, engine: Engine, tmp_path: Path) -> None:
    nights = {
        SUNDAY - timedelta(30): [],
        SUNDAY - timedelta(2): [("ann", "new", "loyal", "own_purchase")],
        SUNDAY - timedelta(1): [("ann", "loyal", "best", "own_purchase"), ("ben", "new", "loyal", "own_purchase")],
        SUNDAY: [("ben", "loyal", "lost", "ageing")],
    }
    for day, moves in nights.items():
        store_night(lake, day, moves)
        write_flows(lake, engine, day)
    other = Lake(tmp_path / "other")
    with closing(DuckDBEngine(other.store, memory_limit="500MB")) as its_engine:
        for day in (SUNDAY, SUNDAY - timedelta(30), SUNDAY - timedelta(1), SUNDAY - timedelta(2)):
            store_night(other, day, nights[day])
            write_flows(other, its_engine, day)
    assert tree_bytes(other, "tables/segment_flows") == tree_bytes(lake, "tables/segment_flows")
    assert flows(lake, SUNDAY)[28, "new", "best", "own_purchase"] == (1, Decimal(30))


def test_moves_that_cannot_be_read_cost_their_flows_and_not_the_night(lake: Lake, engine: Engine, caplog: pytest.LogCaptureFixture) -> None:
    for back in (2, 1, 0):
        store_night(lake, SUNDAY - timedelta(back), [("ann", "new", "lost", "ageing")] if back != 2 else [])
        write_flows(lake, engine, SUNDAY - timedelta(back))
    damaged = lake.path(SEGMENT_MOVES, day=SUNDAY)
    damaged.write_bytes(damaged.read_bytes()[:-9] + b"000000000")
    write_flows(lake, engine, SUNDAY)
    assert not lake.has(SEGMENT_FLOWS, day=SUNDAY)
    assert "segment_flows of 2024-03-31 are not told" in caplog.text


def test_flows_are_counted_anew_only_where_what_they_count_has_changed(lake: Lake, engine: Engine) -> None:
    nights = [SUNDAY - timedelta(back) for back in (2, 1, 0)]
    for day in nights:
        store_night(lake, day, [("ann", "new", "loyal", "own_purchase")] if day != nights[0] else [])
        write_flows(lake, engine, day)
    written = {day: lake.path(SEGMENT_FLOWS, day=day).stat().st_mtime_ns for day in nights[1:]}
    store_night(lake, nights[1], [("ann", "new", "loyal", "own_purchase")])
    write_flows(lake, engine, nights[1])
    assert {day: lake.path(SEGMENT_FLOWS, day=day).stat().st_mtime_ns for day in nights[1:]} == written
    store_night(lake, nights[1], [("ben", "new", "loyal", "own_purchase")])
    write_flows(lake, engine, nights[1])
    assert flows(lake, nights[1])[1, "new", "loyal", "own_purchase"] == (1, Decimal("20.5"))

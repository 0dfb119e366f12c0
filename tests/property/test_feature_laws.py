"""Laws 1, 2 and 5 on features: no future, same bytes, equal customers equal scores."""

from __future__ import annotations

import random
import tempfile
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from support.builders import a_company, an_order_line, features_by_customer, write_order_lines

from pipeline.features import compute_features, compute_rollups
from pipeline.lake.engines.duckdb import DuckDBEngine
from pipeline.lake.lake import Lake
from pipeline.lake.tables import CUSTOMER_DAYS, CUSTOMER_FEATURES, POPULATION_BASELINES, POPULATION_RHYTHM

NIGHT = date(2024, 3, 31)
FEW = settings(max_examples=5, deadline=None, derandomize=True)  # an example is a night or two: few, and each of many purchases

purchases = st.lists(
    st.builds(
        dict,
        day=st.integers(0, 500).map(lambda ago: NIGHT - timedelta(ago)),
        customer_id=st.sampled_from("abcdefgh"),
        net_amount=st.decimals(0, 500, places=4),
        discount_amount=st.sampled_from([Decimal(0), Decimal("2.5")]),
        category=st.sampled_from(["bread", "wine"]),
        channel=st.sampled_from(["web", "store"]),
    ),
    min_size=1,
    max_size=40,
)


def numbered(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [an_order_line(number, **row) for number, row in enumerate(rows, 1)]


def night_bytes(lines: list[dict[str, Any]], *, threads: int = 2) -> list[bytes]:
    """Compute a night in a lake of its own and return the bytes of what it wrote."""
    with tempfile.TemporaryDirectory() as folder:
        lake = Lake(Path(folder))
        write_order_lines(lake, lines, known_on=NIGHT)
        engine = DuckDBEngine(lake.store, memory_limit="1GB", threads=threads)
        compute_rollups(lake, engine, NIGHT)
        compute_features(a_company(lake.root), lake, engine, NIGHT)
        engine.close()
        written = [lake.path(CUSTOMER_DAYS, day=v.day, known_on=v.known_on) for v in lake.versions(CUSTOMER_DAYS)]
        written += [lake.path(table, day=NIGHT) for table in (POPULATION_RHYTHM, POPULATION_BASELINES, CUSTOMER_FEATURES)]
        return [path.read_bytes() for path in written]


def night_features(lines: list[dict[str, Any]], *, known_on: date = NIGHT) -> dict[str, dict[str, Any]]:
    with tempfile.TemporaryDirectory() as folder:
        lake = Lake(Path(folder))
        write_order_lines(lake, lines, known_on=known_on)
        return features_by_customer(a_company(lake.root), lake, NIGHT)


@FEW
@given(purchases, purchases)
def test_rows_after_the_night_change_nothing(rows: list[dict[str, Any]], later: list[dict[str, Any]]) -> None:
    future = [{**row, "day": row["day"] + timedelta(501)} for row in later]
    assert night_features(numbered(rows)) == night_features(numbered([*rows, *future]))


@FEW
@given(purchases, st.randoms(use_true_random=False))
def test_row_order_and_threads_change_no_byte(rows: list[dict[str, Any]], chance: random.Random) -> None:
    lines = numbered(rows)
    shuffled = chance.sample(lines, len(lines))
    assert night_bytes(lines, threads=1) == night_bytes(shuffled, threads=2)


@FEW
@given(purchases, st.sets(st.sampled_from("abcdefgh"), min_size=4))
def test_equal_customers_have_equal_features_and_scores_and_a_better_value_never_scores_worse(
    rows: list[dict[str, Any]], with_twins: set[str]
) -> None:
    twins = [{**row, "customer_id": f"{row['customer_id']}-twin"} for row in rows if row["customer_id"] in with_twins]
    found = night_features(numbered([*rows, *twins]))
    for name in {row["customer_id"] for row in rows} & with_twins:
        assert {**found[name], "customer_id": ""} == {**found[f"{name}-twin"], "customer_id": ""}
    buyers = [row for row in found.values() if row["order_day_count"] > 0]
    for value, score in (("last_order_date", "r_score"), ("order_day_count", "f_score"), ("spend_amount", "m_score")):
        ordered = sorted(buyers, key=lambda row, value=value: row[value])  # type: ignore[misc]
        scores = [row[score] for row in ordered]
        assert scores == sorted(scores)
        assert all(1 <= each <= 5 for each in scores)


@FEW
@given(purchases)
def test_another_purchase_never_lowers_the_customers_frequency_or_spend(rows: list[dict[str, Any]]) -> None:
    customer = rows[0]["customer_id"]
    bonus = {"day": NIGHT, "customer_id": customer, "net_amount": Decimal(1)}
    before, after = (night_features(numbered(each))[customer] for each in (rows, [*rows, bonus]))
    assert after["order_day_count"] >= before["order_day_count"]
    assert after["spend_amount"] >= before["spend_amount"]
    if before["order_day_count"] > 0:
        assert after["f_score"] >= before["f_score"]
        assert after["m_score"] >= before["m_score"]

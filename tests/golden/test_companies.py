"""Whole nights on real companies reach the answers that are known of them."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

import duckdb
import pyarrow.parquet as pq
import pytest
from support.cluster_models import expected_profiles
from support.nights import run_night

from pipeline.definitions.company import PROJECT_ROOT, load_company
from pipeline.definitions.schemes import load_schemes
from pipeline.lake import addresses
from pipeline.lake.addresses import morning_page
from pipeline.lake.lake import Lake
from pipeline.lake.tables import (
    CLUSTER_PROFILES,
    CUSTOMER_FEATURES,
    CUSTOMER_SEGMENTS,
    ORDER_LINES,
    RAW_ORDER_LINES,
    REJECTED_ROWS,
    SEGMENT_PROFILES,
    Table,
)
from pipeline.models.refits.model_store import stored_model

ALL_DAYS = "month=*/known=*/part-0.parquet"


@pytest.fixture(scope="module")
def night(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> tuple[str, Lake]:
    """Return the lake after the last night of an example company."""
    folder = PROJECT_ROOT / "examples" / request.param
    lake = Lake(tmp_path_factory.mktemp(request.param))
    day = load_company(folder).last_day
    assert day is not None
    run_night(folder, lake, day)
    return request.param, lake


def answers(lake: Lake, table: Table, select: str) -> tuple[Any, ...]:
    files = str(lake.root / "tables" / table.name / ALL_DAYS)
    rows: list[tuple[Any, ...]] = duckdb.execute(f"SELECT {select} FROM read_parquet(?)", [files]).fetchall()
    return rows[0]


def test_adventureworks_keeps_every_line_and_every_cent(demo_lake: Lake) -> None:
    totals = "COUNT(*) FILTER (channel = '{0}'), SUM(net_amount) FILTER (channel = '{0}')"
    assert answers(demo_lake, ORDER_LINES, totals.format("internet")) == (60398, Decimal("29358677.2207"))
    assert answers(demo_lake, ORDER_LINES, totals.format("reseller")) == (60855, Decimal("80450596.9823"))


OF_FIRMS = {"business_type", "firm_age", "firm_sales", "firm_size"}
OF_PERSONS = {"age_band", "household", "income_band", "purchase_motive", "survey_interest"}


def test_every_adventureworks_customer_has_one_segment_in_every_scheme_that_is_for_them(demo_lake: Lake) -> None:
    current = demo_lake.root / "current"
    segments = duckdb.execute(
        "SELECT scheme, COUNT(*), COUNT(DISTINCT customer_id), COUNT(*) - COUNT(segment) FROM read_parquet(?) GROUP BY ALL ORDER BY ALL",
        [str(current / f"{CUSTOMER_SEGMENTS.name}.parquet")],
    ).fetchall()
    customers = pq.read_metadata(current / "customer_features.parquet").num_rows
    schemes = load_schemes(load_company(PROJECT_ROOT / "examples" / "adventureworks")).schemes
    assert [row[0] for row in segments] == sorted(["behaviour_clusters", *(scheme.name for scheme in schemes)])
    persons, resellers, prospects = 18484, 701, 2059
    assert customers == persons + resellers + prospects
    expected = {name: resellers if name in OF_FIRMS else persons + prospects if name in OF_PERSONS else customers for name, *_ in segments}
    assert segments == [(name, count, count, 0) for name, count in sorted(expected.items())]


def test_the_spend_of_the_segments_adds_up_to_the_spend_of_the_window(demo_lake: Lake) -> None:
    in_window = "order_day BETWEEN DATE '2013-01-29' AND DATE '2014-01-28'"
    internet, reseller = answers(
        demo_lake,
        ORDER_LINES,
        f"SUM(net_amount) FILTER ({in_window} AND channel = 'internet'), SUM(net_amount) FILTER ({in_window} AND channel = 'reseller')",
    )
    profiles = pq.read_table(demo_lake.root / "current" / f"{SEGMENT_PROFILES.name}.parquet").to_pylist()
    for scheme in {row["scheme"] for row in profiles}:
        window = reseller if scheme in OF_FIRMS else internet if scheme in OF_PERSONS else internet + reseller
        assert sum(row["spend_amount"] for row in profiles if row["scheme"] == scheme) == window


def require_true_figures_of_clusters(lake: Lake) -> list[dict[str, Any]]:
    """Compare the figures of a night's clusters with what is worked out from its customers alone, and return them."""
    [night] = lake.nights(CLUSTER_PROFILES)
    features, memberships = (lake.read(table, day=night) for table in (CUSTOMER_FEATURES, CUSTOMER_SEGMENTS))
    first = lake.manifest(addresses.partition(CUSTOMER_SEGMENTS, day=night))["models"]["behaviour_clusters"]
    expected = expected_profiles(features, memberships, stored_model(lake, "behaviour_clusters", first))
    rows = lake.read(CLUSTER_PROFILES, day=night).to_pylist()
    assert {(row["segment"], row["feature"]) for row in rows if row["cluster_mean"] is not None} == expected.keys()
    for row in rows:
        count, own, overall, difference = expected[row["segment"], row["feature"]]
        assert row["known_count"] == count
        assert (row["cluster_mean"], row["overall_mean"]) == pytest.approx((own, overall), rel=1e-6, abs=1e-6)
        assert row["standardised_difference"] == pytest.approx(difference, abs=2e-6)
    return rows


def test_the_demos_clusters_are_set_apart_by_what_their_titles_say(demo_lake: Lake) -> None:
    rows = require_true_figures_of_clusters(demo_lake)
    titles = {row["segment"]: row["title"] for row in demo_lake.read(SEGMENT_PROFILES, day=date(2014, 1, 28)).to_pylist()}
    words = {("spend_amount", 1): "high spend", ("spend_amount", -1): "low spend"}
    words |= {("order_day_count", 1): "frequent", ("order_day_count", -1): "infrequent"}
    for row in rows:
        side = 1 if row["standardised_difference"] > 0 else -1
        title = titles[row["segment"]].lower()
        assert words[row["feature"], side] in title
        assert words[row["feature"], -side] not in title.split(", ")


@pytest.mark.parametrize("night", ["online_retail", "complete_journey"], indirect=True)
def test_figures_of_clusters_are_those_of_their_customers(night: tuple[str, Lake]) -> None:
    assert require_true_figures_of_clusters(night[1])


@pytest.mark.parametrize("night", ["online_retail"], indirect=True)
def test_online_retail_reaches_the_known_answers_under_the_usual_clean_rule(night: tuple[str, Lake]) -> None:
    _, lake = night
    clean = "line_kind = 'order' AND quantity > 0 AND net_amount > 0"
    counted = ("COUNT(*)", "COUNT(DISTINCT customer_id)", "COUNT(DISTINCT order_id)", "SUM(net_amount)")
    select = ", ".join(f"{each} FILTER ({clean})" for each in counted)
    lines, customers, invoices, revenue = answers(lake, ORDER_LINES, select)
    assert (lines, customers, invoices) == (397884, 4338, 18532)
    assert round(revenue, 2) == Decimal("8911407.90")


@pytest.mark.parametrize("night", ["online_retail"], indirect=True)
def test_online_retail_rejects_every_line_without_a_customer_and_loses_none(night: tuple[str, Lake]) -> None:
    _, lake = night
    files = str(lake.root / "tables" / REJECTED_ROWS.name / "day=*" / "part-0.parquet")
    rejected = dict(duckdb.execute("SELECT rule, COUNT(*) FROM read_parquet(?) GROUP BY ALL", [files]).fetchall())
    assert rejected == {"customer_id_is_given": 135080}
    assert answers(lake, RAW_ORDER_LINES, "COUNT(*)") == (541909,)
    assert answers(lake, ORDER_LINES, "COUNT(*)") == (541909 - 135080,)


@pytest.mark.parametrize("night", ["complete_journey"], indirect=True)
def test_complete_journey_keeps_every_line_of_every_household(night: tuple[str, Lake]) -> None:
    _, lake = night
    select = "COUNT(*), COUNT(DISTINCT customer_id), SUM(net_amount), MIN(order_day)::VARCHAR, MAX(order_day)::VARCHAR"
    assert answers(lake, ORDER_LINES, select) == (1469307, 2469, Decimal("4596039.5800"), "2017-01-01", "2017-12-31")


def test_the_demos_morning_page_says_first_that_sales_fell_and_is_small(demo_lake: Lake) -> None:
    page = demo_lake.read_text(morning_page(date(2014, 1, 28)))
    assert len(page.encode()) < 300_000
    _, _, in_short = page.partition('class="alarm"')
    assert "Sales fell by 97%: $45,695 in the last 28 days, after $1,700,077 in the 28 days before." in in_short.partition("</li>")[0]
    assert "In the same weeks a year ago it was $4,982,960." in in_short.partition("</li>")[0]
    assert "<strong>21,244</strong>" in page

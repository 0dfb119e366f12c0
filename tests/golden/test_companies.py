"""Whole nights on real companies reach the answers that are known of them."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import duckdb
import pyarrow.parquet as pq
from support.cluster_models import require_true_figures_of_clusters
from support.stored_answers import answers

from pipeline.definitions.company import PROJECT_ROOT, load_company
from pipeline.definitions.schemes import load_schemes
from pipeline.lake.addresses import morning_page
from pipeline.lake.lake import Lake
from pipeline.lake.tables import (
    CUSTOMER_SEGMENTS,
    ORDER_LINES,
    SEGMENT_PROFILES,
)


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


def test_the_demos_morning_page_says_first_that_sales_fell_and_is_small(demo_lake: Lake) -> None:
    page = demo_lake.read_text(morning_page(date(2014, 1, 28)))
    assert len(page.encode()) < 300_000
    _, _, in_short = page.partition('class="alarm"')
    assert "Sales fell by 97%: $45,695 in the last 28 days, after $1,700,077 in the 28 days before." in in_short.partition("</li>")[0]
    assert "In the same weeks a year ago it was $4,982,960." in in_short.partition("</li>")[0]
    assert "<strong>21,244</strong>" in page

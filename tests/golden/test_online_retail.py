"""A whole night on Online Retail reaches the answers that are known of it."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import duckdb
import pytest
from support.cluster_models import require_true_figures_of_clusters
from support.nights import run_night
from support.stored_answers import answers

from pipeline.definitions.company import PROJECT_ROOT
from pipeline.lake.lake import Lake
from pipeline.lake.tables import ORDER_LINES, RAW_ORDER_LINES, REJECTED_ROWS


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    """Return the lake after the last night of the example company."""
    lake = Lake(tmp_path_factory.mktemp("online_retail"))
    run_night(PROJECT_ROOT / "examples" / "online_retail", lake, date(2011, 12, 9))
    return lake


def test_figures_of_online_retails_clusters_are_those_of_their_customers(lake: Lake) -> None:
    assert require_true_figures_of_clusters(lake)


def test_online_retail_reaches_the_known_answers_under_the_usual_clean_rule(lake: Lake) -> None:
    clean = "line_kind = 'order' AND quantity > 0 AND net_amount > 0"
    counted = ("COUNT(*)", "COUNT(DISTINCT customer_id)", "COUNT(DISTINCT order_id)", "SUM(net_amount)")
    select = ", ".join(f"{each} FILTER ({clean})" for each in counted)
    lines, customers, invoices, revenue = answers(lake, ORDER_LINES, select)
    assert (lines, customers, invoices) == (397884, 4338, 18532)
    assert round(revenue, 2) == Decimal("8911407.90")


def test_online_retail_rejects_every_line_without_a_customer_and_loses_none(lake: Lake) -> None:
    files = str(lake.root / "tables" / REJECTED_ROWS.name / "day=*" / "part-0.parquet")
    rejected = dict(duckdb.execute("SELECT rule, COUNT(*) FROM read_parquet(?) GROUP BY ALL", [files]).fetchall())
    assert rejected == {"customer_id_is_given": 135080}
    assert answers(lake, RAW_ORDER_LINES, "COUNT(*)") == (541909,)
    assert answers(lake, ORDER_LINES, "COUNT(*)") == (541909 - 135080,)

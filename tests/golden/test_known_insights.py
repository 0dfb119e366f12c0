"""Known answers about surveys, product insight and effectiveness, from published data, each worked out apart from the pipeline."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow.parquet as pq
import pytest
from support.builders import write_rows

from pipeline.definitions.surveys import Survey
from pipeline.lake.engines import Engine
from pipeline.lake.engines.duckdb import DuckDBEngine
from pipeline.lake.lake import Lake
from pipeline.lake.local_store import LocalStore
from pipeline.lake.tables import CUSTOMER_SEGMENTS, CUSTOMER_SURVIVORS, Column, EventType, Kind
from pipeline.segmentation.insights.effectiveness import FormedCustomers, scheme_outcome
from pipeline.segmentation.insights.risk_ratios import mantel_haenszel
from pipeline.segmentation.insights.survey_shares import read_survey_shares

NIGHT = date(2024, 3, 31)
SURVEY = EventType(
    "motives",
    "Motives",
    "Travel motives.",
    ("customer_id", "question"),
    Column("answered_at", Kind.INSTANT, "", required=True),
    (Column("question", Kind.TEXT, ""), Column("answer", Kind.TEXT, "")),
)
SPEND = """
WITH lines AS (
  SELECT household_id, sales_value,
    CAST(timezone('America/New_York', timezone('UTC', CAST(transaction_timestamp AS TIMESTAMP))) AS DATE) AS day
  FROM '{data}/complete_journey/transactions.parquet'
),
sums AS (
  SELECT household_id,
    SUM(sales_value) FILTER (day <= DATE '2017-09-30') AS spend,
    COALESCE(SUM(sales_value) FILTER (day > DATE '2017-09-30' AND day <= DATE '2017-09-30' + 90), 0) AS next_spend
  FROM lines GROUP BY household_id
)
SELECT spend, next_spend FROM sums WHERE spend IS NOT NULL ORDER BY md5(household_id::VARCHAR)
"""
CHILDREN = """
WITH bought AS (
  SELECT DISTINCT t.household_id, p.product_category
  FROM '{data}/complete_journey/transactions.parquet' AS t JOIN '{data}/complete_journey/products.parquet' AS p USING (product_id)
),
households AS (SELECT household_id, kids_count <> '0' AS has_children FROM '{data}/complete_journey/demographics.parquet')
SELECT
  COUNT(DISTINCT household_id) FILTER (has_children AND product_category = '{category}') AS with_it,
  COUNT(DISTINCT household_id) FILTER (has_children) AS size,
  COUNT(DISTINCT household_id) FILTER (NOT has_children AND product_category = '{category}') AS others_with_it,
  COUNT(DISTINCT household_id) FILTER (NOT has_children) AS others_size
FROM households LEFT JOIN bought USING (household_id)
"""


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    with closing(DuckDBEngine(LocalStore(tmp_path / "lake"), memory_limit="1GB")) as engine:
        yield engine


def test_a_thousand_travellers_answer_as_published(shared_data: Path, tmp_path: Path, engine: Engine) -> None:
    lake = Lake(tmp_path / "lake")
    answers = pq.read_table(shared_data / "vacmot" / "vacmot.parquet")
    segments = pq.read_table(shared_data / "vacmot" / "vacmot6.parquet")["vacmot6"].to_pylist()
    at = datetime(2024, 3, 1, tzinfo=UTC)
    rows = [
        {"customer_id": f"t{place:04}", "question": question, "answer": "yes" if value else "no", "answered_at": at}
        for question in answers.column_names
        for place, value in enumerate(answers[question].to_pylist())
    ]
    assert (len(rows), sum(row["answer"] == "yes" for row in rows)) == (20_000, 6_785)
    write_rows(lake, SURVEY.table, rows, day=at.date(), known_on=NIGHT)
    members = [{"customer_id": f"t{place:04}", "scheme": "published", "segment": str(segment)} for place, segment in enumerate(segments)]
    write_rows(lake, CUSTOMER_SEGMENTS, members, day=NIGHT)
    survey = Survey(SURVEY, "question", "answer", "", is_panel=False)
    nobody = CUSTOMER_SURVIVORS.schema.empty_table()
    found = read_survey_shares((survey,), lake, engine, NIGHT, survivors_of=lambda _day, _known: nobody).to_pylist()
    yes = {(row["question"], row["segment"]): row for row in found if row["answer"] == "yes"}
    rest = yes["rest and relax", "all"]
    assert (rest["answer_count"], round(rest["low"], 4), round(rest["high"], 4)) == (899, 0.8788, 0.9162)
    assert sum(row["answer_count"] for (_, segment), row in yes.items() if segment == "all") == 6_785
    sizes = {segment: row["respondent_count"] for (question, segment), row in yes.items() if question == "rest and relax"}
    assert [sizes[str(segment)] for segment in range(1, 7)] == [246, 201, 95, 156, 129, 173]
    assert times_as_common(yes, "health and beauty", "3") == pytest.approx(4.04, abs=0.005)
    assert times_as_common(yes, "maintain unspoilt surroundings", "6") == pytest.approx(3.16, abs=0.005)
    assert times_as_common(yes, "not care about prices", "5") == pytest.approx(2.91, abs=0.005)


def times_as_common(yes: dict[tuple[str, str], dict[str, Any]], question: str, segment: str) -> float:
    """Return how many times as common an answer is in a segment as among all respondents."""
    return float(yes[question, segment]["share"] / yes[question, "all"]["share"])


@pytest.mark.parametrize(
    ("category", "ratio", "low", "high"),
    [("DIAPERS & DISPOSABLES", 1.76, 1.40, 2.21), ("TOYS AND GAMES", 1.70, 1.42, 2.03), ("INFANT CARE PRODUCTS", 1.83, 1.36, 2.46)],
)
def test_households_with_children_buy_what_children_need(shared_data: Path, category: str, ratio: float, low: float, high: float) -> None:
    counts = duckdb.sql(CHILDREN.format(data=shared_data, category=category)).fetchall()[0]
    assert (counts[1], counts[3]) == (288, 513)
    found = mantel_haenszel(*(np.array([[float(count)]]) for count in counts))
    assert [found.ratio[0], found.low[0], found.high[0]] == pytest.approx([ratio, low, high], abs=0.0075)


def test_tenths_of_spend_and_value_tiers_tell_the_next_90_days_as_measured(shared_data: Path) -> None:
    rows = duckdb.sql(SPEND.format(data=shared_data)).fetchnumpy()
    spend, following = (np.asarray(rows[name], dtype=float) for name in ("spend", "next_spend"))
    order = np.argsort(-spend, kind="stable")
    held = np.empty(len(spend))
    held[order] = np.concatenate([[0.0], np.cumsum(spend[order])[:-1]]) / spend.sum()
    tiers = np.digitize(held, [0.8, 0.95]).astype(np.int64)
    ones = np.ones(len(spend))
    found = scheme_outcome("value_tier", FormedCustomers(date(2017, 9, 30), spend, following, (following > 0) * ones, ones), tiers)
    assert len(spend) == 2_446
    assert found.gini_of_tenths == pytest.approx(0.828, abs=0.0005)
    assert found.gini == pytest.approx(0.664, abs=0.02), "by tiers of the same day, rather than of its month"
    assert abs(found.spend.gain) < 0.001
    assert not found.adds

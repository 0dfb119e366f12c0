"""Both engines say the same of flows, concentration, scores and sales: ties, signs, empty segments and names that look alike."""

from __future__ import annotations

import random
import shutil
from contextlib import closing
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from support.builders import write_rows
from support.insight_shops import FORMED, REFINED, run_insight_nights, write_insight_shop
from support.local_spark import SparkOver
from support.nights import tree_bytes

from pipeline.definitions.company import load_company
from pipeline.definitions.surveys import Survey
from pipeline.features import MergeHistory
from pipeline.lake import addresses
from pipeline.lake.engines import Engine
from pipeline.lake.engines.duckdb import DuckDBEngine
from pipeline.lake.lake import Lake
from pipeline.lake.statements import statement
from pipeline.lake.tables import (
    CUSTOMER_DAYS,
    CUSTOMER_FEATURES,
    CUSTOMER_SEGMENTS,
    CUSTOMER_SURVIVORS,
    REFINEMENT_TABLES,
    SEGMENT_MOVES,
    Column,
    EventType,
    Kind,
)
from pipeline.segmentation.insights import write_refinement
from pipeline.segmentation.insights.flows import flows_statement, moves_table
from pipeline.segmentation.insights.survey_shares import read_survey_shares

NIGHT = date(2024, 3, 31)
NAMES = [*"abcdefgh", "ı", "i", "İ", "ქ", "o'b", " ", *(f"c{n}" for n in range(150))]
SEGMENTS = ["best", "Best", "it's", "ı", None]
SALES = {"first": NIGHT - timedelta(55), "last": NIGHT, "first_before": NIGHT - timedelta(419), "last_before": NIGHT - timedelta(364)}


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    lake, chance = Lake(tmp_path / "lake"), random.Random(5)
    amounts = ["0", "-3", "0.0001", "10", "10", "19.99", "99999999.9999"]
    customers = [
        {
            "customer_id": name,
            "spend_amount": Decimal(chance.choice(amounts)),
            "lifetime_spend_amount": Decimal(chance.choice(amounts)),
            "order_day_count": chance.choice([0, 1, 5]),
            "first_order_date": chance.choice([None, NIGHT - timedelta(chance.randrange(440))]),
            "r_score": chance.choice([None, 1, 5]),
            "fm_score": chance.choice([None, 1, 3, 5]),
        }
        for name in NAMES[:-20]
    ]
    write_rows(lake, CUSTOMER_FEATURES, customers, day=NIGHT)
    for back in range(4):
        moves = [
            dict(zip(("customer_id", "from_segment", "to_segment"), (name, *chance.sample(SEGMENTS, 2)), strict=True), scheme=scheme)
            for name in NAMES
            for scheme in ("rfm", "ı")
            if chance.random() < 0.6
        ]
        reasoned = [{**move, "reason": chance.choice(["ageing", "left"])} for move in moves]
        write_rows(lake, SEGMENT_MOVES, reasoned, day=NIGHT - timedelta(back))
    for back in (0, 3, 55, 56, 364, 419):
        day = NIGHT - timedelta(back)
        rows = [sale(chance, day, name) for name in chance.sample(NAMES, 40)]
        write_rows(lake, CUSTOMER_DAYS, rows, day=day, known_on=NIGHT)
    merged = [{"customer_id": name, "survivor_id": "a"} for name in "abc"]
    write_rows(lake, CUSTOMER_SURVIVORS, merged, day=NIGHT)
    return lake


def sale(chance: random.Random, day: date, name: str) -> dict[str, Any]:
    amounts = {"order_amount": Decimal(chance.choice(["0", "5", "7.25"])), "refund_amount": Decimal(chance.choice(["0", "0.25"]))}
    return {"customer_id": name, "order_day": day, "order_count": chance.choice([0, 1, 3]), **amounts}


def rows_of(engine: Engine, lake: Lake) -> dict[str, list[dict[str, Any]]]:
    """Return the rows of each table as the engine gives them, in their order."""
    nights = [NIGHT - timedelta(back) for back in (3, 2, 1, 0)]
    for table in (CUSTOMER_FEATURES, CUSTOMER_SURVIVORS):
        engine.register(table, [addresses.partition(table, day=NIGHT)])
    for night in nights:
        engine.register(replace(SEGMENT_MOVES, name=moves_table(night)), [addresses.partition(SEGMENT_MOVES, day=night)])
    engine.register(CUSTOMER_DAYS, lake.parts(CUSTOMER_DAYS, lake.versions(CUSTOMER_DAYS)))
    queries = {name: statement(name) for name in ("value_concentration", "score_grid", "sales_days")}
    queries["segment_flows"] = flows_statement({1: NIGHT - timedelta(1), 7: NIGHT - timedelta(4)}, nights)
    return {name: engine.run(query, SALES).read_all().to_pylist() for name, query in queries.items()}


def test_every_figure_of_a_night_is_told_alike(lake: Lake, spark: SparkOver) -> None:
    with closing(DuckDBEngine(lake.store, memory_limit="500MB")) as duckdb:
        told = rows_of(duckdb, lake)
    assert rows_of(spark(lake), lake) == told
    assert len(told["value_concentration"]) == 100
    assert len(told["score_grid"]) == 6
    assert [row["order_day"] for row in told["sales_days"]] == [NIGHT - timedelta(back) for back in (419, 364, 55, 3, 0)]
    assert {row["nights"] for row in told["segment_flows"]} == {1, 7}


def test_what_is_learned_of_segments_is_told_alike(tmp_path: Path, spark: SparkOver) -> None:
    shop = write_insight_shop(tmp_path / "shop")
    lake = run_insight_nights(shop, Lake(tmp_path / "lake"), FORMED, REFINED)
    folders = [f"tables/{table.name}/day={REFINED}" for table in REFINEMENT_TABLES]
    told = tree_bytes(lake, *folders)
    company = load_company(shop)
    for folder in folders:
        shutil.rmtree(lake.root / folder, ignore_errors=True)
    write_refinement(company, lake, spark(lake), REFINED, survivors_of=MergeHistory(lake, company.zone).rows_of)
    assert tree_bytes(lake, *folders) == told
    assert len(told) >= 4


def test_answers_are_counted_alike(lake: Lake, spark: SparkOver) -> None:
    columns = (Column("question", Kind.TEXT, ""), Column("answer", Kind.INTEGER, ""), Column("weight", Kind.NUMBER, ""))
    event = EventType("answers", "A", "A.", ("customer_id", "question", "at"), Column("at", Kind.INSTANT, "", required=True), columns)
    chance, noon = random.Random(2), datetime(2024, 3, 30, 12, tzinfo=UTC)
    rows = [
        {
            "customer_id": name,
            "question": question,
            "answer": chance.choice([1, 2, 3, None]),
            "at": noon + timedelta(hours=hour),
            "weight": chance.choice([0.5, 1.0, 1.25, 0.0, None]),
        }
        for name in NAMES
        for question in ("ı", "i", "")
        for hour in range(chance.randrange(1, 3))
    ]
    write_rows(lake, event.table, rows, day=noon.date(), known_on=NIGHT)
    members = [{"customer_id": name, "scheme": "rfm", "segment": chance.choice("ab")} for name in NAMES[:100]]
    write_rows(lake, CUSTOMER_SEGMENTS, members, day=NIGHT)
    merged = lake.read(CUSTOMER_SURVIVORS, day=NIGHT)
    for survey in (Survey(event, "question", "answer", "weight", is_panel=True), Survey(event, "question", "answer", "", is_panel=True)):
        with closing(DuckDBEngine(lake.store, memory_limit="500MB")) as duckdb:
            told = read_survey_shares((survey,), lake, duckdb, NIGHT, survivors_of=lambda _day, _known: merged)
        assert read_survey_shares((survey,), lake, spark(lake), NIGHT, survivors_of=lambda _day, _known: merged).equals(told)
        assert told.num_rows >= 10

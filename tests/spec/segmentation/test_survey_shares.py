"""What respondents answered: the newest answer counts, weights by Kish, intervals by Wilson, rare answers under no name."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from support.builders import write_rows
from support.nights import run_night, write_shop

from pipeline.definitions.company import load_company
from pipeline.definitions.surveys import Survey
from pipeline.errors import ConfigError, GateClosed
from pipeline.lake.engines import Engine
from pipeline.lake.engines.duckdb import DuckDBEngine
from pipeline.lake.lake import Lake
from pipeline.lake.tables import CUSTOMER_FEATURES, CUSTOMER_SEGMENTS, CUSTOMER_SURVIVORS, SURVEY_SHARES, Column, EventType, Kind
from pipeline.segmentation.insights.survey_shares import effective_count, read_survey_shares
from pipeline.segmentation.insights.wilson import wilson_interval

NIGHT = date(2024, 3, 31)
NOON = datetime(2024, 3, 30, 12, tzinfo=UTC)
ANSWERS = EventType(
    "answers",
    "Answers",
    "Answers.",
    ("customer_id", "question", "answered_at", "answer"),
    Column("answered_at", Kind.INSTANT, "", required=True),
    (Column("question", Kind.TEXT, ""), Column("answer", Kind.TEXT, ""), Column("weight", Kind.NUMBER, "")),
)
PLAIN, WEIGHTED = Survey(ANSWERS, "question", "answer", "", is_panel=False), Survey(ANSWERS, "question", "answer", "weight", is_panel=True)
NOBODY = CUSTOMER_SURVIVORS.schema.empty_table()


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(tmp_path / "lake")


@pytest.fixture
def engine(lake: Lake) -> Iterator[Engine]:
    with closing(DuckDBEngine(lake.store, memory_limit="500MB")) as engine:
        yield engine


def answers(
    count: int, answer: str, *, first: int = 0, question: str = "nps", at: datetime = NOON, weight: float = 1.0
) -> list[dict[str, Any]]:
    return [
        {"customer_id": f"c{number:03}", "question": question, "answer": answer, "answered_at": at, "weight": weight}
        for number in range(first, first + count)
    ]


def shares(
    lake: Lake, engine: Engine, rows: list[dict[str, Any]], survey: Survey = PLAIN, survivors: pa.Table = NOBODY
) -> dict[tuple[Any, ...], dict[str, Any]]:
    """Return rows by answer, scheme and segment; customers c000 to c049 are loyal, c050 to c079 lost, all others are no customers."""
    write_rows(lake, ANSWERS.table, rows, day=NOON.date(), known_on=NIGHT)
    members = [{"customer_id": f"c{n:03}", "scheme": "rfm", "segment": "loyal" if n < 50 else "lost"} for n in range(80)]
    write_rows(lake, CUSTOMER_SEGMENTS, members, day=NIGHT)
    found = read_survey_shares((survey,), lake, engine, NIGHT, survivors_of=lambda _day, _known: survivors).to_pylist()
    return {(row["answer"], row["scheme"], row["segment"]): row for row in found}


def test_wilsons_interval_is_that_of_the_textbook() -> None:
    # 899 of 1,000; and none of 10: 0 to z^2 / (n + z^2).
    assert wilson_interval(0.899, 1_000) == pytest.approx((0.8788, 0.9162), abs=5e-5)
    assert wilson_interval(0.0, 10) == pytest.approx((0.0, 3.8414588 / 13.8414588))
    assert wilson_interval(1.0, 10) == pytest.approx((10 / 13.8414588, 1.0))
    for count in range(1, 400):
        assert (wilson_interval(0.0, count)[0], wilson_interval(1.0, count)[1]) == (0.0, 1.0), "and not a hair beside"


def test_unequal_weights_are_worth_fewer_respondents() -> None:
    assert effective_count(4.0, 4.0) == 4
    assert effective_count(1 + 3, 1 + 9) == 1.6


def test_shares_are_of_all_and_of_each_segment(lake: Lake, engine: Engine) -> None:
    found = shares(lake, engine, [*answers(40, "yes"), *answers(40, "no", first=40), *answers(20, "yes", first=200)])
    everybody = found["yes", "all", "all"]
    assert (everybody["answer_count"], everybody["respondent_count"], everybody["share"], everybody["effective_count"]) == (
        60,
        100,
        0.6,
        100,
    )
    assert (everybody["low"], everybody["high"]) == pytest.approx(wilson_interval(0.6, 100), abs=1e-8)
    assert (found["yes", "rfm", "loyal"]["answer_count"], found["yes", "rfm", "loyal"]["share"]) == (40, 0.8)
    assert found["no", "rfm", "lost"]["share"] == 1.0
    assert ("yes", "rfm", "lost") not in found


def test_of_each_respondent_the_newest_answer_counts_and_several_where_given_together(lake: Lake, engine: Engine) -> None:
    old, later = NOON - timedelta(hours=3), NOON + timedelta(hours=1)
    rows = [*answers(30, "no", at=old), *answers(30, "yes"), *answers(12, "maybe", at=later), *answers(12, "perhaps", at=later)]
    found = shares(lake, engine, rows)
    assert {key[0]: row["answer_count"] for key, row in found.items() if key[1] == "all"} == {"yes": 18, "maybe": 12, "perhaps": 12}
    assert found["maybe", "all", "all"]["respondent_count"] == 30


def test_answers_of_fewer_than_ten_stand_together_under_no_name(lake: Lake, engine: Engine) -> None:
    rows = [*answers(30, "yes"), *answers(9, "I am Ann, call me", first=30), *answers(1, "Bob here", first=39)]
    found = shares(lake, engine, rows)
    assert {key[0]: row["answer_count"] for key, row in found.items() if key[1] == "all"} == {"yes": 30, None: 10}
    assert found[None, "rfm", "loyal"]["share"] == 0.25


def test_weights_count_and_who_has_none_does_not(lake: Lake, engine: Engine) -> None:
    rows = [*answers(10, "yes", weight=3.0), *answers(10, "no", first=10, weight=1.0), *answers(10, "no", first=20, weight=0.0)]
    found = shares(lake, engine, rows, WEIGHTED)["yes", "all", "all"]
    assert (found["answer_count"], found["respondent_count"], found["share"], found["effective_count"]) == (10, 20, 0.75, 16)
    assert (found["low"], found["high"]) == pytest.approx(wilson_interval(0.75, 16), abs=1e-8)


def test_merged_customers_answer_once(lake: Lake, engine: Engine) -> None:
    merged = pa.table({"customer_id": ["c000", "c001"], "survivor_id": ["c000", "c000"]}, schema=CUSTOMER_SURVIVORS.schema)
    assert shares(lake, engine, answers(12, "yes"), survivors=merged)["yes", "all", "all"]["answer_count"] == 11


EVENT = """
[events.answers]
key = ["customer_id", "question", "answered_at"]
instant = "answered_at"
[events.answers.columns]
question = "text"
answer = "text"
score = "number"
answered_on = "date"
"""


def company_with(folder: Path, survey: str) -> tuple[Survey, ...]:
    shop = write_shop(folder, [], customers=[], settings=f"{EVENT}\n{survey}")
    (shop / "sources" / "answers.sql").write_text("SELECT 1")
    return load_company(shop).surveys


def test_a_survey_names_a_declared_event_and_its_columns(tmp_path: Path) -> None:
    [survey] = company_with(tmp_path, '[surveys.answers]\nweight = "score"\npanel = true\n')
    assert (survey.event.name, survey.question, survey.answer, survey.weight, survey.is_panel) == (
        "answers", "question", "answer", "score", True,
    )  # fmt: skip
    assert company_with(tmp_path, "") == ()


@pytest.mark.parametrize(
    ("survey", "said"),
    [
        ("[surveys.answer]\n", "`surveys.answer` is no declared event (did you mean `answers`?)"),
        ('[surveys.answers]\nquestion = "ask"\n', "`surveys.answers.question` names `ask`, which is no column of answers"),
        ('[surveys.answers]\nanswer = "answered_on"\n', "names `answered_on`, which is date"),
        ('[surveys.answers]\nweight = "answer"\n', "names `answer`, which is text"),
        ("[surveys.answers]\nwieght = 1\n", "wieght"),
    ],
)
def test_what_is_wrong_is_told(tmp_path: Path, survey: str, said: str) -> None:
    with pytest.raises(ConfigError) as error:
        company_with(tmp_path, survey)
    assert said in str(error.value)


def panel_shop(folder: Path, survey: str) -> Path:
    """Write a shop of 20 customers, and a panel of 40 others who were asked."""
    orders = [f"o{n},1,c{n},2024-03-{n + 1:02} 10:00:00,1,10,tea" for n in range(20)]
    shop = write_shop(folder, orders, customers=[f"c{n}" for n in range(20)], settings=f"{EVENT}\n{survey}")
    query = "SELECT CAST(respondent AS VARCHAR) AS customer_id, question, answer, CAST(NULL AS DOUBLE) AS score, "
    query += "CAST(NULL AS DATE) AS answered_on, CAST(answered AS TIMESTAMP) AT TIME ZONE 'Europe/Berlin' AS answered_at FROM panel"
    (shop / "sources" / "answers.sql").write_text(query)
    asked = [f"panel-{n},why,{'price' if n % 4 else 'taste'},2024-03-30 12:00:00" for n in range(40)]
    (shop / "data" / "panel.csv").write_text("\n".join(["respondent,question,answer,answered", *asked]) + "\n")
    return shop


def test_a_panel_is_counted_among_all_and_needs_no_customers(tmp_path: Path) -> None:
    shop, lake = panel_shop(tmp_path / "shop", "[surveys.answers]\npanel = true\n"), Lake(tmp_path / "lake")
    run_night(shop, lake, NIGHT)
    found = lake.read(SURVEY_SHARES, day=NIGHT).to_pylist()
    assert [(row["survey"], row["question"], row["answer"], row["scheme"], row["answer_count"], row["share"]) for row in found] == [
        ("answers", "why", "price", "all", 30, 0.75),
        ("answers", "why", "taste", "all", 10, 0.25),
    ]
    customers = lake.read(load_company(shop).table(CUSTOMER_FEATURES), day=NIGHT)["customer_id"].to_pylist()
    assert not [each for each in customers if each.startswith("panel")]
    run_night(panel_shop(tmp_path / "shop", "[surveys.answers]\npanel = true\n"), lake, NIGHT)
    assert lake.read(SURVEY_SHARES, day=NIGHT).to_pylist() == found


def test_events_of_strangers_that_are_no_panel_hold_the_night_back(tmp_path: Path) -> None:
    with pytest.raises(GateClosed, match="unmatched"):
        run_night(panel_shop(tmp_path / "shop", "[surveys.answers]\n"), Lake(tmp_path / "lake"), NIGHT)

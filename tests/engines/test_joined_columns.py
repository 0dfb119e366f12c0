"""What rules look at beside features is joined alike on DuckDB and on Spark: lists, stays in segments, predictions."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlglot import exp
from support.builders import a_company, write_rows
from support.local_spark import SparkOver
from support.published_nights import a_row, write_memberships

from pipeline.definitions.company import Company
from pipeline.definitions.rules import ListColumn, StayColumn
from pipeline.definitions.value_lists import list_digests
from pipeline.lake import addresses
from pipeline.lake.engines import Engine
from pipeline.lake.engines.duckdb import DuckDBEngine
from pipeline.lake.lake import Lake
from pipeline.lake.tables import CUSTOMER_FEATURES, CUSTOMER_PREDICTIONS
from pipeline.segmentation import write_intervals
from pipeline.segmentation.joined_columns import JoinedColumns

FIRST = date(2024, 2, 27)
CITIES = {"ann": "İzmir", "bob": None, "cem": "a, b", "dee": "", "eve": "it's", "fay": "\u10d7\u10d1"}
# Who is in which segment on the nights of 27 February to 2 March; a dash is nobody's.
NIGHTS = {"ann": "aabba", "bob": "bbbbb", "cem": "abaab", "dee": "--aaa", "eve": "aaaaa"}
STAYS = [StayColumn(what, "s", "a").column for what in ("LAST_IN", "ENTERED", "IN_SINCE")]


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> tuple[Company, Lake]:
    root = tmp_path_factory.mktemp("joined")
    (root / "lists").mkdir()
    (root / "lists" / "places.csv").write_text('value\nİzmir\n"a, b"\nit\'s\n\u10d7\u10d1\n', "utf-8")
    company, lake = a_company(root), Lake(root / "lake")
    with closing(DuckDBEngine(lake.store, memory_limit="500MB", threads=1)) as engine:
        for number in range(5):
            day = FIRST + timedelta(days=number)
            segments = {(name, "s"): letters[number] for name, letters in NIGHTS.items() if letters[number] != "-"}
            write_memberships(lake, day, segments)
            write_intervals(lake, engine, day)
    rows = [a_row(CUSTOMER_FEATURES, customer_id=name, favourite_category=city) for name, city in CITIES.items()]
    write_rows(lake, CUSTOMER_FEATURES, rows, day=FIRST)
    chances = [a_row(CUSTOMER_PREDICTIONS, customer_id="ann", repeat_probability=0.25), a_row(CUSTOMER_PREDICTIONS, customer_id="bob")]
    write_rows(lake, CUSTOMER_PREDICTIONS, chances, day=FIRST + timedelta(days=3))
    return company, lake


def joined(stored: tuple[Company, Lake], engine: Engine, day: date, folder: Path) -> dict[str, dict[str, Any]]:
    company, lake = stored
    listed = ListColumn("favourite_category", "places", list_digests(company)["places"]).column
    engine.register(CUSTOMER_FEATURES, [addresses.partition(CUSTOMER_FEATURES, day=FIRST)])
    folder.mkdir()
    columns = JoinedColumns([company], lake, engine, day, day, folder)
    names = {listed: "listed", "repeat_probability": "chance", **{name: name.partition("(")[0] for name in STAYS}}
    table = replace(CUSTOMER_FEATURES.only({"customer_id", "favourite_category"}), name="joined_features")
    columns.define(table, CUSTOMER_FEATURES.name, names)
    # In its own place, as a plan does it.
    engine.materialize(table, exp.select("*").from_(table.name))
    picked = [exp.alias_(exp.column(name, quoted=True), alias) for name, alias in names.items()]
    rows = engine.run(exp.select("customer_id", *picked).from_(table.name), {}).read_all().to_pylist()
    return {row.pop("customer_id"): row for row in rows}


@pytest.mark.parametrize("number", range(6))
def test_joined_columns_are_alike_and_tell_only_of_nights_before(
    stored: tuple[Company, Lake], spark: SparkOver, tmp_path: Path, number: int
) -> None:
    day = FIRST + timedelta(days=number)
    with closing(DuckDBEngine(stored[1].store, memory_limit="500MB")) as duck:
        found = joined(stored, duck, day, stored[1].root / f"duck_{number}")
    assert joined(stored, spark(stored[1]), day, tmp_path / "spark") == found
    assert {name: row["listed"] for name, row in found.items()} == {
        "ann": True, "bob": None, "cem": True, "dee": False, "eve": True, "fay": True
    }  # fmt: skip
    assert {name: row["chance"] for name, row in found.items() if row["chance"] is not None} == ({"ann": 0.25} if number == 3 else {})
    for name, row in found.items():
        assert (row["LAST_IN"], row["ENTERED"], row["IN_SINCE"]) == stays_by_hand(NIGHTS.get(name, "-----")[:number])


def stays_by_hand(letters: str) -> tuple[date | None, date | None, date | None]:
    """Return the last day in `a`, the day of the last entry into it, and since when, as a string of nights tells it."""
    # What the last night says holds until tonight: here there is a night for every day.
    days = [place for place, letter in enumerate(letters) if letter == "a"]
    if not days:
        return None, None, None
    entries = [place for place in days if place == 0 or letters[place - 1] != "a"]
    last, entered = FIRST + timedelta(days=days[-1]), FIRST + timedelta(days=entries[-1])
    return last, entered, entered if days[-1] == len(letters) - 1 else None

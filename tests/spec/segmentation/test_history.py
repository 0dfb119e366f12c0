"""`segments history` and the interval table: who was in which segment on a day, as known on another."""

from __future__ import annotations

import json
import shutil
import sqlite3
from contextlib import closing
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import pytest
from support.builders import a_company, write_rows
from support.killing import Killer, copied
from support.nights import tree_bytes
from support.published_nights import a_row, no_connections, write_night
from typer.testing import CliRunner

from pipeline.cli import app
from pipeline.errors import ConfigError, DataError
from pipeline.lake.engines.duckdb import DuckDBEngine
from pipeline.lake.lake import Lake
from pipeline.lake.tables import CUSTOMER_SEGMENT_INTERVALS, CUSTOMER_SEGMENTS, SEGMENT_PROFILES
from pipeline.publication.publish import publish
from pipeline.segmentation import SchemeNames, night_as_known, write_intervals

MONDAY, TUESDAY, WEDNESDAY, FRIDAY = date(2024, 3, 4), date(2024, 3, 5), date(2024, 3, 6), date(2024, 3, 8)
TABLE = f"tables/{CUSTOMER_SEGMENT_INTERVALS.name}"
TITLES = {"champions": "Champions", "lost": "Lost"}


def tell(lake: Lake, day: date, segments: dict[str, str], *, known_on: date | None = None) -> None:
    """Store a night, as known then or later, and let the intervals tell it."""
    rows = [{"customer_id": customer, "scheme": "rfm", "segment": segment} for customer, segment in segments.items()]
    write_rows(lake, CUSTOMER_SEGMENTS, rows, day=day, known_on=known_on or day)
    profiles = [
        a_row(SEGMENT_PROFILES, scheme="rfm", segment=name, title=title, position=at) for at, (name, title) in enumerate(TITLES.items())
    ]
    write_rows(lake, SEGMENT_PROFILES, profiles, day=day, known_on=known_on or day)
    keep(lake.root, day, known_on)


def keep(root: Path, day: date, known_on: date | None = None) -> None:
    lake = Lake(root)
    with closing(DuckDBEngine(lake.store, memory_limit="200MB", threads=1)) as engine:
        write_intervals(lake, engine, day, known_on=known_on)


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    """Three nights, none on Thursday; on Friday it was learned that Bo had been lost on Tuesday, and Cy had not been there at all."""
    lake = Lake(tmp_path_factory.mktemp("told") / "lake")
    tell(lake, MONDAY, {"ann": "champions", "bo": "champions"})
    tell(lake, TUESDAY, {"ann": "champions", "bo": "champions", "cy": "lost"})
    tell(lake, WEDNESDAY, {"ann": "champions", "bo": "lost", "cy": "lost"})
    tell(lake, FRIDAY, {"bo": "lost", "cy": "champions"})
    tell(lake, TUESDAY, {"ann": "champions", "bo": "lost"}, known_on=FRIDAY)
    return lake


def asked(lake: Lake, *words: str) -> tuple[str, str]:
    run = CliRunner().invoke(app, ["history", "--lake", str(lake.root), *words])
    if run.exception and not isinstance(run.exception, SystemExit):
        raise run.exception
    assert run.exit_code == 0, run.output
    return run.stdout, run.stderr


def test_a_segment_of_a_day_is_its_customers_one_id_on_a_line(told: Lake) -> None:
    ids, words = asked(told, "--scheme", "rfm", "--segment", "champions", "--on", "2024-03-05", "--known", "2024-03-06")
    assert ids.split() == ["ann", "bo"]
    assert words == "rfm/champions on 2024-03-05: 2 customers, as that night said\n"


def test_what_was_learned_since_counts_unless_an_earlier_knowledge_is_asked_for(told: Lake) -> None:
    ids, words = asked(told, "--scheme", "RFM", "--segment", "Champions", "--on", "2024-03-05")
    assert ids.split() == ["ann"]
    assert words.endswith("as 2024-03-08 knows that night\n")


def test_a_day_without_a_night_is_told_by_the_night_before_it(told: Lake) -> None:
    ids, words = asked(told, "--scheme", "rfm", "--segment", "lost", "--on", "2024-03-07")
    assert ids.split() == ["bo", "cy"]
    assert "as the night of 2024-03-06, the last before it, said" in words


def test_json_says_what_was_asked_and_which_night_tells(told: Lake) -> None:
    answer = json.loads(asked(told, "--scheme", "rfm", "--segment", "lost", "--on", "2024-03-05", "--limit", "0", "--json")[0])
    assert answer == {
        "scheme": "rfm",
        "segment": "lost",
        "on": "2024-03-05",
        "known": None,
        "told_by_night": "2024-03-05",
        "as_known_by_night": "2024-03-08",
        "customer_count": 1,
        "customer_ids": [],
    }


def test_without_a_segment_the_sizes_of_all_are_shown_the_empty_ones_too(told: Lake) -> None:
    answer = json.loads(asked(told, "--on", "2024-03-04", "--json")[0])
    assert [(row["title"], row["customer_count"]) for row in answer["segments"]] == [("Champions", 2), ("Lost", 0)]
    assert "Champions" in asked(told)[0]


def test_a_customers_intervals_are_shown_with_the_night_that_knew_them(told: Lake) -> None:
    rows = json.loads(asked(told, "--customer", "bo", "--json")[0])["intervals"]
    assert [(row["segment"], row["valid_from"], row["valid_to"], row["known_from"]) for row in rows] == [
        ("champions", "2024-03-04", "2024-03-06", "2024-03-04"),
        ("lost", "2024-03-05", "2024-03-06", "2024-03-08"),
        ("lost", "2024-03-06", None, "2024-03-06"),
    ]
    assert asked(told, "--customer", "bo", "--scheme", "rfm")[0].count("lost") == 2


@pytest.mark.parametrize(
    ("words", "what"),
    [
        ("--scheme rmf", r"no scheme `rmf` \(did you mean `rfm`\?\)\n.*--scheme\n.*Choose one of rfm"),
        ("--scheme rfm --segment champion", r"no segment `champion` \(did you mean `champions`\?\)"),
        ("--segment lost", "a segment belongs to a scheme"),
        ("--on 2024-03-03", "no night tells of 2024-03-03: they reach from 2024-03-04 to 2024-03-08"),
        ("--on 2024-03-09", "no night tells of 2024-03-09"),
        ("--known 2024-03-01", "no night tells of 2024-03-01: they reach from 2024-03-04"),
        ("--on 2024-03-05 --known 2024-03-04", "nobody knew of 2024-03-05 on 2024-03-04"),
    ],
)
def test_what_nobody_declared_or_knows_is_refused_with_what_there_is(told: Lake, words: str, what: str) -> None:
    with pytest.raises(ConfigError, match=what):
        asked(told, *words.split())


def test_an_id_is_that_segment_even_where_another_has_it_as_its_title(told: Lake) -> None:
    names = SchemeNames(night_as_known(told, MONDAY), {"rfm": {"lost": "Away", "away": "Lost"}})
    assert [names.segment_named("rfm", name) for name in ("lost", "Away")] == ["lost", "away"]


@pytest.mark.parametrize("end", [TUESDAY, WEDNESDAY, date.max], ids=str)
def test_a_damaged_interval_table_says_how_it_is_mended_and_is(told: Lake, end: date) -> None:
    lake = Lake(copied(told.root, f"damaged-{end}"))
    before = tree_bytes(lake, TABLE)
    path = lake.path(CUSTOMER_SEGMENT_INTERVALS, day=end, known_on=end)
    path.write_bytes(path.read_bytes()[:-9])
    night = partial(tell, lake, TUESDAY, {"ann": "champions", "bo": "lost", "cy": "lost"})
    for reads in (night, partial(asked, lake, "--customer", "bo")):
        with pytest.raises(DataError, match=f"{CUSTOMER_SEGMENT_INTERVALS.name} is damaged") as refused:
            reads()
        assert (refused.value.where, refused.value.todo[:18]) == (str(lake.root / TABLE), "Remove this folder")
    shutil.rmtree(lake.root / TABLE)
    tell(lake, TUESDAY, {"ann": "champions", "bo": "champions", "cy": "lost"})
    assert tree_bytes(lake, TABLE) == before


def test_an_empty_lake_tells_nothing(lake: Lake) -> None:
    with pytest.raises(ConfigError, match="nothing is stored that tells"):
        asked(lake)


def test_pandas_and_duckdb_read_the_intervals_from_one_folder(told: Lake) -> None:
    folder = told.root / TABLE
    frame = pd.read_parquet(folder)
    rows = duckdb.sql(f"SELECT * FROM read_parquet('{folder}/**/*.parquet') WHERE segment IS NULL").fetchall()
    assert len(frame) == 7
    assert [row[2:8] for row in rows] == [("cy", "rfm", None, TUESDAY, WEDNESDAY, FRIDAY)]


def test_the_next_night_writes_its_own_rows_and_the_open_ones_alone(told: Lake) -> None:
    before = tree_bytes(told, TABLE)
    lake = Lake(copied(told.root, "next"))
    tell(lake, date(2024, 3, 9), {"bo": "champions", "cy": "champions"})
    changed = {name for name, content in tree_bytes(lake, TABLE).items() if before.get(name) != content}
    assert changed == {f"{TABLE}/month=2024-03/known=2024-03-09/part-0.parquet", f"{TABLE}/month=9999-12/known=9999-12-31/part-0.parquet"}


def test_nights_that_were_never_told_are_told_by_the_next(told: Lake, tmp_path: Path) -> None:
    late = Lake(tmp_path / "late")
    for day in (MONDAY, TUESDAY, WEDNESDAY):
        write_rows(late, CUSTOMER_SEGMENTS, told.read(CUSTOMER_SEGMENTS, day=day).to_pylist(), day=day)
    tell(late, FRIDAY, {"bo": "lost", "cy": "champions"})
    tell(late, TUESDAY, {"ann": "champions", "bo": "lost"}, known_on=FRIDAY)
    assert tree_bytes(late, TABLE) == tree_bytes(told, TABLE)


def test_published_nights_have_the_intervals_of_the_database_target(lake: Lake) -> None:
    company = a_company(lake.root)
    nights = [{"ann": "a", "bo": "a"}, {"ann": "b", "bo": "a", "cy": "a"}, {"bo": "a"}, {"ann": "b", "bo": "b"}]
    for day, segments in zip((MONDAY, TUESDAY, WEDNESDAY, FRIDAY), nights, strict=True):
        write_night(lake, company, day, segments)
        keep(lake.root, day)
        publish(company, lake, day, connections=no_connections)
    with closing(sqlite3.connect(lake.root / "segments.sqlite")) as target:
        there = target.execute("SELECT customer_id, scheme, segment, valid_from, valid_to FROM customer_segment_history").fetchall()
    here = duckdb.sql(
        f"""SELECT customer_id, scheme, segment, CAST(valid_from AS VARCHAR), CAST(valid_to AS VARCHAR)
        FROM read_parquet('{lake.root / TABLE}/**/*.parquet')"""
    ).fetchall()
    assert sorted(here, key=repr) == sorted(there, key=repr)


def stored_below(root: Path) -> dict[str, Any]:
    pending = [str(path) for path in root.glob("pending/**/*")]
    return {**tree_bytes(Lake(root), TABLE), "pending": pending}


@pytest.mark.parametrize(
    ("day", "next_day"), [(TUESDAY, TUESDAY), (FRIDAY, FRIDAY), (TUESDAY, WEDNESDAY)], ids=["between", "next", "other"]
)
def test_killed_anywhere_the_next_night_lays_the_bytes_of_an_undisturbed_run(
    killing: Killer, tmp_path: Path, day: date, next_day: date
) -> None:
    lake = Lake(tmp_path / "before")
    for night, segments in ((MONDAY, {"ann": "lost"}), (WEDNESDAY, {"ann": "lost", "bo": "lost"})):
        tell(lake, night, segments)
    write_rows(lake, CUSTOMER_SEGMENTS, [{"customer_id": "ann", "scheme": "rfm", "segment": "champions"}], day=day)
    undisturbed = copied(lake.root, "undisturbed")
    keep(undisturbed, day)
    for killed in killing.killed_at_some(partial(keep, day=day), lake.root, 12):
        keep(killed, next_day)
        assert stored_below(killed) == stored_below(undisturbed), killed.name

"""A company whose query lacks a column, told so wherever it looks; and the night on which the query begins to give it."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path

import pytest
from support.nights import NO_GATES, ORDER_LINES_SQL, night_environment, run_night, write_shop
from typer.testing import CliRunner

from pipeline.cli import app
from pipeline.lake.lake import Lake
from pipeline.lake.tables import CUSTOMER_FEATURES, CUSTOMER_SEGMENTS, SEGMENT_MOVES, SEGMENT_PROFILES

FIRST, SECOND, THIRD = date(2024, 3, 9), date(2024, 3, 10), date(2024, 3, 11)
WITHOUT = ORDER_LINES_SQL.replace(",\n  category\n", "\n")
ORDERS = [
    f"o{customer}{day},1,{customer},2024-03-{day:02} 12:00:00,1,{10 + day},{'tea' if customer == 'ann' else 'cups'}"
    for customer, days in {"ann": (1, 3, 5, 9), "bob": (2, 4, 6, 10), "cem": (1, 2, 3)}.items()
    for day in days
]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Run two nights without a category, and a third with it, of a query that reads the day before as well."""
    place = tmp_path_factory.mktemp("columns")
    shop = write_shop(place / "shop", ORDERS, customers=["ann", "bob", "cem"], settings="lookback_days = 2\n" + NO_GATES)
    query = shop / "sources" / "order_lines.sql"
    query.write_text(WITHOUT, "utf-8")
    for day in (FIRST, SECOND):
        run_night(shop, Lake(place / "lake"), day)
    (place / "told.txt").write_text(
        "\n".join(said(place, *words) for words in (["catalog"], ["explain", "ann"], ["plan"], ["summary", "--all", "--day", str(SECOND)])),
        "utf-8",
    )
    query.write_text(ORDER_LINES_SQL, "utf-8")
    run_night(shop, Lake(place / "lake"), THIRD)
    return place


def said(place: Path, *words: str) -> str:
    with night_environment(place / "shop", Lake(place / "lake")):
        return " ".join(CliRunner().invoke(app, list(words)).output.split())


def test_every_command_says_what_is_not_computed_and_names_the_column(place: Path) -> None:
    text = (place / "told.txt").read_text("utf-8")
    catalog, explanation, plan, summary = text.split("\n")
    assert all("needs category" in each for each in (catalog, explanation, plan, summary))
    assert "category_count not computed: needs category" in catalog
    for told in ("category_affinity: not computed: needs category", "behaviour_clusters.category_count: not computed: needs category"):
        assert told in summary


def test_nobody_has_a_figure_of_it_and_no_row_in_a_scheme_of_it(place: Path) -> None:
    lake = Lake(place / "lake")
    features = lake.read(CUSTOMER_FEATURES, day=SECOND)
    assert features["favourite_category"].null_count == features["category_count"].null_count == features.num_rows
    for table in (CUSTOMER_SEGMENTS, SEGMENT_PROFILES):
        assert "category_affinity" not in lake.read(table, day=SECOND)["scheme"].to_pylist()


def test_from_the_night_that_gives_it_on_it_counts_and_old_nights_stay(place: Path) -> None:
    rows = {row["customer_id"]: row for row in Lake(place / "lake").read(CUSTOMER_FEATURES, day=THIRD).to_pylist()}
    # The night read 2024-03-10 and 11: of the days before, nobody knows what was bought.
    assert {name: (row["favourite_category"], row["category_count"]) for name, row in rows.items()} == {
        "ann": (None, None),
        "bob": ("cups", 1),
        "cem": (None, None),
    }
    assert Lake(place / "lake").read(CUSTOMER_FEATURES, day=SECOND)["favourite_category"].null_count == len(rows)


def test_moves_into_a_scheme_that_it_makes_possible_are_a_change_of_the_source(place: Path) -> None:
    moves = Lake(place / "lake").read(SEGMENT_MOVES, day=THIRD).to_pylist()
    found = {(row["customer_id"], row["to_segment"]): row["reason"] for row in moves if row["scheme"] == "category_affinity"}
    assert found == dict.fromkeys((("ann", "unknown"), ("bob", "other"), ("cem", "unknown")), "source_change")


def test_a_plan_of_a_scheme_that_needs_it_says_so(tmp_path: Path) -> None:
    lake = Lake(tmp_path / "lake")
    shop = write_shop(tmp_path / "shop", ORDERS, customers=["ann"], settings=NO_GATES)
    (shop / "sources" / "order_lines.sql").write_text(WITHOUT, "utf-8")
    run_night(shop, lake, SECOND)
    (shop / "segments").mkdir()
    text = (
        'title = "Wine"\nkind = "rules"\nlevel = "behavioural"\nquestion = "Q?"\nevidence = ["order_count"]\n'
        '[[segment]]\nid = "wine"\ntitle = "W"\ndescription = "D."\nrule = "favourite_category = \'wine\'"\n'
        '[[segment]]\nid = "rest"\ntitle = "R"\ndescription = "D."\notherwise = true\n'
    )
    (shop / "segments" / "wine.toml").write_text(text, "utf-8")
    assert "wine: not computed: needs category" in said(tmp_path, "plan")
    assert json.loads(CliRunner().invoke(app, ["plan", "--json", "--company", str(shop), "--lake", str(lake.root)]).stdout)["not_computed"][
        "wine"
    ]


def test_before_the_first_night_the_catalogue_goes_by_the_query(tmp_path: Path) -> None:
    shop = write_shop(tmp_path / "shop", ORDERS, customers=["ann"])
    assert "shopper_groups.need_based" not in said(tmp_path, "catalog")
    assert "needs category" not in said(tmp_path, "catalog")
    (shop / "sources" / "order_lines.sql").write_text(WITHOUT, "utf-8")
    assert "needs category" in said(tmp_path, "catalog")


def test_the_page_of_the_night_says_what_was_not_computed(place: Path) -> None:
    page = (place / "lake" / "reports" / f"day={SECOND}" / "validation.html").read_text("utf-8")
    assert "<code>category_affinity</code>: not computed: needs category" in page

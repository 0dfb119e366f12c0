"""The slow tables of a night: when they are told, of which older night, and what they say of a shop with habits."""

from __future__ import annotations

import itertools
import shutil
from contextlib import closing
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from support.insight_shops import FORMED, NEXT, NEXT_MONTH, REFINED, run_insight_nights, write_insight_shop
from support.nights import tree_bytes

from pipeline.definitions.company import Company, load_company
from pipeline.definitions.history import company_on, definitions_digest
from pipeline.features import MergeHistory
from pipeline.lake.engines.duckdb import DuckDBEngine
from pipeline.lake.lake import Lake
from pipeline.lake.tables import (
    NEXT_CATEGORIES,
    REFINEMENT_TABLES,
    SCHEME_EFFECTIVENESS,
    SEGMENT_EFFECTIVENESS,
    SEGMENT_INSIGHTS,
    SEGMENT_PROPOSALS,
    Table,
)
from pipeline.segmentation.insights import refined_night, write_refinement

FOLDERS = [f"tables/{table.name}" for table in REFINEMENT_TABLES]


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_insight_shop(tmp_path_factory.mktemp("shop"))


@pytest.fixture(scope="module")
def lake(shop: Path, tmp_path_factory: pytest.TempPathFactory) -> Lake:
    return run_insight_nights(shop, Lake(tmp_path_factory.mktemp("lake") / "lake"), FORMED, REFINED, NEXT, NEXT_MONTH)


def rows(lake: Lake, table: Table, day: date = REFINED) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = lake.read(table, day=day).to_pylist()
    return found


def test_they_are_told_on_the_first_night_of_a_month(lake: Lake) -> None:
    assert lake.nights(SEGMENT_INSIGHTS) == [FORMED, REFINED, NEXT_MONTH]
    assert refined_night(lake, NEXT) == REFINED
    assert refined_night(lake, date(2024, 1, 1)) is None


def test_a_night_run_again_tells_the_same(shop: Path, lake: Lake) -> None:
    before = tree_bytes(lake, *FOLDERS)
    run_insight_nights(shop, lake, REFINED, NEXT)
    assert tree_bytes(lake, *FOLDERS) == before


def test_changed_definitions_are_told_of_at_once(shop: Path, lake: Lake, tmp_path: Path) -> None:
    changed = shutil.copytree(shop, tmp_path / "shop")
    (changed / "segments").mkdir()
    (changed / "segments" / "tea.toml").write_text(
        'title = "Tea"\nkind = "rules"\nlevel = "behavioural"\nquestion = "Q?"\nevidence = ["favourite_category"]\n'
        '[[segment]]\nid = "tea"\ntitle = "Tea"\ndescription = "D."\nrule = "favourite_category = \'tea\'"\n'
        '[[segment]]\nid = "other"\ntitle = "O"\ndescription = "D."\notherwise = true\n'
    )
    own = Lake(shutil.copytree(lake.root, tmp_path / "lake", symlinks=True))
    run_insight_nights(changed, own, date(2024, 6, 2))
    assert refined_night(own, date(2024, 6, 2)) == date(2024, 6, 2)
    assert {row["scheme"] for row in rows(own, SEGMENT_INSIGHTS, date(2024, 6, 2))} >= {"tea", "rfm"}
    run_insight_nights(shop, own, date(2024, 6, 3))
    assert refined_night(own, date(2024, 6, 3)) == date(2024, 6, 3), "and when they are as before"
    in_order = tree_bytes(own, *FOLDERS)
    for days in ((3, 1, 2), (2, 3, 1)):
        refine_anew(shop, own, *(date(2024, 6, day) for day in days))
        assert tree_bytes(own, *FOLDERS) == in_order, "in whatever order"


def test_another_word_for_people_is_no_changed_definition(shop: Path, lake: Lake, tmp_path: Path) -> None:
    changed = shutil.copytree(shop, tmp_path / "shop")
    own = Lake(shutil.copytree(lake.root, tmp_path / "lake", symlinks=True))
    (changed / "segments" / "translations" / "de").mkdir(parents=True)
    (changed / "segments" / "translations" / "de" / "rfm.toml").write_text('title = "Kundenwert"\n')
    company = load_company(changed)
    assert definitions_digest(company) != definitions_digest(load_company(shop))
    refine(company, own, NEXT)
    assert refined_night(own, NEXT) == REFINED


def refine(company: Company, lake: Lake, day: date) -> None:
    with closing(DuckDBEngine(lake.store, memory_limit="500MB")) as engine:
        write_refinement(company, lake, engine, day, survivors_of=MergeHistory(lake, company.zone).rows_of)


def refine_anew(shop: Path, lake: Lake, *days: date) -> None:
    """Remove what is told of these days, and tell it again in their order, of each by the definitions of then."""
    for table, day in itertools.product(REFINEMENT_TABLES, days):
        lake.remove(table, day=day)
    for day in days:
        refine(company_on(lake, load_company(shop), day), lake, day)


def test_whichever_order_nights_come_in_the_first_of_the_month_tells(shop: Path, lake: Lake, tmp_path: Path) -> None:
    own = Lake(shutil.copytree(lake.root, tmp_path / "lake", symlinks=True))
    refine_anew(shop, own, NEXT, REFINED, NEXT_MONTH)
    assert tree_bytes(own, *FOLDERS) == tree_bytes(lake, *FOLDERS)


def test_what_a_segment_buys_more_is_told_and_what_everybody_buys_is_not(lake: Lake) -> None:
    told = {(row["scheme"], row["segment"], row["subject"]) for row in rows(lake, SEGMENT_INSIGHTS) if row["is_significant"]}
    assert {("category_affinity", "tea", "tea"), ("category_affinity", "salt", "salt")} <= told
    assert ("value_tier", "a", "tea") in told
    assert not [each for each in told if each[2] == "salt" and each[:2] == ("value_tier", "a")]


def test_next_categories_go_with_what_customers_have(lake: Lake) -> None:
    shares = {(row["category"], row["next_category"]): row for row in rows(lake, NEXT_CATEGORIES)}
    assert ("tea", "pots") in shares
    assert ("salt", "oil") in shares
    assert ("tea", "oil") not in shares, "nobody did that"
    assert all(row["share"] > row["base_share"] for row in shares.values())


def test_effectiveness_is_of_the_night_90_days_ago_and_counts_its_customers(lake: Lake) -> None:
    assert not lake.has(SCHEME_EFFECTIVENESS, day=FORMED), "no night lies 90 days before it"
    schemes, segments = rows(lake, SCHEME_EFFECTIVENESS), rows(lake, SEGMENT_EFFECTIVENESS)
    assert {row["of_night"] for row in (*schemes, *segments)} == {FORMED}
    ordered = next(row["customer_count"] for row in schemes if row["scheme"] == "rfm")
    assert sum(row["customer_count"] for row in segments if row["scheme"] == "rfm") == ordered > 100
    assert not any(row["adds"] for row in schemes if row["scheme"] == "value_tier"), "it is made of spend"


def test_each_scheme_that_adds_nothing_is_proposed_to_be_looked_at(lake: Lake) -> None:
    found = {row["scheme"]: row for row in rows(lake, SEGMENT_PROPOSALS) if row["kind"] == "tells_nothing_new"}
    adding = {row["scheme"]: row["adds"] for row in rows(lake, SCHEME_EFFECTIVENESS)}
    assert set(found) == {scheme for scheme, adds in adding.items() if not adds}
    assert "value_tier" in found
    assert {row["command"] for row in found.values()} == {f"segments effectiveness --scheme {scheme}" for scheme in found}

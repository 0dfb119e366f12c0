"""Consent: segments are computed for everybody; who does not agree is left out of what leaves the lake."""

from __future__ import annotations

import shutil
from datetime import date
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from support.builders import write_rows
from support.nights import run_night, tree_bytes, write_shop
from support.published_nights import manifest, published_segments, target_rows

from pipeline.definitions.company import load_company
from pipeline.errors import DataError, SchemaDrift
from pipeline.lake.lake import Lake
from pipeline.lake.tables import CUSTOMER_FEATURES, CUSTOMER_SEGMENTS, RAW_CONSENTS
from pipeline.publication.consent import drop_withheld, withheld_customers
from pipeline.publication.publish import publish

MONDAY, TUESDAY = date(2024, 3, 4), date(2024, 3, 5)
CONSENTS_SQL = "SELECT who AS customer_id, CAST(answer AS BOOLEAN) AS is_consenting FROM consents"


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    return a_shop(tmp_path / "shop")


@pytest.fixture(scope="module")
def kept_night(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    folder = tmp_path_factory.mktemp("kept")
    run_night(a_shop(folder / "shop"), Lake(folder / "lake"), MONDAY)
    return Lake(folder / "lake")


@pytest.fixture
def monday(kept_night: Lake, tmp_path: Path) -> Lake:
    """Return a lake in which the shop's Monday is live, to be changed."""
    return Lake(shutil.copytree(kept_night.root, tmp_path / "lake", symlinks=True))


def a_shop(folder: Path) -> Path:
    names = ["ada", "bob", "cleo", "dan"]
    orders = [f"o-{name},1,{name},2024-03-0{place} 12:00:00,1,10,tea" for place, name in enumerate(names, 1)]
    write_shop(folder, orders, customers=names)
    (folder / "sources" / "consents.sql").write_text(CONSENTS_SQL)
    say(folder, "ada,true", "bob,false")
    return folder


def say(shop: Path, *answers: str) -> None:
    (shop / "data" / "consents.csv").write_text("\n".join(["who,answer", *answers]) + "\n")


def current(lake: Lake) -> set[str]:
    return {row[0] for row in target_rows(lake.root / "segments.sqlite")["customer_segments"]}


def test_who_said_no_is_left_out_of_what_is_published_and_who_said_nothing_is_not(monday: Lake) -> None:
    features = pq.read_table(monday.root / "current" / "customer_features.parquet")
    assert set(published_segments(monday)) == {"ada", "cleo", "dan"}
    assert set(features["customer_id"].to_pylist()) == {"ada", "cleo", "dan"}
    assert current(monday) == {"ada", "cleo", "dan"}


def test_segments_are_computed_for_everybody_and_the_manifest_counts_who_is_withheld(monday: Lake) -> None:
    for table in (CUSTOMER_FEATURES, CUSTOMER_SEGMENTS):
        assert set(monday.read(table, day=MONDAY)["customer_id"].to_pylist()) == {"ada", "bob", "cleo", "dan"}
    assert manifest(monday)["withheld"] == {"customers": 1}
    assert "bob" not in (monday.root / "current" / "manifest.json").read_text()


@pytest.mark.parametrize("answers", [[("ada", False)], [("ada", None)], [("ada", True), ("ada", False)], [(" ada ", False)]])
def test_anything_but_a_plain_yes_is_a_no(shop: Path, lake: Lake, answers: list[tuple[str, bool | None]]) -> None:
    write_rows(
        lake, RAW_CONSENTS, [{"customer_id": who, "is_consenting": answer} for who, answer in [*answers, ("bob", True)]], known_on=MONDAY
    )
    withheld = withheld_customers(load_company(shop), lake, MONDAY)
    assert drop_withheld(pa.record_batch({"customer_id": ["ada", "bob", "cleo"]}), withheld).column(0).to_pylist() == ["bob", "cleo"]


def test_who_withdraws_is_deleted_from_the_target_by_the_next_publication(shop: Path, monday: Lake) -> None:
    say(shop, "ada,false", "bob,true")
    run_night(shop, monday, TUESDAY)
    assert current(monday) == set(published_segments(monday)) == {"bob", "cleo", "dan"}
    history = target_rows(monday.root / "segments.sqlite")["customer_segment_history"]
    assert {row[-1] for row in history if row[0] == "ada"} == {str(TUESDAY)}


def test_publishing_a_night_again_changes_no_byte(shop: Path, monday: Lake) -> None:
    before = tree_bytes(monday, "tables", "publications")
    say(shop, "ada,false", "bob,true")
    run_night(shop, monday, MONDAY)
    assert tree_bytes(monday, "tables", "publications") == before


def test_without_a_consents_query_everybody_is_published(shop: Path, lake: Lake) -> None:
    (shop / "sources" / "consents.sql").unlink()
    run_night(shop, lake, MONDAY)
    assert set(published_segments(lake)) == {"ada", "bob", "cleo", "dan"}
    assert "withheld" not in manifest(lake)


def test_a_night_that_never_asked_is_not_published_once_the_company_asks(shop: Path, lake: Lake) -> None:
    query = shop / "sources" / "consents.sql"
    query.unlink()
    run_night(shop, lake, MONDAY, until="audit")
    query.write_text(CONSENTS_SQL)
    with pytest.raises(DataError, match="nobody knows who agreed"):
        publish(load_company(shop), lake, MONDAY, connections=str)
    run_night(shop, lake, MONDAY)
    assert set(published_segments(lake)) == {"ada", "cleo", "dan"}


def test_a_query_without_the_answer_is_refused(shop: Path, lake: Lake) -> None:
    (shop / "sources" / "consents.sql").write_text("SELECT who AS customer_id FROM consents")
    with pytest.raises(SchemaDrift, match="is_consenting"):
        run_night(shop, lake, MONDAY)

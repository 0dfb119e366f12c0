"""Consent: segments are computed for everybody; who does not agree is left out of what leaves the lake."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from builders import write_rows
from nights import run_night, tree_bytes, write_shop
from published_nights import manifest, published_segments, target_rows

from pipeline.company import load_company
from pipeline.errors import DataError, SchemaDrift
from pipeline.lake import Lake
from pipeline.publish.consent import withheld_customers, without
from pipeline.publish.publication import publish
from pipeline.tables import CUSTOMER_FEATURES, CUSTOMER_SEGMENTS, RAW_CONSENTS

MONDAY, TUESDAY = date(2024, 3, 4), date(2024, 3, 5)
CONSENTS_SQL = "SELECT who AS customer_id, CAST(answer AS BOOLEAN) AS is_consenting FROM consents"


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    names = ["ada", "bob", "cleo", "dan"]
    orders = [f"o-{name},1,{name},2024-03-0{place} 12:00:00,1,10,tea" for place, name in enumerate(names, 1)]
    folder = write_shop(tmp_path / "shop", orders, customers=names)
    (folder / "sources" / "consents.sql").write_text(CONSENTS_SQL)
    say(folder, "ada,true", "bob,false")
    return folder


def say(shop: Path, *answers: str) -> None:
    (shop / "data" / "consents.csv").write_text("\n".join(["who,answer", *answers]) + "\n")


def current(lake: Lake) -> set[str]:
    return {row[0] for row in target_rows(lake.root / "segments.sqlite")["customer_segments"]}


def test_who_said_no_is_left_out_of_what_is_published_and_who_said_nothing_is_not(shop: Path, lake: Lake) -> None:
    run_night(shop, lake, MONDAY)
    features = pq.read_table(lake.root / "current" / "customer_features.parquet")
    assert set(published_segments(lake)) == {"ada", "cleo", "dan"}
    assert set(features["customer_id"].to_pylist()) == {"ada", "cleo", "dan"}
    assert current(lake) == {"ada", "cleo", "dan"}


def test_segments_are_computed_for_everybody_and_the_manifest_counts_who_is_withheld(shop: Path, lake: Lake) -> None:
    run_night(shop, lake, MONDAY)
    for table in (CUSTOMER_FEATURES, CUSTOMER_SEGMENTS):
        assert set(lake.read(table, day=MONDAY)["customer_id"].to_pylist()) == {"ada", "bob", "cleo", "dan"}
    assert manifest(lake)["withheld"] == {"customers": 1}
    assert "bob" not in (lake.root / "current" / "manifest.json").read_text()


@pytest.mark.parametrize("answers", [[("ada", False)], [("ada", None)], [("ada", True), ("ada", False)], [(" ada ", False)]])
def test_anything_but_a_plain_yes_is_a_no(shop: Path, lake: Lake, answers: list[tuple[str, bool | None]]) -> None:
    write_rows(
        lake, RAW_CONSENTS, [{"customer_id": who, "is_consenting": answer} for who, answer in [*answers, ("bob", True)]], known=MONDAY
    )
    withheld = withheld_customers(load_company(shop), lake, MONDAY)
    assert without(pa.record_batch({"customer_id": ["ada", "bob", "cleo"]}), withheld).column(0).to_pylist() == ["bob", "cleo"]


def test_who_withdraws_is_deleted_from_the_target_by_the_next_publication(shop: Path, lake: Lake) -> None:
    run_night(shop, lake, MONDAY)
    say(shop, "ada,false", "bob,true")
    run_night(shop, lake, TUESDAY)
    assert current(lake) == set(published_segments(lake)) == {"bob", "cleo", "dan"}
    history = target_rows(lake.root / "segments.sqlite")["customer_segment_history"]
    assert {row[-1] for row in history if row[0] == "ada"} == {str(TUESDAY)}


def test_publishing_a_night_again_changes_no_byte(shop: Path, lake: Lake) -> None:
    run_night(shop, lake, MONDAY)
    before = tree_bytes(lake, "tables", "publications")
    say(shop, "ada,false", "bob,true")
    run_night(shop, lake, MONDAY)
    assert tree_bytes(lake, "tables", "publications") == before


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

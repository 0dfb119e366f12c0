"""What is proposed about the rules of a night, by customers of older nights: only of segments and limits that it has."""

from __future__ import annotations

import shutil
from contextlib import closing
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from support.insight_shops import EARLIER, EARLY, LATE, run_insight_nights, write_alike_shop

from pipeline.definitions.company import load_company
from pipeline.definitions.history import company_on, keep_company_on
from pipeline.features import MergeHistory
from pipeline.lake import addresses
from pipeline.lake.engines.duckdb import DuckDBEngine
from pipeline.lake.lake import Lake
from pipeline.lake.tables import CUSTOMER_FEATURES, CUSTOMER_SEGMENTS, SCHEME_EFFECTIVENESS, SEGMENT_PROPOSALS
from pipeline.segmentation.insights import write_refinement


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_alike_shop(tmp_path_factory.mktemp("shop"))


@pytest.fixture(scope="module")
def lake(shop: Path, tmp_path_factory: pytest.TempPathFactory) -> Lake:
    return run_insight_nights(shop, Lake(tmp_path_factory.mktemp("lake") / "lake"), EARLIER, EARLY, LATE)


def copied(lake: Lake, folder: Path) -> Lake:
    return Lake(shutil.copytree(lake.root, folder / "lake", symlinks=True))


def refine(shop: Path, lake: Lake, day: date = LATE) -> None:
    company = load_company(shop)
    with closing(DuckDBEngine(lake.store, memory_limit="500MB")) as engine:
        write_refinement(company, lake, engine, day, survivors_of=MergeHistory(lake, company.zone).rows_of)


def proposals(lake: Lake, kind: str, scheme: str) -> list[dict[str, Any]]:
    found = lake.read(SEGMENT_PROPOSALS, day=LATE).to_pylist()
    return [row for row in found if (row["kind"], row["scheme"]) == (kind, scheme)]


def test_segments_with_a_rule_are_to_be_merged_and_split_and_no_others(lake: Lake) -> None:
    assert [(row["segment"], row["with_segment"]) for row in proposals(lake, "merge", "thirds")] == [("a", "b")]
    assert [row["segment"] for row in proposals(lake, "split", "thirds")] == ["a", "b"]


def test_what_two_periods_of_90_days_show_is_sure_and_what_one_shows_was_seen_once(shop: Path, lake: Lake, tmp_path: Path) -> None:
    merged, moved = proposals(lake, "merge", "thirds"), proposals(lake, "move_threshold", "fresh")
    assert [row["is_sure"] for row in (*merged, *moved)] == [True] * 3
    own = copied(lake, tmp_path)
    own.remove(CUSTOMER_SEGMENTS, day=EARLIER)
    refine(shop, own)
    once = [*proposals(own, "merge", "thirds"), *proposals(own, "move_threshold", "fresh")]
    assert [row["is_sure"] for row in once] == [False] * 3
    assert [row["words"].partition("; seen once")[0] for row in once] == [row["words"] for row in (*merged, *moved)]
    assert [row["needed_count"] for row in once] == [None] * 3


def test_segments_that_are_no_more_are_not_named(shop: Path, lake: Lake, tmp_path: Path) -> None:
    changed, own = shutil.copytree(shop, tmp_path / "shop"), copied(lake, tmp_path)
    scheme = changed / "segments" / "thirds.toml"
    scheme.write_text(scheme.read_text().replace('id = "b"', 'id = "second"'))
    refine(changed, own)
    assert proposals(own, "merge", "thirds") == []


def edited(shop: Path, folder: Path, old: str, new: str) -> Path:
    """Return a copy of the shop whose scheme of thirds has `new` in place of `old`."""
    changed = shutil.copytree(shop, folder / "shop")
    scheme = changed / "segments" / "thirds.toml"
    scheme.write_text(scheme.read_text().replace(old, new))
    return changed


def test_segments_that_had_another_rule_on_the_older_night_are_not_said_to_be_alike(shop: Path, lake: Lake, tmp_path: Path) -> None:
    own = copied(lake, tmp_path)
    refine(edited(shop, tmp_path, "third = 'b'", "third = 'c'"), own)
    assert proposals(own, "merge", "thirds") == []
    assert proposals(own, "move_threshold", "fresh") == proposals(lake, "move_threshold", "fresh"), "other schemes are as they were"


def test_a_scheme_that_was_another_one_on_the_older_night_is_not_said_to_tell_nothing_new(shop: Path, lake: Lake, tmp_path: Path) -> None:
    own = copied(lake, tmp_path)
    refine(edited(shop, tmp_path, "third = 'b'", "third = 'c'"), own)
    before, after = (
        {row["scheme"] for row in each.read(SEGMENT_PROPOSALS, day=LATE).to_pylist() if row["kind"] == "tells_nothing_new"}
        for each in (lake, own)
    )
    assert {"thirds", "behaviour_clusters"} < before
    assert after == before - {"thirds"}


def test_another_title_is_no_other_rule(shop: Path, lake: Lake, tmp_path: Path) -> None:
    own = copied(lake, tmp_path)
    refine(edited(shop, tmp_path, 'title = "B"', 'title = "The second"'), own)
    assert proposals(own, "merge", "thirds") == proposals(lake, "merge", "thirds") != []


def test_a_pair_that_had_another_rule_in_the_period_before_was_seen_once(shop: Path, lake: Lake, tmp_path: Path) -> None:
    own, before = copied(lake, tmp_path), load_company(edited(shop, tmp_path, "third = 'b'", "third = 'c'"))
    [first] = own.list_addresses(addresses.DEFINITIONS, suffix=".json")
    own.write_text(addresses.definition(EARLY), own.read_text(first))
    other = Lake(tmp_path / "other")
    keep_company_on(other, before, EARLIER, EARLIER)
    own.write_text(first, other.read_text(first))
    assert company_on(own, load_company(shop), EARLIER) != company_on(own, load_company(shop), EARLY)
    refine(shop, own)
    assert [row["is_sure"] for row in proposals(own, "merge", "thirds")] == [False]
    assert [row["is_sure"] for row in proposals(own, "move_threshold", "fresh")] == [True, True]


def test_a_feature_that_the_older_night_did_not_store_takes_nothing_else_along(shop: Path, lake: Lake, tmp_path: Path) -> None:
    own = copied(lake, tmp_path)
    address = addresses.partition(CUSTOMER_FEATURES, day=EARLY)
    manifest, rows = own.manifest(address), pq.read_table(own.local(address)).drop_columns(["spend_rank_share"])
    own.write_file(rows.schema, rows.to_batches(), address, manifest)
    before = own.read(SCHEME_EFFECTIVENESS, day=LATE)
    assert [row["rule"].split()[0] for row in proposals(own, "move_threshold", "fresh")] == ["recency_days", "spend_rank_share"]
    refine(shop, own)
    assert own.read(SCHEME_EFFECTIVENESS, day=LATE) == before
    assert [row["rule"] for row in proposals(own, "move_threshold", "fresh")] == ["recency_days <= 89"]

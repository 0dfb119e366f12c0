"""A night goes by the definitions that were valid then; an edit shows in the newest night at once, and in no older one."""

from __future__ import annotations

import json
import logging
import shutil
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from support.builders import an_order_line, write_order_lines, write_rows
from support.cluster_models import model_by_last_order
from support.nights import night_of, run_night, tree_bytes, write_shop
from support.published_nights import write_memberships

from pipeline.definitions.company import PROJECT_ROOT, Company, load_company
from pipeline.definitions.history import company_on, definitions_digest, keep_company_on, segmentation_digest
from pipeline.definitions.schemes import load_schemes
from pipeline.errors import ConfigError, DataError, PipelineError
from pipeline.lake import addresses
from pipeline.lake.lake import Lake
from pipeline.lake.tables import CUSTOMER_FEATURES, CUSTOMER_SEGMENTS, CUSTOMERS
from pipeline.models.clusters import to_json
from pipeline.operations import steps

SUNDAY, MONDAY, TUESDAY, WEDNESDAY = (date(2024, 3, day) for day in (3, 4, 5, 6))
NIGHT_TABLES = ("customer_features", "customer_segments", "segment_profiles")
MINE = """
title = "Mine"
kind = "rules"
level = "behavioural"
question = "Who buys?"
evidence = ["order_count"]

[[segment]]
id = "often"
title = "Often"
description = "Two orders or more."
rule = "order_count >= 2"

[[segment]]
id = "others"
title = "Others"
description = "Everybody else."
otherwise = true
"""
A_MODEL = model_by_last_order(WEDNESDAY)


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    return write_mine(tmp_path / "shop")


def write_mine(folder: Path) -> Path:
    write_scheme(write_shop(folder, [], customers=["c1"]), MINE)
    return folder


def write_scheme(shop: Path, text: str, *, name: str = "mine") -> Path:
    file = shop / "segments" / f"{name}.toml"
    file.parent.mkdir(exist_ok=True)
    file.write_text(text, "utf-8")
    return file


def replace_in(file: Path, old: str, new: str) -> None:
    text = file.read_text("utf-8")
    assert old in text
    file.write_text(text.replace(old, new), "utf-8")


def compute(shop: Path, lake: Lake, day: date, known_on: date | None = None) -> None:
    """Compute features and segments of a night whose clean rows are stored."""
    for step in (steps.features, steps.segment):
        step(night_of(shop, lake, day, known_on))


def write_clean_rows(lake: Lake) -> None:
    """Write two orders of one customer, the first of them a year before the second."""
    lines = [an_order_line(1, day="2023-03-20", order_id="o1"), an_order_line(2, day=MONDAY, order_id="o2")]
    write_order_lines(lake, lines, known_on=MONDAY)
    write_rows(lake, CUSTOMERS, [{"customer_id": "c1", "is_prospect": False}], known_on=MONDAY)


def segment_of(lake: Lake, day: date, known_on: date | None = None, *, scheme: str = "mine") -> str:
    rows = lake.read(CUSTOMER_SEGMENTS, day=day, known_on=known_on).to_pylist()
    return next(row["segment"] for row in rows if row["scheme"] == scheme)


def night_bytes(lake: Lake, day: date) -> Any:
    return tree_bytes(lake, *(f"tables/{name}/day={day}" for name in NIGHT_TABLES))


@pytest.fixture(scope="module")
def kept_nights(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    folder = tmp_path_factory.mktemp("kept")
    shop, lake = write_mine(folder / "shop"), Lake(folder / "lake")
    write_clean_rows(lake)
    for day in (MONDAY, TUESDAY):
        compute(shop, lake, day)
    return lake


@pytest.fixture
def two_nights(kept_nights: Lake, tmp_path: Path) -> Lake:
    """Return a lake of two nights of the shop, to be changed."""
    return Lake(shutil.copytree(kept_nights.root, tmp_path / "lake", symlinks=True))


def test_an_edited_rule_shows_in_the_newest_night_and_leaves_an_older_one_byte_for_byte(
    shop: Path, two_nights: Lake, caplog: pytest.LogCaptureFixture
) -> None:
    before = night_bytes(two_nights, MONDAY)
    replace_in(shop / "segments" / "mine.toml", "order_count >= 2", "order_count >= 3")
    with caplog.at_level(logging.INFO, "pipeline.segmentation.memberships"):
        compute(shop, two_nights, TUESDAY)
        assert "definitions of" not in caplog.text
        compute(shop, two_nights, MONDAY)
    assert night_bytes(two_nights, MONDAY) == before
    assert (segment_of(two_nights, MONDAY), segment_of(two_nights, TUESDAY)) == ("often", "others")
    assert caplog.text.count(f"{MONDAY} goes by the definitions of {MONDAY}; to restate it by today's: segments backfill --as-of-now") == 1


def test_a_restatement_goes_by_the_files_as_they_are(shop: Path, two_nights: Lake) -> None:
    replace_in(shop / "segments" / "mine.toml", "order_count >= 2", "order_count >= 3")
    compute(shop, two_nights, MONDAY, known_on=TUESDAY)
    assert (segment_of(two_nights, MONDAY), segment_of(two_nights, MONDAY, TUESDAY)) == ("often", "others")


def test_another_window_or_attribute_leaves_an_older_night_byte_for_byte(shop: Path, two_nights: Lake) -> None:
    before = night_bytes(two_nights, MONDAY)
    settings = shop / "company.toml"
    settings.write_text(settings.read_text("utf-8") + 'window_days = 30\n[attributes.city]\nlevel = "geographic"\n', "utf-8")
    company = load_company(shop)
    write_rows(two_nights, company.table(CUSTOMERS), [{"customer_id": "c1", "is_prospect": False, "city": "Ulm"}], known_on=TUESDAY)
    for day in (TUESDAY, MONDAY):
        compute(shop, two_nights, day)
    assert night_bytes(two_nights, MONDAY) == before
    [row] = two_nights.read(company.table(CUSTOMER_FEATURES), day=TUESDAY).to_pylist()
    assert (row["order_count"], row["city"]) == (1, "Ulm")


def test_a_scheme_that_came_later_is_no_scheme_of_an_older_night(shop: Path, two_nights: Lake) -> None:
    before = night_bytes(two_nights, MONDAY)
    write_scheme(shop, MINE, name="also_mine")
    for day in (WEDNESDAY, MONDAY):
        compute(shop, two_nights, day)
    assert night_bytes(two_nights, MONDAY) == before
    assert segment_of(two_nights, WEDNESDAY, scheme="also_mine") == "often"


def test_the_order_in_which_nights_are_first_run_is_no_matter(shop: Path, two_nights: Lake, tmp_path: Path) -> None:
    other = Lake(tmp_path / "other")
    write_clean_rows(other)
    for day in (TUESDAY, MONDAY):
        compute(shop, other, day)
    for day in (MONDAY, TUESDAY):
        assert night_bytes(other, day) == night_bytes(two_nights, day)


def test_the_footer_tells_definitions_apart_and_names_the_models(shop: Path, two_nights: Lake) -> None:
    manifests = [two_nights.manifest(addresses.partition(CUSTOMER_SEGMENTS, day=day)) for day in (MONDAY, TUESDAY)]
    assert manifests[0]["definitions"] == manifests[1]["definitions"] == definitions_digest(load_company(shop))
    assert manifests[0]["models"] == {"behaviour_clusters": None}
    replace_in(shop / "segments" / "mine.toml", "order_count >= 2", "order_count >= 3")
    assert definitions_digest(load_company(shop)) != manifests[0]["definitions"]


def test_a_night_that_had_no_model_has_none_when_it_is_run_again_and_a_new_one_takes_the_first(shop: Path, two_nights: Lake) -> None:
    before = night_bytes(two_nights, MONDAY)
    two_nights.write_text(f"models/behaviour_clusters/{WEDNESDAY}.json", to_json(A_MODEL))
    for day in (MONDAY, SUNDAY):
        compute(shop, two_nights, day)
    assert night_bytes(two_nights, MONDAY) == before
    assert segment_of(two_nights, MONDAY, scheme="behaviour_clusters") == "unclustered"
    assert segment_of(two_nights, SUNDAY, scheme="behaviour_clusters") == "cluster_1"


def test_a_night_that_had_no_model_is_the_same_where_it_is_rebuilt_from_what_was_read_and_the_models(
    shop: Path, two_nights: Lake, tmp_path: Path
) -> None:
    two_nights.write_text(f"models/behaviour_clusters/{WEDNESDAY}.json", to_json(A_MODEL))
    other = Lake(tmp_path / "other")
    write_clean_rows(other)
    shutil.copytree(two_nights.root / "models", other.root / "models")
    compute(shop, other, MONDAY)
    assert night_bytes(other, MONDAY) == night_bytes(two_nights, MONDAY)


def test_damaged_notes_of_nights_without_a_model_are_named(shop: Path, two_nights: Lake) -> None:
    (two_nights.root / "models" / "behaviour_clusters" / "unfitted.txt").write_text("yesterday\n", "utf-8")
    with pytest.raises(DataError, match=r"unfitted\.txt"):
        compute(shop, two_nights, TUESDAY)


def test_a_night_computed_by_another_version_of_the_program_is_told(shop: Path, two_nights: Lake, caplog: pytest.LogCaptureFixture) -> None:
    facts = {**two_nights.manifest(addresses.partition(CUSTOMER_SEGMENTS, day=MONDAY)), "statement": "another"}
    two_nights.write(CUSTOMER_SEGMENTS, two_nights.read(CUSTOMER_SEGMENTS, day=MONDAY).to_batches(), day=MONDAY, manifest=facts)
    compute(shop, two_nights, TUESDAY)
    assert "another version" not in caplog.text
    compute(shop, two_nights, MONDAY)
    assert f"day={MONDAY} was computed by another version of this program" in caplog.text


def stored(lake: Lake) -> list[str]:
    return sorted(file.name for file in (lake.root / "definitions").glob("*"))


def as_of(lake: Lake, shop: Path, day: date) -> Company:
    """Return the company of a night, which is stored from then on."""
    company = keep_company_on(lake, load_company(shop), day, day)
    write_memberships(lake, day, {("c1", "mine"): "often"})
    return company


def test_definitions_are_kept_only_where_they_differ_from_what_was_valid_before(shop: Path, lake: Lake) -> None:
    for day in (MONDAY, TUESDAY):
        as_of(lake, shop, day)
    assert stored(lake) == [f"{MONDAY}.json"]
    settings = shop / "company.toml"
    settings.write_text(settings.read_text("utf-8") + "window_days = 30\n", "utf-8")
    as_of(lake, shop, WEDNESDAY)
    assert stored(lake) == [f"{MONDAY}.json", f"{WEDNESDAY}.json"]
    assert company_on(lake, load_company(shop), TUESDAY).window_days == 365


def test_an_edit_taken_back_leaves_no_trace(shop: Path, lake: Lake) -> None:
    as_of(lake, shop, MONDAY)
    before = tree_bytes(lake, "definitions")
    rules = shop / "segments" / "mine.toml"
    for old, new in ((">= 2", ">= 3"), (">= 3", ">= 2")):
        replace_in(rules, old, new)
        as_of(lake, shop, TUESDAY)
    assert tree_bytes(lake, "definitions") == before


def test_limits_and_sources_are_todays(shop: Path, lake: Lake) -> None:
    as_of(lake, shop, MONDAY)
    settings = shop / "company.toml"
    settings.write_text(settings.read_text("utf-8") + "lookback_days = 9\n[gates]\nrejected_share_limit = 0.5\n", "utf-8")
    as_of(lake, shop, TUESDAY)
    assert stored(lake) == [f"{MONDAY}.json"]
    company = as_of(lake, shop, MONDAY)
    assert (company.lookback_days, company.rejected_share_limit, company.past_definitions) == (9, 0.5, None)


def test_what_rejects_rows_is_kept_too(shop: Path, lake: Lake) -> None:
    as_of(lake, shop, MONDAY)
    suite = shop / "expectations" / "raw_customers.json"
    suite.parent.mkdir()
    shutil.copy(PROJECT_ROOT / "expectations" / "raw_customers.json", suite)
    replace_in(suite, '"name"', '"name" ')
    as_of(lake, shop, TUESDAY)
    texts = [as_of(lake, shop, day).definitions("expectations", ".json")["raw_customers"].text for day in (MONDAY, TUESDAY)]
    assert texts == [(PROJECT_ROOT / "expectations" / "raw_customers.json").read_text("utf-8"), suite.read_text("utf-8")]


def test_a_night_before_the_first_kept_definitions_goes_by_those(shop: Path, lake: Lake) -> None:
    as_of(lake, shop, TUESDAY)
    replace_in(shop / "segments" / "mine.toml", ">= 2", ">= 3")
    as_of(lake, shop, WEDNESDAY)
    company = as_of(lake, shop, MONDAY)
    assert company.past_definitions is not None
    assert company.past_definitions.day == TUESDAY
    assert ">= 2" in company.definitions("segments", ".toml")["mine"].text


@pytest.mark.parametrize("text", [MINE.replace("order_count >= 2", "order_cuont >= 2"), "no toml", b"\xff"], ids=["rule", "toml", "bytes"])
def test_definitions_that_cannot_be_computed_are_not_kept(shop: Path, lake: Lake, text: str | bytes) -> None:
    as_of(lake, shop, MONDAY)
    before = tree_bytes(lake, "definitions")
    file = shop / "segments" / "mine.toml"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    company = as_of(lake, shop, TUESDAY)
    assert tree_bytes(lake, "definitions") == before
    with pytest.raises(ConfigError, match=r"mine\.toml"):
        load_schemes(company)


def test_an_error_in_kept_definitions_names_where_they_are_kept(shop: Path, lake: Lake) -> None:
    as_of(lake, shop, MONDAY)
    file = lake.root / "definitions" / f"{MONDAY}.json"
    content = json.loads(file.read_text("utf-8"))
    content["segments"]["mine"] = content["segments"]["mine"].replace("order_count >= 2", "order_cuont >= 2")
    file.write_text(json.dumps(content), "utf-8")
    with pytest.raises(ConfigError, match=rf"definitions/{MONDAY}\.json/segments/mine\.toml:12"):
        load_schemes(company_on(lake, load_company(shop), MONDAY))


@pytest.mark.parametrize("text", ["", "{}", '{"settings": 3}', "[]"])
def test_damaged_kept_definitions_are_named(shop: Path, lake: Lake, text: str) -> None:
    as_of(lake, shop, MONDAY)
    as_of(lake, shop, TUESDAY)
    (lake.root / "definitions" / f"{MONDAY}.json").write_text(text, "utf-8")
    with pytest.raises(DataError, match=rf"damaged\n.*{MONDAY}\.json"):
        keep_company_on(lake, load_company(shop), MONDAY, MONDAY)


def test_an_edit_before_a_night_is_published_again_is_none_of_that_night(tmp_path: Path, lake: Lake) -> None:
    shop = write_shop(tmp_path / "shop", [f"o1,1,c1,{MONDAY} 10:00:00,1,5,a", f"o2,1,c1,{MONDAY} 11:00:00,1,5,a"], customers=["c1"])
    rules = write_scheme(shop, MINE)
    run_night(shop, lake, MONDAY)
    before = night_bytes(lake, MONDAY)
    replace_in(rules, "order_count >= 2", "order_count >= 3")
    steps.audit(night_of(shop, lake, MONDAY))
    steps.publish(night_of(shop, lake, MONDAY))
    run_night(shop, lake, TUESDAY)
    run_night(shop, lake, MONDAY)
    assert night_bytes(lake, MONDAY) == before
    assert stored(lake) == [f"{MONDAY}.json", f"{TUESDAY}.json"]


@pytest.mark.parametrize("days", [[MONDAY, TUESDAY, WEDNESDAY], [TUESDAY, WEDNESDAY]], ids=["after others", "the first"])
def test_a_night_that_a_mended_edit_stopped_can_be_run_later(tmp_path: Path, lake: Lake, days: list[date]) -> None:
    shop = write_shop(tmp_path / "shop", [f"o1,1,c1,{MONDAY} 10:00:00,1,5,a"], customers=["c1"])
    *earlier, stopped, last = days
    for day in earlier:
        run_night(shop, lake, day, until="segment")
    text = (shop / "company.toml").read_text("utf-8")
    (shop / "company.toml").write_text(text + '[attributes.city]\nlevel = "geographic"\n', "utf-8")
    with pytest.raises(PipelineError, match="lacks city"):
        run_night(shop, lake, stopped, until="segment")
    (shop / "company.toml").write_text(text, "utf-8")
    run_night(shop, lake, last, until="segment")
    run_night(shop, lake, stopped, until="segment")
    assert lake.nights(CUSTOMER_SEGMENTS) == days
    assert len(stored(lake)) == 1


def test_two_nights_that_begin_at_once_keep_one_and_the_same(shop: Path, lake: Lake) -> None:
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda day: keep_company_on(lake, load_company(shop), day, day), [WEDNESDAY, TUESDAY, MONDAY, TUESDAY]))
    contents = {file.read_text("utf-8") for file in (lake.root / "definitions").glob("*.json")}
    assert len(contents) == 1


def test_schemes_that_an_edit_of_something_else_leaves_alone_are_read_and_proven_once(shop: Path, lake: Lake) -> None:
    as_of(lake, shop, MONDAY)
    settings = shop / "company.toml"
    settings.write_text(settings.read_text("utf-8") + "window_days = 30\n", "utf-8")
    company = load_company(shop)
    kept = company_on(lake, company, MONDAY)
    assert kept is not company
    assert load_schemes(kept) is load_schemes(company)


@pytest.mark.parametrize(
    ("old", "new"),
    [('title = "Mine"', 'title = "Ours"'), ('description = "', 'description = "Else: '), ('question = "', 'question = "Else: ')],
)
def test_words_for_people_decide_on_nobody(shop: Path, old: str, new: str) -> None:
    before = definitions_digest(load_company(shop)), segmentation_digest(load_company(shop))
    replace_in(shop / "segments" / "mine.toml", old, new)
    after = definitions_digest(load_company(shop)), segmentation_digest(load_company(shop))
    assert (before[0] == after[0], before[1] == after[1]) == (False, True)


@pytest.mark.parametrize(
    ("old", "new"), [("order_count >= 2", "order_count >= 3"), ('id = "', 'id = "x'), ('evidence = ["', 'evidence = ["r_score", "')]
)
def test_rules_ids_and_evidence_do(shop: Path, old: str, new: str) -> None:
    before = segmentation_digest(load_company(shop))
    replace_in(shop / "segments" / "mine.toml", old, new)
    assert segmentation_digest(load_company(shop)) != before

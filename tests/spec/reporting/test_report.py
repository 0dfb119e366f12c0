"""`segments report`: the page of a stored night made again, in another language, or as a file to send; and pages that cannot be written."""

from __future__ import annotations

import logging
import re
import shutil
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pyarrow as pa
import pytest
from support.morning_shops import FIRST_NIGHT, Shop, a_morning_shop
from support.morning_tables import a_proposal
from support.nights import run_night, tree_bytes
from typer.testing import CliRunner

from pipeline.cli import app
from pipeline.definitions.company import load_company
from pipeline.errors import ConfigError
from pipeline.lake.addresses import morning_page, page_index
from pipeline.lake.lake import Lake
from pipeline.lake.tables import SEGMENT_FLOWS, SEGMENT_INSIGHTS, SEGMENT_PROFILES, SEGMENT_PROPOSALS
from pipeline.operations.deployment import Deployment
from pipeline.operations.rollback import roll_back
from pipeline.publication.gates import GateResult, GateState
from pipeline.publication.gates.results import GateRecord, store_gates
from pipeline.reporting.pages.morning import page_file, write_morning_page


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> tuple[Shop, Lake]:
    folder = tmp_path_factory.mktemp("reported")
    shop = a_morning_shop(folder / "shop", customer_count=12, language="fi")
    lake = Lake(folder / "lake")
    run_night(shop.folder, lake, FIRST_NIGHT)
    return shop, lake


def report(shop: tuple[Shop, Lake], *options: str) -> Path:
    options = ("report", "--company", str(shop[0].folder), "--lake", str(shop[1].root), "--day", str(FIRST_NIGHT), *options)
    result = CliRunner().invoke(app, options, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return Path(result.output.strip())


def test_page_made_again_has_the_same_bytes(shop: tuple[Shop, Lake]) -> None:
    before = tree_bytes(shop[1], "reports")
    assert report(shop) == shop[1].local(morning_page(FIRST_NIGHT)).resolve()
    assert tree_bytes(shop[1], "reports") == before


def test_page_is_in_the_companys_language_and_in_another_beside_it(shop: tuple[Shop, Lake]) -> None:
    assert "Mitä tehdä tänään" in shop[1].read_text(morning_page(FIRST_NIGHT))
    turkish = report(shop, "--language", "tr")
    assert turkish.name == "index.tr.html"
    assert "Bugün ne yapmalı" in turkish.read_text("utf-8")


def test_a_file_to_send_links_to_nothing_beside_it(shop: tuple[Shop, Lake], tmp_path: Path) -> None:
    assert "validation.html" in shop[1].read_text(morning_page(FIRST_NIGHT))
    page = report(shop, "--output", str(tmp_path / "page.html")).read_text("utf-8")
    assert "validation.html" not in page
    assert "../index.html" not in page


def test_a_night_or_language_that_is_not_there_is_said_with_what_is(shop: tuple[Shop, Lake]) -> None:
    company, lake = load_company(shop[0].folder), shop[1]
    with pytest.raises(ConfigError, match="no night of 2024-06-04 is stored") as night:
        page_file(company, lake, FIRST_NIGHT.replace(day=4))
    assert "The newest night is 2024-06-03." in str(night.value)
    with pytest.raises(ConfigError, match="pages are not written in `fr`") as language:
        page_file(company, lake, FIRST_NIGHT, language="fr")
    assert "en, de, fi, hu, ka, tr" in str(language.value)


@pytest.mark.parametrize("language", ["de-/../../../../evil", "de-..", "tr-x/y", "de-AT\n", "../tr", "en-"])
def test_a_language_that_is_no_tag_writes_no_file(shop: tuple[Shop, Lake], language: str) -> None:
    before = {file for file in shop[1].root.parent.rglob("*") if file.is_file()}
    with pytest.raises(ConfigError, match="pages are not written in"):
        page_file(load_company(shop[0].folder), shop[1], FIRST_NIGHT, language=language)
    assert {file for file in shop[1].root.parent.rglob("*") if file.is_file()} == before


def test_a_page_that_cannot_be_written_fails_nothing_and_tells_no_value(
    shop: tuple[Shop, Lake], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    lake = Lake(tmp_path / "lake")
    for name, content in tree_bytes(shop[1], "tables", "definitions").items():
        (lake.root / name).parent.mkdir(parents=True, exist_ok=True)
        (lake.root / name).write_bytes(content)
    lake.path(SEGMENT_PROFILES, day=FIRST_NIGHT).write_bytes(b"no table at all")
    with caplog.at_level(logging.WARNING):
        write_morning_page(replace(load_company(shop[0].folder), name="CANARY"), lake, FIRST_NIGHT)
    assert "the morning page of 2024-06-03 was not written: DataError" in caplog.text
    assert "CANARY" not in caplog.text
    assert not lake.exists(morning_page(FIRST_NIGHT))


def test_a_night_that_a_person_took_back_says_so_until_it_is_run_again(shop: tuple[Shop, Lake], tmp_path: Path) -> None:
    lake = Lake(shutil.copytree(shop[1].root, tmp_path / "lake", symlinks=True))
    next_night = FIRST_NIGHT.replace(day=4)
    run_night(shop[0].folder, lake, next_night)
    assert '<meta name="outcome" content="passed">' in lake.read_text(morning_page(next_night))
    roll_back(Deployment.of(shop[0].folder, lake.root), reason="prices were <wrong>")
    page = lake.read_text(morning_page(next_night))
    assert '<meta name="outcome" content="taken back">' in page
    assert "prices were &lt;wrong&gt;" in page
    assert "3. kesäkuuta 2024" in page
    assert '<meta name="outcome" content="passed">' in lake.read_text(morning_page(FIRST_NIGHT))
    assert "prices were" in lake.read_text(page_index())
    run_night(shop[0].folder, lake, next_night)
    assert '<meta name="outcome" content="passed">' in lake.read_text(morning_page(next_night))


def test_a_week_in_which_nobody_moved_is_no_week_without_a_night_to_compare(shop: tuple[Shop, Lake], tmp_path: Path) -> None:
    lake = Lake(shutil.copytree(shop[1].root, tmp_path / "lake", symlinks=True))
    company, week_ago = load_company(shop[0].folder), FIRST_NIGHT - timedelta(days=7)
    unknown = "There is no night of a week ago to compare with yet"
    for compared, is_known in (({"7": str(week_ago)}, True), ({"1": str(FIRST_NIGHT - timedelta(days=1))}, False)):
        lake.write(SEGMENT_FLOWS, [], day=FIRST_NIGHT, manifest={"compared": compared})
        page = page_file(company, lake, FIRST_NIGHT, language="en").read_text("utf-8")
        assert (unknown not in page) is is_known
        assert ("Customers who changed segment in the last seven nights: 0." in page) is is_known
        assert ("Who moved, and why" in page.partition("<footer>")[2]) is not is_known


def test_the_live_night_held_back_when_it_is_run_again_says_that_everybody_still_sees_it(shop: tuple[Shop, Lake], tmp_path: Path) -> None:
    lake = Lake(shutil.copytree(shop[1].root, tmp_path / "lake", symlinks=True))
    store_gates(lake, FIRST_NIGHT, GateRecord(None, [GateResult("churn", "rfm", GateState.CLOSED, "90% moved")]))
    page = page_file(load_company(shop[0].folder), lake, FIRST_NIGHT, language="en").read_text("utf-8")
    assert "Everybody still sees this night as it was published before." in page
    assert "No night has been published yet" not in page


def test_of_refused_nights_on_the_way_back_only_what_their_checks_said_is_read(shop: tuple[Shop, Lake], tmp_path: Path) -> None:
    lake = Lake(shutil.copytree(shop[1].root, tmp_path / "lake", symlinks=True))
    closed = GateRecord(None, [GateResult("churn", "rfm", GateState.CLOSED, "90% moved")])
    refused = [FIRST_NIGHT + timedelta(days=later) for later in (1, 2)]
    for night in refused:
        store_gates(lake, night, closed)
        for table in (SEGMENT_PROFILES, SEGMENT_FLOWS):
            lake.path(table, day=night).parent.mkdir(parents=True)
            lake.path(table, day=night).write_bytes(b"no table at all" if night == refused[0] else b"")
    lake.write(SEGMENT_PROFILES, [], day=refused[1])
    lake.write(SEGMENT_FLOWS, [], day=refused[1])
    page = page_file(load_company(shop[0].folder), lake, refused[1], language="en").read_text("utf-8")
    assert "Below are the figures of Monday, June 3, 2024, the last good night." in page


def test_the_list_of_nights_reads_no_page_that_it_knows_and_forgets_one_that_is_gone(shop: tuple[Shop, Lake], tmp_path: Path) -> None:
    lake = Lake(shutil.copytree(shop[1].root, tmp_path / "lake", symlinks=True))
    company, other, gone = load_company(shop[0].folder), FIRST_NIGHT.replace(day=1), FIRST_NIGHT.replace(day=2)
    page = lake.read_text(morning_page(FIRST_NIGHT))
    headline = page.partition('name="description" content="')[2].partition('">')[0]
    for day, text in ((other, "one &amp; other"), (gone, "soon gone")):
        lake.write_text(morning_page(day), page.replace(headline, text))
    page_file(company, lake, FIRST_NIGHT)
    index = lake.read_text(page_index())
    assert all(text in index for text in (headline, "one &amp; other", "soon gone")), "pages that it did not know are read"
    lake.write_text(morning_page(other), page.replace(headline, "written by hand"))
    lake.delete(morning_page(gone))
    page_file(company, lake, FIRST_NIGHT)
    assert lake.read_text(page_index()) == re.sub(r'<li data-day="2024-06-02".*?</li>', "", index, flags=re.DOTALL).replace(
        "</li>\n\n", "</li>\n"
    )
    lake.write_text(page_index(), index.replace('data-outcome="passed"', 'data-outcome="a word that nobody knows"'))
    page_file(company, lake, FIRST_NIGHT)
    assert "written by hand" in lake.read_text(page_index()), "a damaged list is made anew"


def test_ideas_of_an_earlier_month_are_gone_once_a_month_has_none(shop: tuple[Shop, Lake], tmp_path: Path) -> None:
    lake = Lake(shutil.copytree(shop[1].root, tmp_path / "lake", symlinks=True))
    assert lake.has(SEGMENT_INSIGHTS, day=FIRST_NIGHT)
    month_ago, company = FIRST_NIGHT - timedelta(days=30), load_company(shop[0].folder)
    idea = a_proposal("something_new")
    rows = pa.Table.from_pylist([{name: idea.get(name) for name in SEGMENT_PROPOSALS.column_names}], schema=SEGMENT_PROPOSALS.schema)
    lake.write(SEGMENT_PROPOSALS, rows.to_batches(), day=FIRST_NIGHT)
    assert "something_new in words" in page_file(company, lake, FIRST_NIGHT).read_text("utf-8")
    lake.remove(SEGMENT_PROPOSALS, day=FIRST_NIGHT)
    lake.write(SEGMENT_PROPOSALS, rows.to_batches(), day=month_ago)
    assert "something_new in words" not in page_file(company, lake, FIRST_NIGHT).read_text("utf-8")

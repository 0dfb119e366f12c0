"""`segments insights`, `effectiveness`, `proposals` and `members`: what the stored night says, and lists that agree with flows."""

from __future__ import annotations

import json
import shutil
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from support.builders import write_rows
from support.insight_shops import FORMED, NEXT, REFINED, run_insight_nights, write_insight_shop
from typer.testing import CliRunner

from pipeline.cli import app
from pipeline.errors import ConfigError
from pipeline.lake.lake import Lake
from pipeline.lake.tables import CAMPAIGN_ARMS, CUSTOMER_SEGMENTS, RAW_CONSENTS, SEGMENT_FLOWS, SEGMENT_INSIGHTS, SEGMENT_PROPOSALS
from pipeline.reporting.pages.morning.movement import CAUSES
from pipeline.reporting.refinement.refinement import read_effectiveness
from pipeline.segmentation.insights.flows import OWN_REASONS


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_insight_shop(tmp_path_factory.mktemp("shop"))


@pytest.fixture(scope="module")
def lake(shop: Path, tmp_path_factory: pytest.TempPathFactory) -> Lake:
    return run_insight_nights(shop, Lake(tmp_path_factory.mktemp("lake") / "lake"), FORMED, REFINED, NEXT)


def run(shop: Path, lake: Lake, *words: str) -> Result:
    return CliRunner().invoke(app, [*words, "--company", str(shop), "--lake", str(lake.root)])


def told(shop: Path, lake: Lake, *words: str) -> Any:
    result = run(shop, lake, *words, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def test_insights_are_those_of_the_newest_night_that_tells(shop: Path, lake: Lake) -> None:
    found = told(shop, lake, "insights", "--segment", "category_affinity.tea")
    assert found["night"] == str(REFINED)
    stored = [row for row in lake.read(SEGMENT_INSIGHTS, day=REFINED).to_pylist() if row["segment"] == "tea"]
    assert found["standing_out"][0]["subject"] == "tea"
    assert len(found["standing_out"]) + found["others"] == len(stored)
    shown = run(shop, lake, "insights", "--segment", "category_affinity.tea").stdout
    assert "category" in shown
    assert "tea" in shown


def test_effectiveness_says_of_which_night_it_is_or_why_there_is_none(shop: Path, lake: Lake) -> None:
    found = told(shop, lake, "effectiveness", "--scheme", "rfm")
    assert {row["scheme"] for row in (*found["schemes"], *found["segments"])} == {"rfm"}
    assert {row["of_night"] for row in found["segments"]} == {str(FORMED)}
    assert str(FORMED) in run(shop, lake, "effectiveness").stdout
    early = run(shop, lake, "effectiveness", "--day", str(FORMED))
    assert (early.exit_code, "no night of 90 to 180 days before" in early.stdout) == (0, True)


def test_proposals_name_figure_change_and_command(shop: Path, lake: Lake) -> None:
    found = told(shop, lake, "proposals")
    assert len(found["proposals"]) == len(lake.read(SEGMENT_PROPOSALS, day=REFINED)) > 0
    shown = run(shop, lake, "proposals").stdout
    for row in found["proposals"]:
        assert row["command"] in shown
        assert row["words"] in shown


@pytest.mark.parametrize("word", ["effectiveness --scheme value_tier", "history --scheme rfm", "refit --scheme behaviour_clusters --hold"])
def test_commands_of_proposals_are_commands(shop: Path, lake: Lake, word: str) -> None:
    assert run(shop, lake, *word.split(), "--help").exit_code == 0


def entered(shop: Path, lake: Lake, *words: str) -> list[str]:
    result = run(shop, lake, "members", "--scheme", "rfm", *words)
    assert result.exit_code == 0, result.output
    return result.stdout.splitlines()


def flow_count(lake: Lake, segment: str, since: date, reasons: frozenset[str] | None = None) -> int:
    rows = [row for row in lake.read(SEGMENT_FLOWS, day=NEXT).to_pylist() if (row["scheme"], row["to_segment"]) == ("rfm", segment)]
    wanted = [row for row in rows if row["since_night"] == since and (reasons is None or row["reason"] in reasons)]
    return sum(row["customer_count"] for row in wanted if row["nights"] == max(each["nights"] for each in wanted))


def test_who_entered_agrees_with_the_flows(shop: Path, lake: Lake) -> None:
    members = [row for row in lake.read(CUSTOMER_SEGMENTS, day=NEXT).to_pylist() if row["scheme"] == "rfm"]
    before = {row["customer_id"]: row["segment"] for row in lake.read(CUSTOMER_SEGMENTS, day=FORMED).to_pylist() if row["scheme"] == "rfm"}
    checked = 0
    for segment in sorted({row["segment"] for row in members}):
        tonight = sorted(row["customer_id"] for row in members if row["segment"] == segment)
        assert entered(shop, lake, "--segment", segment) == tonight
        since = entered(shop, lake, "--segment", segment, "--entered-since", "2024-02-25")
        assert since == [each for each in tonight if before.get(each) != segment]
        assert len(since) == flow_count(lake, segment, FORMED)
        own = entered(shop, lake, "--segment", segment, "--entered-since", "2024-02-25", "--by-themselves")
        assert len(own) == flow_count(lake, segment, FORMED, OWN_REASONS)
        checked += len(since)
    assert checked > 50


def test_by_themselves_without_a_day_to_compare_with_is_refused(shop: Path, lake: Lake) -> None:
    result = run(shop, lake, "members", "--scheme", "rfm", "--segment", "champions", "--by-themselves")
    assert isinstance(result.exception, ConfigError)
    assert "needs a day to compare with" in str(result.exception)


def test_own_reasons_are_those_of_the_morning_page() -> None:
    assert set(CAUSES) == OWN_REASONS


def test_who_must_not_be_written_to_is_left_out_and_counted(shop: Path, lake: Lake, tmp_path: Path) -> None:
    asking, own = shutil.copytree(shop, tmp_path / "shop"), Lake(shutil.copytree(lake.root, tmp_path / "lake", symlinks=True))
    (asking / "sources" / "consents.sql").write_text("SELECT 1")
    everybody = entered(shop, lake, "--segment", "champions")
    write_rows(own, RAW_CONSENTS, [{"customer_id": everybody[0], "is_consenting": False}], known_on=NEXT)
    result = run(asking, own, "members", "--scheme", "rfm", "--segment", "Champions")
    assert result.stdout.splitlines() == everybody[1:]
    assert "1 more must not be written to" in result.stderr


def test_the_control_of_a_campaign_for_the_segment_and_of_a_holdout_is_on_no_list(shop: Path, lake: Lake, tmp_path: Path) -> None:
    own = Lake(shutil.copytree(lake.root, tmp_path / "lake", symlinks=True))
    everybody = entered(shop, lake, "--segment", "champions")
    arms = [
        ("spring", True, False, "rfm.champions"),
        ("spring", False, False, "rfm.champions"),
        ("other", True, False, "rfm.lost"),
        ("rule", True, False, None),
        ("quarter", True, True, None),
        ("quarter", False, True, None),
    ]
    rows = [
        {
            "customer_id": customer,
            "campaign_id": campaign,
            "arm": "a",
            "is_control": control,
            "is_holdout": holdout,
            "list_name": name,
            "until_date": NEXT,
        }
        for customer, (campaign, control, holdout, name) in zip(everybody, arms, strict=False)
    ]
    write_rows(own, CAMPAIGN_ARMS, rows, day=NEXT)
    result = run(shop, own, "members", "--scheme", "rfm", "--segment", "champions")
    assert result.stdout.splitlines() == [each for place, each in enumerate(everybody) if place not in (0, 4)]
    assert "2 more must not be written to, are the control of a campaign" in result.stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["insights", "--segment", "rfm.champion"], "there is no segment `champion` (did you mean `champions`?)"),
        (["insights", "--segment", "rfn"], "there is no scheme `rfn`"),
        (["effectiveness", "--scheme", "rfn"], "there is no scheme `rfn`"),
        (["members", "--scheme", "rfm", "--segment", "lost", "--entered-since", "2024-01-01"], "no night tells of 2024-01-01"),
        (["members", "--scheme", "rfm", "--segment", "lost", "--entered-since", str(NEXT)], "no night lies after"),
    ],
)
def test_what_is_not_there_is_said(shop: Path, lake: Lake, words: list[str], said: str) -> None:
    error = run(shop, lake, *words).exception
    assert isinstance(error, ConfigError)
    assert said in str(error)


def test_a_lake_without_a_night_is_told_of(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no stored night has insights"):
        read_effectiveness(Lake(tmp_path / "lake"))

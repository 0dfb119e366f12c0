"""What the catalogue and a plan tell of clusters: figures, cards, and what a candidate would call them."""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest
from support.cluster_models import a_cluster_model
from support.nights import run_night, write_shop
from typer.testing import CliRunner

from pipeline.cli import app
from pipeline.definitions.company import PROJECT_ROOT, load_company
from pipeline.lake.lake import Lake
from pipeline.models.clusters import Cluster, ModelFeature, to_json
from pipeline.reporting.catalog import SegmentEntry, read_catalog
from pipeline.reporting.plan import plan_change

NIGHT = date(2024, 3, 4)
CARD = """
[strategies.cluster_2]
message = "Our own."
promotion = "p"
product_offer = "o"
price = "x"
channel = "c"
service = "s"
priority = 3
budget_share = 0.4
"""
MODEL = a_cluster_model(
    date(2024, 3, 1),
    (
        ModelFeature("spend_amount", "log1p", fill=0, low=0, high=7, mean=4, scale=1.5),
        ModelFeature("order_day_count", "log1p", fill=0, low=0, high=4, mean=1, scale=0.5),
    ),
    (Cluster("cluster_1", "High spend, frequent", 6, 0.9, (1.0, 0.7)), Cluster("cluster_2", "Low spend", 6, 0.9, (-2.0, -0.7))),
)


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a shop whose night is live: six who spend 270 on three days, and two who spend 1 on one."""
    place = tmp_path_factory.mktemp("place")
    rich, poor = [f"a{number}" for number in range(6)], ["b0", "b1"]
    orders = [f"{name}-{n},1,{name},2024-03-0{n} 12:00:00,1,90,tea" for name in rich for n in (1, 2, 4)]
    orders += [f"{name}-1,1,{name},2024-03-01 12:00:00,1,1,tea" for name in poor]
    shop, lake = write_shop(place / "shop", orders, customers=[*rich, *poor]), Lake(place / "lake")
    lake.write_text(f"models/behaviour_clusters/{MODEL.day}.json", to_json(MODEL))
    run_night(shop, lake, NIGHT)
    return place


def clusters(place: Path, language: str = "") -> dict[str, SegmentEntry]:
    catalog = read_catalog(load_company(place / "shop"), Lake(place / "lake"), language=language, scheme="behaviour_clusters")
    return {segment.segment: segment for segment in catalog.schemes[0].segments}


def shown(place: Path, *words: str) -> str:
    found = CliRunner().invoke(app, [*words, "--company", str(place / "shop"), "--lake", str(place / "lake")], env={"COLUMNS": "200"})
    return " ".join(found.stdout.split())


def test_the_catalogue_tells_what_each_published_cluster_is_like_and_what_to_do_about_it(live: Path) -> None:
    found = clusters(live)
    assert [(each.feature, each.cluster_mean) for each in found["cluster_1"].profile] == [("spend_amount", 270), ("order_day_count", 3)]
    assert all(each.is_withheld for each in found["cluster_2"].profile)
    assert found["cluster_1"].description == "They spend more than most. They order more often than most."
    cards = {name: each.card for name, each in found.items()}
    assert cards["cluster_1"] is not None
    assert cards["cluster_1"].texts["promotion"] == "A gift with the next order rather than a discount."
    assert (cards["cluster_1"].priority, cards["cluster_1"].budget_share, cards["unclustered"]) == (5, 0.5, None)


def test_in_a_language_that_cards_are_not_written_in_the_title_is_translated_and_the_card_is_there(live: Path) -> None:
    found = clusters(live, "de")["cluster_1"]
    assert found.title == "Hohe Ausgaben, häufig"
    assert found.card is not None


def test_every_form_of_the_catalogue_shows_figures_and_cards(live: Path) -> None:
    told = shown(live, "catalog", "--scheme", "behaviour_clusters")
    assert "spend_amount 270 (all customers 270)" in told
    assert "spend_amount withheld: fewer than five customers have it" in told
    assert "Priority 5: Thank you for choosing us: this is ready for you before it is in the shop." in told
    page = shown(live, "catalog", "--markdown")
    assert r"nearest to the centre of cluster\_1<br>spend\_amount 270 (all customers 270)<br>order\_day\_count 3 (all customers 3)" in page
    assert "| High spend, frequent | Thank you for choosing us" in page
    [scheme] = json.loads(CliRunner().invoke(app, ["catalog", "--json", "--company", str(live / "shop"), "--lake", str(live / "lake"),
                                                   "--scheme", "behaviour_clusters"]).stdout)["schemes"]  # fmt: skip
    [first] = [segment for segment in scheme["segments"] if segment["segment"] == "cluster_1"]
    assert first["profile"][0] == {
        "feature": "spend_amount",
        "value": None,
        "known_count": 6,
        "cluster_mean": 270.0,
        "overall_mean": 270.0,
        "standardised_difference": 0.0,
    }


def test_a_publication_of_before_there_were_figures_and_cards_is_told_without(live: Path, tmp_path: Path) -> None:
    shutil.copytree(live, tmp_path / "older", symlinks=True)
    for name in ("cluster_profiles", "segment_strategies"):
        (tmp_path / "older" / "lake" / "current" / f"{name}.parquet").unlink()
    found = clusters(tmp_path / "older")["cluster_1"]
    assert (found.title, found.profile, found.card) == ("High spend, frequent", (), None)


def test_a_plan_of_a_candidate_shows_what_its_clusters_would_be_called_and_what_to_do_about_them(live: Path, tmp_path: Path) -> None:
    candidate = replace(MODEL, clusters=(replace(MODEL.clusters[0], title="Frequent"), replace(MODEL.clusters[1], centroid=(1.0, 0.0))))
    file = tmp_path / "candidate.json"
    file.write_text(to_json(candidate), "utf-8")
    told = shown(live, "plan", "--model", str(file))
    assert re.search(r"cluster_1 Frequent 5 6 ", told)
    assert "cluster_1 Your usual order, ready in one click." in told
    assert "cluster_2 Small prices, good choice: our favourites for every day." in told


def test_a_card_that_was_rewritten_is_something_to_apply(live: Path, tmp_path: Path) -> None:
    shutil.copytree(live, tmp_path / "place", symlinks=True)
    company = tmp_path / "place" / "shop"
    assert plan_change(load_company(company), Lake(tmp_path / "place" / "lake")).changes.is_nothing
    (company / "segments").mkdir(exist_ok=True)
    text = (PROJECT_ROOT / "segments" / "behaviour_clusters.toml").read_text("utf-8")
    (company / "segments" / "behaviour_clusters.toml").write_text(f"{text}\n{CARD}", "utf-8")
    plan = plan_change(load_company(company), Lake(tmp_path / "place" / "lake"))
    assert plan.changes.worded_otherwise == ("behaviour_clusters",)
    told = shown(tmp_path / "place", "apply", plan.plan_id)
    assert "error" not in told.lower()
    found = clusters(tmp_path / "place")["cluster_2"].card
    assert found is not None
    assert (found.texts["message"], found.priority) == ("Our own.", 3)

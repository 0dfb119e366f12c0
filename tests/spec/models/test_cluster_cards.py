"""The card of a cluster: the one that the scheme's file has for it, else one made of what its title says."""

from __future__ import annotations

import logging
from contextlib import closing
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from support.builders import a_company
from support.cluster_models import a_cluster_model
from support.refit_nights import customers_of, only_clusters, write_features

from pipeline.definitions.company import PROJECT_ROOT
from pipeline.definitions.schemes import STRATEGY_TEXTS, ClusterScheme, Strategy, load_cluster_schemes, load_schemes
from pipeline.definitions.schemes.cluster_features import NUMERIC_FEATURES, ClusterFeature
from pipeline.errors import ConfigError
from pipeline.lake.engines.duckdb import DuckDBEngine
from pipeline.lake.lake import Lake
from pipeline.lake.tables import SEGMENT_STRATEGIES
from pipeline.models.clusters import Cluster, ClusterCard, ClusterModel, ModelFeature, cluster_cards, fit_model, to_json
from pipeline.models.clusters.cards import card_entries
from pipeline.segmentation import strategy_rows, write_memberships

NIGHT = date(2024, 3, 31)
FEATURE = ModelFeature("recency_days", "none", 0.0, 0.0, 100.0, 0.0, 1.0)
OURS = (PROJECT_ROOT / "segments" / "behaviour_clusters.toml").read_text("utf-8")
CARD = """
message = "Our own."
promotion = "p"
product_offer = "o"
price = "x"
channel = "c"
service = "s"
priority = 3
budget_share = 0.4
"""


def titled(*titles: str) -> ClusterModel:
    """Return a model of clusters with these titles, by days since the last order: 0, 40, 80 and so on."""
    clusters = tuple(Cluster(f"cluster_{place}", title, 5, 0.9, (40.0 * (place - 1),)) for place, title in enumerate(titles, 1))
    return a_cluster_model(NIGHT, (FEATURE,), clusters)


def scheme(**changes: Any) -> ClusterScheme:
    [default] = load_cluster_schemes(a_company(Path("no such folder")))
    return replace(default, **changes)


def cards(*titles: str, **changes: Any) -> list[ClusterCard]:
    return list(cluster_cards(scheme(**changes), titled(*titles)).values())


def written(text: str, folder: Path) -> ClusterScheme:
    """Return our clusters with `text` in their file, as a company would write it before the features."""
    (folder / "segments").mkdir(parents=True, exist_ok=True)
    (folder / "segments" / "behaviour_clusters.toml").write_text(f"{OURS}\n{text}", "utf-8")
    [found] = load_cluster_schemes(a_company(folder))
    return found


@pytest.mark.parametrize(
    ("title", "message", "assumes"),
    [
        ("Not seen lately", "It has been a while: here is what is new since your last order.", "late"),
        ("High spend, longest not seen", "It has been a while: here is what is new since your last order.", "late"),
        ("Recently seen", "How do you like your last order? Tell us, and see what goes with it.", "on_time"),
        ("High spend, recently seen", "Thank you for choosing us: this is ready for you before it is in the shop.", ""),
        ("Discounted, frequent", "Sets and last pieces at a good price, for you before everybody else.", ""),
        ("Frequent, discounted", "Your usual order, ready in one click.", ""),
        ("Highest spend (2)", "Thank you for choosing us: this is ready for you before it is in the shop.", ""),
        ("Broad range (spend_amount +1.2 SD)", "New this month in every corner of the shop that you like.", ""),
        ("Full price", "New in the shop this month, picked to go with your last order.", ""),
        ("Typical", "New in the shop this month, picked to go with your last order.", ""),
    ],
)
def test_a_card_says_what_goes_with_the_title(title: str, message: str, assumes: str) -> None:
    [card, _] = cards(title, "Low spend")
    assert (card.strategy.message, card.strategy.assumes, card.is_default) == (message, assumes, True)


def test_each_text_is_of_what_the_title_names_first_so_that_the_price_does_not_contradict_the_discount() -> None:
    [card, _] = cards("Frequent, discounted", "Typical")
    assert card.strategy.promotion == "Points for each order, and double points for a friend they bring."
    assert card.strategy.price == "Discounts on what has to go; usual prices on all else."
    assert card.strategy.product_offer == "Sets, large packs and clearance."
    assert card.description == "They order more often than most. They buy at a discount more often than others do."


def test_what_is_said_of_an_answer_is_its_words() -> None:
    wine = ClusterFeature("likes_wine", "none", None, "mostly likes wine", "mostly dislikes wine", encoding="flag")
    region = ClusterFeature("region", "none", None, "mostly from {value}", "rarely from {value}", encoding="text")
    [card, typical] = cards("Mostly likes wine, mostly from the north", "Typical", features=(wine, region))
    assert card.description == "What sets them apart: mostly likes wine, mostly from the north."
    assert card.strategy.message == "Begin with what sets them apart: mostly likes wine, mostly from the north."
    assert typical.description == "Close to the mean customer in all that is looked at."


def test_those_without_a_card_of_their_own_share_what_is_left_of_the_budget() -> None:
    own = Strategy("m", "p", "o", "x", "c", "s", priority=2, budget_share=0.4)
    found = cards("High spend", "Low spend", "Frequent", "Infrequent", strategies={"cluster_2": own})
    assert [card.strategy.budget_share for card in found] == [0.2, 0.4, 0.2, 0.2]
    assert [card.strategy.budget_share for card in cards("High spend", "Low spend", "Frequent")] == [0.3333] * 3


def test_a_company_writes_a_card_for_one_cluster_or_for_all_others(tmp_path: Path) -> None:
    own = written(f"[strategies.cluster_1]\n{CARD}\n[strategy]\n{CARD.replace('Our own.', 'All others.').replace('0.4', '0.1')}", tmp_path)
    model = titled("High spend", "Low spend", "Frequent")
    found = cluster_cards(own, model)
    assert [(card.strategy.message, card.strategy.priority, card.is_default) for card in found.values()] == [
        ("Our own.", 3, False),
        ("All others.", 3, False),
        ("All others.", 3, False),
    ]
    assert found["cluster_1"].description == "They spend more than most."


def test_a_card_of_its_own_does_not_change_what_is_fitted(tmp_path: Path) -> None:
    customers, own = customers_of("regulars", "sleepers", "newcomers"), written(f"[strategies.cluster_1]\n{CARD}", tmp_path)
    assert fit_model(customers, own, day=NIGHT) == fit_model(customers, scheme(), day=NIGHT)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (f"[strategies.regulars]\n{CARD}", "`strategies.regulars` names no cluster; write its id, as in [strategies.cluster_2]"),
        (f"[strategies.cluster_1]\n{CARD.replace('priority = 3', '')}", "`strategies.cluster_1.priority` is missing"),
        (f"[strategies.cluster_1]\n{CARD}\n[strategies.cluster_2]\n{CARD.replace('0.4', '0.7')}", "the budget shares add up to 1.1"),
        (f"[strategies.cluster_1]\n{CARD}\nfor = 'late'", "`strategies.cluster_1.for` is not a known field"),
    ],
)
def test_a_card_that_cannot_be_right_is_refused(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(ConfigError) as refused:
        written(text, tmp_path)
    assert refused.value.what == said
    assert refused.value.where.endswith("behaviour_clusters.toml")


def test_among_customers_who_are_on_time_nobody_is_told_that_they_are_missed(tmp_path: Path) -> None:
    (tmp_path / "segments").mkdir()
    (tmp_path / "segments" / "active_clusters.toml").write_text(f'within = "lifecycle.active"\n{OURS}', "utf-8")
    (tmp_path / "segments" / "dormant_clusters.toml").write_text(f'within = "lifecycle.dormant"\n{OURS}', "utf-8")
    model = titled("Not seen lately", "Recently seen")
    by_name = {each.name: cluster_cards(each, model) for each in load_cluster_schemes(a_company(tmp_path))}
    assert [card.strategy.assumes for card in by_name["active_clusters"].values()] == ["", "on_time"]
    assert [card.strategy.assumes for card in by_name["dormant_clusters"].values()] == ["late", ""]


def test_a_card_that_nobody_wrote_comes_after_all_that_somebody_did() -> None:
    company = a_company(Path("no such folder"))
    schemes = load_schemes(company).schemes
    written_last = replace(schemes[0].segments[0].strategy or Strategy(*"mpoxcs", 5, 0.0), priority=5, budget_share=0.0, assumes="")
    schemes = (
        replace(schemes[0], segments=(replace(schemes[0].segments[0], strategy=written_last), *schemes[0].segments[1:])),
        *schemes[1:],
    )
    model = titled("Not seen lately", "High spend")
    named = [(each.name, segment.id, segment.title) for each in schemes for segment in each.segments]
    named += [("behaviour_clusters", cluster.id, cluster.title) for cluster in model.clusters]
    rows = strategy_rows(schemes, named, "en", [(scheme(), model)]).to_pylist()
    placed = {(row["scheme"], row["segment"]): row["card_order"] for row in rows if row["language"] == "en" and row["card_order"]}
    clusters = [order for (name, _), order in placed.items() if name == "behaviour_clusters"]
    assert sorted(clusters) == [len(placed) - 1, len(placed)]
    assert placed[schemes[0].name, schemes[0].segments[0].id] == len(placed) - 2


def test_a_night_stores_the_cards_of_its_model_and_warns_of_those_that_are_for_nobody(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    company, lake = only_clusters(tmp_path / "shop"), Lake(tmp_path / "lake")
    written(f"[strategies.cluster_2]\n{CARD}\n[strategies.cluster_9]\n{CARD}", company.folder)
    model = titled("Not seen lately", "Recently seen")
    lake.write_text(f"models/behaviour_clusters/{NIGHT}.json", to_json(model))
    write_features(lake, company, customers_of("regulars", each=20), NIGHT)
    with closing(DuckDBEngine(lake.store)) as engine, caplog.at_level(logging.WARNING):
        write_memberships(company, lake, engine, NIGHT)
    rows = [row for row in lake.read(SEGMENT_STRATEGIES, day=NIGHT).to_pylist() if row["scheme"] == "behaviour_clusters"]
    told = {row["segment"]: (row["message"], row["priority"]) for row in rows if row["language"] == "en"}
    assert told == {
        "cluster_1": ("It has been a while: here is what is new since your last order.", 5),
        "cluster_2": ("Our own.", 3),
        "unclustered": (None, None),
    }
    assert "behaviour_clusters: cards of cluster_9 are for nobody: the model has cluster_1, cluster_2" in caplog.messages


def test_every_entry_is_of_features_that_there_are_and_no_two_of_the_same_side() -> None:
    sides = [(name, entry.side) for entry in card_entries().entries for name in entry.features]
    assert {name for name, _ in sides} <= set(NUMERIC_FEATURES)
    assert {side for _, side in sides} == {"high", "low"}
    assert len(sides) == len(set(sides))
    assert all("description" in entry.texts for entry in card_entries().entries)
    assert set(card_entries().typical.texts) == {"description", *STRATEGY_TEXTS}
    assert {entry.assumes for entry in card_entries().entries} == {"", "late", "on_time"}


def test_every_word_that_our_titles_are_made_of_has_an_entry() -> None:
    words = [word for feature in scheme().features for word in (feature.high, feature.low, feature.highest, feature.lowest)]
    assert [word for word in words if "What sets them apart" in cards(word, "Typical")[0].description] == []

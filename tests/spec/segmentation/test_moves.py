"""Moves: who is in another segment than the night before, and the one reason; each reason with a case that only it explains."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest
from support.cluster_models import model_by_last_order
from support.nights import night_of, run_night, tree_bytes, write_shop
from support.schemes import yes_or_no_scheme

from pipeline.definitions.company import load_company
from pipeline.lake.lake import Lake
from pipeline.lake.tables import CUSTOMER_FEATURES, CUSTOMER_SEGMENTS, SEGMENT_MOVES
from pipeline.models.clusters import to_json
from pipeline.operations.deployment import Deployment
from pipeline.operations.erasure.erase import erase_customers
from pipeline.operations.steps import segment
from pipeline.segmentation import REASONS
from pipeline.segmentation.moves.trials import LIMITS, RANKED, WEIGHED

WEDNESDAY, THURSDAY, FRIDAY, MONDAY, TUESDAY = (date(2024, 3, 27), date(2024, 3, 28), date(2024, 3, 29), date(2024, 4, 1), date(2024, 4, 2))
NIGHTS = (WEDNESDAY, THURSDAY, FRIDAY, MONDAY, TUESDAY)
CUSTOMERS_SQL = "SELECT CAST(id AS VARCHAR) AS customer_id, city FROM customers"
VISITS_SQL = """
SELECT visit AS visit_id, CAST(customer AS VARCHAR) AS customer_id, CAST(came_at AS TIMESTAMP) AT TIME ZONE 'Europe/Berlin' AS visited_at
FROM visits
"""
SETTINGS = 'window_days = 60\n[attributes.city]\nlevel = "geographic"\n'
CITIES = """
title = "T"
kind = "values"
level = "geographic"
question = "Q?"
evidence = ["city"]
attribute = "city"
most_segments = 1
fewest_customers = 1
"""
RULES = {
    "seen": "recency_days <= 5",
    "twice": "order_count >= 2",
    "thrice": "order_count >= 3",
    "returner": "refund_amount > 0",
    "berliner": "city = 'Berlin'",
    "slow": "new_limit_days > 20",
    "rich": "value_rank_share < 0.5",
    "top": "spend_rank_share < 0.1",
    "watched": "visit_count_90_days >= 2",
    "once": "order_count > 0 AND twice.segment = 'no'",
}
A_MODEL = model_by_last_order(WEDNESDAY)
# id, city; ids tell what happens to whom.
CUSTOMERS = ["buyer,Bonn", "returner,Bonn", "late,Bonn", "mover,Bonn", "ager,Bonn", "leaver,Bonn", "rich,Bonn", "old,Bonn", "richer,Bonn"]
CUSTOMERS += ["looker,Bonn"]
VISITS = ["v1,looker,2024-03-26 10:00", "v2,looker,2024-03-28 10:00", "v3,ager,2024-03-28 10:00"]
ORDERS = [
    "o1,1,buyer,2024-03-20 10:00,1,10,tea",
    "o2,1,returner,2024-03-24 10:00,1,30,tea",
    "o3,1,late,2024-03-24 10:00,1,10,tea",
    "o4,1,mover,2024-03-24 10:00,1,10,tea",
    "o5,1,ager,2024-03-22 10:00,1,10,tea",
    "o6,1,old,2024-01-31 10:00,1,5,tea",
    "o7,1,old,2024-02-20 10:00,1,5,tea",
    "o8,1,old,2024-02-27 10:00,1,5,tea",
    "o9,1,rich,2024-03-24 10:00,1,500,tea",
    "o10,1,richer,2024-03-10 10:00,1,10,tea",
    "o11,1,ager,2024-02-01 10:00,1,10,tea",
]  # fmt: skip
ON_THURSDAY = [
    "o20,1,buyer,2024-03-28 10:00,1,10,tea",
    "o2,2,returner,2024-03-28 10:00,-1,-30,tea",
    "o22,1,late,2024-03-26 10:00,1,10,tea",
]
ON_TUESDAY = ["o30,1,richer,2024-04-02 10:00,1,5000,tea"]


def write(shop: Path, orders: list[str], customers: list[str], rules: Mapping[str, str] = RULES) -> Path:
    write_shop(shop, orders, customers=[], settings=SETTINGS)
    (shop / "sources" / "customers.sql").write_text(CUSTOMERS_SQL)
    (shop / "data" / "customers.csv").write_text("\n".join(["id,city", *customers]) + "\n")
    (shop / "sources" / "visits.sql").write_text(VISITS_SQL)
    (shop / "data" / "visits.csv").write_text("\n".join(["visit,customer,came_at", *VISITS]) + "\n")
    shutil.rmtree(shop / "segments", ignore_errors=True)
    (shop / "segments").mkdir()
    for name, rule in rules.items():
        (shop / "segments" / f"{name}.toml").write_text(yes_or_no_scheme(rule))
    (shop / "segments" / "cities.toml").write_text(CITIES)
    return shop


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    """Five nights of a shop in which each customer does one thing, and then somebody edits a definition and promotes a model."""
    folder = tmp_path_factory.mktemp("moves")
    shop, lake = folder / "shop", Lake(folder / "lake")
    one, two = A_MODEL.clusters
    turned = replace(A_MODEL, clusters=(replace(one, centroid=two.centroid), replace(two, centroid=one.centroid)))
    for day, model in ((WEDNESDAY, A_MODEL), (FRIDAY, turned)):
        lake.write_text(f"models/behaviour_clusters/{day}.json", to_json(replace(model, day=day)))
    run_night(write(shop, ORDERS, CUSTOMERS), lake, WEDNESDAY, until="segment")
    later = [("mover,Berlin" if line.startswith("mover") else line) for line in CUSTOMERS if not line.startswith("leaver")]
    orders, customers = [*ORDERS, *ON_THURSDAY], [*later, "newcomer,Bonn"]
    run_night(write(shop, orders, customers), lake, THURSDAY, until="segment")
    edited = {name: rule for name, rule in RULES.items() if name != "slow"} | {"twice": "order_count >= 3", "fresh": "recency_days = 0"}
    run_night(write(shop, orders, customers, edited), lake, FRIDAY, until="segment")
    run_night(write(shop, orders, customers), lake, MONDAY, until="segment")
    run_night(write(shop, [*orders, *ON_TUESDAY], customers), lake, TUESDAY, until="segment")
    return lake


def moves(lake: Lake, day: date) -> dict[tuple[str, str], tuple[str | None, str | None, str]]:
    rows = lake.read(SEGMENT_MOVES, day=day).to_pylist()
    return {(row["customer_id"], row["scheme"]): (row["from_segment"], row["to_segment"], row["reason"]) for row in rows}


def memberships(lake: Lake, day: date) -> dict[tuple[str, str], str]:
    return {(row["customer_id"], row["scheme"]): row["segment"] for row in lake.read(CUSTOMER_SEGMENTS, day=day).to_pylist()}


@pytest.mark.parametrize(
    ("customer", "scheme", "move"),
    [
        ("buyer", "twice", ("no", "yes", "own_purchase")),
        ("buyer", "seen", ("no", "yes", "own_purchase")),
        ("returner", "returner", ("no", "yes", "refund")),
        ("late", "twice", ("no", "yes", "late_data")),
        ("looker", "watched", ("no", "yes", "own_event")),
        ("mover", "berliner", ("no", "yes", "attribute_change")),
        ("ager", "seen", ("yes", "no", "ageing")),
        ("newcomer", "seen", (None, "no", "new_customer")),
        ("leaver", "seen", ("no", None, "left")),
    ],
)  # fmt: skip
def test_what_changed_for_a_customer_is_the_reason(
    told: Lake, customer: str, scheme: str, move: tuple[str | None, str | None, str]
) -> None:
    assert moves(told, THURSDAY)[customer, scheme] == move


def test_a_rule_moves_those_whom_it_would_have_moved_the_night_before(told: Lake) -> None:
    assert moves(told, FRIDAY)["buyer", "twice"] == ("yes", "no", "rule_change")
    assert ("old", "twice") not in moves(told, FRIDAY)


def test_a_scheme_that_comes_or_goes_is_a_change_of_rules_for_everybody(told: Lake) -> None:
    friday = moves(told, FRIDAY)
    assert {move[1:] for (_, scheme), move in friday.items() if scheme == "slow"} == {(None, "rule_change")}
    assert friday["ager", "fresh"] == (None, "no", "rule_change")


def test_a_scheme_that_refers_to_an_edited_one_moves_by_its_rule(told: Lake) -> None:
    assert moves(told, FRIDAY)["buyer", "once"] == ("no", "yes", "rule_change")


def test_another_model_moves_by_refit(told: Lake) -> None:
    assert moves(told, FRIDAY)["late", "behaviour_clusters"] == ("cluster_2", "cluster_1", "model_refit")


def test_whose_order_leaves_the_window_is_moved_by_age(told: Lake) -> None:
    assert moves(told, MONDAY)["old", "thrice"] == ("yes", "no", "ageing")


def test_limits_frozen_anew_move_those_who_did_nothing(told: Lake) -> None:
    reasons = {move[2] for (_, scheme), move in moves(told, MONDAY).items() if scheme == "lifecycle"}
    assert "threshold_refreeze" in reasons


def test_who_did_nothing_is_moved_by_others_where_only_ranks_changed(told: Lake) -> None:
    tuesday = moves(told, TUESDAY)
    assert tuesday["rich", "rich"] == ("yes", "no", "population_shift")
    assert tuesday["richer", "rich"] == ("no", "yes", "own_purchase")
    assert tuesday["rich", "top"] == ("yes", "no", "population_shift")
    assert tuesday["richer", "top"] == ("no", "yes", "own_purchase")


def test_the_first_night_has_no_moves(told: Lake) -> None:
    assert moves(told, WEDNESDAY) == {}


@pytest.mark.parametrize("day", NIGHTS[1:])
def test_moves_applied_to_the_night_before_give_the_night(told: Lake, day: date) -> None:
    changed = moves(told, day)
    before = memberships(told, NIGHTS[NIGHTS.index(day) - 1])
    assert all(before.get(key) == move[0] for key, move in changed.items())
    after = {**before, **{key: move[1] for key, move in changed.items()}}
    assert {key: name for key, name in after.items() if name is not None} == memberships(told, day)
    assert {move[2] for move in changed.values()} <= set(REASONS)


def test_an_erased_customer_leaves_no_move_and_those_whom_that_moves_are_told_so(tmp_path: Path, lake: Lake) -> None:
    customers = ["a,Bonn", "b,Bonn", "c,Bonn", "d,Ulm", "e,Ulm"]
    shop = write(tmp_path / "shop", ORDERS[:1], customers)
    run_night(shop, lake, THURSDAY, until="segment")
    erase_customers(Deployment(load_company(shop), lake, lambda name: name), ["a", "b"])
    run_night(shop, lake, FRIDAY, until="segment")
    assert {key: move for key, move in moves(lake, FRIDAY).items() if key[1] == "cities"} == {
        ("c", "cities"): ("Bonn", "other", "erasure"),
        ("d", "cities"): ("other", "Ulm", "erasure"),
        ("e", "cities"): ("other", "Ulm", "erasure"),
    }
    assert not {"a", "b"} & {customer for customer, _ in moves(lake, FRIDAY)}


def test_a_night_filled_in_later_tells_the_moves_of_the_night_after_it_anew(tmp_path: Path, told: Lake) -> None:
    """What was stored in order is what is told when Thursday's night is lost, Friday is compared with Wednesday, and Thursday comes."""
    root = tmp_path / "lake"
    shutil.copytree(told.root, root, symlinks=True)
    lake, shop = Lake(root), write(tmp_path / "shop", ORDERS, CUSTOMERS)
    in_order = tree_bytes(lake, f"tables/{SEGMENT_MOVES.name}")
    kept = lake.path(CUSTOMER_SEGMENTS, day=THURSDAY)
    kept.rename(root / "kept")
    lake.remove(SEGMENT_MOVES, day=THURSDAY)
    segment(night_of(shop, lake, FRIDAY))
    assert moves(lake, FRIDAY)["mover", "berliner"] == ("no", "yes", "attribute_change")
    segment(night_of(shop, lake, THURSDAY))
    (root / "kept").unlink()
    assert tree_bytes(lake, f"tables/{SEGMENT_MOVES.name}") == in_order


def test_every_feature_is_known_to_be_ranked_frozen_or_the_customers_own() -> None:
    """A new feature that is the same for everybody, a rank among customers, or drawn towards a limit is known as such."""
    assert {*LIMITS, *RANKED, *WEIGHED} <= set(CUSTOMER_FEATURES.column_names)
    named = {name for name in CUSTOMER_FEATURES.column_names if name.endswith(("_score", "_rank_share", "_limit_days"))}
    assert named <= {*LIMITS, *RANKED, *WEIGHED}

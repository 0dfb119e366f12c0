"""Who enters or leaves the customers whom a scheme applies to moves from or to no segment, for a reason; intervals tell of the gap."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from support.nights import run_night, write_shop

from pipeline.definitions.company import load_company
from pipeline.errors import GateClosed
from pipeline.lake import addresses
from pipeline.lake.lake import Lake
from pipeline.lake.tables import CUSTOMER_SEGMENT_INTERVALS, CUSTOMER_SEGMENTS, SEGMENT_MOVES, SEGMENT_PROFILES
from pipeline.publication.gates.results import stored_gates
from pipeline.reporting.explain import explain_customer
from pipeline.reporting.explain.words import outside_words

MONDAY, TUESDAY, WEDNESDAY, THURSDAY = (date(2024, 3, day) for day in (25, 26, 27, 28))
CUSTOMERS_SQL = "SELECT CAST(id AS VARCHAR) AS customer_id, NULLIF(business_type, '') AS business_type FROM customers"
SETTINGS = '[attributes.business_type]\nlevel = "firmographic"\n[gates]\noff = ["churn", "vanished", "freshness", "volume"]\n'
SCHEME = """
title = "T"
kind = "rules"
level = "firmographic"
question = "Q?"
applies_to = "{applies_to}"
evidence = ["order_count"]
segment = [
  {{id = "many", title = "Many", description = "D.", rule = "spend_amount >= 15"}},
  {{id = "few", title = "Few", description = "D.", otherwise = true}},
]
"""
VALUES = """
title = "V"
kind = "values"
level = "behavioural"
question = "Q?"
applies_to = "order_count >= 2"
evidence = ["favourite_category"]
attribute = "favourite_category"
fewest_customers = 2
"""
RULES = {"firms": "business_type IS NOT NULL", "repeaters": "order_count >= 2", "fresh": "recency_days <= 3"}
CUSTOMERS = ["firm,Shop", "person,", "founder,", "leaver,Shop", "closer,Shop", "buyer,", "third,"]
ORDERS = [
    "o1,1,firm,2024-03-20 10:00,1,10,tea",
    "o2,1,person,2024-03-20 10:00,1,10,tea",
    "o3,1,founder,2024-03-23 10:00,1,10,tea",
    "o5,1,closer,2024-03-20 10:00,1,10,tea",
    "o6,1,buyer,2024-03-20 10:00,1,10,tea",
    "o7,1,third,2024-03-18 10:00,1,10,tea",
    "o8,1,third,2024-03-20 10:00,1,10,tea",
]


def write(shop: Path, orders: list[str], customers: list[str], rules: dict[str, str] = RULES) -> Path:
    write_shop(shop, orders, customers=[], settings=SETTINGS)
    (shop / "sources" / "customers.sql").write_text(CUSTOMERS_SQL)
    write_customers(shop, customers)
    (shop / "segments").mkdir(exist_ok=True)
    for name, rule in rules.items():
        (shop / "segments" / f"{name}.toml").write_text(SCHEME.format(applies_to=rule))
    (shop / "segments" / "tastes.toml").write_text(VALUES)
    return shop


def write_customers(shop: Path, customers: list[str]) -> None:
    (shop / "data" / "customers.csv").write_text("\n".join(["id,business_type", *customers]) + "\n")


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Lake]:
    """Four nights: somebody founds a firm, closes one, leaves, comes, buys, ages; then somebody edits whom a scheme is for."""
    folder = tmp_path_factory.mktemp("some")
    shop, lake = folder / "shop", Lake(folder / "lake")
    run_night(write(shop, ORDERS, CUSTOMERS), lake, MONDAY)
    later = ["firm,Shop", "person,", "founder,Shop", "closer,", "buyer,", "third,", "newcomer,Shop"]
    orders = [*ORDERS, "o9,1,buyer,2024-03-26 10:00,1,10,tea"]
    run_night(write(shop, orders, later), lake, TUESDAY)
    run_night(write(shop, orders, later), lake, WEDNESDAY)
    again = ["founder," if line.startswith("founder") else line for line in later]
    run_night(write(shop, orders, again, RULES | {"repeaters": "order_count >= 1"}), lake, THURSDAY)
    return shop, lake


def moves(lake: Lake, day: date) -> dict[tuple[str, str], tuple[str | None, str | None, str]]:
    rows = lake.read(SEGMENT_MOVES, day=day).to_pylist()
    return {(row["customer_id"], row["scheme"]): (row["from_segment"], row["to_segment"], row["reason"]) for row in rows}


def members(lake: Lake, day: date, scheme: str) -> dict[str, str]:
    return {row["customer_id"]: row["segment"] for row in lake.read(CUSTOMER_SEGMENTS, day=day).to_pylist() if row["scheme"] == scheme}


def test_only_those_whom_a_scheme_applies_to_are_in_a_segment_of_it(told: tuple[Path, Lake]) -> None:
    _, lake = told
    assert members(lake, MONDAY, "firms") == dict.fromkeys(["firm", "leaver", "closer"], "few")
    assert members(lake, MONDAY, "repeaters") == {"third": "many"}
    # The value of one customer alone is `other`; those of others do not count, for the scheme is not for them.
    assert members(lake, MONDAY, "tastes") == {"third": "other"}
    assert members(lake, TUESDAY, "tastes") == {"third": "tea", "buyer": "tea"}


def test_shares_are_of_those_whom_the_scheme_applies_to(told: tuple[Path, Lake]) -> None:
    _, lake = told
    profiles = [row for row in lake.read(SEGMENT_PROFILES, day=MONDAY).to_pylist() if row["scheme"] == "firms"]
    assert {row["segment"]: (row["customer_count"], row["customer_share"], row["spend_share"]) for row in profiles} == {
        "many": (0, 0.0, 0.0),
        "few": (3, 1.0, 1.0),
    }


@pytest.mark.parametrize(
    ("day", "customer", "scheme", "move"),
    [
        (TUESDAY, "founder", "firms", (None, "few", "attribute_change")),
        (TUESDAY, "closer", "firms", ("few", None, "attribute_change")),
        (TUESDAY, "leaver", "firms", ("few", None, "left")),
        (TUESDAY, "newcomer", "firms", (None, "few", "new_customer")),
        (TUESDAY, "buyer", "repeaters", (None, "many", "own_purchase")),
        (TUESDAY, "buyer", "tastes", (None, "tea", "own_purchase")),
        (TUESDAY, "buyer", "fresh", (None, "many", "own_purchase")),
        (WEDNESDAY, "founder", "fresh", ("few", None, "ageing")),
        (THURSDAY, "founder", "firms", ("few", None, "attribute_change")),
        (THURSDAY, "firm", "repeaters", (None, "few", "rule_change")),
    ],
)
def test_who_enters_or_leaves_moves_for_what_changed_about_them(
    told: tuple[Path, Lake], day: date, customer: str, scheme: str, move: tuple[str | None, str | None, str]
) -> None:
    assert moves(told[1], day)[customer, scheme] == move


def test_who_stays_outside_does_not_move(told: tuple[Path, Lake]) -> None:
    assert not [key for day in (TUESDAY, WEDNESDAY, THURSDAY) for key in moves(told[1], day) if key == ("person", "firms")]


def test_moves_applied_to_the_night_before_give_the_night(told: tuple[Path, Lake]) -> None:
    _, lake = told
    for before, day in ((MONDAY, TUESDAY), (TUESDAY, WEDNESDAY), (WEDNESDAY, THURSDAY)):
        changed = {key: move for key, move in moves(lake, day).items() if key[1] == "firms"}
        applied = {**members(lake, before, "firms"), **{customer: move[1] for (customer, _), move in changed.items()}}
        assert {customer: segment for customer, segment in applied.items() if segment} == members(lake, day, "firms")


def test_intervals_end_where_the_scheme_no_longer_applies(told: tuple[Path, Lake]) -> None:
    _, lake = told
    rows = [
        (row["valid_from"], row["valid_to"])
        for version in lake.versions(CUSTOMER_SEGMENT_INTERVALS)
        for row in lake.read(CUSTOMER_SEGMENT_INTERVALS, day=version.day, known_on=version.known_on).to_pylist()
        if (row["customer_id"], row["scheme"]) == ("founder", "firms")
    ]
    assert rows == [(TUESDAY, THURSDAY)]


def test_a_customer_is_told_why_a_scheme_does_not_apply(told: tuple[Path, Lake]) -> None:
    shop, lake = told
    found = explain_customer(load_company(shop), lake, "founder", THURSDAY)
    assert "firms" not in {membership.scheme for membership in found.memberships}
    [outside] = [each for each in found.outside if each.scheme == "firms"]
    assert outside_words(outside) == "does not apply: business_type is empty (it applies where business_type IS NOT NULL)"
    assert [(move.day, move.from_segment, move.to_segment) for move in outside.moves] == [(TUESDAY, None, "few"), (THURSDAY, "few", None)]


def test_nobody_outside_is_published_in_the_scheme(told: tuple[Path, Lake]) -> None:
    _, lake = told
    published = pq.read_table(lake.local(f"{addresses.CURRENT}/{CUSTOMER_SEGMENTS.name}.parquet")).to_pylist()
    assert {row["customer_id"] for row in published if row["scheme"] == "firms"} == {"firm", "newcomer"}


def test_a_column_that_the_source_empties_is_churn_of_the_scheme_whose_customers_it_takes(tmp_path: Path) -> None:
    names = [f"c{number:02}" for number in range(20)]
    shop, lake = tmp_path / "shop", Lake(tmp_path / "lake")
    orders = [f"o-{name},1,{name},2024-03-2{day} 10:00,1,10,tea" for name in names for day in (4, 5)]
    write(shop, orders, [f"{name},Shop" for name in names[:10]] + [f"{name}," for name in names[10:]])
    (shop / "company.toml").write_text((shop / "company.toml").read_text().replace('"churn", ', "") + "smallest_population = 10\n")
    run_night(shop, lake, MONDAY)
    write_customers(shop, [f"{name},Shop" for name in names[:4]] + [f"{name}," for name in names[4:]])
    with pytest.raises(GateClosed, match=r"churn \(firms\): 60.00% of 10 customers"):
        run_night(shop, lake, TUESDAY)
    results = {(gate.gate, gate.subject): gate for gate in stored_gates(lake, TUESDAY).results}
    assert results["churn", "firms"].measured == 0.6
    assert results["churn", "lifecycle"].measured == 0

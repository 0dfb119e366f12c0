"""One next action per customer: it fits the lifecycle, then the most urgent card wins, then the one with most at stake."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from support.nights import run_night, write_shop

from pipeline.definitions.company import load_company
from pipeline.lake.lake import Lake
from pipeline.lake.tables import CUSTOMER_NEXT_ACTIONS
from pipeline.reporting.explain import explain_customer
from pipeline.reporting.explain.words import card_words, next_action_words

FIRST, SECOND, THIRD = (date(2024, 3, day) for day in (27, 29, 31))
SETTINGS = '[gates]\noff = ["churn", "vanished", "freshness", "volume"]\n'
CONSENTS_SQL = "SELECT who AS customer_id, CAST(answer AS BOOLEAN) AS is_consenting FROM consents"
CARD = """
[segment.strategy]
message = "{message}"
promotion = "P."
product_offer = "O."
price = "P."
channel = "C."
service = "S."
priority = {priority}
budget_share = {share}
"""
HEAD = 'title = "T"\nkind = "rules"\nlevel = "behavioural"\nquestion = "Q?"\nevidence = ["spend_amount"]\n'
SEGMENT = '[[segment]]\nid = "{id}"\ntitle = "{title}"\ndescription = "{title} people."\n{how}\n'
# Among equally urgent cards the one with the larger share of what is at stake wins; a card for the late has all of it.
SCHEMES = {
    "spenders": HEAD
    + SEGMENT.format(id="big", title="Big", how='rule = "spend_amount >= 500"')
    + CARD.format(message="Thanks for so much.", priority=1, share=0.3)
    + SEGMENT.format(id="small", title="Small", how="otherwise = true"),
    "rushed": HEAD
    + SEGMENT.format(id="big", title="Rushed", how='rule = "spend_amount >= 500"')
    + CARD.format(message="Quick.", priority=1, share=0.9)
    + SEGMENT.format(id="rest", title="Rest", how="otherwise = true"),
    "alarmed": HEAD
    + SEGMENT.format(id="all", title="Alarmed", how='rule = "order_count >= 1"')
    + CARD.format(message="Where are you?", priority=1, share=0.01)
    + 'assumes = "late"\n'
    + SEGMENT.format(id="rest", title="Rest", how="otherwise = true"),
}


def orders_of(who: str, first: date, gap: int, count: int, amount: int) -> list[str]:
    days = [first + timedelta(days=gap * number) for number in range(count)]
    return [f"{who}-{day},1,{who},{day} 10:00,1,{amount},tea" for day in days]


ORDERS = [
    # Everybody orders every seven days, so that whoever waits longer is late: nobody but the one who is gone.
    *orders_of("steady", date(2024, 1, 3), 7, 13, 10),
    *orders_of("rich", date(2024, 1, 5), 7, 13, 100),
    *orders_of("gone", date(2024, 1, 3), 7, 5, 200),  # the last one on 31 January
    *orders_of("refuser", date(2024, 1, 4), 7, 12, 10),
]


@pytest.fixture(scope="module")
def nights(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Lake]:
    """Three nights: on the second, the one who was gone orders again; on the third nothing happens."""
    shop = tmp_path_factory.mktemp("next") / "shop"
    lake = Lake(shop.parent / "lake")
    write_shop(shop, ORDERS, customers=["steady", "rich", "gone", "refuser", "prospect"], settings=SETTINGS)
    (shop / "sources" / "consents.sql").write_text(CONSENTS_SQL)
    (shop / "data" / "consents.csv").write_text("who,answer\nrefuser,false\nsteady,true\n")
    (shop / "segments").mkdir()
    for name, text in SCHEMES.items():
        (shop / "segments" / f"{name}.toml").write_text(text)
    run_night(shop, lake, FIRST)
    with (shop / "data" / "orders.csv").open("a") as orders:
        orders.write("back,1,gone,2024-03-29 10:00,1,200,tea\n")
    run_night(shop, lake, SECOND)
    run_night(shop, lake, THIRD)
    return shop, lake


def actions(lake: Lake, day: date) -> dict[str, dict[str, Any]]:
    return {row["customer_id"]: row for row in lake.read(CUSTOMER_NEXT_ACTIONS, day=day).to_pylist()}


def test_everybody_who_may_be_written_to_has_one_card(nights: tuple[Path, Lake]) -> None:
    for day in (FIRST, SECOND, THIRD):
        assert sorted(actions(nights[1], day)) == ["gone", "prospect", "rich", "steady"]


def test_who_is_late_by_their_own_rhythm_gets_the_card_for_the_late_and_nobody_else_does(nights: tuple[Path, Lake]) -> None:
    _, lake = nights
    assert {who for who, row in actions(lake, FIRST).items() if row["scheme"] == "alarmed"} == {"gone"}
    assert not {who for who, row in actions(lake, SECOND).items() if row["scheme"] == "alarmed"}


def test_of_equally_urgent_cards_the_one_with_most_at_stake_wins(nights: tuple[Path, Lake]) -> None:
    first = actions(nights[1], FIRST)
    assert (first["rich"]["scheme"], first["rich"]["stake_amount"]) == ("rushed", Decimal("1080.0000"))  # 0.9 of 1,200
    assert (first["gone"]["scheme"], first["gone"]["stake_amount"]) == ("alarmed", Decimal("1000.0000"))  # all of it


def test_a_prospect_gets_the_card_of_prospects(nights: tuple[Path, Lake]) -> None:
    found = actions(nights[1], FIRST)["prospect"]
    assert (found["scheme"], found["segment"], found["stake_amount"]) == ("lifecycle", "prospect", 0)


def test_the_reason_says_the_segment_and_the_customers_own_values(nights: tuple[Path, Lake]) -> None:
    assert actions(nights[1], FIRST)["rich"]["reason"] == "Rushed: Rushed people. (spend_amount=1200.0000)"


def published(lake: Lake) -> dict[str, dict[str, Any]]:
    rows = pq.read_table(lake.local("current/customer_next_actions.parquet")).to_pylist()
    return {row["customer_id"]: row for row in rows}


def test_since_when_is_the_night_on_which_the_segment_began(nights: tuple[Path, Lake]) -> None:
    found = published(nights[1])
    assert {row["day"] for row in found.values()} == {THIRD}
    assert found["rich"]["since_date"] == FIRST
    assert (found["gone"]["scheme"], found["gone"]["since_date"]) == ("rushed", FIRST)
    assert found["prospect"]["since_date"] == FIRST


def test_the_database_has_the_same_and_the_profile_names_it(nights: tuple[Path, Lake]) -> None:
    _, lake = nights
    with closing(sqlite3.connect(lake.root / "segments.sqlite")) as connection:
        table = connection.execute("SELECT customer_id, scheme, segment, since_date, reason FROM customer_next_actions").fetchall()
        profiles = connection.execute(
            "SELECT customer_id, next_action_scheme, next_action_segment, next_action_since_date FROM customer_profiles"
        ).fetchall()
        cards = connection.execute("SELECT customer_id, message, priority FROM customer_next_cards").fetchall()
    expected = {who: (row["scheme"], row["segment"], str(row["since_date"])) for who, row in published(lake).items()}
    assert {who: tuple(rest[:3]) for who, *rest in table} == expected
    assert {who: tuple(rest) for who, *rest in profiles} == expected
    assert ("rich", "Quick.", 1) in cards
    assert len(cards) == len(expected)


def test_the_view_of_strategies_shows_no_two_cards_that_contradict_each_other(nights: tuple[Path, Lake]) -> None:
    _, lake = nights
    with closing(sqlite3.connect(lake.root / "segments.sqlite")) as connection:
        shown = connection.execute("""
            SELECT shown.customer_id, group_concat(DISTINCT card.assumes) FROM customer_strategies AS shown
            JOIN segment_strategies AS card USING (scheme, segment, language)
            WHERE shown.message IS NOT NULL AND card.assumes IS NOT NULL GROUP BY 1
        """).fetchall()
        alarmed = connection.execute(
            "SELECT title, message FROM customer_strategies WHERE scheme = 'alarmed' AND segment = 'all'"
        ).fetchall()
    assert dict(shown) == dict.fromkeys(("steady", "rich", "gone"), "on_time")
    assert alarmed == [("Alarmed", None)] * 3  # they are in the segment, and it is called so, but nobody is late on the last night


def test_a_customer_is_told_what_is_next_and_which_card_is_not_for_them(nights: tuple[Path, Lake]) -> None:
    shop, lake = nights
    found = explain_customer(load_company(shop), lake, "rich", THIRD)
    assert next_action_words(found.next_action).splitlines()[0] == f"Next action, by rushed (priority 1, since {FIRST}): Quick."
    [alarmed] = [each.card for each in found.memberships if each.scheme == "alarmed"]
    assert alarmed is not None
    assert card_words(alarmed) == "not for this customer: it is for who is late, and by the lifecycle they are on time"
    assert explain_customer(load_company(shop), lake, "refuser", THIRD).next_action is None


def test_who_spent_nothing_in_the_window_stakes_what_they_ever_spent(tmp_path: Path, lake: Lake) -> None:
    orders = orders_of("old", date(2024, 1, 3), 7, 3, 10)
    shop = write_shop(tmp_path / "shop", orders, customers=["old"], settings=f"window_days = 30\n{SETTINGS}")
    run_night(shop, lake, THIRD, until="segment")
    found = actions(lake, THIRD)["old"]
    assert (found["scheme"], found["segment"], found["stake_amount"]) == ("lifecycle", "lost", Decimal(30))


OWN_LIFECYCLE = HEAD + SEGMENT.format(id="all", title="All", how="otherwise = true") + CARD.format(message="M.", priority=5, share=0.1)
SEEN = (
    HEAD
    + SEGMENT.format(id="seen", title="Seen", how='rule = "recency_days = 0"')
    + CARD.format(message="Hello.", priority=1, share=1)
    + SEGMENT.format(id="rest", title="Rest", how="otherwise = true")
)


def test_where_no_card_of_the_lifecycle_says_who_is_late_nobody_is_told_that_they_are(
    tmp_path: Path, lake: Lake, caplog: pytest.LogCaptureFixture
) -> None:
    shop = write_shop(tmp_path / "shop", ORDERS, customers=["gone"], settings=SETTINGS)
    (shop / "segments").mkdir()
    for name, text in {"lifecycle": OWN_LIFECYCLE, "alarmed": SCHEMES["alarmed"]}.items():
        (shop / "segments" / f"{name}.toml").write_text(text)
    run_night(shop, lake, FIRST, until="segment")
    assert "alarmed" not in {row["scheme"] for row in actions(lake, FIRST).values()}
    assert "no card of lifecycle assumes anybody to be late: cards of alarmed, rfm" in caplog.text


def test_a_night_that_is_filled_in_later_dates_the_segment_from_when_it_began_again(tmp_path: Path, lake: Lake) -> None:
    orders = [f"o{day},1,often,2024-03-{day} 10:00,1,10,tea" for day in (27, 31)]
    shop = write_shop(tmp_path / "shop", orders, customers=["often"], settings=SETTINGS)
    (shop / "segments").mkdir()
    (shop / "segments" / "seen.toml").write_text(SEEN)
    run_night(shop, lake, FIRST, until="segment")
    run_night(shop, lake, THIRD)
    assert (published(lake)["often"]["scheme"], published(lake)["often"]["since_date"]) == ("seen", FIRST)
    run_night(shop, lake, SECOND, until="segment")  # on which they had not ordered for two days
    run_night(shop, lake, THIRD)
    assert published(lake)["often"]["since_date"] == THIRD

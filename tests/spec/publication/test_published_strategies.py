"""What a CRM reads from the database: each customer's segments, titles and cards in the customer's language, and why they moved."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from support.builders import a_company
from support.nights import run_night, write_shop
from support.published_nights import no_connections, write_night

from pipeline.definitions.company import Company, load_company
from pipeline.errors import ConfigError
from pipeline.lake.lake import Lake
from pipeline.operations.deployment import Deployment
from pipeline.operations.erasure.erase import erase_customers
from pipeline.publication.publish import current_publication, publish
from pipeline.publication.rollback import roll_back
from pipeline.publication.targets.customer_profiles import spoken_languages

MONDAY, TUESDAY = date(2024, 3, 4), date(2024, 3, 5)
SETTINGS = """
customer_language = "tongue"

[attributes.tongue]
level = "demographic"
"""
CUSTOMERS_SQL = "SELECT who AS customer_id, speaks AS tongue FROM customers"
CONSENTS_SQL = "SELECT who AS customer_id, CAST(answer AS BOOLEAN) AS is_consenting FROM consents"
BUYERS = """
kind = "rules"
level = "behavioural"
evidence = ["order_count"]
title = { en = "Buyers", tr = "Alıcılar", ka = "მყიდველები" }
question = { en = "Who buys?", tr = "Kim alıyor?" }

[[segment]]
id = "buys"
title = { en = "Buys", tr = "Satın alıyor", ka = "ყიდულობს" }
description = { en = "Ordered.", ka = "შეუკვეთა." }
rule = "order_count > 0"

[segment.strategy]
message = { en = "Thank you.", tr = "Teşekkürler." }
promotion = "A gift."
product_offer = "New."
price = "Usual."
channel = "Letter."
service = "Own contact."
priority = 2
budget_share = 0.5

[[segment]]
id = "looks"
title = { en = "Looks", tr = "Bakıyor" }
description = "Did not order."
otherwise = true
"""
SPEAKERS = {"ada": "tr-TR", "bob": "ka", "cleo": "Klingon", "dan": "", "eve": "tr"}


Seen = dict[str, list[tuple[Any, ...]]]
READ = {
    "cards": "SELECT customer_id, language, title, message, promotion FROM customer_strategies WHERE scheme = 'buyers' ORDER BY 1",
    "profiles": "SELECT * FROM customer_profiles ORDER BY customer_id",
    "moves": "SELECT customer_id, scheme, reason FROM segment_moves ORDER BY 1, 2",
    "schemes": "SELECT customer_id, count(DISTINCT scheme), count(title) FROM customer_strategies GROUP BY 1",
    "memberships": "SELECT customer_id, count(*), count(*) FROM customer_segments GROUP BY 1",
}


HAS_WRITTEN = "SELECT name FROM sqlite_master WHERE name = 'written'"


def write_company(folder: Path) -> Path:
    orders = [f"o-{who},1,{who},2024-03-04 12:00:00,1,10,tea" for who in SPEAKERS if who != "eve"]
    write_shop(folder, orders, customers=[], settings=SETTINGS)
    rows = [f"{who},{speaks}" for who, speaks in SPEAKERS.items()]
    (folder / "data" / "customers.csv").write_text("\n".join(["who,speaks", *rows]) + "\n", "utf-8")
    (folder / "data" / "consents.csv").write_text("who,answer\nbob,true\n")
    (folder / "sources" / "customers.sql").write_text(CUSTOMERS_SQL, "utf-8")
    (folder / "sources" / "consents.sql").write_text(CONSENTS_SQL, "utf-8")
    (folder / "segments").mkdir()
    (folder / "segments" / "buyers.toml").write_text(BUYERS, "utf-8")
    return folder


@pytest.fixture(scope="module")
def nights(tmp_path_factory: pytest.TempPathFactory) -> tuple[Seen, Seen, Seen]:
    """Return what the database held after a night, after the next one with other words and another buyer, and after an erasure.

    On the second night bob does not agree any more and eve buys; then eve is erased.
    """
    shop = write_company(tmp_path_factory.mktemp("strategies") / "shop")
    lake = Lake(shop.parent / "lake")
    run_night(shop, lake, MONDAY)
    first = seen(lake)
    note_written_profiles(lake)
    path = shop / "segments" / "buyers.toml"
    path.write_text(path.read_text("utf-8").replace("Teşekkürler.", "Sağ olun.").replace('ka = "ყიდულობს"', 'de = "Kauft"'), "utf-8")
    (shop / "data" / "consents.csv").write_text("who,answer\nbob,false\n")
    with (shop / "data" / "orders.csv").open("a") as orders:
        orders.write("o9,1,eve,2024-03-05 12:00:00,1,10,tea\n")
    run_night(shop, lake, TUESDAY)
    second = seen(lake)
    erase_customers(Deployment(load_company(shop), lake, no_connections), ["eve"])
    return first, second, seen(lake)


def note_written_profiles(lake: Lake) -> None:
    """From now on, note who is the subject of a written row of customer_profiles."""
    with closing(sqlite3.connect(lake.root / "segments.sqlite")) as connection:
        connection.execute("CREATE TABLE written (customer_id TEXT)")
        for event, row in (("INSERT", "NEW"), ("UPDATE", "NEW"), ("DELETE", "OLD")):
            connection.execute(
                f"CREATE TRIGGER note_{event} AFTER {event} ON customer_profiles BEGIN INSERT INTO written VALUES ({row}.customer_id); END"
            )


def seen(lake: Lake) -> Seen:
    found = {name: read(lake, query) for name, query in READ.items()}
    return {**found, "written": read(lake, "SELECT customer_id FROM written") if read(lake, HAS_WRITTEN) else []}


def read(lake: Lake, query: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(lake.root / "segments.sqlite")) as connection:
        return connection.execute(query).fetchall()


def test_one_select_tells_title_and_card_in_the_language_of_each_customer(nights: tuple[Seen, Seen, Seen]) -> None:
    assert nights[0]["cards"] == [
        ("ada", "tr", "Satın alıyor", "Teşekkürler.", "A gift."),
        ("bob", "ka", "ყიდულობს", "Thank you.", "A gift."),
        ("cleo", "en", "Buys", "Thank you.", "A gift."),
        ("dan", "en", "Buys", "Thank you.", "A gift."),
        ("eve", "tr", "Bakıyor", None, None),
    ]


def test_every_segment_of_every_scheme_has_a_title_for_every_customer(nights: tuple[Seen, Seen, Seen]) -> None:
    assert nights[0]["schemes"] == nights[0]["memberships"]


def test_the_words_of_a_card_change_without_a_row_of_a_customer(nights: tuple[Seen, Seen, Seen]) -> None:
    first, second, _ = nights
    assert second["cards"][0] == ("ada", "tr", "Satın alıyor", "Sağ olun.", "A gift.")
    idle = ("ada", "cleo", "dan")
    assert [row for row in second["profiles"] if row[0] in idle] == [row for row in first["profiles"] if row[0] in idle]
    # Bob does not agree any more, and eve bought.
    assert {who for (who,) in second["written"]} == {"bob", "eve"}


def test_who_does_not_agree_any_more_leaves_profiles_moves_and_cards(nights: tuple[Seen, Seen, Seen]) -> None:
    first, second, _ = nights
    assert "bob" in ids(first, "profiles")
    assert all("bob" not in ids(second, name) for name in READ)


def test_who_is_erased_leaves_profiles_moves_and_cards(nights: tuple[Seen, Seen, Seen]) -> None:
    _, second, third = nights
    assert ("eve", "buyers", "own_purchase") in second["moves"]
    assert all("eve" in ids(second, name) and "eve" not in ids(third, name) for name in READ)
    assert ids(third, "profiles") == {"ada", "cleo", "dan"}


def ids(found: Seen, name: str) -> set[Any]:
    return {row[0] for row in found[name]}


@pytest.mark.parametrize(
    ("said", "spoken"),
    [("tr", "tr"), ("TR", "tr"), (" tr ", "tr"), ("tr_TR", "tr"), ("pt-PT", "pt"), ("pt-BR", "pt-BR"), ("PT_br", "pt-BR"), ("tre", "en")],
)
def test_a_language_is_known_by_its_tag(said: str, spoken: str) -> None:
    assert spoken_languages(pa.array([said]), {"en", "tr", "pt", "pt-BR"}, "en").to_pylist() == [spoken]


def test_who_names_no_language_is_spoken_to_in_the_companys(tmp_path: Path) -> None:
    assert spoken_languages(pa.array([None, ""], pa.string()), {"ka", "tr"}, "ka").to_pylist() == ["ka", "ka"]
    with pytest.raises(ConfigError, match="`customer_language` must name a text attribute without personal data"):
        load_company(write_shop(tmp_path / "shop", [], customers=[], settings='customer_language = "tongue"\n'))


@pytest.fixture
def company(tmp_path: Path) -> Company:
    return a_company(tmp_path)


def published(company: Company, lake: Lake, day: date, segments: dict[str, str]) -> None:
    write_night(lake, company, day, segments)
    publish(company, lake, day, connections=no_connections)


def test_moves_of_the_last_31_published_days_are_kept(company: Company, lake: Lake) -> None:
    published(company, lake, MONDAY, {"ada": "loyal"})
    days = [MONDAY - timedelta(2 * place) for place in range(33)]
    with closing(sqlite3.connect(lake.root / "segments.sqlite")) as connection, connection:
        for day in days[1:]:
            connection.execute("INSERT INTO publications VALUES (?, 'x', 1, 1)", [str(day)])
            connection.execute("INSERT INTO segment_moves VALUES (?, 'ada', 'rfm', NULL, 'new', 'new_customer')", [str(day)])
    published(company, lake, TUESDAY, {"ada": "loyal"})
    assert [date.fromisoformat(day) for (day,) in read(lake, "SELECT day FROM segment_moves ORDER BY day DESC")] == [TUESDAY, *days[:30]]


def test_moves_of_who_is_not_published_any_more_go_too(company: Company, lake: Lake) -> None:
    published(company, lake, MONDAY, {"ada": "loyal", "bob": "new"})
    published(company, lake, TUESDAY, {"bob": "new"})
    assert read(lake, "SELECT customer_id FROM segment_moves") == [("bob",)]


def test_moves_of_a_night_that_was_held_back_come_with_the_next_publication(company: Company, lake: Lake) -> None:
    days = [MONDAY + timedelta(place) for place in range(4)]
    published(company, lake, days[0], {"ada": "loyal"})
    write_night(lake, company, days[1], {"ada": "lost"})
    write_night(lake, company, days[2], {"ada": "new"})
    for _ in range(2):
        published(company, lake, days[3], {"ada": "loyal"})
        assert [date.fromisoformat(day) for (day,) in read(lake, "SELECT day FROM segment_moves ORDER BY day")] == days
    roll_back(company, lake, connections=no_connections)
    assert [date.fromisoformat(day) for (day,) in read(lake, "SELECT day FROM segment_moves")] == days[:1]


def test_what_a_rollback_takes_back_is_told_neither_as_moved_nor_as_a_card(company: Company, lake: Lake) -> None:
    published(company, lake, MONDAY, {"ada": "loyal", "bob": "new"})
    before = held(lake)
    published(company, lake, TUESDAY, {"bob": "lost", "cleo": "new"})
    roll_back(company, lake, connections=no_connections)
    assert held(lake) == before


def held(lake: Lake) -> dict[str, list[tuple[Any, ...]]]:
    names = ("segment_moves", "segment_strategies", "cluster_profiles", "customer_profiles")
    return {name: sorted(read(lake, f"SELECT * FROM {name}")) for name in names}


def test_the_database_holds_what_sets_the_clusters_of_the_live_night_apart_and_no_others(company: Company, lake: Lake) -> None:
    published(company, lake, MONDAY, {"ada": "loyal", "bob": "new"})
    published(company, lake, TUESDAY, {"ada": "lost", "bob": "new"})
    assert sorted(read(lake, "SELECT segment FROM cluster_profiles")) == [("lost",), ("new",)]


def test_a_publication_of_an_older_version_can_be_the_way_back(company: Company, lake: Lake) -> None:
    published(company, lake, MONDAY, {"ada": "loyal"})
    live = current_publication(lake)
    assert live is not None
    for name in ("segment_moves", "segment_strategies", "cluster_profiles"):
        forget_table(lake.local(live.prefix), name)
    published(company, lake, TUESDAY, {"ada": "lost"})
    roll_back(company, lake, connections=no_connections)
    assert read(lake, "SELECT customer_id, segment, language, title FROM customer_strategies") == [("ada", "loyal", "en", None)]


def forget_table(folder: Path, name: str) -> None:
    """Make a publication what one was before the table was published."""
    import json

    (folder / f"{name}.parquet").unlink()
    manifest = json.loads((folder / "manifest.json").read_text("utf-8"))
    del manifest["tables"][name]
    (folder / "manifest.json").write_text(json.dumps(manifest), "utf-8")

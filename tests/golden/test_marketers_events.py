"""More segments of the kind that marketing tools document, about mails, carts, visits and whole orders, on a made-up shop.

Each takes whom SQL by hand takes. The hand SQL reads the shop's files, and knows nothing of the lake.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import replace
from datetime import date, datetime, timedelta
from pathlib import Path

import duckdb
import pytest
from sqlglot import exp
from support.nights import NO_GATES, SHOP, run_night

from pipeline.definitions.audiences import audience_of_rule, members_statement
from pipeline.definitions.company import load_company, with_declared_features
from pipeline.definitions.definition_files import Definition
from pipeline.features import features_as_declared
from pipeline.lake.engines.duckdb import DuckDBEngine
from pipeline.lake.lake import Lake
from pipeline.segmentation import schemes_beside

OPENING, NIGHT = date(2023, 4, 1), date(2024, 3, 31)
COMPANY = f"""{SHOP.replace("2024-01-01", "2023-01-01")}
[attributes.email_domain]
level = "demographic"
[events.email]
key = ["message_id", "action"]
instant = "happened_at"
columns = {{message_id = "text", action = "text", campaign = "text"}}
[events.cart_items]
key = ["cart_id"]
instant = "added_at"
columns = {{cart_id = "text", product_id = "text"}}
{NO_GATES}"""
AT = "CAST({} AS TIMESTAMP) AT TIME ZONE 'Europe/Berlin' AS {}"
SOURCES = {
    "customers": "SELECT CAST(id AS VARCHAR) AS customer_id, NULLIF(domain, '') AS email_domain FROM customers",
    "order_lines": f"""SELECT CAST(number AS VARCHAR) AS order_id, CAST(line AS BIGINT) AS line_number, CAST(id AS VARCHAR) AS customer_id,
      {AT.format("moment", "ordered_at")}, CAST(pieces AS DECIMAL(18, 4)) AS quantity, CAST(net AS DECIMAL(18, 4)) AS net_amount,
      CAST(discount AS DECIMAL(18, 4)) AS discount_amount, product AS product_id, category, channel FROM lines""",
    "visits": f"SELECT CAST(visit AS VARCHAR) AS visit_id, id AS customer_id, {AT.format('moment', 'visited_at')} FROM visits",
    "email": f"""SELECT CAST(message AS VARCHAR) AS message_id, CAST(id AS VARCHAR) AS customer_id, action, campaign,
      {AT.format("moment", "happened_at")} FROM email""",
    "cart_items": f"""SELECT CAST(cart AS VARCHAR) AS cart_id, CAST(id AS VARCHAR) AS customer_id, product AS product_id,
      {AT.format("moment", "added_at")} FROM carts""",
}
# What each takes, as people say it; the rule; and a query of the ids by hand.
SEGMENTS: Mapping[str, tuple[str, str]] = {
    "clicked a mail, and did not order within 3 days": (
        "EXISTS(email WHERE action = 'clicked' NOT FOLLOWED BY orders WITHIN 3 DAYS)",
        (
            "SELECT id FROM email AS e WHERE action = 'clicked' AND day <= $night - 3 "
            "AND NOT EXISTS (FROM orders AS o WHERE o.id = e.id AND o.moment > e.moment AND o.day <= e.day + 3)"
        ),
    ),
    "the first order had a discount": (
        "FIRST(orders.discount_amount) > 0",
        "SELECT id FROM orders GROUP BY id HAVING ARG_MIN(discount, (day, moment, number)) > 0",
    ),
    "more than 60 days between orders on average": (
        "(MAX(orders.order_day) - MIN(orders.order_day)) / (COUNT(DISTINCT orders.order_day) - 1) > 60",
        "SELECT id FROM orders GROUP BY id HAVING COUNT(DISTINCT day) > 1 AND (MAX(day) - MIN(day)) / (COUNT(DISTINCT day) - 1) > 60",
    ),
    "bought wine and cheese in the same order": (
        "EXISTS(orders WHERE ANY(categories) = 'Wine' AND ANY(categories) = 'Cheese')",
        "SELECT a.id FROM sold AS a JOIN sold AS b USING (number, day) WHERE a.category = 'Wine' AND b.category = 'Cheese'",
    ),
    "an order of wine alone, and of two lines or more": (
        "EXISTS(orders WHERE ALL(categories) = 'Wine' AND line_count >= 2)",
        "SELECT ANY_VALUE(id) FROM sold GROUP BY number, day HAVING COUNT(*) >= 2 AND BOOL_AND(category = 'Wine')",
    ),
    "bought two articles together": (
        "EXISTS(orders WHERE ANY(product_ids) = 'p3' AND ANY(product_ids) IN ('p5', 'p6'))",
        "SELECT a.id FROM sold AS a JOIN sold AS b USING (number, day) WHERE a.product = 'p3' AND b.product IN ('p5', 'p6')",
    ),
    "in the top tenth of spenders": (
        "spend_rank_share < 0.1",
        (
            "WITH spent AS (SELECT id, SUM(net) AS spend FROM lines GROUP BY id HAVING SUM(net) > 0) "
            "SELECT id FROM spent AS s WHERE (SELECT COUNT(*) FROM spent AS o WHERE o.spend > s.spend) / (SELECT COUNT(*) FROM spent) < 0.1"
        ),
    ),
    "left two carts this month": (
        "COUNT(cart_items NOT FOLLOWED BY orders WITHIN 1 DAY THIS MONTH) >= 2",
        (
            "SELECT id FROM carts AS c WHERE day BETWEEN DATE '2024-03-01' AND $night - 1 "
            "AND NOT EXISTS (FROM orders AS o WHERE o.id = c.id AND o.moment > c.moment AND o.day <= c.day + 1) "
            "GROUP BY id HAVING COUNT(*) >= 2"
        ),
    ),
    "the anniversary of the first order within 7 days": (
        "DAYS_UNTIL_ANNIVERSARY(first_order_date) <= 7",
        "SELECT id FROM orders GROUP BY id HAVING MIN(day) + INTERVAL 1 YEAR BETWEEN $night AND $night + 7",
    ),
    "never gave anything back": (
        "EXISTS(orders) AND NOT EXISTS(order_lines WHERE line_kind = 'refund')",
        "SELECT id FROM lines GROUP BY id HAVING MIN(pieces) > 0",
    ),
    "ordered twice on one day": (
        "COUNT(orders) > COUNT(DISTINCT orders.order_day)",
        "SELECT id FROM orders GROUP BY id, day HAVING COUNT(*) >= 2",
    ),
    "an e-mail address of a university": (
        "ENDS_WITH(LOWER(email_domain), '.edu')",
        "SELECT id FROM customers WHERE LOWER(domain) LIKE '%.edu'",
    ),
    "opened two of the last four mails": (
        "COUNT(email WHERE action = 'sent' FOLLOWED BY email OF THE SAME message_id WHERE action = 'opened' LATEST 4) >= 2",
        (
            "SELECT id FROM (SELECT * FROM email WHERE action = 'sent' "
            "QUALIFY ROW_NUMBER() OVER (PARTITION BY id ORDER BY moment DESC, message DESC) <= 4) AS s "
            "WHERE EXISTS (FROM email AS o WHERE o.message = s.message AND o.action = 'opened' AND o.moment > s.moment) "
            "GROUP BY id HAVING COUNT(*) >= 2"
        ),
    ),
    "the last order was half as much again as the average": (
        "LAST(orders.net_amount) >= 1.5 * AVG(orders.net_amount)",
        "SELECT id FROM orders GROUP BY id HAVING ARG_MAX(net, (day, moment, number)) * COUNT(*) >= 1.5 * SUM(net)",
    ),
    "bought an article again within 60 days": (
        (
            "EXISTS(order_lines WHERE line_kind = 'order' "
            "PRECEDED BY order_lines OF THE SAME product_id WHERE line_kind = 'order' WITHIN 60 DAYS)"
        ),
        "SELECT b.id FROM sold AS a JOIN sold AS b USING (id, product) WHERE b.moment > a.moment AND b.day <= a.day + 60",
    ),
    "never orders without a discount": (
        "EXISTS(orders) AND NOT EXISTS(orders WHERE discount_amount = 0)",
        "SELECT id FROM orders GROUP BY id HAVING MIN(discount) > 0",
    ),
    "orders mostly in the evening": (
        "COUNT(orders WHERE HOUR(ordered_at) >= 18) > 0.5 * COUNT(orders)",
        "SELECT id FROM orders GROUP BY id HAVING SUM(CASE WHEN HOUR(moment) >= 18 THEN 1 ELSE 0 END) > 0.5 * COUNT(*)",
    ),
    "clicked at a weekend, or at night": (
        "EXISTS(email WHERE action = 'clicked' AND (WEEKDAY(happened_at) >= 6 OR HOUR(happened_at) >= 22))",
        "SELECT id FROM email WHERE action = 'clicked' AND (ISODOW(moment) >= 6 OR HOUR(moment) >= 22)",
    ),
    "came by three times in 30 days and did not order": (
        "COUNT(visits LAST 30 DAYS) >= 3 AND NOT EXISTS(orders LAST 30 DAYS)",
        (
            "SELECT id FROM visits WHERE day > $night - 30 AND id NOT IN (SELECT id FROM orders WHERE day > $night - 30) "
            "GROUP BY id HAVING COUNT(*) >= 3"
        ),
    ),
    "the last three orders came through the web": (
        "COUNT(orders LATEST 3) = 3 AND ALL(LIST(orders.channel LATEST 3)) = 'web'",
        (
            "SELECT id FROM (SELECT * FROM orders QUALIFY ROW_NUMBER() OVER (PARTITION BY id ORDER BY day DESC, moment DESC, number DESC) "
            "<= 3) "
            "GROUP BY id HAVING COUNT(*) = 3 AND BOOL_AND(channel = 'web')"
        ),
    ),
    "ordered in each of the last three months of 30 days": (
        "EXISTS(orders LAST 30 DAYS) AND EXISTS(orders LAST 30 DAYS BEFORE 30 DAYS AGO) AND EXISTS(orders LAST 30 DAYS BEFORE 60 DAYS AGO)",
        "SELECT id FROM orders WHERE day > $night - 90 GROUP BY id HAVING COUNT(DISTINCT ($night - day) // 30) = 3",
    ),
    "an order is worth half of what it was": (
        "AVG(orders.net_amount LAST 90 DAYS) < 0.5 * AVG(orders.net_amount LAST 90 DAYS BEFORE 90 DAYS AGO)",
        (
            "SELECT id FROM orders WHERE day > $night - 180 GROUP BY id HAVING AVG(net) FILTER (day > $night - 90) "
            "< 0.5 * AVG(net) FILTER (day <= $night - 90)"
        ),
    ),
    "no reaction to any mail for 60 days": (
        "EXISTS(email WHERE action = 'sent') AND NOT EXISTS(email WHERE action IN ('opened', 'clicked') LAST 60 DAYS)",
        "SELECT id FROM email WHERE id NOT IN (SELECT id FROM email WHERE action <> 'sent' AND day > $night - 60)",
    ),
}


def rows_of(chance: random.Random) -> dict[str, list[str]]:
    """Return the lines of the shop's files: what 90 customers did in a year, at random."""

    def moment() -> datetime:
        day = OPENING + timedelta(chance.randrange((NIGHT - OPENING).days + 1))
        # Naive, as the shop's files have it: the queries say that it is local time.
        return datetime(day.year, day.month, day.day, chance.choice([7, 12, 17, 18, 21, 22]), chance.randrange(60), chance.randrange(60))  # noqa: DTZ001

    files: dict[str, list[str]] = {
        "customers": ["id,domain"],
        "lines": ["number,line,id,moment,pieces,net,discount,product,category,channel"],
        "visits": ["visit,id,moment"],
        "email": ["message,id,action,campaign,moment"],
        "carts": ["cart,id,product,moment"],
    }
    for customer in (f"c{number:02}" for number in range(90)):
        files["customers"].append(f"{customer},{chance.choice(['shop.com', 'mit.EDU', 'uni.edu', 'edu.com', ''])}")
        moments = [moment() for _ in range(chance.choice([0, 1, 2, 3, 5, 9]))]
        moments += [at + timedelta(minutes=3) for at in moments[:1] if chance.random() < 0.15 and at.hour < 22]
        is_haggler = chance.random() < 0.3
        for number, at in enumerate(moments):
            for line in range(chance.choice([1, 2, 3])):
                product, discount = chance.randrange(8), "2" if is_haggler or chance.random() < 0.1 else "0"
                kind = ["Wine", "Cheese", "Beer"][product % 3]
                paid = f"{chance.randrange(1, 9000) / 100:.2f},{discount},p{product},{kind},{'web' if number % 4 else 'store'}"
                files["lines"].append(f"{customer}o{number},{line},{customer},{at},1,{paid}")
                if chance.random() < 0.05 and at.date() < NIGHT - timedelta(9):
                    files["lines"].append(
                        f"{customer}o{number},{line + 50},{customer},{at + timedelta(8)},-1,-0.50,0,p{product},{kind},web"
                    )
        for message in range(chance.randrange(8)):
            at = moment()
            for action, later in (("sent", 0), ("opened", 30), ("clicked", 45)):
                if at.hour < 22 and (action == "sent" or chance.random() < 0.6):
                    files["email"].append(f"{customer}m{message},{customer},{action},spring,{at + timedelta(minutes=later)}")
        for number in range(chance.randrange(6)):
            files["visits"].append(f"{customer}v{number},{customer},{moment().replace(year=2024, month=3)}")
            files["carts"].append(f"{customer}w{number},{customer},p{number},{moment().replace(year=2024, month=3)}")
    return files


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Lake]:
    folder = tmp_path_factory.mktemp("events")
    for path, text in {
        "company.toml": COMPANY,
        **{f"sources/{name}.sql": query for name, query in SOURCES.items()},
        **{f"data/{name}.csv": "\n".join([*rows, ""]) for name, rows in rows_of(random.Random(16)).items()},
    }.items():
        (folder / "shop" / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / "shop" / path).write_text(text, "utf-8")
    lake = Lake(folder / "lake")
    run_night(folder / "shop", lake, NIGHT, until="segment")
    return folder / "shop", lake


@pytest.fixture(scope="module")
def by_hand(shop: tuple[Path, Lake]) -> Iterator[duckdb.DuckDBPyConnection]:
    with closing(duckdb.connect()) as engine:
        for name in ("lines", "visits", "email", "carts"):
            engine.execute(f"CREATE TABLE {name} AS SELECT *, CAST(moment AS DATE) AS day FROM '{shop[0]}/data/{name}.csv'")
        engine.execute(f"CREATE TABLE customers AS FROM '{shop[0]}/data/customers.csv'")
        engine.execute("ALTER TABLE lines ALTER net TYPE DECIMAL(18, 4)")
        engine.execute("CREATE TABLE sold AS FROM lines WHERE pieces > 0")
        engine.execute(
            "CREATE TABLE orders AS SELECT id, number, day, MIN(moment) AS moment, SUM(net) AS net, SUM(discount) AS discount, "
            "MIN(channel) AS channel FROM sold GROUP BY ALL"
        )
        yield engine


@pytest.fixture(scope="module")
def by_rule(shop: tuple[Path, Lake]) -> dict[str, set[str]]:
    """Return whom each rule takes on the night, all aggregates worked out in one pass over the events."""
    folder, lake = shop
    definitions = [Definition(Path(name), f"rule = {json.dumps(rule)}") for name, (rule, _) in SEGMENTS.items()]
    company, found = with_declared_features(load_company(folder), *definitions), {}
    with closing(DuckDBEngine(lake.store, memory_limit="1GB")) as engine, features_as_declared(company, lake, engine, NIGHT) as night:
        assert night.features
        night.features.define(replace(night.table, name="declared"))
        engine.materialize(night.table, exp.select("*").from_("declared"))
        for name, (rule, _) in SEGMENTS.items():
            audience = audience_of_rule(company, rule)
            by_name = schemes_beside(company, lake, NIGHT, [audience])
            rows = engine.run(members_statement(by_name[audience.name], by_name), {}).read_all().to_pylist()
            found[name] = {row["customer_id"] for row in rows if row["is_member"]}
    return found


@pytest.mark.parametrize("name", SEGMENTS)
def test_a_segment_takes_whom_sql_by_hand_takes(name: str, by_rule: dict[str, set[str]], by_hand: duckdb.DuckDBPyConnection) -> None:
    query = f"SELECT DISTINCT id FROM ({SEGMENTS[name][1]}) AS found(id)".replace("$night", f"DATE '{NIGHT}'")
    expected = {customer for (customer,) in by_hand.execute(query).fetchall()}
    assert by_rule[name] == expected
    assert 0 < len(expected) < 90

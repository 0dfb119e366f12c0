"""A made-up company: small, with what engines are known to treat differently.

That is ties, unknown values, ids in many scripts, refunds, merges, days at the edges; and with every kind of table that a night writes.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from datetime import date, timedelta
from itertools import chain
from pathlib import Path

from pipeline.definitions.gate_limits import GATES

NIGHTS = (date(2024, 3, 30), date(2024, 3, 31))
ERASED = ("c1", "o'b")
_FIRST_DAY, _DAYS, _ORDERS = date(2023, 4, 1), 365, 900
# Letters that databases compare, fold or sort in ways of their own.
_LETTERS = ("C1", "i", "\N{LATIN SMALL LETTER DOTLESS I}", "\N{LATIN SMALL LETTER Y WITH DIAERESIS}", "\N{GRINNING FACE}")
_IDS = (*(f"c{number}" for number in range(40)), *_LETTERS, "0001", "o'b", "z" * 40)
_ORDERS_FILE, _AUDIENCE_FILE = "data/orders.csv", "audiences/frequent.toml"
_FILES = {
    "company.toml": f"""
name = "Conformance"
time_zone = "Europe/Berlin"
currency = "EUR"
first_day = {_FIRST_DAY}

[gates]
off = {json.dumps(GATES)}

[attributes.region]
level = "geographic"
description = "Region."

[attributes.interests]
level = "psychographic"
kind = "list"
description = "Interests."

[events.answers]
description = "Answers to questions."
key = ["customer_id", "question", "answered_at"]
instant = "answered_at"

[events.answers.columns]
question = "text"
answer = "text"

[surveys.answers]
""",
    "sources/customers.sql": """SELECT CAST(id AS VARCHAR) AS customer_id, NULLIF(region, '') AS region, NULLIF(interests, '') AS interests
FROM customers
""",
    "sources/order_lines.sql": """SELECT
  order_id,
  CAST(line AS BIGINT) AS line_number,
  CAST(customer AS VARCHAR) AS customer_id,
  CAST(sold_at AS TIMESTAMP) AT TIME ZONE 'Europe/Berlin' AS ordered_at,
  CAST(1 AS DECIMAL(18, 4)) AS quantity,
  CAST(paid AS DECIMAL(18, 4)) AS net_amount,
  CAST(NULLIF(discount, '') AS DECIMAL(18, 4)) AS discount_amount,
  NULLIF(product, '') AS product_id,
  NULLIF(category, '') AS category,
  NULLIF(channel, '') AS channel
FROM orders
""",
    "sources/visits.sql": """SELECT
  CAST(visit AS VARCHAR) AS visit_id,
  CAST(NULLIF(customer, '') AS VARCHAR) AS customer_id,
  CAST(visited_at AS TIMESTAMP) AT TIME ZONE 'Europe/Berlin' AS visited_at
FROM visits
""",
    "sources/answers.sql": """SELECT
  CAST(customer AS VARCHAR) AS customer_id,
  question,
  NULLIF(answer, '') AS answer,
  CAST(answered_at AS TIMESTAMP) AT TIME ZONE 'Europe/Berlin' AS answered_at
FROM answers
""",
    "sources/customer_merges.sql": """SELECT
  CAST(guest AS VARCHAR) AS customer_id,
  CAST(account AS VARCHAR) AS merged_into,
  CAST(merged_at AS TIMESTAMP) AT TIME ZONE 'Europe/Berlin' AS merged_at
FROM merges
""",
    "sources/prospects.sql": "SELECT 'prospect ' || id AS customer_id FROM customers WHERE region = 'south'\n",
    "sources/consents.sql": """SELECT CAST(id AS VARCHAR) AS customer_id, NULLIF(interests, '') IS NOT NULL AS is_consenting
FROM customers
WHERE region = 'north'
""",
    "sources/campaigns.sql": """SELECT
  'spring' AS campaign_id,
  DATE '2024-01-30' AS start_day,
  DATE '2024-02-29' AS end_day,
  TRUE AS is_random,
  'value_tier' AS scheme
""",
    "sources/campaign_members.sql": """SELECT
  'spring' AS campaign_id,
  CAST(id AS VARCHAR) AS customer_id,
  region = 'south' AS is_control,
  TIMESTAMPTZ '2024-01-29 12:00:00+00' AS assigned_at
FROM customers
""",
    "features/answered.toml": """[answer_count]
from = "answers"
value = "COUNT(*)"
last_days = 90
description = "Answers of the last 90 days."
""",
    _AUDIENCE_FILE: """title = "Frequent or dear"
purpose = "Shows that lists come out alike."
owner = "Conformance"
rule = "order_count >= 3 OR spend_amount > 300"
""",
}


def write_made_up_company(folder: Path) -> Path:
    """Write the company's folder and return it."""
    data = {
        "data/customers.csv": _customers(),
        _ORDERS_FILE: _order_lines(),
        "data/visits.csv": _visits(),
        "data/answers.csv": _answers(),
        "data/merges.csv": ("guest,account,merged_at", "c3,c4,2024-03-31 12:00:00", "c13,c14,2024-02-29 23:59:59"),
    }
    files = {**_FILES, **{name: _text(lines) for name, lines in data.items()}}
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
    return folder


def add_late_lines(folder: Path) -> None:
    """Let the source have lines of the last days that nobody had read before; a second call changes nothing."""
    late = (f"late{number},1,c{number},{NIGHTS[-1] - timedelta(number % 3)} 09:00:00,{10 + number}.25,,p1,b," for number in range(0, 40, 5))
    (folder / _ORDERS_FILE).write_text(_text(chain(_order_lines(), late)), "utf-8")


def edit_definitions(folder: Path) -> None:
    """Let the audience take more customers; a second call changes nothing."""
    text = _FILES[_AUDIENCE_FILE].replace("order_count >= 3", "order_count >= 2")
    (folder / _AUDIENCE_FILE).write_text(text, "utf-8")


def _text(lines: Iterable[str]) -> str:
    return "\n".join(lines) + "\n"


def _customers() -> Iterator[str]:
    yield "id,region,interests"
    regions, interests = ("north", "", "south"), ("tea|tools", "", "tools", "tea|travel")
    for number, name in enumerate((*_IDS, "never")):
        yield f"{name},{regions[number % 3]},{interests[number % 4]}"


def _order_lines() -> Iterator[str]:
    """Yield lines of a year: every customer on days of their own, some refunds, and some who come on the last day alone."""
    yield "order_id,line,customer,sold_at,paid,discount,product,category,channel"
    for number in range(_ORDERS):
        day = _FIRST_DAY + timedelta((number * 37) % _DAYS)
        customer = _IDS[(number * 7919) % (len(_IDS) + 20) % len(_IDS)]  # some come twice as often
        paid = f"-{number % 50}.5" if number % 23 == 0 else f"{(number * 13) % 97}.{number % 100:02}"
        discount = ("", "0", f"{number % 7}.5")[number % 3]
        product = f"p{number % 11}" if number % 13 else ""
        # Every second order has another line, which says neither category nor channel, or says other ones.
        kinds = [("abcde"[number % 5], ("web", "shop", "")[number % 3])]
        kinds += [("" if number % 4 else "Z", "" if number % 3 else "web")] if number % 2 else []
        for line, (category, channel) in enumerate(kinds, start=1):
            at = f"{day} {number % 24:02}:10:00"
            yield f"o{number},{line},{customer},{at},{paid},{discount},{product},{category},{channel}"
    yield from (f"last{number},1,c{number},{NIGHTS[-1]} 10:00:00,250,,p1,a,web" for number in range(0, 40, 4))


def _visits() -> Iterator[str]:
    yield "visit,customer,visited_at"
    for number in range(300):
        yield f"v{number},{_IDS[number * 7 % len(_IDS)]},{_FIRST_DAY + timedelta(number * 11 % _DAYS)} {number % 24:02}:30:00"


def _answers() -> Iterator[str]:
    yield "customer,question,answer,answered_at"
    for number in range(120):
        question, answer = ("Why?", "Where?")[number % 2], ("price", "", "taste", "near")[number % 4]
        yield f"{_IDS[number * 3 % len(_IDS)]},{question},{answer},{_FIRST_DAY + timedelta(number * 3)} 12:00:00"

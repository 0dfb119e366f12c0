"""A made-up company: small, with what engines are known to treat differently: ties, ids in many scripts, refunds, days at the edges."""

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
""",
    "sources/customers.sql": "SELECT CAST(id AS VARCHAR) AS customer_id FROM customers\n",
    "sources/order_lines.sql": """SELECT
  order_id,
  CAST(line AS BIGINT) AS line_number,
  CAST(customer AS VARCHAR) AS customer_id,
  CAST(sold_at AS TIMESTAMP) AT TIME ZONE 'Europe/Berlin' AS ordered_at,
  CAST(1 AS DECIMAL(18, 4)) AS quantity,
  CAST(paid AS DECIMAL(18, 4)) AS net_amount,
  category
FROM orders
""",
    _AUDIENCE_FILE: """title = "Frequent or dear"
purpose = "Shows that lists come out alike."
owner = "Conformance"
rule = "order_count >= 3 OR spend_amount > 300"
""",
}


def write_made_up_company(folder: Path) -> Path:
    """Write the company's folder and return it."""
    files = {**_FILES, "data/customers.csv": _text(_customers()), _ORDERS_FILE: _text(_order_lines())}
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
    return folder


def add_late_lines(folder: Path) -> None:
    """Let the source have lines of the last days that nobody had read before; a second call changes nothing."""
    late = (f"late{number},1,c{number},{NIGHTS[-1] - timedelta(number % 3)} 09:00:00,{10 + number}.25,b" for number in range(0, 40, 5))
    (folder / _ORDERS_FILE).write_text(_text(chain(_order_lines(), late)), "utf-8")


def edit_definitions(folder: Path) -> None:
    """Let the audience take more customers; a second call changes nothing."""
    text = _FILES[_AUDIENCE_FILE].replace("order_count >= 3", "order_count >= 2")
    (folder / _AUDIENCE_FILE).write_text(text, "utf-8")


def _text(lines: Iterable[str]) -> str:
    return "\n".join(lines) + "\n"


def _customers() -> Iterator[str]:
    yield "id"
    yield from (*_IDS, "never")


def _order_lines() -> Iterator[str]:
    """Yield lines of a year: every customer on days of their own, some refunds, and some who come on the last day alone."""
    yield "order_id,line,customer,sold_at,paid,category"
    for number in range(_ORDERS):
        day = _FIRST_DAY + timedelta((number * 37) % _DAYS)
        customer = _IDS[(number * 7919) % (len(_IDS) + 20) % len(_IDS)]  # some come twice as often
        paid = f"-{number % 50}.5" if number % 23 == 0 else f"{(number * 13) % 97}.{number % 100:02}"
        yield f"o{number},1,{customer},{day} {number % 24:02}:10:00,{paid},{'abcde'[number % 5]}"
    yield from (f"last{number},1,c{number},{NIGHTS[-1]} 10:00:00,250,a" for number in range(0, 40, 4))

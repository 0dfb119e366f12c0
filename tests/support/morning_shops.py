"""Made-up shops whose morning pages are looked at: many customers, or a handful, names that look like a page, and lost orders."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

from support.nights import write_shop

FIRST_NIGHT, WEEK_LATER = date(2024, 6, 3), date(2024, 6, 10)
HELD_BACK = WEEK_LATER + timedelta(days=1)
HOSTILE = '<script>alert(1)</script> "O\'Neil" \u202eevil\u202c & שלום'
CATEGORIES = ("wine", "cheese", HOSTILE)
PROBLEM_SETTINGS = """
[attributes.city]
level = "geographic"
"""


@dataclass(frozen=True, slots=True)
class Shop:
    """A company folder, and how many customers it has."""

    folder: Path
    customer_count: int


def a_morning_shop(folder: Path, *, customer_count: int, language: str = "en", name: str = "Corner shop") -> Shop:
    """Write a shop of so many customers, who ordered at rhythms of their own until WEEK_LATER; its sales fall in the last four weeks."""
    orders = list(_order_rows(customer_count))
    cities = [f"city{n % 4}" if n % 4 else HOSTILE.replace('"', '""') for n in range(customer_count)]
    write_shop(folder, orders, customers=[], settings=f'language = "{language}"\n{PROBLEM_SETTINGS}')
    toml = (folder / "company.toml").read_text("utf-8")
    (folder / "company.toml").write_text(toml.replace('name = "Shop"', f"name = {_toml_text(name)}"), "utf-8")
    rows = [f'{n},"{city}"' for n, city in enumerate(cities)]
    (folder / "data" / "customers.csv").write_text("\n".join(["id,city", *rows]) + "\n", "utf-8")
    (folder / "sources" / "customers.sql").write_text("SELECT CAST(id AS VARCHAR) AS customer_id, city FROM customers\n", "utf-8")
    return Shop(folder, customer_count)


def lose_most_orders(shop: Shop) -> None:
    """Leave a tenth of the orders and of the customers in the source, as after a broken export."""
    for name in ("customers", "orders"):
        file = shop.folder / "data" / f"{name}.csv"
        header, *rows = file.read_text("utf-8").splitlines()
        file.write_text("\n".join([header, *rows[::10]]) + "\n", "utf-8")


def _order_rows(customer_count: int) -> Iterator[str]:
    for customer in range(customer_count):
        rhythm, day = 9 + customer * 7 % 60, date(2024, 1, 2) + timedelta(days=customer % 50)
        place = 0
        while day <= HELD_BACK and not (customer % 5 == 0 and day > WEEK_LATER - timedelta(days=28)):
            place += 1
            category = CATEGORIES[(customer + place) % 3].replace('"', '""')
            yield f'o{customer}-{place},1,{customer},{day} 10:00:00,1,{10 + customer % 40 * (1 + customer % 3)}.50,"{category}"'
            day += timedelta(days=rhythm)


def _toml_text(text: str) -> str:
    import json

    return json.dumps(text, ensure_ascii=False)

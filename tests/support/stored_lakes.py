"""A made-up shop whose lake is stored as each released version wrote it, and the nights that wrote it.

It goes by the command line alone, and by the standard library, so that the program of any version can be told to write it:

    git worktree add ../released 551cc67b
    .venv/bin/python tests/support/stored_lakes.py 0.1.0 --program ../released

writes tests/lakes/0.1.0.tar.xz with the pipeline of that checkout. Stored lakes are never written anew: what a release wrote stays.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
from argparse import ArgumentParser
from collections.abc import Callable, Iterator
from datetime import date, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

ARCHIVES = Path(__file__).resolve().parents[1] / "lakes"
VERSIONS = sorted(file.name.removesuffix(".tar.xz") for file in ARCHIVES.glob("*.tar.xz"))
FIRST_DAY, FIRST_NIGHT, LAST_NIGHT = date(2024, 1, 1), date(2024, 3, 29), date(2024, 4, 1)
LATE_DAY = date(2024, 3, 10)
ERASED = "c017"
CUSTOMER_COUNT = 60
# From here on nothing is the program's: it is what a company may write, in the words of the first version.
COMPANY_TOML = """
name = "Lantern & Loom"
time_zone = "Europe/Berlin"
currency = "EUR"
first_day = 2024-01-01
lookback_days = 3
[attributes.city]
level = "geographic"
[crm]
[gates]
off = ["freshness", "volume", "churn"]
"""
FILES = {
    "company.toml": COMPANY_TOML,
    "sources/customers.sql": "SELECT CAST(id AS VARCHAR) AS customer_id, city FROM customers",
    "sources/customer_contacts.sql": "SELECT CAST(id AS VARCHAR) AS customer_id, name, email FROM customers",
    "sources/order_lines.sql": """
        SELECT order_id, CAST(line AS BIGINT) AS line_number, CAST(customer AS VARCHAR) AS customer_id,
          CAST(sold_at AS TIMESTAMP) AT TIME ZONE 'Europe/Berlin' AS ordered_at, CAST(pieces AS DECIMAL(18, 4)) AS quantity,
          CAST(paid AS DECIMAL(18, 4)) AS net_amount, CAST(off AS DECIMAL(18, 4)) AS discount_amount, category,
          TRY_CAST(refund_of AS DATE) AS refunded_order_day
        FROM orders
    """,
    "sources/visits.sql": """
        SELECT CAST(visit AS VARCHAR) AS visit_id, CAST(customer AS VARCHAR) AS customer_id,
          CAST(visited_at AS TIMESTAMP) AT TIME ZONE 'Europe/Berlin' AS visited_at
        FROM visits
    """,
    "audiences/lamp_buyers.toml": """
        title = "Lamp buyers"
        purpose = "A letter about the new shades."
        owner = "Marketing"
        rule = "favourite_category = 'lamps' AND NOT is_prospect"
    """,
    "campaigns/spring.toml": """
        title = "Spring letter"
        audience = "lifetime_order_count >= 1"
        start_day = 2024-03-31
        end_day = 2024-04-02
        cost_per_contact = 0.9
        margin_share = 0.4
        [arms.control]
        share = 0.5
    """,
    "sinks/letters.toml": """
        kind = "files"
        audiences = ["lamp_buyers"]
        schemes = ["lifecycle"]
    """,
}
ORDERS_HEADER = "order_id,line,customer,sold_at,pieces,paid,off,category,refund_of"
PROGRAM = "from pipeline.cli import main; main()"
DECLARED_TABLES = "tables.json"
"""What the release declares of each table: the kind of each column, by name."""
LIST_TABLES = """
import json, sys
from pipeline.lake.tables import ALL_TABLES
declared = {table.name: {column.name: column.kind.name for column in table.columns} for table in ALL_TABLES}
open(sys.argv[1], "w", encoding="utf-8").write(json.dumps(declared, indent=1))
"""
CATEGORIES = ("lamps", "rugs", "yarn", "candles")

Command = Callable[..., object]


def write_shop(folder: Path) -> None:
    """Write the company's folder, with all that its source has before the first night is over."""
    for name, text in FILES.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
    names = [f"c{number:03}" for number in range(CUSTOMER_COUNT)]
    cities = ("Kiel", "Jena", "Graz")
    rows = [f"{name},{cities[place % 3]},Customer {place},{name}@customers.example" for place, name in enumerate(names)]
    _append(folder, "customers", "id,city,name,email", *rows)
    days = [FIRST_DAY + timedelta(days=number) for number in range((FIRST_NIGHT - FIRST_DAY).days + 1)]
    _append(folder, "orders", ORDERS_HEADER, *(line for day in days for line in orders_of(day)))
    _append(folder, "visits", "visit,customer,visited_at", *(line for day in days for line in _visits_of(day)))


def orders_of(day: date) -> Iterator[str]:
    """Yield the order lines of a day by three kinds of customers: often and cheaply, seldom and dearly, and once only; four never order."""
    age = (day - FIRST_DAY).days
    for number in range(CUSTOMER_COUNT - 4):
        wave = (number * 7 + age * 3) % 10
        if number < 20 and (age + number) % 4 == 0:
            amount, off, category = 10 + wave, 10 + wave, CATEGORIES[(number + age) % 4]
        elif 20 <= number < 40 and (age + number) % 21 == 0:
            amount, off, category = 400 + 9 * wave, 0, CATEGORIES[number % 4]
        elif number >= 40 and age == 60 + number % 20:
            amount, off, category = 35 + wave, 0, CATEGORIES[number % 4]
        else:
            continue
        yield f"o{age}-{number},1,c{number:03},{day} 1{age % 10}:15:00,1,{amount}.50,{off},{category},"


def _visits_of(day: date) -> Iterator[str]:
    age = (day - FIRST_DAY).days
    yield from (f"v{age}-{number},c{number:03},{day} 09:00:00" for number in range(CUSTOMER_COUNT) if (age + number) % 11 == 0)


def add_day(folder: Path, day: date) -> None:
    """Let the shop sell on another day; on some days something arrives that an older night could not know."""
    lines = list(orders_of(day))
    if day == date(2024, 3, 30):
        lines.append(f"r1,1,c001,{day} 12:00:00,-1,-20.50,0,lamps,{date(2024, 3, 12)}")
    if day == date(2024, 3, 31):
        lines.append(f"late1,1,c005,{LATE_DAY} 12:00:00,2,44.00,0,rugs,")
    _append(folder, "orders", *lines)
    _append(folder, "visits", *_visits_of(day))


def _append(folder: Path, table: str, *rows: str) -> None:
    path = folder / "data" / f"{table}.csv"
    path.parent.mkdir(exist_ok=True)
    with path.open("a", encoding="utf-8") as file:
        file.writelines(f"{row}\n" for row in rows)


def write_stored_nights(folder: Path, segments: Command) -> None:
    """Write `shop` and `lake` in a folder by the commands that its people gave.

    Four nights with a refund, a late row that was read again, a cluster model and a later candidate, a campaign under way, an erased
    customer, an audience, a file sink, and the database beside the lake.
    """
    shop = folder / "shop"
    write_shop(shop)
    segments("run", "--day", str(FIRST_NIGHT))
    add_day(shop, date(2024, 3, 30))
    segments("run", "--day", "2024-03-30")
    segments("campaign", "start", str(shop / "campaigns" / "spring.toml"))
    add_day(shop, date(2024, 3, 31))
    segments("run", "--day", "2024-03-31", "--since", str(LATE_DAY))
    segments("erase", ERASED)
    segments("sync")
    add_day(shop, LAST_NIGHT)
    segments("run", "--day", str(LAST_NIGHT))
    segments("refit", "--hold", "--day", str(LAST_NIGHT))


def unpack(version: str, folder: Path) -> None:
    """Unpack the shop and the lake of a released version into a folder, and its declarations of tables."""
    with tarfile.open(ARCHIVES / f"{version}.tar.xz") as archive:
        archive.extractall(folder, filter="data")


def places(folder: Path) -> dict[str, str]:
    """Return the variables that name the shop and the lake in a folder to a command."""
    return {"SEGMENTS_COMPANY": str(folder / "shop"), "SEGMENTS_LAKE": str(folder / "lake")}


def _run_python(folder: Path, program: Path, script: str, *arguments: str) -> None:
    environment = os.environ | places(folder) | {"PYTHONPATH": str(program)}
    subprocess.run([sys.executable, "-P", "-c", script, *arguments], cwd=folder, env=environment, check=True)


def _pack(folder: Path, archive: Path) -> None:
    """Pack shop and lake, without what is private to processes and pages for people."""
    left_out = ("lake/locks", "lake/staging", "lake/pending", "lake/reports")

    def owned_by_nobody(entry: tarfile.TarInfo) -> tarfile.TarInfo | None:
        entry.uid = entry.gid = entry.mtime = 0
        entry.uname = entry.gname = ""
        return None if entry.name.startswith(left_out) else entry

    archive.parent.mkdir(exist_ok=True)
    with tarfile.open(archive, "w:xz", preset=9) as packed:
        for name in ("shop", "lake", DECLARED_TABLES):
            packed.add(folder / name, name, filter=owned_by_nobody)


if __name__ == "__main__":
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("version")
    parser.add_argument("--program", type=Path, required=True, help="checkout whose pipeline writes the lake")
    chosen = parser.parse_args()
    with TemporaryDirectory() as made:
        place = Path(made).resolve()
        checkout = chosen.program.resolve()
        write_stored_nights(place, lambda *arguments: _run_python(place, checkout, PROGRAM, *arguments))
        _run_python(place, checkout, LIST_TABLES, DECLARED_TABLES)
        _pack(place, ARCHIVES / f"{chosen.version}.tar.xz")

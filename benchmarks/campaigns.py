"""What the results of many campaigns cost a night, beside reading who is in them."""

from __future__ import annotations

import os
from datetime import timedelta
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import duckdb
import pyarrow as pa
from definitions_step import write_features
from generate import LAST_DAY
from lakes import PROJECT_ROOT, engine, read_every_value
from measure import Result, compared, cost

from pipeline.definitions.campaigns import read_campaign
from pipeline.definitions.company import load_company
from pipeline.definitions.definition_files import Definition
from pipeline.lake.addresses import campaign_partition
from pipeline.lake.lake import Lake, Version
from pipeline.lake.spared_imports import spare_pandas
from pipeline.lake.tables import CAMPAIGN_ASSIGNMENTS, CUSTOMER_DAYS, CUSTOMER_FEATURES
from pipeline.measurement.started_campaigns import store_campaign
from pipeline.measurement.writing import write_campaigns

CAMPAIGN_BAR = 3.0
FEW, MANY = 5, 100  # campaigns
WINDOWS = 10  # campaigns end on so many different days
DAYS = 28
# A tenth is held out; each has one of ten segments, spent something before, and every hundredth orders on a day.
PEOPLE = """
SELECT 'c' || LPAD(CAST(n AS VARCHAR), 8, '0') AS customer_id, CASE WHEN hash(n + {seed}) % 10 = 0 THEN 'control' ELSE 'treated' END AS arm,
  hash(n + {seed}) % 10 = 0 AS is_control, 's' || CAST(n % 10 AS VARCHAR) AS segment, 's/1' AS stratum,
  CAST(hash(n) % 100000 AS DECIMAL(18, 4)) / 100 AS spend_amount
FROM range({customers}) AS numbers (n)
"""
ORDERS = """
SELECT 'c' || LPAD(CAST(n AS VARCHAR), 8, '0') AS customer_id, DATE '{day}' AS order_day, 1 AS order_count, 1 AS line_count,
  1 AS discount_known_line_count, 0 AS discounted_line_count, 0 AS add_on_line_count, amount AS order_amount,
  amount AS discount_known_amount, amount AS full_price_amount, CAST(0 AS DECIMAL(18, 4)) AS discount_amount,
  CAST(0 AS DECIMAL(18, 4)) AS refund_amount, DATE '{day}' AS event_day, DATE '{day}' AS known_on
FROM (SELECT n, CAST(hash(n) % 9000 + 100 AS DECIMAL(18, 4)) / 100 AS amount FROM range({customers}) AS numbers (n)
  WHERE hash(n + {seed}) % 100 = 0)
"""


def results(folder: Path, *, customers: int, rounds: int) -> list[Result]:
    """Return what the results of many campaigns of `customers` members each cost."""
    count = FEW if customers < 10_000 else MANY
    with TemporaryDirectory(dir=folder) as scratch:
        root = Path(scratch)
        _make_night(root, customers, count)
        ours, reading = [], []
        for _ in range(rounds):
            ours.append(cost(partial(measure, root), ready=spare_pandas))
            reading.append(cost(partial(read, root), ready=spare_pandas))
    return [
        compared(
            f"results of {count} campaigns of {customers:,} members / reading them",
            ours,
            reading,
            bar=CAMPAIGN_BAR if count == MANY else None,
        )
    ]


def measure(root: Path) -> None:
    """Write the results, as the night does."""
    lake = Lake(root / "lake")
    with engine(lake) as opened:
        write_campaigns(load_company(PROJECT_ROOT / "benchmarks" / "shop"), lake, opened, LAST_DAY)


def read(root: Path) -> None:
    """Read who is in which campaign, every value of what is measured."""
    lake = Lake(root / "lake")
    with engine(lake) as opened:
        for address in lake.list_addresses(f"tables/{CAMPAIGN_ASSIGNMENTS.name}/", suffix=".parquet"):
            opened.register(CAMPAIGN_ASSIGNMENTS, [lake.local(address)])
            read_every_value(opened, CAMPAIGN_ASSIGNMENTS.name, ("customer_id", "arm", "segment", "spend_amount"))


def _make_night(root: Path, customers: int, count: int) -> None:
    company = load_company(PROJECT_ROOT / "benchmarks" / "shop")
    lake = Lake(root / "lake")
    write_features(lake, customers, LAST_DAY, company.table(CUSTOMER_FEATURES))
    due = timedelta(days=company.lookback_days)
    first = LAST_DAY - due - timedelta(days=DAYS + WINDOWS)
    for place in range((LAST_DAY - first).days + 1):
        day = first + timedelta(days=place)
        rows = _arrow(ORDERS.format(day=day, customers=customers, seed=place)).select(CUSTOMER_DAYS.stored_schema.names)
        ordered = rows.cast(CUSTOMER_DAYS.stored_schema).sort_by("customer_id")
        lake.write_event_days(CUSTOMER_DAYS, ordered.to_batches(), {Version(day, day): {}})
    for place in range(count):
        name, model = f"campaign_{place:03}", f"campaign_{place % WINDOWS:03}"
        target = lake.local(campaign_partition(CAMPAIGN_ASSIGNMENTS, name))
        if place >= WINDOWS:  # the same people as another one, in a file of its own name
            target.parent.mkdir(parents=True)
            os.link(lake.local(campaign_partition(CAMPAIGN_ASSIGNMENTS, model)), target)
            continue
        start = first + timedelta(days=place)
        text = f'audience = "everybody"\nstart_day = {start}\nend_day = {start + timedelta(days=DAYS - 1)}\nmargin_share = 0.4\n'
        people = _arrow(PEOPLE.format(customers=customers, seed=place)).select(CAMPAIGN_ASSIGNMENTS.column_names)
        rows = people.cast(CAMPAIGN_ASSIGNMENTS.schema).sort_by("customer_id")
        arms = rows["arm"].value_counts().to_pylist()
        facts = {"counts": {each["values"]: each["counts"] for each in arms}, "plan": {}}
        definition = read_campaign(Definition(Path(f"{name}.toml"), text))
        store_campaign(lake, definition, start - timedelta(days=1), rows.to_batches(), facts)


def _arrow(query: str) -> pa.Table:
    return duckdb.sql(query).to_arrow_table()

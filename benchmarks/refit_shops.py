"""Real shops whose customers are clustered: their features on a night, straight from the published order lines."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path

import duckdb
import pyarrow as pa
from lakes import PROJECT_ROOT

from pipeline.definitions.company import load_company
from pipeline.definitions.schemes import ClusterScheme, load_cluster_schemes

DATA = PROJECT_ROOT.parent / "shared" / "data"
CDNOW = Path(os.environ.get("CDNOW", DATA / "cdnow" / "master.parquet"))
JOURNEY = Path(os.environ.get("COMPLETE_JOURNEY", DATA / "complete_journey"))


@dataclass(frozen=True, slots=True)
class Shop:
    """A real shop: where its order lines are, the last night they tell of, and the features of its customers on a night.

    `changes_bar` is the percentage of customers whose id may change a night; none where they do so by themselves that often.
    """

    name: str
    path: Path
    last_night: date
    features: Callable[[date], pa.Table]
    changes_bar: float | None = None


def stored_shops() -> list[Shop]:
    """Return the shops whose order lines are stored here; of others it is said that they are left out."""
    for shop in SHOPS:
        if not shop.path.exists():
            print(f"{shop.name} is left out: {shop.path} is not there", file=sys.stderr)
    return [shop for shop in SHOPS if shop.path.exists()]


def scheme(**changes: object) -> ClusterScheme:
    """Return our own cluster scheme, as a company without definitions has it."""
    [found] = load_cluster_schemes(replace(load_company(PROJECT_ROOT / "benchmarks" / "shop"), folder=PROJECT_ROOT / "benchmarks" / "sql"))
    return replace(found, **changes)  # type: ignore[arg-type]


def features_of_cdnow(night: date) -> pa.Table:
    """Return the features of CDNOW's customers on a night."""
    lines = f"""
        SELECT customer_id, strptime(date, '%Y%m%d')::DATE AS day, value_usd::DECIMAL(18, 4) AS amount, 'music' AS category, 0 AS discounted
        FROM '{CDNOW}'
    """
    return _features(lines, night)


def features_of_journey(night: date) -> pa.Table:
    """Return the features of The Complete Journey's households on a night; a category is a product's own."""
    lines = f"""
        SELECT household_id::VARCHAR AS customer_id, sales_value::DECIMAL(18, 4) AS amount, product_category AS category,
          (transaction_timestamp::TIMESTAMP - INTERVAL 5 HOUR)::DATE AS day,
          CAST(retail_disc + coupon_disc + coupon_match_disc > 0 AS INTEGER) AS discounted
        FROM '{JOURNEY / "transactions.parquet"}' LEFT JOIN '{JOURNEY / "products.parquet"}' USING (product_id)
    """
    return _features(lines, night)


def _features(lines: str, night: date) -> pa.Table:
    query = f"""
        SELECT customer_id, count(DISTINCT day) AS order_day_count, sum(amount)::DECIMAL(18, 4) AS spend_amount,
          datediff('day', max(day), DATE '{night}') AS recency_days, datediff('day', min(day), DATE '{night}') AS tenure_days,
          count(DISTINCT category) AS category_count, sum(discounted) / count(*) AS discount_share, 0.0::DOUBLE AS return_share
        FROM ({lines}) WHERE day <= DATE '{night}' GROUP BY customer_id ORDER BY customer_id
    """
    with duckdb.connect() as connection:
        return connection.sql(query).to_arrow_table()


SHOPS = (
    Shop("CDNOW", CDNOW, date(1997, 12, 31), features_of_cdnow, changes_bar=0.5),
    Shop("The Complete Journey", JOURNEY, date(2017, 12, 30), features_of_journey),
)

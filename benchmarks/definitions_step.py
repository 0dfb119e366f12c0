"""What definitions cost: a plan beside the two versions evaluated as bare SQL."""

from __future__ import annotations

import json
import shutil
from datetime import date
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import duckdb
from generate import LAST_DAY
from lakes import MEMORY_LIMIT, PROJECT_ROOT, engine
from measure import Result, compared, cost

from pipeline.definitions.company import Company, load_company
from pipeline.definitions.history import keep_company_on
from pipeline.definitions.schemes import load_schemes, membership_statement
from pipeline.lake import addresses
from pipeline.lake.lake import Lake
from pipeline.lake.tables import CUSTOMER_FEATURES, CUSTOMER_SEGMENTS, Kind, Table
from pipeline.reporting.plan import plan_change
from pipeline.segmentation import write_memberships

PLAN_BAR = 1.3
BEFORE, AFTER = "r_score = 5 AND fm_score >= 4", "r_score = 5 AND fm_score >= 5"
WIDER = ("r_score BETWEEN 3 AND 4 AND fm_score >= 4", "(r_score BETWEEN 3 AND 4 AND fm_score >= 4) OR (r_score = 5 AND fm_score = 4)")


def results(folder: Path, *, customers: int, rounds: int) -> list[Result]:
    """Return what a plan costs over `customers` customers."""
    with TemporaryDirectory(dir=folder) as scratch:
        root = Path(scratch)
        make_live(root, customers)
        plans, bare = [], []
        for _ in range(rounds):
            plans.append(cost(partial(plan, root)))
            bare.append(cost(partial(evaluate_both, root)))
    return [compared(f"plan of an edited scheme, {customers:,} customers / both versions as bare SQL", plans, bare, bar=PLAN_BAR)]


def plan(root: Path) -> None:
    """Plan the edit."""
    found = plan_change(edited(root), Lake(root / "lake"), memory_limit=MEMORY_LIMIT)
    assert found.changes.decided_otherwise == ("rfm",)  # noqa: S101


def evaluate_both(root: Path) -> None:
    """Evaluate the scheme as it was and as it is, by DuckDB alone."""
    with duckdb.connect(config={"memory_limit": MEMORY_LIMIT}) as connection:
        _view_features(connection, root)
        for number, company in enumerate((load_company(root / "shop"), edited(root))):
            rfm = next(scheme for scheme in load_schemes(company).schemes if scheme.name == "rfm")
            query = membership_statement(rfm, {}).sql("duckdb")
            connection.execute(f"CREATE TEMP TABLE version{number} AS {query}")


def edited(root: Path) -> Company:
    """Return the company with its edited definition."""
    return load_company(root / "edited")


def _view_features(connection: duckdb.DuckDBPyConnection, root: Path) -> None:
    path = Lake(root / "lake").path(CUSTOMER_FEATURES, day=LAST_DAY)
    connection.execute(f"CREATE VIEW customer_features AS SELECT * FROM read_parquet('{path}', hive_partitioning=false)")


def make_live(root: Path, customers: int, *, lake: Lake | None = None, **figures: str) -> None:
    """Write a night that is segmented and live, by default into an empty lake, and the company as it is and edited."""
    for name in ("shop", "edited"):
        shutil.copytree(PROJECT_ROOT / "benchmarks" / "shop", root / name)
        (root / name / "segments").mkdir(exist_ok=True)
    rfm = (PROJECT_ROOT / "segments" / "rfm.toml").read_text("utf-8")
    (root / "edited" / "segments" / "rfm.toml").write_text(rfm.replace(BEFORE, AFTER).replace(*WIDER), "utf-8")
    lake, company = lake or Lake(root / "lake"), load_company(root / "shop")
    write_features(lake, customers, **figures)
    with engine(lake) as opened:
        write_memberships(keep_company_on(lake, company, LAST_DAY, LAST_DAY), lake, opened, LAST_DAY)
    _point_to(lake, LAST_DAY)


def write_features(lake: Lake, customers: int, day: date = LAST_DAY, table: Table = CUSTOMER_FEATURES, **figures: str) -> None:
    """Write a night's features of made-up customers; `figures` are expressions of `n`, the number of the customer, by column."""
    values = {
        Kind.INTEGER: "CAST(hash({n} + {p}) % 90 AS BIGINT)",
        Kind.NUMBER: "CAST(hash({n} + {p}) % 1000 AS DOUBLE) / 1000",
        Kind.MONEY: "CAST(hash({n} + {p}) % 100000 AS DECIMAL(18, 4)) / 100",
        Kind.TEXT: "'c' || CAST(hash({n} + {p}) % 12 AS VARCHAR)",
        Kind.FLAG: "hash({n} + {p}) % 10 = 0",
        Kind.DATE: "DATE '2024-01-01' + CAST(hash({n} + {p}) % 900 AS INTEGER)",
    }
    # Limits that cut the figures above into parts of equal size.
    fifths = {f"r_{score}_limit_days": f"{18 * (6 - score) - 1}" for score in range(2, 6)}
    fifths |= {f"f_{score}_limit_count": f"{18 * (score - 1)}" for score in range(2, 6)}
    fifths |= {f"m_{score}_limit_amount": f"{200 * (score - 1)}" for score in range(2, 6)}
    own = {"customer_id": "printf('c%08d', n)", **fifths, **figures}
    columns = ", ".join(
        f"CAST({own.get(column.name, values[column.kind]).format(n='n', p=place)} AS {column.kind.sql}) AS {column.name}"
        for place, column in enumerate(table.columns, 1)
    )
    with duckdb.connect() as connection:
        rows = connection.sql(f"SELECT {columns} FROM range({customers}) AS numbers(n) ORDER BY customer_id").to_arrow_reader(131_072)
        lake.write(table, rows, day=day)


def _point_to(lake: Lake, day: date) -> None:
    """Make the night live, without the copies that readers would follow: a plan reads the lake's own tables."""
    folder = lake.root / "publications" / f"{day}-bench"
    folder.mkdir(parents=True)
    schemes = lake.manifest(addresses.partition(CUSTOMER_SEGMENTS, day=day))["schemes"]
    told = {"day": day.isoformat(), "publication_id": folder.name, "previous": None, "tables": {}, "schemes": schemes}
    (folder / "manifest.json").write_text(json.dumps(told), "utf-8")
    (lake.root / "current").symlink_to(Path("publications", folder.name))

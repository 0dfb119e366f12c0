"""Lakes to measure on: generated once per size, kept in `.bench/`, never written below their inputs."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable
from contextlib import closing
from dataclasses import astuple
from datetime import timedelta
from hashlib import sha256
from pathlib import Path

from generate import LAST_DAY, Shop, write_shop
from sqlglot import exp

from pipeline.definitions.company import Company, load_company
from pipeline.features import compute_rollups
from pipeline.lake.compaction import compact_months
from pipeline.lake.engines.duckdb import DuckDBEngine
from pipeline.lake.lake import Lake
from pipeline.lake.tables import CUSTOMER_DAY_CATEGORIES, CUSTOMER_DAYS, CUSTOMERS, ORDER_LINES

PROJECT_ROOT = Path(__file__).resolve().parent.parent
EVENT_TABLES = (ORDER_LINES, CUSTOMER_DAYS, CUSTOMER_DAY_CATEGORIES)
INPUTS = (CUSTOMERS, *EVENT_TABLES)
WRITERS = (
    "benchmarks/generate.py",
    "benchmarks/sql/order*.sql",
    "pipeline/lake/checksums.py",
    "pipeline/lake/compaction.py",
    "pipeline/lake/event_days.py",
    "pipeline/lake/month_files.py",
    "pipeline/lake/month_writer.py",
    "pipeline/lake/parquet.py",
    "pipeline/lake/row_digest.py",
    "pipeline/lake/tables/*.py",
    "pipeline/features/sql/customer_day*.sql",
)
MEMORY_LIMIT = "3GB"
BEFORE = LAST_DAY - timedelta(days=1)


def company() -> Company:
    """Return the company that the made-up shop belongs to."""
    return load_company(PROJECT_ROOT / "benchmarks" / "shop")


def engine(lake: Lake) -> closing[DuckDBEngine]:
    """Return the engine that a night uses, its memory capped."""
    return closing(DuckDBEngine(lake.store, memory_limit=MEMORY_LIMIT))


def stored_lake(shop: Shop, folder: Path) -> Lake:
    """Return the lake of `shop` with its rollups, written where `folder` has none that today's code wrote."""
    name = "-".join(str(part) for part in astuple(shop))
    lake = Lake(folder / f"{name}-{_digest_of_writers()}")
    is_complete = lake.root / "complete"
    if not is_complete.exists():
        shutil.rmtree(lake.root, ignore_errors=True)
        write_shop(shop, lake)
        with engine(lake) as opened:
            compute_rollups(lake, opened, LAST_DAY)
        compact(lake)
        is_complete.touch()
    return lake


def linked_lake(lake: Lake, root: Path, *, days: int | None = None) -> Lake:
    """Return a lake at `root` that shares the inputs of `lake`, or has those of its last `days`, and has nothing else."""
    if days is None:
        for table in INPUTS:
            shutil.copytree(lake.root / "tables" / table.name, root / "tables" / table.name, copy_function=os.link)
        return Lake(root)
    young, first = Lake(root), LAST_DAY - timedelta(days=days - 1)
    shutil.copytree(lake.root / "tables" / CUSTOMERS.name, root / "tables" / CUSTOMERS.name, copy_function=os.link)
    for table in EVENT_TABLES:
        kept = {version: stored.facts for version, stored in lake.stored_versions(table).items() if version.day >= first}
        young.write_event_days(table, (batch for _, rows in lake.rows(table, kept) for batch in rows.to_batches()), kept)
    compact(young)
    return young


def compact(lake: Lake) -> None:
    """Leave the files of months as a night leaves them."""
    compact_months(lake, EVENT_TABLES, before=LAST_DAY - timedelta(days=company().lookback_days + company().late_check_days))


def copied_lake(lake: Lake, root: Path) -> Lake:
    """Return a copy of `lake` at `root` that shares its Parquet files: nobody changes them in place."""
    return Lake(shutil.copytree(lake.root, root, symlinks=True, copy_function=_shared_or_copied))


def _shared_or_copied(source: str, target: str) -> str:
    if not source.endswith(".parquet"):
        return str(shutil.copy2(source, target))
    os.link(source, target)
    return target


def _digest_of_writers() -> str:
    files = sorted(path for pattern in WRITERS for path in PROJECT_ROOT.glob(pattern))
    return sha256(b"".join(path.read_bytes() for path in files)).hexdigest()[:8]


def read_every_value(opened: DuckDBEngine, table: str, names: Iterable[str]) -> None:
    """Read columns of a registered table: what asks for the highest value is answered from the statistics in the footer."""
    for _ in opened.run(exp.select(*names).from_(table), {}):
        pass

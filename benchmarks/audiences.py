"""What audiences cost a night, beside reading and writing their tables."""

from __future__ import annotations

import random
import shutil
from collections.abc import Iterator
from datetime import date
from functools import cache, partial
from itertools import cycle
from pathlib import Path
from tempfile import TemporaryDirectory

import duckdb
from definitions_step import write_features
from generate import LAST_DAY
from lakes import BEFORE, PROJECT_ROOT, engine, read_every_value
from measure import Result, compared, cost
from sqlglot import exp

from pipeline.definitions.audiences import load_audiences
from pipeline.definitions.company import Company, load_company
from pipeline.lake import addresses
from pipeline.lake.engines.duckdb import DuckDBEngine
from pipeline.lake.lake import Lake
from pipeline.lake.spared_imports import spare_pandas
from pipeline.lake.tables import (
    AUDIENCE_MEMBERS,
    AUDIENCE_MOVES,
    AUDIENCES,
    CUSTOMER_FEATURES,
    CUSTOMER_SEGMENT_INTERVALS,
    CUSTOMER_SEGMENTS,
    POPULATION_BASELINES,
    Table,
)
from pipeline.segmentation import write_audiences, write_intervals, write_moves

AUDIENCE_BAR = 3.0
FEW, MANY = 50, 1_000  # audiences
AUDIENCES_PER_AGGREGATE = 5
SEED = 20_260_101
HEAD = 'title = "T"\npurpose = "P."\nowner = "O"\n'
# Every fiftieth customer ordered today; of all others a day passed.
TODAY = "CASE WHEN n % 50 = 0 THEN 0 ELSE CAST(hash(n) % 90 AS BIGINT) + 1 END"
YESTERDAY = "CAST(hash(n) % 90 AS BIGINT)"


def results(folder: Path, *, customers: int, rounds: int) -> list[Result]:
    """Return what many audiences over `customers` customers cost: the night's members, then intervals and moves with them."""
    count = FEW if customers < 10_000 else MANY
    with TemporaryDirectory(dir=folder) as scratch:
        root = Path(scratch)
        _make_nights(root, customers, count)
        members, bare_members, whole, bare_whole, definitions = [], [], [], [], []
        for _ in range(rounds):
            definitions.append(cost(partial(load, root)))
            members.append(cost(partial(decide, root), ready=partial(load, root)))
            bare_members.append(cost(partial(copy_members, root), ready=partial(load, root)))
            whole.append(members[-1].then(cost(partial(tell, root), ready=partial(load, root))))
            bare_whole.append(bare_members[-1].then(cost(partial(copy_told, root), ready=partial(load, root))))
    named = f"{count:,} audiences with {count // AUDIENCES_PER_AGGREGATE} aggregates, {customers:,} customers"
    return [
        compared(f"members of {named} / reading and writing the tables", members, bare_members, bar=AUDIENCE_BAR),
        compared(f"the same with intervals and moves, {named}", whole, bare_whole, bar=AUDIENCE_BAR),
        compared(f"reading the definitions of {named}, once for all steps / the tables", definitions, bare_whole),
    ]


@cache
def company_of(root: Path) -> Company:
    """Return the company with its audiences: a night reads their definitions once for all its steps."""
    company = load_company(root / "shop")
    load_audiences(company)
    return company


def load(root: Path) -> None:
    """Be as far as a night is when its step begins."""
    spare_pandas()
    company_of(root)


def decide(root: Path) -> None:
    """Write who is in which audience, as the night does."""
    lake = Lake(root / "lake")
    with engine(lake) as opened:
        write_audiences(company_of(root), lake, opened, LAST_DAY)


def tell(root: Path) -> None:
    """Write intervals and moves, as the night does."""
    lake = Lake(root / "lake")
    shutil.rmtree(lake.root / "tables" / CUSTOMER_SEGMENT_INTERVALS.name)
    shutil.copytree(root / "intervals_before", lake.root / "tables" / CUSTOMER_SEGMENT_INTERVALS.name)
    with engine(lake) as opened:
        write_intervals(lake, opened, LAST_DAY)
        write_moves(company_of(root), lake, opened, LAST_DAY)


def copy_members(root: Path) -> None:
    """Read the features that rules name; read the members and sizes and write them again, as the lake writes."""
    lake, features = Lake(root / "lake"), company_of(root).table(CUSTOMER_FEATURES)
    with engine(lake) as opened:
        opened.register(features, [addresses.partition(CUSTOMER_FEATURES, day=LAST_DAY)])
        names = [*COLUMNS, *(column.name for column in features.columns if column.is_declared)]
        read_every_value(opened, CUSTOMER_FEATURES.name, names)
        for table in (AUDIENCE_MEMBERS, AUDIENCES):
            opened.register(table, [addresses.partition(table, day=LAST_DAY)])
            _write_again(lake, opened, table)


def copy_told(root: Path) -> None:
    """Read the intervals and the moves; write them again, as the lake writes."""
    lake = Lake(root / "lake")
    with engine(lake) as opened:
        opened.register(CUSTOMER_SEGMENT_INTERVALS, lake.parts(CUSTOMER_SEGMENT_INTERVALS, lake.versions(CUSTOMER_SEGMENT_INTERVALS)))
        opened.register(AUDIENCE_MOVES, [addresses.partition(AUDIENCE_MOVES, day=LAST_DAY)])
        for table in (CUSTOMER_SEGMENT_INTERVALS, AUDIENCE_MOVES):
            _write_again(lake, opened, table)


def _write_again(lake: Lake, opened: DuckDBEngine, table: Table) -> None:
    rows = opened.run(exp.select(*table.column_names).from_(table.name), {})
    lake.write_file(table.schema, rows, "again.parquet", {})


COLUMNS = (
    "customer_id",
    "recency_days",
    "order_count",
    "spend_amount",
    "average_order_amount",
    "favourite_category",
    "lifetime_order_count",
)


def _aggregates(count: int) -> list[str]:
    """Return that many aggregates as rules write them: by turns of orders, of spend, and of what is unknown without any."""
    kinds = ("COUNT(order_lines", "SUM(order_lines.net_amount", "MAX(order_lines.net_amount")
    return [f"{kinds[place % len(kinds)]} WHERE category = 'c{place % 12}' LAST {place + 1} DAYS)" for place in range(count)]


def _rules(count: int) -> Iterator[str]:
    """Yield rules of two or three comparisons that take from none to a fifth of all customers, one in thirty on average.

    Of five audiences two are about an aggregate, and every aggregate is in two audiences.
    """
    chosen = random.Random(SEED)  # noqa: S311
    aggregates = cycle(_aggregates(count // AUDIENCES_PER_AGGREGATE))
    for place in range(count):
        low = chosen.randrange(80)
        plain = [
            f"recency_days <= {chosen.randrange(40)} AND order_count >= {chosen.randrange(60, 90)}",
            f"favourite_category = 'c{chosen.randrange(12)}' AND spend_amount >= {chosen.randrange(300, 1000)}",
            f"recency_days BETWEEN {low} AND {low + 7} AND lifetime_order_count > {chosen.randrange(20, 90)}",
            f"average_order_amount > {chosen.randrange(500, 1000)}.50 AND favourite_category IN ('c1', 'c2') AND order_count < 45",
        ]
        if place % AUDIENCES_PER_AGGREGATE < 2:
            aggregate = next(aggregates)
            limit = chosen.randrange(60, 90) if aggregate.startswith("COUNT") else chosen.randrange(500, 1000)
            yield f"{aggregate} >= {limit} AND recency_days <= {chosen.randrange(40)}"
        else:
            yield chosen.choice(plain)


def _write_company(root: Path, count: int) -> Path:
    company = root / "shop"
    shutil.copytree(PROJECT_ROOT / "benchmarks" / "shop", company)
    (company / "audiences").mkdir()
    for place, rule in enumerate(_rules(count)):
        (company / "audiences" / f"audience_{place:04}.toml").write_text(f'{HEAD}rule = "{rule}"\n', "utf-8")
    return company


def _make_nights(root: Path, customers: int, count: int) -> None:
    """Write two nights of features without schemes, the first with its members and intervals."""
    company = load_company(_write_company(root, count))
    lake, table = Lake(root / "lake"), company.table(CUSTOMER_FEATURES)
    for night, recency in ((BEFORE, YESTERDAY), (LAST_DAY, TODAY)):
        write_features(lake, customers, night, table, recency_days=recency, **_unknown_without_rows(table))
        lake.write(CUSTOMER_SEGMENTS, [], day=night, manifest={"schemes": {}})
        _write_baselines(lake, night)
        with engine(lake) as opened:
            write_audiences(company, lake, opened, night)
            if night == BEFORE:
                write_intervals(lake, opened, night)
    shutil.copytree(lake.root / "tables" / CUSTOMER_SEGMENT_INTERVALS.name, root / "intervals_before")


def _unknown_without_rows(table: Table) -> dict[str, str]:
    """Return expressions of the highest amounts, which a third of all customers do not have, by column."""
    amount = "CASE WHEN hash({{n}} + {seed}) % 3 > 0 THEN CAST(hash({{n}} + {seed}) % 100000 AS DECIMAL(18, 4)) / 100 END"
    names = [column.name for column in table.columns if column.is_declared and column.name.startswith("max_")]
    return {name: amount.format(seed=seed) for seed, name in enumerate(names, 1_000)}


def _write_baselines(lake: Lake, night: date) -> None:
    """Write that limits were frozen on the first of the month."""
    frozen = f"DATE '{night.replace(day=1)}'"
    columns = ", ".join(
        f"CAST({frozen if column.name == 'limits_day' else 'NULL'} AS {column.kind.sql}) AS {column.name}"
        for column in POPULATION_BASELINES.columns
    )
    with duckdb.connect() as connection:
        lake.write(POPULATION_BASELINES, connection.sql(f"SELECT {columns}").to_arrow_reader(10), day=night)

"""What audiences cost a night, beside reading and writing their tables."""

from __future__ import annotations

import random
import shutil
from collections.abc import Iterator
from datetime import date
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import duckdb
from definitions_step import write_features
from generate import LAST_DAY
from lakes import BEFORE, PROJECT_ROOT, engine
from measure import Result, compared, cost
from sqlglot import exp, parse_one

from pipeline.definitions.audiences import load_audiences
from pipeline.definitions.company import load_company
from pipeline.lake.engines.duckdb import DuckDBEngine
from pipeline.lake.lake import Lake
from pipeline.lake.tables import (
    AUDIENCE_MEMBERS,
    AUDIENCE_MOVES,
    CUSTOMER_FEATURES,
    CUSTOMER_SEGMENT_INTERVALS,
    CUSTOMER_SEGMENTS,
    POPULATION_BASELINES,
    Table,
)
from pipeline.segmentation import write_audiences, write_intervals, write_moves

AUDIENCE_BAR = 3.0
FEW, MANY = 50, 1_000  # audiences
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
        members, bare_members, whole, bare_whole = [], [], [], []
        for _ in range(rounds):
            members.append(cost(partial(decide, root), ready=partial(load, root)))
            bare_members.append(cost(partial(copy_members, root)))
            whole.append(members[-1].then(cost(partial(tell, root), ready=partial(load, root))))
            bare_whole.append(bare_members[-1].then(cost(partial(copy_told, root))))
    named = f"{count:,} audiences, {customers:,} customers"
    return [
        compared(f"members of {named} / reading and writing the tables", members, bare_members, bar=AUDIENCE_BAR),
        compared(f"the same with intervals and moves, {named}", whole, bare_whole, bar=AUDIENCE_BAR),
    ]


def load(root: Path) -> None:
    """Read the definitions: a night does that once for all its steps."""
    load_audiences(load_company(root / "shop"))


def decide(root: Path) -> None:
    """Write who is in which audience, as the night does."""
    lake = Lake(root / "lake")
    with engine(lake) as opened:
        write_audiences(load_company(root / "shop"), lake, opened, LAST_DAY)


def tell(root: Path) -> None:
    """Write intervals and moves, as the night does."""
    lake = Lake(root / "lake")
    shutil.rmtree(lake.root / "tables" / CUSTOMER_SEGMENT_INTERVALS.name)
    shutil.copytree(root / "intervals_before", lake.root / "tables" / CUSTOMER_SEGMENT_INTERVALS.name)
    with engine(lake) as opened:
        write_intervals(lake, opened, LAST_DAY)
        write_moves(load_company(root / "shop"), lake, opened, LAST_DAY)


def copy_members(root: Path) -> None:
    """Read the features that rules name, and the members; write the members again, as the lake writes."""
    lake = Lake(root / "lake")
    with engine(lake) as opened:
        names = ", ".join(f"MAX({name})" for name in COLUMNS)
        opened.register(CUSTOMER_FEATURES, [lake.path(CUSTOMER_FEATURES, day=LAST_DAY)])
        opened.run(_select(f"SELECT {names} FROM customer_features"), {}).read_all()
        opened.register(AUDIENCE_MEMBERS, [lake.path(AUDIENCE_MEMBERS, day=LAST_DAY)])
        _write_again(lake, opened, AUDIENCE_MEMBERS, root)


def copy_told(root: Path) -> None:
    """Read the members of both nights and the intervals; write intervals and moves again, as the lake writes."""
    lake = Lake(root / "lake")
    with engine(lake) as opened:
        for night in (BEFORE, LAST_DAY):
            opened.register(AUDIENCE_MEMBERS, [lake.path(AUDIENCE_MEMBERS, day=night)])
            opened.run(_select("SELECT MAX(customer_id), MAX(audience) FROM audience_members"), {}).read_all()
        opened.register(CUSTOMER_SEGMENT_INTERVALS, lake.parts(CUSTOMER_SEGMENT_INTERVALS, lake.versions(CUSTOMER_SEGMENT_INTERVALS)))
        opened.register(AUDIENCE_MOVES, [lake.path(AUDIENCE_MOVES, day=LAST_DAY)])
        for table in (CUSTOMER_SEGMENT_INTERVALS, AUDIENCE_MOVES):
            _write_again(lake, opened, table, root)


def _write_again(lake: Lake, opened: DuckDBEngine, table: Table, root: Path) -> None:
    rows = opened.run(_select(f"SELECT {', '.join(table.column_names)} FROM {table.name}"), {})
    lake.write_file(table.schema, rows, root / "lake" / "again.parquet", {})


def _select(text: str) -> exp.Select:
    return parse_one(text, into=exp.Select, read="duckdb")


COLUMNS = (
    "customer_id",
    "recency_days",
    "order_count",
    "spend_amount",
    "average_order_amount",
    "favourite_category",
    "lifetime_order_count",
)


def _rules(count: int) -> Iterator[str]:
    """Yield rules of two or three comparisons that take from none to a fifth of all customers, one in thirty on average."""
    chosen = random.Random(SEED)  # noqa: S311
    for _ in range(count):
        low = chosen.randrange(80)
        yield chosen.choice(
            [
                f"recency_days <= {chosen.randrange(40)} AND order_count >= {chosen.randrange(60, 90)}",
                f"favourite_category = 'c{chosen.randrange(12)}' AND spend_amount >= {chosen.randrange(300, 1000)}",
                f"recency_days BETWEEN {low} AND {low + 7} AND lifetime_order_count > {chosen.randrange(20, 90)}",
                f"average_order_amount > {chosen.randrange(500, 1000)}.50 AND favourite_category IN ('c1', 'c2') AND order_count < 45",
            ]
        )


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
    lake = Lake(root / "lake")
    for night, recency in ((BEFORE, YESTERDAY), (LAST_DAY, TODAY)):
        write_features(lake, customers, night, recency_days=recency)
        lake.write(CUSTOMER_SEGMENTS, [], day=night, manifest={"schemes": {}})
        _write_baselines(lake, night)
        with engine(lake) as opened:
            write_audiences(company, lake, opened, night)
            if night == BEFORE:
                write_intervals(lake, opened, night)
    shutil.copytree(lake.root / "tables" / CUSTOMER_SEGMENT_INTERVALS.name, root / "intervals_before")


def _write_baselines(lake: Lake, night: date) -> None:
    """Write that limits were frozen on the first of the month."""
    frozen = f"DATE '{night.replace(day=1)}'"
    columns = ", ".join(
        f"CAST({frozen if column.name == 'limits_day' else 'NULL'} AS {column.kind.sql}) AS {column.name}"
        for column in POPULATION_BASELINES.columns
    )
    with duckdb.connect() as connection:
        lake.write(POPULATION_BASELINES, connection.sql(f"SELECT {columns}").to_arrow_reader(10), day=night)

"""Merged customers: a night says what it would say if the source had used the survivor's id all along, whatever came before it."""

from __future__ import annotations

import logging
import random
from contextlib import closing
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from support.builders import an_order_line, write_customers, write_rows
from support.declared_features import OF_SEQUENCES, a_declaring_company

from pipeline.definitions.company import Company
from pipeline.features import compute_features, compute_rollups
from pipeline.features.cache import cached_files, forget_caches
from pipeline.lake.addresses import CACHES
from pipeline.lake.engines.duckdb import DuckDBEngine
from pipeline.lake.lake import Lake
from pipeline.lake.tables import (
    CUSTOMER_FEATURES,
    CUSTOMER_MERGES,
    MERGED_ARCHIVES,
    ORDER_LINES,
    POPULATION_BASELINES,
    POPULATION_RHYTHM,
    VISITS,
)

OPENING, FIRST = date(2023, 11, 20), date(2024, 2, 26)  # eight nights lead over the turn of a month
DECLARED = ("orders_a", "spend_week_before", "last_refund", "first_channel", "category_40", *OF_SEQUENCES)
NAMES = [f"c{number:02}" for number in range(30)]
NIGHTS = [FIRST + timedelta(offset) for offset in range(8)]
# When each was merged into whom, and the first night that knows: chains that grow at either end, one learned late.
MERGES = [
    ("c00", "c01", date(2024, 1, 5), FIRST),
    ("c02", "c03", FIRST, FIRST),
    ("c03", "c04", NIGHTS[2], NIGHTS[2]),
    ("c05", "c06", NIGHTS[1], NIGHTS[3]),
    ("c07", "c02", NIGHTS[5], NIGHTS[5]),
    ("c08", "nobody_yet", NIGHTS[4], NIGHTS[4]),
]

ENDINGS = ("_q75", "_q25", "_baseline", "_score")
FROZEN = {name for name in CUSTOMER_FEATURES.column_names if "_limit_" in name or name.endswith(ENDINGS)}
FROZEN |= {"rhythm_days", "shrunk_discount_share"}


def lines_of(chance: random.Random, day: date, number: int) -> list[dict[str, Any]]:
    return [_line(chance, day, number + place) for place in range(chance.randrange(7))]


def _line(chance: random.Random, day: date, number: int) -> dict[str, Any]:
    kind, amount = chance.choices(["order", "refund"], [5, 1])[0], Decimal(chance.randrange(1, 5000)) / 100
    customer = chance.choice(NAMES[:12] if chance.random() < 0.6 else NAMES)
    is_linked = kind == "refund" and chance.random() < 0.6
    return an_order_line(
        number,
        day=day,
        customer_id=customer,
        order_id=f"o{number // 2}-{customer}",
        line_kind=kind,
        net_amount=-amount if kind == "refund" else amount,
        discount_amount=chance.choice(["0", "1"]),
        category=chance.choice(["a", "b", "ä"]),
        channel=chance.choice(["web", "store"]),
        order_day=day - timedelta(chance.choice([3, 40])) if is_linked else day,
    )


def survivor_of(customer: str, day: date, known_on: date) -> str:
    """Follow the merges one after the other."""
    heads = {one: other for one, other, merged, known in MERGES if merged <= day and known <= known_on}
    while customer in heads:
        customer = heads[customer]
    return customer


def write_shop(lake: Lake, company: Company, *, rename: tuple[date, date] | None = None) -> None:
    """Write what every night learns; with `rename`, by the ids that survive on that day as that night knows it, and without merges."""
    chance, number = random.Random(3), 0
    names = [survivor_of(name, *rename) if rename else name for name in NAMES]
    write_customers(lake, company, [{"customer_id": name} for name in sorted({*names, "nobody_yet"})], known_on=FIRST)
    day = OPENING
    while day <= NIGHTS[-1]:
        for known_on in sorted({max(day, FIRST), *([] if day < FIRST or chance.random() < 0.6 else [min(day + timedelta(2), NIGHTS[-1])])}):
            lines = lines_of(chance, day, number)
            number += 10
            for line in lines if rename else ():
                line["customer_id"] = survivor_of(line["customer_id"], *rename)
            write_rows(lake, ORDER_LINES, sorted(lines, key=lambda line: line["line_number"]), day=day, known_on=known_on)
        visits = [{"visit_id": f"{day}{place}", "customer_id": chance.choice(NAMES[:10])} for place in range(2)]
        for visit in visits if rename else ():
            visit["customer_id"] = survivor_of(visit["customer_id"], *rename)
        came = {"visited_at": datetime(day.year, day.month, day.day, 9, tzinfo=UTC)}
        write_rows(lake, VISITS, [visit | came for visit in visits], day=day, known_on=max(day, FIRST))
        day += timedelta(1)
    for night in sorted({known for *_, known in MERGES}) if not rename else ():
        rows = [
            {"customer_id": one, "merged_into": other, "merged_at": datetime(at.year, at.month, at.day, 11, tzinfo=UTC)}
            for one, other, at, known in MERGES
            if known <= night
        ]
        write_rows(lake, CUSTOMER_MERGES, rows, known_on=night)


def compute(company: Company, lake: Lake, day: date, known_on: date | None = None) -> list[bytes]:
    with closing(DuckDBEngine(lake.store, memory_limit="1GB", threads=1)) as engine:
        compute_rollups(lake, engine, day, known_on=known_on)
        compute_features(company, lake, engine, day, known_on=known_on)
    tables = (POPULATION_RHYTHM, POPULATION_BASELINES, CUSTOMER_FEATURES)
    return [lake.path(table, day=day, known_on=known_on).read_bytes() for table in tables]


def computed_without_caches(company: Company, lake: Lake, day: date, known_on: date | None = None) -> list[bytes]:
    caches, aside = lake.root / CACHES, lake.root / "aside"
    caches.rename(aside)
    written = compute(company, lake, day, known_on)
    forget_caches(lake)
    aside.rename(caches)
    return written


def rows_of(lake: Lake, day: date, known_on: date | None = None) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = lake.read(CUSTOMER_FEATURES, day=day, known_on=known_on).to_pylist()
    return rows


@pytest.mark.parametrize("window_days", [10, 90])
def test_nights_on_which_customers_are_merged_equal_the_full_recompute_and_carry_the_others(
    tmp_path: Path, window_days: int, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "pipeline.features.customer_states")
    company, lake = a_declaring_company(tmp_path, DECLARED, window_days=window_days), Lake(tmp_path / "lake")
    write_shop(lake, company)
    for night in NIGHTS:
        caplog.clear()
        rolled = compute(company, lake, night)
        told = next(record.getMessage().split() for record in caplog.records if record.getMessage().startswith("customer_states: "))
        assert night == FIRST or int(told[1]) < int(told[3]), night
        assert rolled == computed_without_caches(company, lake, night), night
    assert window_days == 90 or cached_files(lake, MERGED_ARCHIVES)


@pytest.mark.parametrize("window_days", [10, 90])
def test_a_night_says_what_it_would_say_if_the_source_had_used_the_survivors_ids(tmp_path: Path, window_days: int) -> None:
    company, lake = a_declaring_company(tmp_path, DECLARED, window_days=window_days), Lake(tmp_path / "lake")
    write_shop(lake, company)
    for night in NIGHTS:
        compute(company, lake, night)
        renamed = Lake(tmp_path / f"renamed-{night}")
        write_shop(renamed, company, rename=(night, night))
        compute(company, renamed, night)
        # What is frozen on the first of the month knows the merges of that day.
        left_out = set() if night.day == 1 else FROZEN
        told, expected = (
            [{name: row[name] for name in row if name not in left_out} for row in rows_of(each, night)] for each in (lake, renamed)
        )
        assert told == expected, night


def test_a_restatement_knows_the_merges_of_the_night_that_it_goes_by(tmp_path: Path) -> None:
    company, lake = a_declaring_company(tmp_path, DECLARED, window_days=90), Lake(tmp_path / "lake")
    write_shop(lake, company)
    compute(company, lake, NIGHTS[1])
    assert "c05" in {row["customer_id"] for row in rows_of(lake, NIGHTS[1])}
    restated = compute(company, lake, NIGHTS[1], NIGHTS[3])
    assert restated == computed_without_caches(company, lake, NIGHTS[1], NIGHTS[3])
    assert "c05" not in {row["customer_id"] for row in rows_of(lake, NIGHTS[1], NIGHTS[3])}
    compute(company, lake, NIGHTS[0], NIGHTS[3])
    assert "c05" in {row["customer_id"] for row in rows_of(lake, NIGHTS[0], NIGHTS[3])}, "merged later that day"


def test_nights_in_any_order_say_the_same_of_merged_customers(tmp_path: Path) -> None:
    told = []
    for order in (NIGHTS, random.Random(1).sample(NIGHTS, len(NIGHTS))):
        company, lake = a_declaring_company(tmp_path, DECLARED, window_days=10), Lake(tmp_path / f"lake{len(told)}")
        write_shop(lake, company)
        told.append(dict(sorted((night, compute(company, lake, night)) for night in order)))
    assert told[0] == told[1]

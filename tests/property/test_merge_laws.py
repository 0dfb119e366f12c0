"""Merged customers: a night says what it would say if the source had used the survivor's id all along, whatever came before it."""

from __future__ import annotations

import random
import shutil
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from support.builders import a_company, an_order_line, write_customers, write_rows
from support.declared_features import OF_SEQUENCES, a_declaring_company
from support.feature_nights import NightsInOrder, compute, compute_in_order, computed_without_caches

from pipeline.definitions.company import Company
from pipeline.features.cache import cached_files, forget_caches
from pipeline.lake.lake import Lake
from pipeline.lake.tables import CUSTOMER_FEATURES, CUSTOMER_MERGES, MERGED_ARCHIVES, ORDER_LINES, VISITS

OPENING, FIRST = date(2024, 1, 2), date(2024, 2, 26)  # seven nights lead over the turn of a month
DECLARED = ("orders_a", "spend_week_before", "last_refund", "first_channel", "category_40", *OF_SEQUENCES)
NAMES = [f"c{number:02}" for number in range(30)]
NIGHTS = [FIRST + timedelta(offset) for offset in range(7)]
# When each was merged into whom, and the first night that knows: chains that grow at either end, one learned late.
MERGES = [
    ("c00", "c01", date(2024, 1, 5), FIRST),
    ("c02", "c03", FIRST, FIRST),
    ("c03", "c04", NIGHTS[2], NIGHTS[2]),
    ("c05", "c06", NIGHTS[1], NIGHTS[3]),
    ("c07", "c02", NIGHTS[5], NIGHTS[5]),
    ("c08", "nobody_yet", NIGHTS[4], NIGHTS[4]),
]
WHEN_SURVIVORS_DIFFER = [NIGHTS[place] for place in (0, 2, 3, 4, 6)]  # the last of them: since the night before it

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


def rows_of(lake: Lake, day: date, known_on: date | None = None) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = lake.read(CUSTOMER_FEATURES, day=day, known_on=known_on).to_pylist()
    return rows


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    """Return what every night learns; nothing is computed yet."""
    lake = Lake(tmp_path_factory.mktemp("shop") / "lake")
    write_shop(lake, a_company(lake.root))
    return lake


@pytest.fixture(scope="module")
def short_window(shop: Lake, tmp_path_factory: pytest.TempPathFactory) -> NightsInOrder:
    """Return the nights of a company that declares features, and whose window begins after most of what happened."""
    folder = tmp_path_factory.mktemp("short")
    return compute_in_order(a_declaring_company(folder, DECLARED, window_days=10), copied(shop, folder), NIGHTS)


@pytest.fixture(scope="module")
def long_window(shop: Lake, tmp_path_factory: pytest.TempPathFactory) -> NightsInOrder:
    """Return the nights of a company whose window begins before all that happened."""
    folder = tmp_path_factory.mktemp("long")
    return compute_in_order(a_company(folder, window_days=90), copied(shop, folder), NIGHTS)


def copied(lake: Lake, folder: Path) -> Lake:
    return Lake(shutil.copytree(lake.root, folder / "lake"))


def test_nights_on_which_customers_are_merged_equal_the_full_recompute_and_carry_the_others(
    short_window: NightsInOrder, long_window: NightsInOrder
) -> None:
    for nights, looked_at in ((short_window, NIGHTS), (long_window, [NIGHTS[3], NIGHTS[-1]])):
        assert all(affected < total for affected, total in nights.recomputed[1:])
        for night in looked_at:
            assert nights.written[night] == computed_without_caches(nights.company, nights.lake, night), night
    assert cached_files(short_window.lake, MERGED_ARCHIVES)


def test_a_night_says_what_it_would_say_if_the_source_had_used_the_survivors_ids(
    short_window: NightsInOrder, long_window: NightsInOrder, tmp_path: Path
) -> None:
    for night in WHEN_SURVIVORS_DIFFER:
        renamed = Lake(tmp_path / f"renamed-{night}")
        write_shop(renamed, short_window.company, rename=(night, night))
        # What is frozen on the first of the month knows the merges of that day.
        left_out = set() if night.day == 1 else FROZEN
        for nights in (short_window, long_window):
            compute(nights.company, renamed, night)
            found, expected = (
                [{name: row[name] for name in row if name not in left_out} for row in rows_of(lake, night)]
                for lake in (nights.lake, renamed)
            )
            assert found == expected, night
            forget_caches(renamed)


def test_a_restatement_knows_the_merges_of_the_night_that_it_goes_by(short_window: NightsInOrder, tmp_path: Path) -> None:
    company, lake = short_window.company, copied(short_window.lake, tmp_path)
    assert "c05" in {row["customer_id"] for row in rows_of(lake, NIGHTS[1])}
    restated = compute(company, lake, NIGHTS[1], known_on=NIGHTS[3])
    assert restated == computed_without_caches(company, lake, NIGHTS[1], known_on=NIGHTS[3])
    assert "c05" not in {row["customer_id"] for row in rows_of(lake, NIGHTS[1], NIGHTS[3])}
    compute(company, lake, NIGHTS[0], known_on=NIGHTS[3])
    assert "c05" in {row["customer_id"] for row in rows_of(lake, NIGHTS[0], NIGHTS[3])}, "merged later that day"


def test_nights_in_any_order_say_the_same_of_merged_customers(shop: Lake, short_window: NightsInOrder, tmp_path: Path) -> None:
    lake = copied(shop, tmp_path)
    for night in random.Random(1).sample(NIGHTS, 5):
        assert compute(short_window.company, lake, night) == short_window.written[night], night

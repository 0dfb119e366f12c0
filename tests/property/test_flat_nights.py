"""Law 11: a night costs its new day, and equals the full recompute byte for byte, whatever happened before."""

from __future__ import annotations

import random
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import date, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import duckdb
import pytest
from sqlglot import exp
from support.builders import a_company, an_order_line, write_customers, write_order_lines
from support.feature_nights import NightsInOrder, compute, compute_in_order, computed_without_caches, recomputed_customers
from support.late_shops import FIRST, Shop

from pipeline.definitions.company import with_declared_features
from pipeline.features import compute_features
from pipeline.features.cache import cache_session, cached, cached_files, forget_caches
from pipeline.lake.addresses import CACHES
from pipeline.lake.checksums import read_seal
from pipeline.lake.engines.duckdb import DuckDBEngine
from pipeline.lake.lake import Lake
from pipeline.lake.tables import (
    BASE_STATES,
    CHANGED_STATES,
    CUSTOMER_ARCHIVES,
    CUSTOMER_DAY_CATEGORIES,
    CUSTOMER_DAYS,
    CUSTOMER_FEATURES,
    CUSTOMER_STATES,
    ORDER_LINES,
)


def a_shop(lake: Lake, seed: int, *, nights: int) -> Shop:
    """Write what every night learns, so that nights can be computed in any order."""
    shop = Shop(seed)
    shop.open(lake)
    for day in days(nights):
        shop.night(lake, day)
    return shop


def days(nights: int) -> list[date]:
    return [FIRST + timedelta(offset) for offset in range(nights)]


@pytest.fixture
def recomputed() -> Iterator[list[tuple[int, int]]]:
    """Yield how many customers each night recomputed, of how many."""
    with recomputed_customers() as counts:
        yield counts


@pytest.fixture(scope="module")
def six_nights(tmp_path_factory: pytest.TempPathFactory) -> NightsInOrder:
    """Return six nights in order, whose window of ten days begins after most of what happened."""
    lake = Lake(tmp_path_factory.mktemp("six") / "lake")
    a_shop(lake, 4, nights=6)
    return compute_in_order(a_company(lake.root, window_days=10), lake, days(6))


def copied(lake: Lake, folder: Path) -> Lake:
    return Lake(shutil.copytree(lake.root, folder / "lake"))


# Over the end of February, and of the month in which the window begins, before which all is archived; with nothing archived.
@pytest.mark.parametrize(("seed", "window_days", "begin", "nights"), [(1, 10, 18, 13), (4, 70, 17, 5)])
def test_nights_of_late_data_and_refunds_equal_the_full_recompute(
    lake: Lake, seed: int, window_days: int, begin: int, nights: int, recomputed: list[tuple[int, int]]
) -> None:
    shop, company = Shop(seed), a_company(lake.root, window_days=window_days)
    write_customers(lake, company, [{"customer_id": "never"}, {"customer_id": "c1"}], known_on=FIRST)
    shop.open(lake)
    for day in days(begin):
        shop.night(lake, day)
    is_folded = []
    for place, day in enumerate(days(begin + nights)[begin:]):
        shop.night(lake, day)
        recomputed.clear()
        rolled = compute(company, lake, day)
        affected, total = recomputed[0]
        assert place == 0 or affected < total
        is_folded.append(not cached_files(lake, CHANGED_STATES))
        assert rolled == computed_without_caches(company, lake, day), day
    assert is_folded[0]
    assert 0 < sum(is_folded[1:]) < nights - 1


def test_consecutive_nights_of_a_real_shop_equal_the_full_recompute(
    lake: Lake, shared_data: Path, recomputed: list[tuple[int, int]]
) -> None:
    nights = [date(1998, 4, 30), date(1998, 5, 1), date(1998, 5, 2)]
    company = a_company(lake.root, window_days=60)
    lines = [
        an_order_line(number, day=date.fromisoformat(sold), customer_id=customer, order_id=f"{customer}-{sold}", net_amount=paid)
        for number, (customer, sold, paid) in enumerate(cdnow_purchases(shared_data), 1)
    ]
    for night in nights:
        write_order_lines(lake, [line for line in lines if line["day"] == night], known_on=night)
    write_order_lines(lake, [line for line in lines if line["day"] < nights[0]], known_on=nights[0])
    for night in nights:
        assert compute(company, lake, night) == computed_without_caches(company, lake, night)
    assert [total - affected > 400 for affected, total in recomputed] == [False, False, True, False, True, False]


def cdnow_purchases(shared_data: Path) -> list[tuple[str, str, str]]:
    """Return customer, ISO date and amount of every purchase."""
    path = shared_data / "cdnow" / "sample.parquet"
    return duckdb.sql(f"""
        SELECT CAST(master_id AS VARCHAR), CAST(STRPTIME(CAST("date" AS VARCHAR), '%Y%m%d')::DATE AS VARCHAR), CAST(value_usd AS VARCHAR)
        FROM '{path}' WHERE "date" >= '19980101' ORDER BY ALL
    """).fetchall()


def test_lifetime_figures_are_the_same_with_and_without_an_archive(lake: Lake) -> None:
    a_shop(lake, 9, nights=1)
    columns = [name for name in CUSTOMER_FEATURES.column_names if name.startswith(("lifetime", "gap", "first", "last", "rhythm", "tenure"))]
    found = []
    for window_days in (10, 1000):
        compute(a_company(lake.root, window_days=window_days), lake, FIRST)
        found.append([{name: row[name] for name in columns} for row in features(lake, FIRST)])
    assert found[0] == found[1]
    assert cached_files(lake, CUSTOMER_ARCHIVES)


def test_any_order_of_nights_and_lost_caches_change_no_byte(lake: Lake, six_nights: NightsInOrder) -> None:
    a_shop(lake, 4, nights=6)
    for place, day in enumerate(random.Random(5).sample(days(6), 6)):
        if place in {2, 4}:
            forget_caches(lake)
        assert compute(six_nights.company, lake, day) == six_nights.written[day], day


def test_restated_nights_start_from_each_other_and_equal_the_full_recompute(
    six_nights: NightsInOrder, tmp_path: Path, recomputed: list[tuple[int, int]]
) -> None:
    company, lake, last = six_nights.company, copied(six_nights.lake, tmp_path), days(6)[-1]
    for day in days(3):
        recomputed.clear()
        restated = compute(company, lake, day, known_on=last)
        affected, total = recomputed[0]
        assert restated == computed_without_caches(company, lake, day, known_on=last)
        assert day == FIRST or affected < total


def test_nights_computed_at_the_same_time_equal_those_in_order(lake: Lake, six_nights: NightsInOrder) -> None:
    a_shop(lake, 4, nights=6)
    company = six_nights.company
    compute(company, lake, FIRST)
    with ThreadPoolExecutor(4) as workers:
        together = dict(zip(days(5), workers.map(lambda day: compute(company, lake, day), days(5)), strict=True))
    assert together == {day: six_nights.written[day] for day in days(5)}


def test_a_customer_whose_only_order_was_withdrawn_is_gone(lake: Lake) -> None:
    company = a_company(lake.root, window_days=10)
    shop = Shop(11)
    shop.open(lake)
    nights = days(4)
    gone = an_order_line(next(shop.numbers), day=nights[0], customer_id="gone")
    write_order_lines(lake, [*shop.lines_of(nights[0]), gone], known_on=nights[0])
    for night in nights[1:]:
        shop.learn(lake, night, night)
    compute(company, lake, nights[0])
    compute(company, lake, nights[1])
    assert "gone" in {row["customer_id"] for row in features(lake, nights[1])}
    write_order_lines(lake, [an_order_line(next(shop.numbers), day=nights[0])], known_on=nights[2])
    for night in nights[2:]:
        assert compute(company, lake, night) == computed_without_caches(company, lake, night)
        assert "gone" not in {row["customer_id"] for row in features(lake, night)}
        assert cached_files(lake, CHANGED_STATES)


def test_a_restatement_leaves_the_next_night_the_base_that_its_changes_need(lake: Lake, recomputed: list[tuple[int, int]]) -> None:
    a_shop(lake, 4, nights=5)
    company = a_company(lake.root, window_days=10)
    for day in (days(5)[0], days(5)[3]):
        compute(company, lake, day)
    assert cached_files(lake, CHANGED_STATES)
    compute(company, lake, days(5)[2], known_on=days(5)[3])
    recomputed.clear()
    assert compute(company, lake, days(5)[4]) == computed_without_caches(company, lake, days(5)[4])
    assert recomputed[0][0] < recomputed[0][1]


def a_long_history(lake: Lake) -> Lake:
    shop = Shop(7)
    shop.open(lake)
    for day in days(3):
        shop.learn(lake, day, day)
    return lake


@pytest.fixture(scope="module")
def kept_history(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    """Return a lake whose history goes back far beyond a window of ten days; the first of three nights is computed."""
    lake = a_long_history(Lake(tmp_path_factory.mktemp("kept") / "lake"))
    compute(a_company(lake.root, window_days=10), lake, FIRST)
    return lake


@pytest.fixture
def long_history(kept_history: Lake, tmp_path: Path) -> Lake:
    """Return a copy of it, to be changed."""
    return copied(kept_history, tmp_path)


@pytest.fixture(scope="module")
def two_nights_computed(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    """Return such a lake for a longer window; the first two of three nights are computed."""
    lake = a_long_history(Lake(tmp_path_factory.mktemp("two") / "lake"))
    for day in days(2):
        compute(a_company(lake.root, window_days=35), lake, day)
    return lake


@pytest.fixture(scope="module")
def third_night(two_nights_computed: Lake, tmp_path_factory: pytest.TempPathFactory) -> list[bytes]:
    """Return the third of them, computed without caches."""
    lake = copied(two_nights_computed, tmp_path_factory.mktemp("third"))
    return computed_without_caches(a_company(lake.root, window_days=35), lake, FIRST + timedelta(2))


def test_the_next_night_reads_no_row_beyond_the_month_in_which_the_window_begins(long_history: Lake) -> None:
    lake, company = long_history, a_company(long_history.root, window_days=10)
    old = {
        lake.path(table, day=version.day, known_on=version.known_on)
        for table in (CUSTOMER_DAYS, CUSTOMER_DAY_CATEGORIES)
        for version in lake.versions(table)
        if version.day < date(2024, 2, 1)
    }
    assert len(old) == 4  # two tables, two months
    for path in old:
        make_rows_unreadable(path)
    compute(company, lake, FIRST + timedelta(1))


@pytest.mark.parametrize(
    "value",
    [
        "COUNT(order_lines WHERE category = 'a' THIS MONTH)",
        "COUNT(order_lines PRECEDED BY order_lines WHERE category = 'a' WITHIN 7 DAYS LAST 20 DAYS)",
    ],
)
def test_the_next_night_reads_no_line_before_the_windows_of_declared_features(long_history: Lake, value: str) -> None:
    lake = long_history
    (lake.root / "features").mkdir()
    (lake.root / "features" / "own.toml").write_text(f'[wanted]\nvalue = "{value}"\ndescription = "x"\n', "utf-8")
    company = with_declared_features(a_company(lake.root, window_days=10))
    old = {
        lake.path(ORDER_LINES, day=version.day, known_on=version.known_on)
        for version in lake.versions(ORDER_LINES)
        if version.day < date(2024, 1, 1)
    }
    assert old
    for path in old:
        make_rows_unreadable(path)
    first = compute(company, lake, FIRST)
    assert compute(company, lake, FIRST + timedelta(1)) != first


def make_rows_unreadable(path: Path) -> None:
    """Overwrite the rows of a file, and leave what says which versions it holds: the seal and the footer."""
    content, end = path.read_bytes(), read_seal(path).ends[-1]
    path.write_bytes(bytes(end) + content[end:])


def test_a_night_run_again_recomputes_nobody(long_history: Lake, recomputed: list[tuple[int, int]]) -> None:
    lake, company = long_history, a_company(long_history.root, window_days=10)
    again = compute(company, lake, FIRST)
    assert recomputed[-1][0] == 0
    assert again == computed_without_caches(company, lake, FIRST)


def test_a_rollup_rewritten_in_place_makes_the_night_recompute_everybody(long_history: Lake, recomputed: list[tuple[int, int]]) -> None:
    lake, company = long_history, a_company(long_history.root, window_days=10)
    before = [row["lifetime_order_count"] for row in features(lake, FIRST)]
    version = lake.versions(CUSTOMER_DAYS)[0]
    rows = lake.read(CUSTOMER_DAYS, day=version.day, known_on=version.known_on).slice(0, 0)
    lake.write(CUSTOMER_DAYS, rows.to_batches(), day=version.day, known_on=version.known_on)
    compute_features(company, lake, DuckDBEngine(lake.store), FIRST)
    affected, total = recomputed[-1]
    assert affected == total
    assert sum(row["lifetime_order_count"] for row in features(lake, FIRST)) < sum(before)


def features(lake: Lake, day: date) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = lake.read(CUSTOMER_FEATURES, day=day).to_pylist()
    return rows


def test_another_window_makes_the_night_recompute_everybody(long_history: Lake, recomputed: list[tuple[int, int]]) -> None:
    lake, other = long_history, a_company(long_history.root, window_days=11)
    written = compute(other, lake, FIRST)
    affected, total = recomputed[-1]
    assert affected == total
    assert written == computed_without_caches(other, lake, FIRST)


@pytest.mark.parametrize(
    "folder",
    ["base_states", "changed_states", "customer_archives", "population_rhythm", "population_baselines"],
)
def test_a_damaged_cache_is_as_good_as_none(two_nights_computed: Lake, third_night: list[bytes], tmp_path: Path, folder: str) -> None:
    lake = copied(two_nights_computed, tmp_path)
    company = a_company(lake.root, window_days=35)
    for path in (lake.root / CACHES / folder).iterdir():
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 1
        path.write_bytes(content)
    assert compute(company, lake, FIRST + timedelta(2)) == third_night


def test_a_cache_dropped_by_another_run_stays_readable_for_the_one_that_took_it(long_history: Lake) -> None:
    lake = long_history
    engine = DuckDBEngine(lake.store)
    with cache_session(lake, engine, ZoneInfo("UTC")) as at:
        taken = cached(at, BASE_STATES, cached_files(lake, BASE_STATES)[0])
        forget_caches(lake)
        assert taken is not None
        engine.register(CUSTOMER_STATES, [taken])
        assert engine.run(exp.select("*").from_("customer_states"), {}).read_all().num_rows > 0
    engine.close()


def test_a_chain_of_nights_keeps_few_caches(six_nights: NightsInOrder) -> None:
    lake = six_nights.lake
    assert len(cached_files(lake, BASE_STATES)) == 1
    assert [key.day for key in cached_files(lake, CHANGED_STATES)] in ([], [days(6)[-1]])
    assert len(cached_files(lake, CUSTOMER_ARCHIVES)) <= 4

"""What is left when reading breaks off: nothing that a later step could mistake for a night."""

from __future__ import annotations

import os
import resource
import shutil
import signal
import sys
from collections.abc import Iterator
from datetime import date
from itertools import count
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import psycopg
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from support.extractions import (
    CUSTOMERS,
    Shop,
    a_customer,
    a_line,
    a_shop_folder,
    from_postgresql,
    load_database,
    order_ids,
    run_extract,
    when_logged,
    write_files,
)
from support.nights import run_night, tree_bytes, write_shop

from pipeline.definitions.company import Company
from pipeline.errors import ConfigError, DataError, TransientError
from pipeline.lake.lake import Lake
from pipeline.lake.tables import EXTRACTIONS, LATE_DAYS, RAW_ORDER_LINES

pytest_plugins = ("integration.conftest",)
DAY, NEXT_DAY = date(2024, 3, 10), date(2024, 3, 11)
LINES = 30_000
TORN_SIZES = (0, 4, 100, -1)  # bytes that are left; -1 is all but the last
CHANGES = {"os.rename", "os.remove", "os.rmdir", "os.mkdir", "shutil.rmtree"}
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT


def a_shop(size: int = 40) -> Shop:
    return Shop([a_customer(n) for n in range(5)], [a_line(n, f"2024-03-{1 + n % 11:02} 12:00") for n in range(size)])


# The database goes away


@pytest.fixture(scope="module")
def large_shop(postgres: str) -> Iterator[str]:
    """Yield a database whose tables end their own session at the row that the table `faults` names."""
    with psycopg.connect(postgres, autocommit=True) as admin:
        admin.execute("CREATE DATABASE faults TEMPLATE template0 ENCODING 'UTF8'")
    uri = postgres.replace("/postgres?", "/faults?")
    load_database(uri, Shop([], []))
    with psycopg.connect(uri) as connection:
        connection.execute("CREATE TABLE faults (at bigint); INSERT INTO faults VALUES (NULL)")
        connection.execute("ALTER TABLE customers RENAME TO all_customers; ALTER TABLE lines RENAME TO all_lines")
        connection.execute("INSERT INTO all_customers (id) SELECT 'c' || n FROM generate_series(1, 5) AS n")
        connection.execute(
            """INSERT INTO all_lines (order_id, line, customer_id, sold_at, pieces, paid)
            SELECT 'o' || n, 1, 'c1', TIMESTAMPTZ '2024-03-10 12:00+00' - mod(n, 9) * INTERVAL '1 day', 1, 9.99
            FROM generate_series(1, %s) AS n""",
            [LINES],
        )
        dies = "CASE WHEN {} = (SELECT at FROM faults) THEN pg_terminate_backend(pg_backend_pid()) ELSE true END"
        connection.execute(f"CREATE VIEW customers AS SELECT * FROM all_customers WHERE {dies.format('-substr(id, 2)::int')}")
        connection.execute(f"CREATE VIEW lines AS SELECT * FROM all_lines WHERE {dies.format('substr(order_id, 2)::int')}")
    yield uri
    with psycopg.connect(postgres, autocommit=True) as admin:
        admin.execute("DROP DATABASE faults WITH (FORCE)")


@pytest.fixture(scope="module")
def undisturbed(large_shop: str, tmp_path_factory: pytest.TempPathFactory) -> Lake:
    folder = tmp_path_factory.mktemp("undisturbed")
    lake = Lake(folder / "lake")
    run_extract(from_postgresql(folder / "shop"), lake, DAY, large_shop)
    return lake


def let_die_at(uri: str, row: int | None) -> None:
    """Rows of order lines count from 1 up, those of customers from -1 down."""
    with psycopg.connect(uri) as connection:
        connection.execute("UPDATE faults SET at = %s", [row])


@pytest.mark.parametrize("row", [-1, 1, 9_999, LINES])
def test_a_session_that_ends_at_any_row_leaves_no_night_and_the_retry_equals_an_undisturbed_run(
    large_shop: str, undisturbed: Lake, tmp_path: Path, row: int
) -> None:
    company, lake = from_postgresql(tmp_path / "shop"), Lake(tmp_path / "lake")
    let_die_at(large_shop, row)
    with pytest.raises(TransientError, match=r"the connection broke|the server gave up"):
        run_extract(company, lake, DAY, large_shop)
    assert tree_bytes(lake, "tables", "staging") == {}
    let_die_at(large_shop, None)
    run_extract(company, lake, DAY, large_shop)
    assert tree_bytes(lake, "tables") == tree_bytes(undisturbed, "tables")


def test_a_session_that_ends_on_a_later_night_leaves_the_earlier_ones_as_they_were(large_shop: str, tmp_path: Path) -> None:
    company, lake = from_postgresql(tmp_path / "shop"), Lake(tmp_path / "lake")
    run_extract(company, lake, date(2024, 3, 8), large_shop)
    before = tree_bytes(lake, "tables")
    let_die_at(large_shop, LINES)
    with pytest.raises(TransientError):
        run_extract(company, lake, DAY, large_shop)
    let_die_at(large_shop, None)
    assert tree_bytes(lake, "tables") == before


def test_a_session_ended_by_an_administrator_between_two_tables_may_be_tried_again(large_shop: str, tmp_path: Path) -> None:
    company, lake = from_postgresql(tmp_path / "shop"), Lake(tmp_path / "lake")

    def end_it() -> None:
        with psycopg.connect(large_shop) as admin:
            admin.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'customer_segments'")

    with when_logged("raw_customers: 5 rows read", end_it), pytest.raises(TransientError) as refused:
        run_extract(company, lake, DAY, large_shop)
    assert "connection `shop`" in refused.value.where
    assert tree_bytes(lake, "tables", "staging") == {}


def test_a_session_ended_while_older_days_are_counted_may_be_tried_again(large_shop: str, tmp_path: Path) -> None:
    company, lake = from_postgresql(tmp_path / "shop", first_day=date(2024, 3, 1)), Lake(tmp_path / "lake")
    run_extract(company, lake, DAY, large_shop)
    before = tree_bytes(lake, "tables")

    def end_it() -> None:
        with psycopg.connect(large_shop) as admin:
            admin.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'customer_segments'")

    with when_logged("raw_order_lines: ", end_it), pytest.raises(TransientError):
        run_extract(company, lake, NEXT_DAY, large_shop)
    assert tree_bytes(lake, "tables") == before
    run_extract(company, lake, NEXT_DAY, large_shop)
    assert not lake.has(LATE_DAYS, day=NEXT_DAY)


# The process dies


def read_until_killed(folder: Path, day: date, fatal: int) -> None:
    """Extract in this process, which dies before its event number `fatal` that changes a file of the lake."""
    events = count(1)

    def hear(event: str, arguments: tuple[Any, ...]) -> None:
        is_write = event == "open" and bool(arguments[2] & WRITING) and str(folder / "lake") in str(arguments[0])
        if (is_write or event in CHANGES) and next(events) == fatal:
            os.kill(os.getpid(), signal.SIGKILL)

    company = a_shop_folder(folder / "shop")
    sys.addaudithook(hear)
    run_extract(company, Lake(folder / "lake"), day)


def exit_code(folder: Path, day: date, fatal: int) -> int | None:
    child = get_context("forkserver").Process(target=read_until_killed, args=(folder, day, fatal))
    child.start()
    child.join()
    return child.exitcode


@pytest.mark.parametrize("earlier", [(), (date(2024, 3, 8),)], ids=["the first night", "a later night"])
def test_a_night_killed_at_any_file_event_is_made_whole_by_its_retry(tmp_path: Path, earlier: tuple[date, ...]) -> None:
    get_context("forkserver").set_forkserver_preload(["pipeline.ingestion.extract", "test_extract_faults"])
    start = tmp_path / "start"
    company = a_shop_folder(start / "shop")
    write_files(company, a_shop())
    for day in earlier:
        run_extract(company, Lake(start / "lake"), day)
    whole = Path(shutil.copytree(start, tmp_path / "whole"))
    run_extract(a_shop_folder(whole / "shop"), Lake(whole / "lake"), DAY)
    expected = tree_bytes(Lake(whole / "lake"), "tables")

    for fatal in count(1, 5):
        folder = Path(shutil.copytree(start, tmp_path / f"killed-{fatal}"))
        lake = Lake(folder / "lake")
        code = exit_code(folder, DAY, fatal)
        if code == 0:
            break
        assert code == -signal.SIGKILL
        assert not lake.nights(EXTRACTIONS)[len(earlier) :] or tree_bytes(lake, "tables") == expected
        run_extract(a_shop_folder(folder / "shop"), lake, DAY)
        assert tree_bytes(lake, "tables") == expected
        assert tree_bytes(lake, "staging") == {}
        shutil.rmtree(folder)
    assert fatal > 30


def test_a_first_load_that_was_interrupted_is_read_whole_by_the_next_night(tmp_path: Path) -> None:
    company, lake = a_shop_folder(tmp_path / "shop"), Lake(tmp_path / "lake")
    write_files(company, a_shop())
    run_extract(company, lake, DAY)
    lake.path(EXTRACTIONS, day=DAY).unlink()
    first = next(iter(lake.stored_versions(RAW_ORDER_LINES).values()))
    rows = lake.read(RAW_ORDER_LINES, day=first.version.day, known_on=first.version.known_on)
    lake.delete(first.file.address)
    lake.write(RAW_ORDER_LINES, rows.to_batches(), day=first.version.day, known_on=first.version.known_on, manifest=first.facts)
    run_extract(company, lake, NEXT_DAY)
    assert [version.day.day for version in lake.versions(RAW_ORDER_LINES)] == list(range(1, 12))


@pytest.mark.parametrize("later", [(), (NEXT_DAY,)], ids=["the newest night", "an older night"])
def test_a_second_reading_that_was_interrupted_is_begun_again_without_being_asked_for(tmp_path: Path, later: tuple[date, ...]) -> None:
    company, lake = a_shop_folder(tmp_path / "shop"), Lake(tmp_path / "lake")
    write_files(company, a_shop())
    for day in (DAY, *later):
        run_extract(company, lake, day)
    write_files(company, Shop([a_customer(n) for n in range(6)], a_shop(44).lines))
    whole = Lake(shutil.copytree(lake.root, tmp_path / "whole"))
    run_extract(company, whole, DAY, since=date(2024, 3, 1))

    def die() -> None:
        raise InterruptedError

    with when_logged("raw_customers: 1 partitions changed", die), pytest.raises(TransientError):
        run_extract(company, lake, DAY, since=date(2024, 3, 1))
    assert tree_bytes(lake, "tables") != tree_bytes(whole, "tables")
    run_extract(company, lake, DAY)
    assert tree_bytes(lake, "tables") == tree_bytes(whole, "tables")


# Disks and files


def test_a_full_disk_may_be_tried_again_and_leaves_nothing(tmp_path: Path) -> None:
    company, lake = a_shop_folder(tmp_path / "shop"), Lake(tmp_path / "lake")
    write_files(company, a_shop(20_000))
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    for size in (0, 1_000, 20_000, 60_000):
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, limits[1]))
        try:
            with pytest.raises(TransientError):
                run_extract(company, lake, DAY)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        assert lake.nights(EXTRACTIONS) == []
        assert tree_bytes(lake, "staging") == {}
    run_extract(company, lake, DAY)
    assert len(order_ids(lake, DAY, DAY)) == 1818


def test_a_torn_partition_is_written_again_when_its_night_is_read_again(tmp_path: Path) -> None:
    company, lake = a_shop_folder(tmp_path / "shop"), Lake(tmp_path / "lake")
    write_files(company, a_shop())
    run_extract(company, lake, DAY)
    raw = ("tables/raw_order_lines", "tables/raw_customers")
    before = tree_bytes(lake, *raw)
    path = lake.path(RAW_ORDER_LINES, day=DAY, known_on=DAY)
    for size in TORN_SIZES:
        path.write_bytes(path.read_bytes()[:size])
        run_extract(company, lake, DAY, reread=True)
        assert tree_bytes(lake, *raw) == before, size


def test_a_torn_mark_makes_its_night_read_again_and_stops_no_other(tmp_path: Path) -> None:
    company, lake = a_shop_folder(tmp_path / "shop"), Lake(tmp_path / "lake")
    write_files(company, a_shop())
    for day in (DAY, NEXT_DAY):
        run_extract(company, lake, day)
    before = tree_bytes(lake, "tables")
    mark = lake.path(EXTRACTIONS, day=DAY)
    for size in TORN_SIZES:
        mark.write_bytes(mark.read_bytes()[:size])
        run_extract(company, lake, NEXT_DAY, reread=True)
        run_extract(company, lake, DAY)
        assert tree_bytes(lake, "tables") == before, size


@pytest.mark.parametrize("size", TORN_SIZES)
def test_a_torn_source_file_is_named(tmp_path: Path, size: int) -> None:
    company, lake = a_shop_folder(tmp_path / "shop"), Lake(tmp_path / "lake")
    write_files(company, a_shop())
    path = company.folder / "data" / "lines.parquet"
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(DataError) as refused:
        run_extract(company, lake, DAY)
    assert refused.value.where == str(path)
    assert tree_bytes(lake, "tables", "staging") == {}


def test_a_file_replaced_while_it_is_read_may_be_tried_again(tmp_path: Path) -> None:
    company, lake = a_shop_folder(tmp_path / "shop"), Lake(tmp_path / "lake")
    write_files(company, a_shop())

    def replace_customers() -> None:
        pq.write_table(pa.Table.from_pylist([a_customer(9)], CUSTOMERS), company.folder / "data" / "customers.parquet")

    with when_logged("raw_customers: 5 rows read", replace_customers), pytest.raises(TransientError, match="a file changed"):
        run_extract(company, lake, DAY)
    assert tree_bytes(lake, "tables", "staging") == {}


def test_what_a_killed_night_left_in_staging_is_gone_after_the_next(tmp_path: Path) -> None:
    company, lake = a_shop_folder(tmp_path / "shop"), Lake(tmp_path / "lake")
    write_files(company, a_shop())
    left = lake.root / "staging" / "extract" / "spill" / "half.tmp"
    left.parent.mkdir(parents=True)
    left.write_bytes(b"x")
    run_extract(company, lake, DAY)
    assert tree_bytes(lake, "staging") == {}


@pytest.mark.parametrize("address", ["mysql://writer:s3cret@host/crm", "postgresql://writer:s3cret@host:port/crm?sslmode", "s3cret"])
def test_an_address_of_the_publish_target_that_cannot_be_one_is_found_before_anything_is_read(
    tmp_path: Path, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop = write_shop(tmp_path / "shop", [], customers=[], settings='[publish]\nkind = "postgresql"\nconnection = "crm"\n')
    lake = Lake(tmp_path / "lake")
    monkeypatch.setenv("SEGMENTS_CONNECTION_CRM", address)
    with pytest.raises(ConfigError, match="the address of the publish target cannot be read") as refused:
        run_night(shop, lake, DAY)
    assert refused.value.where == "connection `crm`"
    assert "s3cret" not in str(refused.value)
    assert tree_bytes(lake, "tables") == {}


def test_a_missing_query_stops_the_night_before_anything_is_read(tmp_path: Path) -> None:
    company: Company = a_shop_folder(tmp_path / "shop")
    lake = Lake(tmp_path / "lake")
    company.source_file("customers").write_text("")
    with pytest.raises(ConfigError, match="it is empty"):
        run_extract(company, lake, DAY)

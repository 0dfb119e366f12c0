"""Files that another run replaces, compacts or removes between being found and being read: no row of another version comes in."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import date
from typing import Any

import pytest
from sqlglot import exp
from support.builders import an_order_line, write_order_lines

from pipeline.errors import DataError
from pipeline.lake.compaction import compact_months
from pipeline.lake.engines.duckdb import DuckDBEngine
from pipeline.lake.lake import Lake, Version
from pipeline.lake.tables import ORDER_LINES

MARCH = [date(2024, 3, day) for day in range(1, 6)]
APRIL = [date(2024, 4, day) for day in range(1, 6)]
KNOWN, LATER = date(2024, 4, 5), date(2024, 4, 9)
CHOSEN = [Version(day, KNOWN) for day in (MARCH[1], MARCH[3], APRIL[1], APRIL[3])]
EXPECTED = [(version.day, KNOWN, f"{version.day:%m-%d}") for version in CHOSEN]
LAST = date(2024, 5, 1)


def lines(*days: date) -> list[dict[str, Any]]:
    return [an_order_line(1, day=day, order_id=f"{day:%m-%d}", customer_id="a") for day in days]


def recover(lake: Lake) -> None:
    """Let the night add days that it had left out, before and between those that are chosen."""
    write_order_lines(lake, lines(*MARCH[::2], *APRIL[::2]), known_on=KNOWN)


def compact(lake: Lake) -> None:
    compact_months(lake, [ORDER_LINES], before=LAST)


def recover_and_compact(lake: Lake) -> None:
    recover(lake)
    write_order_lines(lake, lines(*MARCH, *APRIL), known_on=LATER)
    compact(lake)


CHANGES: list[Callable[[Lake], None]] = [recover, compact, recover_and_compact]
changes = pytest.mark.parametrize("change", CHANGES, ids=[change.__name__ for change in CHANGES])


@pytest.fixture
def known(lake: Lake) -> Lake:
    """Return a lake in which each file holds the chosen versions and no others, so that no condition on rows is needed."""
    write_order_lines(lake, lines(*(version.day for version in CHOSEN)), known_on=KNOWN)
    write_order_lines(lake, lines(MARCH[4], APRIL[4]), known_on=LATER)
    return lake


@pytest.fixture
def engine(known: Lake) -> Iterator[DuckDBEngine]:
    with closing(DuckDBEngine(known.store, memory_limit="1GB")) as opened:
        yield opened


def visible(engine: DuckDBEngine) -> list[tuple[date, date, str]]:
    query = exp.select("event_day", "known_on", "order_id").from_(ORDER_LINES.name).order_by("event_day", "known_on", "order_id")
    return [tuple(row.values()) for row in engine.run(query, {}).read_all().to_pylist()]


@changes
def test_what_is_registered_is_what_was_chosen_though_files_changed_before(
    known: Lake, engine: DuckDBEngine, change: Callable[[Lake], None]
) -> None:
    chosen = known.parts(ORDER_LINES, CHOSEN)
    change(known)
    engine.register(ORDER_LINES, chosen)
    assert visible(engine) == EXPECTED


@changes
def test_what_is_registered_stays_though_files_change_before_it_is_read(
    known: Lake, engine: DuckDBEngine, change: Callable[[Lake], None]
) -> None:
    engine.register(ORDER_LINES, known.parts(ORDER_LINES, CHOSEN))
    change(known)
    assert visible(engine) == EXPECTED


@changes
@pytest.mark.parametrize("piece", range(len(CHOSEN)))
def test_rows_are_those_of_their_versions_though_files_change_between_them(known: Lake, piece: int, change: Callable[[Lake], None]) -> None:
    found = []
    for number, (version, rows) in enumerate(known.rows(ORDER_LINES, CHOSEN)):
        assert {*rows["event_day"].to_pylist()} == {version.day}
        found += [(version.day, version.known_on, name) for name in rows["order_id"].to_pylist()]
        if number == piece:
            change(known)
    assert found == EXPECTED


@changes
def test_rows_are_those_of_their_versions_though_files_changed_before_the_first(known: Lake, change: Callable[[Lake], None]) -> None:
    rows = known.rows(ORDER_LINES, CHOSEN)
    change(known)
    assert [(version.day, version.known_on, each["order_id"].to_pylist()) for version, each in rows] == [
        (*key, [name]) for *key, name in EXPECTED
    ]


def test_a_file_replaced_in_an_engine_that_read_the_one_before_is_verified_too(known: Lake, engine: DuckDBEngine) -> None:
    engine.register(ORDER_LINES, known.parts(ORDER_LINES, CHOSEN))
    recover(known)
    path = known.path(ORDER_LINES, day=MARCH[1], known_on=KNOWN)
    content = bytearray(path.read_bytes())
    content[40] ^= 1
    path.write_bytes(content)
    with pytest.raises(DataError) as damaged:
        engine.register(ORDER_LINES, known.parts(ORDER_LINES, CHOSEN))
    assert damaged.value.where == str(path), "the file in the lake is named, not a private one"


def test_a_version_that_is_gone_by_the_time_it_is_registered_is_missed(known: Lake, engine: DuckDBEngine) -> None:
    chosen = known.parts(ORDER_LINES, CHOSEN)
    known.path(ORDER_LINES, day=MARCH[1], known_on=KNOWN).unlink()
    with pytest.raises(DataError, match="order_lines has no such partition"):
        engine.register(ORDER_LINES, chosen)
    with pytest.raises(DataError, match="order_lines has no such partition"):
        list(known.rows(ORDER_LINES, CHOSEN))


def test_nothing_private_stays_of_what_was_registered(known: Lake) -> None:
    with closing(DuckDBEngine(known.store)) as opened:
        opened.register(ORDER_LINES, known.parts(ORDER_LINES, CHOSEN))
        assert list((known.root / "staging").rglob("*.parquet"))
    assert not list((known.root / "staging").iterdir())

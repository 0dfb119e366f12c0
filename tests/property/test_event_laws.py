"""Whatever a company declares and its source gives: each event is stored or set aside, in whatever order it came, until it is erased."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from math import isfinite
from pathlib import Path
from random import Random
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.events import rows_known
from support.extractions import BERLIN, Shop, a_customer, a_shop_folder, run_extract, write_files, write_query
from support.nights import tree_bytes
from support.traces import traces

from pipeline.definitions.company import Company
from pipeline.ingestion.validate import validate_sources
from pipeline.lake.lake import Lake
from pipeline.lake.tables import REJECTED_ROWS, Column, EventType, Kind
from pipeline.operations.deployment import Deployment
from pipeline.operations.erasure.erase import erase_customers

NIGHT, FIRST_DAY = date(2024, 3, 31), date(2024, 3, 1)
ERASED = "canary-7f3a"
VALUES: Mapping[Kind, st.SearchStrategy[Any]] = {
    Kind.TEXT: st.sampled_from(["a", "b", " ", "ı", "a\0"]),
    Kind.INTEGER: st.integers(-2, 2) | st.integers(-(2**63), 2**63 - 1),
    Kind.NUMBER: st.floats(),
    Kind.MONEY: st.decimals(-(10**11), 10**11, places=4),
    Kind.FLAG: st.booleans(),
    Kind.DATE: st.dates(date(1, 1, 2), date(9999, 12, 30)),
}
KEYS = (Kind.TEXT, Kind.INTEGER, Kind.DATE, Kind.FLAG)
INSTANTS = st.none() | st.integers(-40 * 24, 30).map(lambda hours: datetime(2024, 3, 31, tzinfo=UTC) + timedelta(hours=hours))


@st.composite
def declarations(draw: st.DrawFn) -> EventType:
    """Draw an event with columns of any kinds and a key of some of them, or of the customer and the instant."""
    kinds = draw(st.lists(st.sampled_from(list(VALUES)), max_size=4))
    names = {f"c{place}": kind for place, kind in enumerate(kinds)}
    keys = [*(name for name, kind in names.items() if kind in KEYS), "customer_id", "happened_at"]
    key = draw(st.lists(st.sampled_from(keys), min_size=1, max_size=3, unique=True))
    columns = tuple(Column(name, kind, "", required=name in key or draw(st.booleans())) for name, kind in names.items())
    return EventType("happenings", "Happenings", "", tuple(key), Column("happened_at", Kind.INSTANT, "", required=True), columns)


def rows_of(event: EventType) -> st.SearchStrategy[list[dict[str, Any]]]:
    values = {column.name: st.none() | VALUES[column.kind] for column in event.columns}
    row = st.fixed_dictionaries(
        {"customer_id": st.sampled_from([ERASED, "ann", "bob", "bob ", "", None]), "happened_at": INSTANTS, **values}
    )
    return st.lists(row, max_size=24).flatmap(
        lambda rows: st.just(rows) if not rows else st.lists(st.sampled_from(rows), max_size=4).map(rows.__add__)
    )


cases = declarations().flatmap(lambda event: st.tuples(st.just(event), rows_of(event), st.randoms(use_true_random=False)))
examples = settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def a_company(folder: Path, event: EventType, rows: list[dict[str, Any]]) -> Company:
    company = a_shop_folder(folder, first_day=FIRST_DAY, declared_events=(event,), rejected_share_limit=1.0, attributes=())
    write_files(company, Shop([a_customer("1", id=name) for name in (ERASED, "ann", "bob")], []))
    write_query(folder, "happenings", "SELECT * FROM happenings")
    write_query(folder, "customers", "SELECT id AS customer_id FROM customers")
    pq.write_table(pa.Table.from_pylist(rows, event.raw_table.schema), folder / "data" / "happenings.parquet")
    return company


def read(company: Company, root: Path, *, batch_rows: int = 1000) -> Lake:
    lake = Lake(root)
    run_extract(company, lake, NIGHT)
    validate_sources(company, lake, NIGHT, batch_rows=batch_rows)
    return lake


def accepted(event: EventType, rows: list[dict[str, Any]]) -> Counter[tuple[Any, ...]]:
    """Return the rows that must be stored, worked out row by row: an oracle beside the rules that follow from the declaration."""
    names = event.table.column_names
    distinct = {tuple(map(_told, (row[name] for name in names))): row for row in rows}.values()
    keys = Counter(_key(event, row) for row in distinct if all(_is_given(row[name]) for name in event.key) and row["happened_at"])
    kept = (row for row in distinct if _is_sound(event, row) and keys[_key(event, row)] == 1)
    return Counter(tuple(map(_told, (_clean(event, name, row[name]) for name in names))) for row in kept)


def _is_sound(event: EventType, row: Mapping[str, Any]) -> bool:
    required = [column.name for column in event.table.columns if column.required]
    at = row["happened_at"]
    return (
        all(_is_given(row[name]) if name in event.key or name == "customer_id" else row[name] is not None for name in required)
        and row["customer_id"] == row["customer_id"].strip()
        and not any(isinstance(value, str) and "\0" in value for value in row.values())
        and not any(isinstance(value, float) and not isfinite(value) for value in row.values())
        and FIRST_DAY <= at.astimezone(BERLIN).date() <= NIGHT
    )


def _key(event: EventType, row: Mapping[str, Any]) -> tuple[Any, ...]:
    day = row["happened_at"].astimezone(BERLIN).date() if row["happened_at"] else date.min
    return (day, *(row[name] for name in event.key))


def _is_given(value: Any) -> bool:
    return value is not None and (not isinstance(value, str) or bool(value.strip()))


def _clean(event: EventType, name: str, value: Any) -> Any:
    """Blank texts outside of the key are unknown."""
    return None if isinstance(value, str) and not value.strip() and name not in event.key else value


def _told(value: Any) -> Any:
    return repr(value) if isinstance(value, float) else value.quantize(Decimal("0.0001")) if isinstance(value, Decimal) else value


@examples
@given(cases)
def test_an_event_is_stored_where_no_rule_is_broken_and_else_set_aside_whatever_the_order(
    case: tuple[EventType, list[dict[str, Any]], Random],
) -> None:
    event, rows, chance = case
    with tempfile.TemporaryDirectory() as folder:
        lake = read(a_company(Path(folder) / "shop", event, rows), Path(folder) / "lake")
        stored = rows_known(lake, event.table)
        assert Counter(tuple(map(_told, (row[name] for name in event.table.column_names))) for row in stored) == accepted(event, rows)
        rejected = [row for row in lake.read(REJECTED_ROWS, day=NIGHT).to_pylist() if row["source_table"] == "raw_happenings"]
        assert len(stored) + len(rejected) == sum(
            row["happened_at"] is None or row["happened_at"].astimezone(BERLIN).date() <= NIGHT for row in rows
        )
        assert all(row["event_day"] == row["happened_at"].astimezone(BERLIN).date() for row in stored)
        shuffled = chance.sample(rows, len(rows))
        other = read(a_company(Path(folder) / "other shop", event, shuffled), Path(folder) / "other lake", batch_rows=2)
        assert tree_bytes(other, "tables/happenings", "tables/raw_happenings") == tree_bytes(
            lake, "tables/happenings", "tables/raw_happenings"
        )


@examples
@given(cases)
def test_erasure_leaves_nothing_of_a_customer_and_all_of_the_others(case: tuple[EventType, list[dict[str, Any]], Random]) -> None:
    event, rows, _ = case
    with tempfile.TemporaryDirectory() as folder:
        company = a_company(Path(folder) / "shop", event, rows)
        lake = read(company, Path(folder) / "lake")
        before = rows_known(lake, event.table)
        erase_customers(Deployment(company, lake), [ERASED])
        assert rows_known(lake, event.table) == [row for row in before if row["customer_id"] != ERASED]
        assert traces(lake, ERASED) == set()
        run_extract(company, lake, NIGHT, reread=True)
        validate_sources(company, lake, NIGHT)
        assert traces(lake, ERASED) == set()

"""Versions: staged rows become raw partitions where they differ from what the night knew before.

Each event day is stored once per night that learned something new of it, and no version is ever overwritten by a later night.
So a rerun of an old night sees what it saw then, and the newest version of each day is what is known today.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date
from functools import lru_cache
from pathlib import Path
from typing import Any

import pyarrow as pa
from sqlglot import exp, parse_one

from pipeline.calendar import days_between
from pipeline.errors import DataError, TransientError
from pipeline.ingestion.infinite_amounts import LARGEST_AMOUNT, STAND_INS
from pipeline.ingestion.local_days import event_day_expression
from pipeline.lake import addresses
from pipeline.lake.engines import Parameter
from pipeline.lake.engines.duckdb import DuckDBEngine
from pipeline.lake.event_days import EventDays, month_of
from pipeline.lake.lake import Lake, Version, known_versions
from pipeline.lake.tables import EVENT_DAY, KNOWN_ON, RAW_PREFIX, VERSION_COLUMNS, Column, Kind, Partition, Table

ROWS_DIGEST = "rows_digest"
NET_AMOUNT = "net_amount"
_DAY = "segments_day"
_NIGHT = parse_one("CAST($day AS DATE)", read="duckdb")
# Lengths keep neighbours apart: ('ab', 'c') is not ('a', 'bc'), and NULL is no text.
_WORDS = " ".join(f"WHEN {amount} THEN '{word}'" for word, amount in STAND_INS.items())
# As sources write them, whose sums of a day are compared with ours: a double with 17 digits, which tell it from all others.
_NUMBER_TEXT = parse_one("FORMAT('{:.16e}', value)", read="duckdb")
_AMOUNT_TEXT = parse_one(
    f"CASE WHEN value BETWEEN -{LARGEST_AMOUNT} AND {LARGEST_AMOUNT} THEN CAST(value AS TEXT) ELSE CASE value {_WORDS} END END",
    read="duckdb",
)
_VALUE = parse_one("COALESCE(CAST(LENGTH(CAST(value AS TEXT)) AS TEXT) || ':' || CAST(value AS TEXT), '-')", read="duckdb")


@dataclass(frozen=True, slots=True)
class ReadingNight:
    """The night that writes, and the time zone in which it cuts instants into days.

    `first` is the first event day that must exist afterwards, even if no row came; None means the first that has rows,
    from `opening` on. Where the source `appends`, a day of which it gives nothing stays as it is known.
    """

    day: date
    first: date | None
    opening: date
    zone: str
    appends: bool = False


@dataclass(frozen=True, slots=True)
class PartitionContents:
    """What one partition is to hold: the number of its rows, a digest that does not depend on their order, their net amount."""

    row_count: int
    digest: str
    net_amount: str

    def facts(self, table: Table) -> dict[str, str]:
        """Return what the manifest of the partition says of its rows."""
        return {ROWS_DIGEST: self.digest} | ({NET_AMOUNT: self.net_amount} if table.kind_of(NET_AMOUNT) is Kind.MONEY else {})


def store_versions(lake: Lake, engine: DuckDBEngine, table: Table, rows: Path, night: ReadingNight) -> int:
    """Write each partition of the Parquet file `rows` that differs from the version that `night` knows.

    Return how many partitions are the night's own afterwards. The file has the table's columns; its rows come in any order, and
    keys may repeat. Partitions are sorted by the key and then by every other column, so that the same rows give the same bytes.
    """
    engine.register(replace(table, partition=Partition.NIGHT), [rows])
    found = _found_contents(engine, table, _night_parameters(night))
    if table.partition is Partition.EVENT_DAY:
        return _store_event_days(lake, engine, table, night, found)
    return _store_snapshot(lake, engine, table, night, found)


def _store_event_days(lake: Lake, engine: DuckDBEngine, table: Table, night: ReadingNight, found: Mapping[date, PartitionContents]) -> int:
    footers = lake.event_days(table)
    stored_days = {version.day for version in footers.versions}
    expected = set(_expected_days(night, stored_days, found))
    read = found.keys() | (expected - stored_days if night.appends else expected)
    months = {month_of(day) for day in read}
    # A damaged file of these months counts as missing, so its days are written anew.
    stored = lake.event_days(table, verified={each.file for each in footers.versions.values() if each.file.month in months})
    contents = dict.fromkeys(read, _empty_contents(table)) | dict(found)
    known = {version.day: version for version in known_versions(stored.versions, through=night.day, known_on=night.day)}
    digests = {day: stored.versions[version].facts.get(ROWS_DIGEST) for day, version in known.items()}
    settled = _settled_days(lake, table, night, stored)
    changed = [day for day in sorted(read) if contents[day].digest != digests.get(day) and day not in settled]
    facts = {Version(day, night.day): contents[day].facts(table) for day in changed}
    if changed:
        rows = _translate_spill_errors(engine.run(_sorted_rows_statement(table, changed, all_days=found), _night_parameters(night)))
        lake.write_event_days(table, rows, facts)
    # The night's own damaged files of other months: of their days nothing had to be written, so all is known without them.
    written = {month_of(day) for day in changed}
    for file in stored.damaged:
        if file.known_on == night.day and file.month not in written:
            lake.discard_damaged_file(table, file)
    return sum(version.known_on == night.day for version in lake.event_days(table).versions)


def _store_snapshot(lake: Lake, engine: DuckDBEngine, table: Table, night: ReadingNight, found: Mapping[date, PartitionContents]) -> int:
    contents = found.get(night.day, _empty_contents(table))
    known = lake.snapshot_known(table, night.day)
    is_settled = known is not None and known > night.day
    is_known = known is not None and stored_facts(lake, addresses.partition(table, known_on=known)).get(ROWS_DIGEST, "") == contents.digest
    if not (is_settled or is_known):
        rows = _translate_spill_errors(engine.run(_sorted_rows_statement(table, [night.day], all_days=found), _night_parameters(night)))
        lake.write(table, rows, known_on=night.day, manifest=contents.facts(table))
    # Not what was written just now: a retry must count as an undisturbed run would.
    return int(lake.snapshot_known(table, night.day) == night.day)


def _translate_spill_errors(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Yield `batches`; a sort spills while it is read, so that a full disk shows only here, as TransientError."""
    try:
        yield from batches
    except OSError as error:
        what = str(error).partition(":")[0]
        raise TransientError(f"the rows could not be sorted: {what}", todo="Free disk or raise the memory limit, then run again.") from None


def facts_of_rows(engine: DuckDBEngine, table: Table, rows: Path) -> dict[str, str]:
    """Return what the manifest of a raw snapshot must say of the rows in the Parquet file `rows`."""
    whole = replace(table, partition=Partition.SNAPSHOT)
    engine.register(whole, [rows])
    [contents] = _found_contents(engine, whole, {"day": date.min}).values() or [_empty_contents(whole)]
    return contents.facts(whole)


def facts_of_versions(engine: DuckDBEngine, table: Table, rows: Path, versions: Iterable[Version]) -> dict[Version, dict[str, str]]:
    """Return what manifests must say of the raw event days in the Parquet file `rows`, whose rows have their days and nights."""
    engine.register(table, [rows])
    facts = {version: _empty_contents(table).facts(table) for version in versions}
    query = _contents_by_version(table)
    for row in engine.run(query, {}).read_all().to_pylist():
        facts[Version(row[EVENT_DAY.name], row[KNOWN_ON.name])] = _contents_of(table, row).facts(table)
    return facts


def _found_contents(engine: DuckDBEngine, table: Table, parameters: Mapping[str, Parameter]) -> dict[date, PartitionContents]:
    return {row[_DAY]: _contents_of(table, row) for row in engine.run(_contents_by_day(table), parameters).read_all().to_pylist()}


def _contents_of(table: Table, row: Mapping[str, Any]) -> PartitionContents:
    return PartitionContents(row["row_count"], rows_digest(table, row["row_count"], row["row_sum"]), row[NET_AMOUNT])


def _empty_contents(table: Table) -> PartitionContents:
    return PartitionContents(0, rows_digest(table, 0, "0"), "0")


def _expected_days(night: ReadingNight, stored: Iterable[date], found: Iterable[date]) -> Iterator[date]:
    """Return the days that must exist even if empty: those that were read, but none before the first that ever had a row."""
    opening = min((day for day in (*stored, *found) if day >= night.opening), default=night.day)
    return days_between(max(night.first or opening, opening), night.day)


def _settled_days(lake: Lake, table: Table, night: ReadingNight, stored: EventDays) -> set[date]:
    """Return the days that only later nights know: what is read of them now was not known on `night`, so nothing is stored."""
    listed = {*stored.versions, *(version for versions in stored.damaged.values() for version in versions)}
    own = {version.day for version in (listed | _lost_versions(lake, table, stored)) if version.known_on == night.day}
    return {version.day for version in listed if version.known_on > night.day} - own


def _lost_versions(lake: Lake, table: Table, stored: EventDays) -> set[Version]:
    """Return the versions that may lie in files with unreadable footers, as the clean rows made of them still list them."""
    if all(stored.damaged.values()):
        return set()
    clean = lake.event_days(replace(table, name=table.name.removeprefix(RAW_PREFIX))).versions
    return {version for version in clean if stored.may_hold(version)}


def rows_digest(table: Table, row_count: int, row_sum: str) -> str:
    """Return the digest of rows of `table`, given their number and the sum of the hashes of each."""
    columns = ",".join(f"{column.name} {column.kind.name}" for column in table.columns)
    return hashlib.sha256(f"{columns}|{row_count}|{row_sum}".encode()).hexdigest()


def stored_facts(lake: Lake, address: str) -> dict[str, Any]:
    """Return the manifest of the partition at `address`; empty for an unreadable one, so that it differs from everything."""
    try:
        return lake.manifest(address)
    except DataError:
        return {}


def _night_parameters(night: ReadingNight) -> dict[str, Parameter]:
    return {"day": night.day, "zone": night.zone}


def _day_expression(table: Table) -> exp.Expr:
    return event_day_expression(table) if table.partition is Partition.EVENT_DAY else _NIGHT.copy()


# A source has the same tables every night, and every batch of a night.
@lru_cache
def _contents_by_version(table: Table) -> exp.Query:
    return _contents_statement(table, {column.name: exp.column(column.name) for column in VERSION_COLUMNS})


@lru_cache
def _contents_by_day(table: Table) -> exp.Query:
    return _contents_statement(table, {_DAY: _day_expression(table)})


def _contents_statement(table: Table, keys: Mapping[str, exp.Expr]) -> exp.Query:
    """Return the statement for the contents of each partition, which `keys` identify: a sum of row digests depends on no order."""
    row = exp.func("concat", *(_value_text(column) for column in table.columns), dialect="duckdb")
    amount = exp.column(NET_AMOUNT) if table.kind_of(NET_AMOUNT) is Kind.MONEY else exp.null()
    partitions = [exp.alias_(key, name) for name, key in keys.items()]
    rows = exp.select(*partitions, exp.alias_(row, "row_text"), exp.alias_(amount, NET_AMOUNT)).from_(table.name)
    sums = parse_one(
        """SELECT COUNT(*) AS row_count, CAST(SUM(md5_number_lower(row_text)) AS TEXT) AS row_sum,
          CAST(COALESCE(SUM(net_amount), 0) AS TEXT) AS net_amount
        FROM staged""",
        into=exp.Select,
        read="duckdb",
    )
    return sums.select(*keys).group_by(*keys).with_("staged", as_=rows)


def _value_text(column: Column) -> exp.Expr:
    value: exp.Expr = exp.column(column.name, quoted=True)
    written = {Kind.MONEY: _AMOUNT_TEXT, Kind.NUMBER: _NUMBER_TEXT}.get(column.kind)
    if written is not None:
        value = written.transform(lambda node: value.copy() if isinstance(node, exp.Column) else node)
    return _VALUE.transform(lambda node: value.copy() if isinstance(node, exp.Column) else node)


def _sorted_rows_statement(table: Table, days: Collection[date], *, all_days: Collection[date]) -> exp.Query:
    """Return the statement for the sorted rows of `days`; where these are `all_days`, nothing is filtered."""
    columns: list[exp.Expr] = [exp.column(name, quoted=True) for name in table.column_names]
    order = [_DAY, *table.key, *(name for name in table.column_names if name not in table.key)]
    staged = exp.select(*columns, exp.alias_(_day_expression(table), _DAY)).from_(table.name)
    if table.partition is Partition.EVENT_DAY:
        columns = [exp.alias_(exp.column(_DAY), EVENT_DAY.name), exp.alias_(_NIGHT.copy(), KNOWN_ON.name), *columns]
    rows = exp.select(*columns).from_("staged").order_by(*(exp.column(name, quoted=True) for name in order))
    if not {*all_days} <= {*days}:
        rows = rows.where(exp.column(_DAY).isin(*(exp.cast(exp.Literal.string(day.isoformat()), "DATE") for day in days)))
    return rows.with_("staged", as_=staged)

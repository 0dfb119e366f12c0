"""Versions: staged rows become raw partitions where they differ from what the night knew before."""

from __future__ import annotations

import hashlib
from collections.abc import Container, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow as pa
from sqlglot import exp, parse_one

from pipeline.calendar import days_between
from pipeline.errors import DataError, TransientError
from pipeline.lake.engines import Parameter
from pipeline.lake.engines.duckdb import DuckDBEngine, open_engine
from pipeline.lake.lake import Lake
from pipeline.lake.tables import Partition, Table

DIGEST = "rows_digest"
NET_AMOUNT = "net_amount"
_DAY = "segments_day"
# A row without an instant waits on the first day there is, the same one every night; a zone west of Greenwich
# puts the year 1 into the year 0, which no date can hold.
_EVENT_DAY = parse_one(
    "COALESCE(GREATEST(CAST(happened_at AT TIME ZONE $zone AS DATE), CAST('0001-01-01' AS DATE)), CAST('0001-01-01' AS DATE))",
    read="duckdb",
)
_NIGHT = parse_one("CAST($day AS DATE)", read="duckdb")
# Lengths keep neighbours apart: ('ab', 'c') is not ('a', 'bc'), and NULL is no text.
_VALUE = parse_one("COALESCE(CAST(LENGTH(CAST(value AS TEXT)) AS TEXT) || ':' || CAST(value AS TEXT), '-')", read="duckdb")


@dataclass(frozen=True, slots=True)
class Night:
    """The night that writes, and how it cuts instants into days.

    `first` is the first event day that must exist afterwards even if no row came; None leaves that to the rows,
    from `opening` on.
    """

    day: date
    first: date | None
    opening: date
    zone: str


@dataclass(frozen=True, slots=True)
class Contents:
    """How many rows one partition is to hold, a digest of them that does not depend on their order, and their net amount."""

    row_count: int
    digest: str
    net_amount: str

    def facts(self, table: Table) -> dict[str, str]:
        """Return what the manifest of the partition says of its rows."""
        return {DIGEST: self.digest} | ({NET_AMOUNT: self.net_amount} if NET_AMOUNT in table.column_names else {})


def store_versions(lake: Lake, table: Table, rows: Path, night: Night, *, memory_limit: str) -> int:
    """Write each partition of the Parquet file `rows` that differs from the version `night` knows; return how many are its own.

    The file has the table's columns, in any order of rows, with any number of rows per key; a partition is
    sorted by the key and then by every other column.
    """
    with closing(open_engine(lake, memory_limit=memory_limit)) as engine:
        engine.register(replace(table, partition=Partition.NIGHT), [rows])
        contents = _contents(lake, engine, table, night)
        known = _known_digests(lake, table, night, contents)
        settled = _settled_days(lake, table, night)
        changed = {day: each for day, each in sorted(contents.items()) if each.digest != known.get(day) and day not in settled}
        if changed:
            sorted_rows = _Rows(engine.run(_sorted_rows(table, list(changed)), _parameters(night)))
            _write(lake, table, sorted_rows, changed, night)
    return _own_count(lake, table, night)


def _write(lake: Lake, table: Table, sorted_rows: _Rows, changed: Mapping[date, Contents], night: Night) -> None:
    for day, contents in changed.items():
        event_day = day if table.partition is Partition.EVENT_DAY else None
        rows = sorted_rows.take(contents.row_count)
        lake.write(table, rows, day=event_day, known=night.day, manifest=contents.facts(table))


def _own_count(lake: Lake, table: Table, night: Night) -> int:
    """Return how many versions the night wrote, be it in several attempts: a retry counts what an undisturbed run would."""
    if table.partition is Partition.EVENT_DAY:
        return sum(version.known == night.day for version in lake.versions(table))
    return int(lake.snapshot_known(table, night.day) == night.day)


class _Rows:
    """A sorted stream, taken in runs whose lengths are known beforehand; never more than one batch in memory."""

    def __init__(self, batches: Iterator[pa.RecordBatch]) -> None:
        self._batches = batches
        self._rest = pa.RecordBatch.from_pylist([], pa.schema([]))

    def take(self, count: int) -> Iterator[pa.RecordBatch]:
        while count:
            if not self._rest.num_rows:
                self._rest = self._next()
            piece, self._rest = self._rest.slice(0, count), self._rest.slice(count)
            count -= piece.num_rows
            yield piece

    def _next(self) -> pa.RecordBatch:
        try:
            return next(self._batches)
        except OSError as error:
            what = str(error).partition(":")[0]
            raise TransientError(
                f"the rows could not be sorted: {what}", todo="Free disk or raise the memory limit, then run again."
            ) from None


def _contents(lake: Lake, engine: DuckDBEngine, table: Table, night: Night) -> dict[date, Contents]:
    """Return what each partition is to hold, the empty ones included."""
    found = _found_contents(engine, table, _parameters(night))
    return dict.fromkeys(_expected_days(lake, table, night, found), _empty_contents(table)) | found


def facts_of_rows(engine: DuckDBEngine, table: Table, rows: Path) -> dict[str, str]:
    """Return what the manifest of one raw partition says of its rows, those of the Parquet file `rows`."""
    whole = replace(table, partition=Partition.SNAPSHOT)
    engine.register(whole, [rows])
    [contents] = _found_contents(engine, whole, {"day": date.min}).values() or [_empty_contents(whole)]
    return contents.facts(whole)


def _found_contents(engine: DuckDBEngine, table: Table, parameters: Mapping[str, Parameter]) -> dict[date, Contents]:
    return {
        row[_DAY]: Contents(row["row_count"], _digest(table, row["row_count"], row["row_sum"]), row[NET_AMOUNT])
        for row in engine.run(_digests(table), parameters).read_all().to_pylist()
    }


def _empty_contents(table: Table) -> Contents:
    return Contents(0, _digest(table, 0, "0"), "0")


def _expected_days(lake: Lake, table: Table, night: Night, found: Mapping[date, Contents]) -> Iterator[date]:
    """Return the days that must exist even if empty: those read, but none before the first that ever had a row."""
    if table.partition is not Partition.EVENT_DAY:
        return iter([night.day])
    stored = [version.day for version in lake.versions(table)]
    opening = min((day for day in (*stored, *found) if day >= night.opening), default=night.day)
    return days_between(max(night.first or opening, opening), night.day)


def _settled_days(lake: Lake, table: Table, night: Night) -> set[date]:
    """Return the days that only later nights know: what is read now was not known on `night`, and must not pose as such."""
    if table.partition is Partition.EVENT_DAY:
        versions = lake.versions(table)
        own = {version.day for version in versions if version.known == night.day}
        return {version.day for version in versions if version.known > night.day} - own
    known = lake.snapshot_known(table, night.day)
    return {night.day} if known is not None and known > night.day else set()


def _known_digests(lake: Lake, table: Table, night: Night, days: Container[date]) -> dict[date, str]:
    """Return the digests known of the partitions of `days`, and of no others: a night must not cost its history."""
    if table.partition is Partition.EVENT_DAY:
        versions = lake.versions_known(table, through=night.day, known=night.day)
        paths = {version.day: lake.path(table, day=version.day, known=version.known) for version in versions if version.day in days}
    else:
        known = lake.snapshot_known(table, night.day)
        paths = {night.day: lake.path(table, known=known)} if known else {}
    return {day: str(stored_facts(lake, path).get(DIGEST, "")) for day, path in paths.items()}


def stored_facts(lake: Lake, path: Path) -> dict[str, Any]:
    """Return what the footer of the partition at `path` says, and nothing for one that cannot be read: it differs from everything."""
    try:
        return lake.manifest(path)
    except DataError:
        return {}


def _digest(table: Table, row_count: int, row_sum: str) -> str:
    columns = ",".join(f"{column.name} {column.kind.name}" for column in table.columns)
    return hashlib.sha256(f"{columns}|{row_count}|{row_sum}".encode()).hexdigest()


def _parameters(night: Night) -> dict[str, Parameter]:
    return {"day": night.day, "zone": night.zone}


def _days_of(table: Table) -> exp.Expr:
    if table.partition is not Partition.EVENT_DAY:
        return _NIGHT.copy()
    at = exp.column(table.instant)
    return _EVENT_DAY.transform(lambda node: at.copy() if isinstance(node, exp.Column) else node)


def _digests(table: Table) -> exp.Query:
    """Return the statement that counts each day's rows and adds up their digests, so that their order is no matter."""
    row = exp.func("concat", *(_value_text(name) for name in table.column_names), dialect="duckdb")
    amount = exp.column(NET_AMOUNT) if NET_AMOUNT in table.column_names else exp.null()
    rows = exp.select(exp.alias_(_days_of(table), _DAY), exp.alias_(row, "row_text"), exp.alias_(amount, NET_AMOUNT)).from_(table.name)
    return parse_one(
        """SELECT segments_day, COUNT(*) AS row_count, CAST(SUM(md5_number_lower(row_text)) AS TEXT) AS row_sum,
          CAST(COALESCE(SUM(net_amount), 0) AS TEXT) AS net_amount
        FROM staged GROUP BY segments_day""",
        into=exp.Select,
        read="duckdb",
    ).with_("staged", as_=rows)


def _value_text(name: str) -> exp.Expr:
    value = exp.column(name, quoted=True)
    return _VALUE.transform(lambda node: value.copy() if isinstance(node, exp.Column) else node)


def _sorted_rows(table: Table, days: list[date]) -> exp.Query:
    columns = [exp.column(name, quoted=True) for name in table.column_names]
    order = [_DAY, *table.key, *(name for name in table.column_names if name not in table.key)]
    staged = exp.select(*columns, exp.alias_(_days_of(table), _DAY)).from_(table.name)
    wanted = exp.column(_DAY).isin(*(exp.cast(exp.Literal.string(day.isoformat()), "DATE") for day in days))
    rows = exp.select(*columns).from_("staged").where(wanted).order_by(*(exp.column(name, quoted=True) for name in order))
    return rows.with_("staged", as_=staged)

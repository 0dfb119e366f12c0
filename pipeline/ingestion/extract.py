"""Extract: one consistent look at the source, kept as raw partitions of what differs from what was known."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path

import duckdb
import pyarrow as pa

from pipeline.calendar import BEGINNING, Window, days_window
from pipeline.definitions.company import Company
from pipeline.errors import ConfigError, TransientError
from pipeline.ingestion.erased.filter import without_erased
from pipeline.ingestion.extractions import IS_BEGUN, QUERIES, first_day, is_read, marks, queries_digest
from pipeline.ingestion.late_days import LateDay, days_to_check, late_days, late_days_table, report_late_days, source_totals
from pipeline.ingestion.sources import Snapshot, SourceQuery, authored_query
from pipeline.ingestion.sources.columns import check_columns, conformed, ignored_columns
from pipeline.ingestion.sources.files import open_files
from pipeline.ingestion.versions import Night, store_versions
from pipeline.lake.lake import Lake
from pipeline.lake.limits import MEMORY_LIMIT
from pipeline.lake.parquet import sealed_writer
from pipeline.lake.tables import EXTRACTIONS, LATE_DAYS, RAW_ORDER_LINES, SOURCE_TABLES, Partition, Table

log = logging.getLogger("pipeline.ingestion.extract")
PROGRESS_ROWS = 1_000_000


@dataclass(frozen=True, slots=True)
class Reading:
    """What one night asks of one company's source: local days `first` to `day`, or the whole history where `first` is None."""

    company: Company
    lake: Lake
    day: date
    first: date | None
    connections: Callable[[str], str]
    memory_limit: str

    @property
    def window(self) -> Window:
        window = days_window(self.first or self.day, self.day, self.company.zone)
        return window if self.first else replace(window, start=BEGINNING)


@dataclass(frozen=True, slots=True)
class Staged:
    """All rows that one query gave, in one private file."""

    table: Table
    path: Path
    row_count: int
    ignored: str


def extract(  # noqa: PLR0913
    company: Company,
    lake: Lake,
    day: date,
    *,
    connections: Callable[[str], str],
    reread: bool = False,
    since: date | None = None,
    memory_limit: str = MEMORY_LIMIT,
) -> None:
    """Read what night `day` asks of the source and write the raw partitions that differ from what was known.

    The night's EXTRACTIONS partition is written last: without it the night counts as not read, and the same
    call reads it again. A night that is already read is left alone unless `reread`, or unless it is the newest and the
    queries or declared columns are others than it was read with; it is then read over the same days. `since` reads it
    again from that local day on, now and whenever the night is read again.
    Raises TransientError, SchemaDrift, DataError or ConfigError; nothing is stored before the source was read whole.
    """
    if since and since > day:
        raise ConfigError(f"night {day} cannot be read since {since}", where="--since", todo="Choose the night itself or a day before it.")
    with lake.lock("extract"):
        nights = lake.nights(EXTRACTIONS)
        if not (reread or since) and is_read(company, lake, day, nights):
            log.info("%s is already read", day)
            return
        last_read = max((night for night in nights if night < day), default=None)
        first = first_day(company, lake, day, nights, since=since)
        log.info("reading from %s to %s", first or "the beginning", day)
        _read_and_store(Reading(company, lake, day, first, connections, memory_limit), last_read)


def _read_and_store(reading: Reading, last_read: date | None) -> None:
    with _staging(reading.lake) as staging:
        staged, late = _read_source(reading, staging)
        _report_ignored(reading.lake, last_read, staged)
        if reading.lake.has(EXTRACTIONS, day=reading.day):
            # The old mark must not stand for what is stored from here on, nor may the days be forgotten that it is about.
            _write_mark(reading, staged, [0 for _ in staged], {IS_BEGUN: True})
        changed = [_store(reading, each) for each in staged]
    report_late_days(late)
    reading.lake.write(LATE_DAYS, late_days_table(late).to_batches(), day=reading.day)
    reading.lake.store.flush()
    _write_mark(reading, staged, changed, {QUERIES: queries_digest(reading.company)})


@contextmanager
def _staging(lake: Lake) -> Iterator[Path]:
    """Yield an empty private folder."""
    try:
        with lake.private_folder() as folder:
            yield folder
    except (OSError, duckdb.IOException, duckdb.OutOfMemoryException) as error:
        raise TransientError(
            f"the rows could not be staged: {type(error).__name__}", where=lake.where(), todo="Free space or memory, then run again."
        ) from None


def _read_source(reading: Reading, staging: Path) -> tuple[list[Staged], list[LateDay]]:
    """Stage every query of the company from one snapshot, in the order in which the tables are declared, and return its late days."""
    dialect = reading.company.source.dialect
    files = {name: reading.company.source_file(name) for name in SOURCE_TABLES}
    queries = [authored_query(name, file, dialect, reading.window) for name, file in files.items() if file.is_file()]
    with opened_source(reading, staging) as source:
        snapshot = without_erased(source, reading.lake)
        staged = [_stage(reading.company, snapshot, query, staging) for query in queries]
        return staged, _late_days(reading, snapshot, queries, by_customer=snapshot is not source)


def _late_days(reading: Reading, snapshot: Snapshot, queries: Sequence[SourceQuery], *, by_customer: bool) -> list[LateDay]:
    span = days_to_check(reading.company, reading.first)
    if span is None:
        return []
    lines = next(query for query in queries if SOURCE_TABLES[query.name] is RAW_ORDER_LINES)
    return late_days(reading.lake, span, source_totals(snapshot, lines, span, reading.company.zone, by_customer=by_customer))


def opened_source(reading: Reading, staging: Path) -> AbstractContextManager[Snapshot]:
    """Return one moment of the company's source, to be closed; `staging` is a private folder for what it must unpack."""
    source = reading.company.source
    if source.kind == "files":
        return open_files(source, staging, memory_limit=reading.memory_limit)
    from pipeline.ingestion.sources.postgresql import open_postgresql

    return open_postgresql(source.connection, reading.connections(source.connection))


def _stage(company: Company, snapshot: Snapshot, query: SourceQuery, staging: Path) -> Staged:
    """Store the rows of one query as they come, after its columns were found right."""
    table = _declared(company, query.name)
    found = snapshot.schema(query)
    check_columns(table, found, query, company.zone)
    wanted = query.selecting([name for name in table.column_names if name in found.names], _condition(table, found))
    path = staging / f"{table.name}.parquet"
    with closing(snapshot.rows(wanted)) as batches:
        rows = _write_staged(table, (conformed(batch, table, query) for batch in batches), path)
    log.info("%s: %s rows read", table.name, f"{rows:,}")
    return Staged(table, path, rows, ignored_columns(table, found))


def _declared(company: Company, name: str) -> Table:
    """Return the table with what its query must give: customers need the company's attributes, prospects may lack them."""
    table = company.table(SOURCE_TABLES[name])
    attributes = {attribute.column.name for attribute in company.attributes} if name == "customers" else set()
    return replace(table, columns=tuple(replace(c, required=c.required or c.name in attributes) for c in table.columns))


def _condition(table: Table, found: pa.Schema) -> str:
    """Return which rows belong to the night; one without an instant is kept, for validation to name."""
    if table.partition is Partition.EVENT_DAY:
        return f'("{table.instant}" >= $day_start AND "{table.instant}" < $day_end) OR "{table.instant}" IS NULL'
    return '"created_at" < $day_end OR "created_at" IS NULL' if "created_at" in found.names else ""


def _write_staged(table: Table, batches: Iterator[pa.RecordBatch], path: Path) -> int:
    rows = 0
    with sealed_writer(path, table.schema) as writer:
        for batch in batches:
            writer.write_batch(batch)
            if rows // PROGRESS_ROWS < (rows + batch.num_rows) // PROGRESS_ROWS:
                log.info("%s: %s rows so far", table.name, f"{rows + batch.num_rows:,}")
            rows += batch.num_rows
    return rows


def _store(reading: Reading, staged: Staged) -> int:
    night = Night(reading.day, reading.first, reading.company.first_day, reading.company.zone.key)
    changed = store_versions(reading.lake, staged.table, staged.path, night, memory_limit=reading.memory_limit)
    log.info("%s: %s partitions changed", staged.table.name, f"{changed:,}")
    return changed


def _report_ignored(lake: Lake, last_read: date | None, staged: Sequence[Staged]) -> None:
    """Say which columns no table declares, unless the night before already did."""
    known = {row["source_table"]: row["ignored_columns"] for row in (marks(lake, last_read) if last_read else [])}
    for each in staged:
        if each.ignored and each.ignored != known.get(each.table.name):
            log.info("%s: columns that no table declares are ignored: %s", each.table.name, each.ignored)


def _write_mark(reading: Reading, staged: Sequence[Staged], changed: Sequence[int], manifest: Mapping[str, object]) -> None:
    reading.lake.write(EXTRACTIONS, _mark(reading, staged, changed).to_batches(), day=reading.day, manifest=manifest)


def _mark(reading: Reading, staged: Sequence[Staged], changed: Sequence[int]) -> pa.Table:
    rows = [
        {
            "source_table": each.table.name,
            "first_day": reading.first if each.table.partition is Partition.EVENT_DAY else None,
            "last_day": reading.day,
            "row_count": each.row_count,
            "changed_partition_count": count,
            "ignored_columns": each.ignored,
        }
        for each, count in zip(staged, changed, strict=True)
    ]
    return pa.Table.from_pylist(sorted(rows, key=lambda row: str(row["source_table"])), schema=EXTRACTIONS.schema)

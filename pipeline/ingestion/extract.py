"""Extract: read one consistent snapshot of the source, and store as raw partitions what differs from what was known."""

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
from pipeline.ingestion.extractions import (
    IS_BEGUN_KEY,
    QUERIES_KEY,
    extraction_rows,
    first_day_to_read,
    is_extraction_complete,
    queries_digest,
)
from pipeline.ingestion.late_days import LateDay, days_to_check, find_late_days, late_days_table, report_late_days, source_totals
from pipeline.ingestion.sources import Snapshot, SourceQuery, authored_query
from pipeline.ingestion.sources.columns import check_columns, conform_batch, ignored_columns
from pipeline.ingestion.sources.files import open_files
from pipeline.ingestion.versions import ReadingNight, store_versions
from pipeline.lake.lake import Lake
from pipeline.lake.limits import MEMORY_LIMIT
from pipeline.lake.parquet import sealed_writer
from pipeline.lake.tables import EXTRACTIONS, LATE_DAYS, RAW_ORDER_LINES, SOURCE_TABLES, Partition, Table

log = logging.getLogger("pipeline.ingestion.extract")
PROGRESS_ROWS = 1_000_000
_END_OF_CALENDAR = "CAST('9999-12-30 00:00:00+00' AS TIMESTAMP WITH TIME ZONE)"  # in the SQL of every source


@dataclass(frozen=True, slots=True)
class Extraction:
    """One night's read of one company's source: local days `first` to `day`, or the whole history where `first` is None."""

    company: Company
    lake: Lake
    day: date
    first: date | None
    connections: Callable[[str], str]
    memory_limit: str

    @property
    def window(self) -> Window:
        """The instants to ask the source for."""
        window = days_window(self.first or self.day, self.day, self.company.zone)
        return window if self.first else replace(window, start=BEGINNING)


@dataclass(frozen=True, slots=True)
class StagedTable:
    """All rows that one query gave, in one private file."""

    table: Table
    path: Path
    row_count: int
    given: tuple[str, ...]
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
    """Read the days of night `day` from the source and write the raw partitions that differ from what was known.

    The night's EXTRACTIONS partition is written last: without it the night counts as not read, and the same call reads it
    again. A night that was read is left alone, unless `reread` asks for it, or it is the newest night and the queries or
    declared columns have changed; then the same days are read again. `since` extends them back to that local day, now and
    whenever the night is read again.
    Raises TransientError, SchemaDrift, DataError or ConfigError; nothing is stored before the source was read whole.
    """
    if since and since > day:
        raise ConfigError(f"night {day} cannot be read since {since}", where="--since", todo="Choose the night itself or a day before it.")
    with lake.lock("extract"):
        nights = lake.nights(EXTRACTIONS)
        if not (reread or since) and is_extraction_complete(company, lake, day, nights):
            log.info("%s is already read", day)
            return
        last_read = max((night for night in nights if night < day), default=None)
        first = first_day_to_read(company, lake, day, nights, since=since)
        log.info("reading from %s to %s", first or "the beginning", day)
        _read_and_store(Extraction(company, lake, day, first, connections, memory_limit), last_read)


def _read_and_store(extraction: Extraction, last_read: date | None) -> None:
    with _staging_folder(extraction.lake) as staging:
        staged, late = _read_source(extraction, staging)
        _report_ignored_columns(extraction.lake, last_read, staged)
        if extraction.lake.has(EXTRACTIONS, day=extraction.day):
            # Killed from here on, the night holds rows of both reads. So its old record is replaced by one that says so but keeps
            # the days, which the next attempt reads again.
            _write_extraction(extraction, staged, [0 for _ in staged], {IS_BEGUN_KEY: True})
        night = ReadingNight(extraction.day, extraction.first, extraction.company.first_day, extraction.company.zone.key)
        changed = []
        for each in staged:
            changed.append(store_versions(extraction.lake, each.table, each.path, night, memory_limit=extraction.memory_limit))
            log.info("%s: %s partitions changed", each.table.name, f"{changed[-1]:,}")
    report_late_days(late)
    extraction.lake.write(LATE_DAYS, late_days_table(late).to_batches(), day=extraction.day)
    # The record of the night must not survive a power cut that its rows did not.
    extraction.lake.store.flush()
    _write_extraction(extraction, staged, changed, {QUERIES_KEY: queries_digest(extraction.company)})


@contextmanager
def _staging_folder(lake: Lake) -> Iterator[Path]:
    """Yield an empty private folder; raises TransientError where disk or memory run out in the block."""
    try:
        with lake.private_folder() as folder:
            yield folder
    except (OSError, duckdb.IOException, duckdb.OutOfMemoryException) as error:
        raise TransientError(
            f"the rows could not be staged: {type(error).__name__}", where=lake.where(), todo="Free space or memory, then run again."
        ) from None


def _read_source(extraction: Extraction, staging: Path) -> tuple[list[StagedTable], list[LateDay]]:
    """Stage every query of the company, in the order in which tables are declared, and find late days in the same snapshot."""
    dialect = extraction.company.source.dialect
    files = {name: extraction.company.source_file(name) for name in SOURCE_TABLES}
    queries = [authored_query(name, file, dialect, extraction.window) for name, file in files.items() if file.is_file()]
    with open_source(extraction, staging) as source:
        snapshot = without_erased(source, extraction.lake)
        staged = [_stage_query(extraction.company, snapshot, query, staging) for query in queries]
        [lines] = [(query, each.given) for query, each in zip(queries, staged, strict=True) if each.table.name == RAW_ORDER_LINES.name]
        return staged, _read_late_days(extraction, snapshot, *lines, by_customer=snapshot is not source)


def _read_late_days(
    extraction: Extraction, snapshot: Snapshot, lines: SourceQuery, given: Sequence[str], *, by_customer: bool
) -> list[LateDay]:
    span = days_to_check(extraction.company, extraction.first)
    if span is None:
        return []
    found = source_totals(snapshot, lines, given, span, extraction.company.zone, by_customer=by_customer)
    return find_late_days(extraction.lake, span, found)


def open_source(extraction: Extraction, staging: Path) -> AbstractContextManager[Snapshot]:
    """Open a snapshot of the company's source; `staging` is a private folder for what the source spills."""
    source = extraction.company.source
    if source.kind == "files":
        return open_files(source, staging, memory_limit=extraction.memory_limit)
    # Imported here, so that a company whose source is files needs no database driver.
    from pipeline.ingestion.sources.postgresql import open_postgresql

    return open_postgresql(source.connection, extraction.connections(source.connection))


def _stage_query(company: Company, snapshot: Snapshot, query: SourceQuery, staging: Path) -> StagedTable:
    """Check the columns that a query gives, then stage its rows in the order in which they come."""
    table = _table_for_query(company, query.name)
    found = snapshot.schema(query)
    check_columns(table, found, query, company.zone)
    wanted = query.select_from_rows([name for name in table.column_names if name in found.names], _night_condition(table, found))
    path = staging / f"{table.name}.parquet"
    with closing(snapshot.rows(wanted)) as batches:
        rows = _write_staged(table, (conform_batch(batch, table, query) for batch in batches), path)
    log.info("%s: %s rows read", table.name, f"{rows:,}")
    return StagedTable(table, path, rows, tuple(found.names), ignored_columns(table, found))


def _table_for_query(company: Company, name: str) -> Table:
    """Return the table with the columns that its query must give: customers need the company's attributes, prospects may lack them."""
    table = company.table(SOURCE_TABLES[name])
    attributes = {attribute.column.name for attribute in company.attributes} if name == "customers" else set()
    return replace(table, columns=tuple(replace(c, required=c.required or c.name in attributes) for c in table.columns))


def _night_condition(table: Table, found: pa.Schema) -> str:
    """Return the SQL condition for rows of the night; rows without an instant are read too, for validation to name them."""
    if table.partition is Partition.EVENT_DAY:
        return f'("{table.instant}" >= $day_start AND "{table.instant}" < $day_end) OR "{table.instant}" IS NULL'
    # Who is first known after the night is not known yet; but a date that cannot be is read, for validation to name it.
    return f'"created_at" < $day_end OR "created_at" IS NULL OR "created_at" > {_END_OF_CALENDAR}' if "created_at" in found.names else ""


def _write_staged(table: Table, batches: Iterator[pa.RecordBatch], path: Path) -> int:
    rows = 0
    with sealed_writer(path, table.schema) as writer:
        for batch in batches:
            writer.write_batch(batch)
            if rows // PROGRESS_ROWS < (rows + batch.num_rows) // PROGRESS_ROWS:
                log.info("%s: %s rows so far", table.name, f"{rows + batch.num_rows:,}")
            rows += batch.num_rows
    return rows


def _report_ignored_columns(lake: Lake, last_read: date | None, staged: Sequence[StagedTable]) -> None:
    """Log the columns that no table declares, unless the last night that was read logged the same."""
    known = {row["source_table"]: row["ignored_columns"] for row in (extraction_rows(lake, last_read) if last_read else [])}
    for each in staged:
        if each.ignored and each.ignored != known.get(each.table.name):
            log.info("%s: columns that no table declares are ignored: %s", each.table.name, each.ignored)


def _write_extraction(
    extraction: Extraction, staged: Sequence[StagedTable], changed: Sequence[int], manifest: Mapping[str, object]
) -> None:
    extraction.lake.write(EXTRACTIONS, _extraction_table(extraction, staged, changed).to_batches(), day=extraction.day, manifest=manifest)


def _extraction_table(extraction: Extraction, staged: Sequence[StagedTable], changed: Sequence[int]) -> pa.Table:
    rows = [
        {
            "source_table": each.table.name,
            "first_day": extraction.first if each.table.partition is Partition.EVENT_DAY else None,
            "last_day": extraction.day,
            "row_count": each.row_count,
            "changed_partition_count": count,
            "ignored_columns": each.ignored,
        }
        for each, count in zip(staged, changed, strict=True)
    ]
    return pa.Table.from_pylist(sorted(rows, key=lambda row: str(row["source_table"])), schema=EXTRACTIONS.schema)

"""Reading: what one moment of a company's source gives a night, as staged rows and as counts of days that are not read."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, closing
from dataclasses import dataclass, field, replace
from datetime import date
from pathlib import Path

import pyarrow as pa

from pipeline.calendar import BEGINNING, ONE_DAY, DaySpan, Window, days_window
from pipeline.definitions.company import Company
from pipeline.definitions.connections import spark_remote
from pipeline.ingestion.compared_days import compared_until, days_to_compare
from pipeline.ingestion.day_totals import DayTotal, SourceRows, known_row_counts
from pipeline.ingestion.erased.filter import without_erased
from pipeline.ingestion.late_days import LateDay, find_late_days
from pipeline.ingestion.local_days import staged_rows_per_day
from pipeline.ingestion.misdated_days import LONGEST_GAP, MisdatedDay, misdated_days
from pipeline.ingestion.sources import Snapshot, SourceQuery, authored_query
from pipeline.ingestion.sources.columns import check_columns, conform_batch, ignored_columns
from pipeline.ingestion.sources.daily_totals import CountedDays
from pipeline.ingestion.sources.files import open_files
from pipeline.ingestion.vanished_rows import KnownRows
from pipeline.lake.engines.duckdb import DuckDBEngine
from pipeline.lake.lake import Lake
from pipeline.lake.parquet import sealed_writer
from pipeline.lake.tables import ORDERS_SOURCE, RAW_ORDER_LINES, Partition, Table
from pipeline.log_fields import Count

log = logging.getLogger("pipeline.ingestion.extract")
PROGRESS_ROWS = 1_000_000
# As the SQL of every source understands it.
_END_OF_CALENDAR = "CAST('9999-12-30 00:00:00+00' AS TIMESTAMP WITH TIME ZONE)"


@dataclass(frozen=True, slots=True)
class Extraction:
    """One night's read of one company's source: local days `first` to `day`, or the whole history where `first` is None.

    `last_night` is the one that was read before it.
    """

    company: Company
    lake: Lake
    day: date
    first: date | None
    connections: Callable[[str], str]
    memory_limit: str
    last_night: date | None = None

    def first_day_of(self, source: str) -> date | None:
        """Return the first local day to ask a source for.

        One that appends is asked for all that it has, which is little; events that no earlier night has read, and order lines that no
        night at all has, for their whole history.
        """
        is_asked_for_all = (
            source in self.company.source.appended
            or (source in self.company.events and not self._is_known(source))
            or (source == ORDERS_SOURCE and not self._are_orders_known())
        )
        return None if is_asked_for_all else self.first

    def _are_orders_known(self) -> bool:
        stored = self.lake.event_days(RAW_ORDER_LINES)
        return bool(stored.damaged or stored.versions)

    def _is_known(self, event: str) -> bool:
        stored = self.lake.event_days(self.company.events[event].raw_table)
        return bool(stored.damaged) or any(version.known_on < self.day for version in stored.versions)

    def window_of(self, source: str) -> Window:
        """Return the instants to ask a source for."""
        first = self.first_day_of(source)
        window = days_window(first or self.day, self.day, self.company.zone)
        return window if first else replace(window, start=BEGINNING)


@dataclass(frozen=True, slots=True)
class StagedTable:
    """All rows that one query gave, in one private file."""

    table: Table
    path: Path
    row_count: int
    ignored: str
    source: SourceRows

    @property
    def name(self) -> str:
        """The name of its source."""
        return self.source.query.name


@dataclass(frozen=True, slots=True)
class SourceReading:
    """What one moment of a source gave: rows, and what it has changed or misplaced on days that are not read.

    `compared_until` is, by table, the last of the older days that have been compared in turn.
    """

    staged: Sequence[StagedTable]
    late: Sequence[LateDay] = ()
    misdated: Sequence[MisdatedDay] = ()
    known_rows: Sequence[KnownRows] = ()
    compared_until: Mapping[str, date] = field(default_factory=dict)


def read_source(extraction: Extraction, engine: DuckDBEngine, staging: Path) -> SourceReading:
    """Stage every query of the company, in the order in which tables are declared, and count days that are not read, in one snapshot."""
    company = extraction.company
    files = {name: company.source_file(name) for name in company.source_tables}
    queries = [
        authored_query(name, file, company.source.dialect, extraction.window_of(name)) for name, file in files.items() if file.is_file()
    ]
    with open_source(extraction, staging) as source:
        snapshot = without_erased(source, extraction.lake)
        staged = [_stage_query(company, snapshot, query, staging, by_customer=snapshot is not source) for query in queries]
        return _count_other_days(extraction, engine, staged)


def _count_other_days(extraction: Extraction, engine: DuckDBEngine, staged: Sequence[StagedTable]) -> SourceReading:
    """Have the source count rows of days that it was not asked for: before them, what has changed; outside of them, what is misdated."""
    company = extraction.company
    late: list[LateDay] = []
    misdated: list[MisdatedDay] = []
    known: list[KnownRows] = []
    until = compared_until(extraction.lake, extraction.last_night)
    for each in staged:
        if each.table.partition is not Partition.EVENT_DAY:
            continue
        first, appends = extraction.first_day_of(each.name), each.name in company.source.appended
        days = days_to_compare(company, extraction.lake, each.name, first, extraction.last_night)
        counted = CountedDays(days.groups if days else [], company.first_day if first else None, extraction.day)
        totals = each.source.totals(counted, company.zone)
        gap = ONE_DAY if appends else LONGEST_GAP
        misdated += misdated_days(each.table.name, totals, opening=company.first_day, night=extraction.day, longest_gap=gap)
        if days:
            late += find_late_days(extraction.lake, each.table, days.spans, totals)
            until |= {each.table.name: days.older.last} if days.older else {}
        if first:
            known += _known_rows(extraction, engine, each, totals, DaySpan(days.newest.first if days else first, extraction.day - ONE_DAY))
    return SourceReading(staged, late, misdated, known, until)


def _known_rows(
    extraction: Extraction, engine: DuckDBEngine, staged: StagedTable, totals: Mapping[date, DayTotal], span: DaySpan
) -> Iterator[KnownRows]:
    """Yield how many rows of the days of `span` are known, if any, and how many of them the source still has."""
    known = known_row_counts(extraction.lake, staged.table, span, before=extraction.day)
    if any(known.values()):
        zone = extraction.company.zone.key
        read = staged_rows_per_day(engine, staged.table, staged.path, zone)
        found = {day: total.row_count for day, total in totals.items()} | read
        yield KnownRows.compared(staged.name, known, found, extraction.day)


def open_source(  # noqa: PLR0911 - one for each kind of source
    extraction: Extraction, staging: Path, *, with_rows: bool = True
) -> AbstractContextManager[Snapshot]:
    """Open a snapshot of the company's source; `staging` is a private folder for what the source spills.

    One without rows is for those who ask for columns and types alone: what would be copied for its rows is not.
    """
    source = extraction.company.source
    if source.kind == "files":
        return open_files(source, staging, memory_limit=extraction.memory_limit)
    # Imported here, so that a company whose source is files needs no database driver.
    if source.kind == "sqlite":
        from pipeline.ingestion.sources.sqlite import open_sqlite

        return open_sqlite(source, staging, memory_limit=extraction.memory_limit, with_rows=with_rows)
    if source.kind == "duckdb":
        from pipeline.ingestion.sources.duckdb_file import open_duckdb_file

        return open_duckdb_file(source, staging, memory_limit=extraction.memory_limit)
    if source.kind == "mysql":
        from pipeline.ingestion.sources.mysql import open_mysql

        return open_mysql(source, extraction.connections(source.connection), staging, memory_limit=extraction.memory_limit)
    if source.kind == "spark":
        from pipeline.ingestion.sources.spark import open_spark_source

        remote = extraction.connections(source.connection) if source.connection else spark_remote()
        return open_spark_source(source, remote, staging, memory_limit=extraction.memory_limit)
    if source.kind != "postgresql":
        from pipeline.ingestion.sources.arrow_databases import open_arrow_database

        return open_arrow_database(source, extraction.connections(source.connection), staging, memory_limit=extraction.memory_limit)
    from pipeline.ingestion.sources.postgresql import open_postgresql

    return open_postgresql(source.connection, extraction.connections(source.connection))


def _stage_query(company: Company, snapshot: Snapshot, query: SourceQuery, staging: Path, *, by_customer: bool) -> StagedTable:
    """Check the columns that a query gives, then stage its rows in the order in which they come."""
    table = table_for_query(company, query.name)
    found = snapshot.schema(query)
    check_columns(table, found, query, company.zone)
    wanted = query.select_from_rows([name for name in table.column_names if name in found.names], _night_condition(table, found))
    path = staging / f"{table.name}.parquet"
    with closing(snapshot.rows(wanted)) as batches:
        rows = _write_staged(table, (conform_batch(batch, table, query) for batch in batches), path)
    log.info("%(table)s: %(rows)s rows read", {"table": table.name, "rows": Count(rows)})
    source = SourceRows(snapshot, query, table, found.names, by_customer)
    return StagedTable(table, path, rows, ignored_columns(table, found), source)


def table_for_query(company: Company, name: str) -> Table:
    """Return the table with the columns that its query must give: customers need the company's attributes, prospects may lack them.

    Events need every column that is declared.
    """
    table = company.table(company.source_tables[name])
    declared = set(table.column_names) if name in company.events else set()
    if name == "customers":
        declared = {attribute.column.name for attribute in company.attributes}
    return replace(table, columns=tuple(replace(c, required=c.required or c.name in declared) for c in table.columns))


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
            writer.write(pa.Table.from_batches([batch]))
            if rows // PROGRESS_ROWS < (rows + batch.num_rows) // PROGRESS_ROWS:
                log.info("%(table)s: %(rows)s rows so far", {"table": table.name, "rows": Count(rows + batch.num_rows)})
            rows += batch.num_rows
    return rows

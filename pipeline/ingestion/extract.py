"""Extract: read one consistent snapshot of the source, and store as raw partitions what differs from what was known."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from datetime import date
from pathlib import Path

import duckdb
import pyarrow as pa

from pipeline.definitions.command_options import command_options
from pipeline.definitions.company import Company
from pipeline.errors import ConfigError, TransientError
from pipeline.ingestion.appending import add_known_rows
from pipeline.ingestion.compared_days import COMPARED_UNTIL_KEY
from pipeline.ingestion.departures import store_departed
from pipeline.ingestion.extractions import (
    FIRST_DAY_KEY,
    IS_BEGUN_KEY,
    KNOWN_ROWS_KEY,
    QUERIES_KEY,
    extraction_rows,
    first_day_to_read,
    is_extraction_complete,
    queries_digest,
)
from pipeline.ingestion.late_days import late_days_table, report_late_days
from pipeline.ingestion.misdated_days import misdated_days_table, report_misdated_days
from pipeline.ingestion.reading import Extraction, SourceReading, StagedTable, read_source
from pipeline.ingestion.vanished_rows import KnownRows, loss_refusal, lost_rows
from pipeline.ingestion.versions import ReadingNight, store_versions
from pipeline.lake.disk import reason_of
from pipeline.lake.engines.duckdb import DuckDBEngine, open_engine
from pipeline.lake.lake import Lake
from pipeline.lake.limits import MEMORY_LIMIT
from pipeline.lake.tables import EXTRACTIONS, LATE_DAYS, MISDATED_DAYS, ORDERS_SOURCE, RAW_ORDER_LINES, Partition
from pipeline.log_fields import Count

log = logging.getLogger("pipeline.ingestion.extract")


def extract(  # noqa: PLR0913
    company: Company,
    lake: Lake,
    day: date,
    *,
    connections: Callable[[str], str],
    reread: bool = False,
    since: date | None = None,
    is_loss_accepted: bool = False,
    on_loss: Callable[[KnownRows], None] = lambda _rows: None,
    memory_limit: str = MEMORY_LIMIT,
) -> None:
    """Read the days of night `day` from the source and write the raw partitions that differ from what was known.

    The night's EXTRACTIONS partition is written last: without it the night counts as not read, and the same call reads it
    again. A night that was read is left alone, unless `reread` asks for it, or it is the newest night and the queries or
    declared columns have changed; then the same days are read again. `since` extends them back to that local day, now and
    whenever the night is read again.
    Raises TransientError, SchemaDrift, DataError or ConfigError, or GateClosed where a source has lost most of the rows of earlier
    days and nobody accepts that loss, which `on_loss` is told of first; nothing is stored before the source was read whole.
    """
    if since and since > day:
        raise ConfigError(f"night {day} cannot be read since {since}", where="--since", todo="Choose the night itself or a day before it.")
    # Of two nights that read at once, each would compare with a lake to which the other has not added yet.
    with lake.lock("extract"):
        nights = lake.nights(EXTRACTIONS)
        if not (reread or since) and is_extraction_complete(company, lake, day, nights):
            log.info("%s is already read", day)
            return
        _require_known_orders(company, lake)
        last_read = max((night for night in nights if night < day), default=None)
        first = first_day_to_read(company, lake, day, nights, since=since)
        for table in (table for event in company.declared_events for table in (event.raw_table, event.table)):
            lake.require_declared_types(table)
        log.info("reading from %s to %s", first or "the beginning", day)
        with closing(open_engine(lake, memory_limit=memory_limit)) as engine:
            extraction = Extraction(company, lake, day, first, connections, memory_limit, last_read)
            _read_and_store(extraction, engine, is_loss_accepted=is_loss_accepted, on_loss=on_loss)


def _require_known_orders(company: Company, lake: Lake) -> None:
    """Raise ConfigError where the company had order lines and has no query for them any more: they would stand still unnoticed."""
    query = company.source_file(ORDERS_SOURCE)
    if not query.is_file() and lake.event_days(RAW_ORDER_LINES).versions:
        what = f"sources/{query.name} is missing, and the lake has order lines of earlier nights"
        raise ConfigError(what, where=str(company.folder), todo="Put the query back; or begin a lake of its own with --lake.")


def _read_and_store(extraction: Extraction, engine: DuckDBEngine, *, is_loss_accepted: bool, on_loss: Callable[[KnownRows], None]) -> None:
    company, lake, day = extraction.company, extraction.lake, extraction.day
    with _staging_folder(lake) as staging:
        reading = read_source(extraction, engine, staging)
        if lost := None if is_loss_accepted else lost_rows(reading.known_rows, company.limits):
            on_loss(lost)
            raise loss_refusal(company, lake, lost, day=day)
        _report_ignored_columns(lake, extraction.last_night, reading.staged)
        if lake.has(EXTRACTIONS, day=day):
            # Killed from here on, the night holds rows of both reads. So its old record is replaced by one that says so but keeps
            # the days, which the next attempt reads again.
            _write_extraction(extraction, reading, [0 for _ in reading.staged], {IS_BEGUN_KEY: True})
        changed = []
        for each in reading.staged:
            changed.append(_store_staged(extraction, engine, each))
            log.info("%(table)s: %(partitions)s partitions changed", {"table": each.table.name, "partitions": Count(changed[-1])})
    store_departed(lake, engine, day)
    report_late_days(reading.late, command_options(company, lake))
    report_misdated_days(reading.misdated, opening=company.first_day)
    for table, rows in ((LATE_DAYS, late_days_table(reading.late)), (MISDATED_DAYS, misdated_days_table(reading.misdated))):
        if rows.num_rows:
            lake.write(table, rows.to_batches(), day=day)
        else:  # an earlier run of the night may have found some
            lake.remove(table, day=day)
    # The record of the night must not survive a power cut that its rows did not.
    lake.store.flush()
    _write_extraction(extraction, reading, changed, {QUERIES_KEY: queries_digest(company)})


def _store_staged(extraction: Extraction, engine: DuckDBEngine, staged: StagedTable) -> int:
    """Store what differs from what was known; return how many partitions are the night's own afterwards."""
    lake, company, rows = extraction.lake, extraction.company, staged.path
    first, appends = extraction.first_day_of(staged.name), staged.name in company.source.appended
    night = ReadingNight(extraction.day, first, company.first_day, company.zone.key, appends)
    if appends:
        rows = add_known_rows(lake, engine, staged.table, rows, extraction.day, company.zone.key)
    return store_versions(lake, engine, staged.table, rows, night)


@contextmanager
def _staging_folder(lake: Lake) -> Iterator[Path]:
    """Yield an empty private folder; raises TransientError where disk or memory run out in the block."""
    try:
        with lake.private_folder() as folder:
            yield folder
    except (OSError, duckdb.IOException, duckdb.OutOfMemoryException) as error:
        # What the engine says may quote a row.
        reason = reason_of(error) if isinstance(error, OSError) else type(error).__name__
        raise TransientError(
            f"the rows could not be staged: {reason}", where=lake.where(), todo="Free space or memory, then run again."
        ) from None


def _report_ignored_columns(lake: Lake, last_read: date | None, staged: Sequence[StagedTable]) -> None:
    """Log the columns that no table declares, unless the last night that was read logged the same."""
    known = {row["source_table"]: row["ignored_columns"] for row in (extraction_rows(lake, last_read) if last_read else [])}
    for each in staged:
        if each.ignored and each.ignored != known.get(each.table.name):
            log.info("%s: columns that no table declares are ignored: %s", each.table.name, each.ignored)


def _write_extraction(extraction: Extraction, reading: SourceReading, changed: Sequence[int], manifest: Mapping[str, object]) -> None:
    facts = {
        FIRST_DAY_KEY: extraction.first,
        COMPARED_UNTIL_KEY: {table: day.isoformat() for table, day in reading.compared_until.items()},
        KNOWN_ROWS_KEY: [each.facts() for each in reading.known_rows],
        **manifest,
    }
    rows = _extraction_table(extraction, reading.staged, changed)
    extraction.lake.write(EXTRACTIONS, rows.to_batches(), day=extraction.day, manifest=facts)


def _extraction_table(extraction: Extraction, staged: Sequence[StagedTable], changed: Sequence[int]) -> pa.Table:
    rows = [
        {
            "source_table": each.table.name,
            "first_day": extraction.first_day_of(each.name) if each.table.partition is Partition.EVENT_DAY else None,
            "last_day": extraction.day,
            "row_count": each.row_count,
            "changed_partition_count": count,
            "ignored_columns": each.ignored,
            "given_columns": ",".join(name for name in each.table.column_names if name in each.source.given),
        }
        for each, count in zip(staged, changed, strict=True)
    ]
    return pa.Table.from_pylist(sorted(rows, key=lambda row: str(row["source_table"])), schema=EXTRACTIONS.schema)

"""Writes the clean tables of a night: what is left of its raw rows, file by file."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import date
from functools import partial

import pyarrow as pa

from pipeline.definitions.company import Company
from pipeline.errors import DataError
from pipeline.ingestion.validation.batches import PartitionRef
from pipeline.ingestion.validation.clean_rows import clean_events, clean_order_lines, clean_people, unite_people
from pipeline.ingestion.validation.findings import Findings
from pipeline.ingestion.validation.valid_rows import ValidRows
from pipeline.lake.event_days import month_of
from pipeline.lake.lake import Lake, StoredVersion, Version
from pipeline.lake.tables import (
    CAMPAIGN_MEMBERS,
    CAMPAIGNS,
    CUSTOMER_MERGES,
    CUSTOMERS,
    ORDER_LINES,
    RAW_CAMPAIGN_MEMBERS,
    RAW_CAMPAIGNS,
    RAW_CUSTOMER_MERGES,
    Table,
)
from pipeline.lake.workers import Workers
from pipeline.log_fields import Count

PIECE_ROWS = 100_000
CLEAN_SNAPSHOTS = {
    RAW_CUSTOMER_MERGES.name: CUSTOMER_MERGES,
    RAW_CAMPAIGNS.name: CAMPAIGNS,
    RAW_CAMPAIGN_MEMBERS.name: CAMPAIGN_MEMBERS,
}
log = logging.getLogger("pipeline.ingestion.validate")


@dataclass(frozen=True, slots=True)
class CleanTable:
    """A table of clean event days: how its rows are made of raw ones, and what the manifest says of each version beside counts.

    `clean` is a function of a module, perhaps with arguments bound, so that a worker can be sent it.
    """

    table: Table
    clean: Callable[[pa.Table], pa.Table]
    facts: Mapping[str, object]


def write_order_lines(company: Company, lake: Lake, lines: Findings, workers: Workers) -> None:
    """Write the clean versions of order lines."""
    facts = {"suite": lines.suite.digest, "currency": company.currency, "first_day": company.first_day}
    _write_event_days(lake, CleanTable(ORDER_LINES, clean_order_lines, facts), lines, workers)


def write_events(company: Company, lake: Lake, table: Table, events: Findings, workers: Workers) -> None:
    """Write the clean versions of other events as `table`."""
    facts = {"suite": events.suite.digest, "first_day": company.first_day}
    _write_event_days(lake, CleanTable(table, partial(clean_events, table=table), facts), events, workers)


def write_customers(company: Company, lake: Lake, people: Sequence[Findings]) -> None:
    """Write the clean snapshot of customers and, where there are any, prospects, under the night of the newer of the two."""
    table = company.table(CUSTOMERS)
    customers = _clean_people(lake, people[0], table, is_prospect=False)
    prospects = _clean_people(lake, people[1], table, is_prospect=True) if people[1:] else iter(())
    partitions = {partition: each for each in people for partition in each.kept.masks}
    manifest = {each.table.name: {"suite": each.suite.digest, **each.kept.counts(partition)} for partition, each in partitions.items()}
    known = max(partition.known_on or date.min for partition in partitions)
    count = lake.write(table, _record_batches(unite_people(customers, prospects)), known_on=known, manifest=manifest)
    log.info("%(table)s: %(rows)s rows", {"table": table.name, "rows": Count(count)})


def _clean_people(lake: Lake, people: Findings, table: Table, *, is_prospect: bool) -> Iterator[pa.Table]:
    for rows in people.kept.pieces(lake):
        yield clean_people(rows, table, is_prospect=is_prospect)


def write_snapshots(lake: Lake, checked: Sequence[Findings]) -> None:
    """Write the clean rows of snapshots that are kept as they are."""
    for findings in checked:
        table = CLEAN_SNAPSHOTS[findings.table.name]
        for partition in findings.kept.masks:
            facts = {"suite": findings.suite.digest, **findings.kept.counts(partition)}
            count = lake.write(table, _record_batches(findings.kept.pieces(lake)), known_on=partition.known_on, manifest=facts)
            log.info("%(table)s: %(rows)s rows", {"table": table.name, "rows": Count(count)})


def _write_event_days(lake: Lake, clean: CleanTable, findings: Findings, workers: Workers) -> None:
    files = [findings.kept.of(partitions) for partitions in _by_file(findings.kept.masks)]
    # All the time, so that what is read of a file here is still there when another process replaces it.
    with lake.lock_event_days(clean.table):
        counts = list(workers.map(partial(_write_file, lake, clean), files))
    fields = {"table": clean.table.name, "rows": Count(sum(counts)), "event_days": Count(len(findings.kept.masks))}
    log.info("%(table)s: %(rows)s rows in %(event_days)s event days", fields)


def _by_file(partitions: Iterable[PartitionRef]) -> Iterator[list[PartitionRef]]:
    """Yield partitions of event days by the file that their night writes."""
    files: dict[tuple[date, date | None], list[PartitionRef]] = {}
    for each in partitions:
        files.setdefault((month_of(_version(each).day), each.known_on), []).append(each)
    yield from files.values()


def _write_file(lake: Lake, clean: CleanTable, kept: ValidRows) -> int:
    """Write one file of event days, of the raw rows that stay, and return how many there are."""
    facts = {_version(each): {**clean.facts, **kept.counts(each)} for each in kept.masks}
    address = lake.month_file(clean.table, next(iter(facts))).address
    staying: Mapping[Version, StoredVersion] = {}
    # Nothing stays of a file that is missing or damaged: its night writes it again.
    with suppress(DataError):
        staying = {each.version: each for each in lake.stored_in(clean.table, address)}
    rows = (clean.clean(rows) for rows in _merge_small_pieces(kept.pieces(lake)))
    lake.write_month_file(clean.table, address, _record_batches(rows), facts, staying=staying)
    return kept.row_count


def _version(partition: PartitionRef) -> Version:
    return Version(partition.day or date.min, partition.known_on or date.min)


def _merge_small_pieces(rows: Iterable[pa.Table]) -> Iterator[pa.Table]:
    """Merge rows of event days into pieces of at least PIECE_ROWS: a small shop's day has a few dozen, and each piece costs the same."""
    waiting: list[pa.Table] = []
    count = 0
    for piece in rows:
        waiting.append(piece)
        count += piece.num_rows
        if count >= PIECE_ROWS:
            yield pa.concat_tables(waiting).combine_chunks()
            waiting, count = [], 0
    if count:
        yield pa.concat_tables(waiting).combine_chunks()


def _record_batches(tables: Iterable[pa.Table]) -> Iterator[pa.RecordBatch]:
    return (batch for table in tables for batch in table.to_batches())

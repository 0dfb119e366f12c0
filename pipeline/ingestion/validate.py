"""Validation of a night's raw rows: each becomes a clean row or is set aside with the rules that it broke.

Nothing of a night reaches the clean tables until all its rows were checked and no rule stops the night.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from datetime import date
from functools import partial, reduce
from pathlib import Path

import pyarrow as pa

from pipeline.definitions.company import Company
from pipeline.errors import DataError, PipelineError
from pipeline.ingestion.validation.batches import PartitionRef
from pipeline.ingestion.validation.clean_tables import write_customers, write_events, write_order_lines, write_snapshots
from pipeline.ingestion.validation.expectations import load_suite
from pipeline.ingestion.validation.findings import Findings
from pipeline.ingestion.validation.inspection import BATCH_ROWS, Inspection
from pipeline.ingestion.validation.known_ids import KnownIds, write_ids
from pipeline.ingestion.validation.merge_circles import ids_closing_circles
from pipeline.ingestion.validation.partition_groups import PartitionGroup, neighbouring_partitions
from pipeline.ingestion.validation.results import (
    results_of_findings,
    stop_where_broken,
    stop_where_too_many_rejected,
    store_results,
    stored_results,
    warnings_of_most_rows,
)
from pipeline.ingestion.validation.spread_keys import spread_row_count
from pipeline.ingestion.validation.valid_rows import ValidRows
from pipeline.lake.lake import Lake, Version, known_versions
from pipeline.lake.limits import MEMORY_LIMIT, memory_beside_workers
from pipeline.lake.row_file import RowFile
from pipeline.lake.tables import (
    CUSTOMER_FEATURES,
    EXTRACTIONS,
    ORDER_LINES,
    RAW_CAMPAIGN_MEMBERS,
    RAW_CAMPAIGNS,
    RAW_CUSTOMER_MERGES,
    RAW_CUSTOMERS,
    RAW_ORDER_LINES,
    RAW_PROSPECTS,
    REJECTED_ROWS,
    Table,
)
from pipeline.lake.workers import OWN_PROCESS, Workers
from pipeline.log_fields import Count

log = logging.getLogger("pipeline.ingestion.validate")
ROWS_WORTH_WORKERS = 2_000_000  # below, the start of a process takes longer than it saves


@dataclass(frozen=True, slots=True)
class RawTableChecks:
    """What the checks of a night's raw tables share; what they find waits in a private `folder` until all tables were checked."""

    company: Company
    lake: Lake
    batch_rows: int
    folder: Path
    workers: Workers

    def check(
        self,
        raw: Table,
        versions: Iterable[tuple[tuple[date | None, date], int]],
        known_ids: KnownIds | None = None,
        circle_ids: pa.Array | None = None,
    ) -> Findings:
        """Return what the rules of `raw` find in its versions of (event day, night), given with the number of their rows."""
        table = self.company.table(raw)
        suite = load_suite(self.company, table)
        findings = Findings(suite, self.company.rejected_share_limit, ValidRows(self.batch_rows))
        row_counts = {PartitionRef(table, *version): count for version, count in versions}
        workers = self.workers_for(sum(row_counts.values()))
        held_rows = self.batch_rows if workers.count == 1 else 0
        groups = [
            PartitionGroup(
                partitions, RowFile(self.folder / f"{table.name}-{number}.arrows", REJECTED_ROWS.schema), 0 if number else held_rows
            )
            for number, partitions in enumerate(neighbouring_partitions(row_counts))
        ]
        inspection = Inspection(self.company, suite, known_ids, self.batch_rows, circle_ids)
        for found in workers.map(partial(inspection.check, self.lake), groups):
            findings.add(found)
            tally = findings.tally
            fields = {"table": table.name, "rows": Count(tally.checked), "rejected": Count(tally.rejected_count)}
            log.info("%(table)s: %(rows)s rows checked, %(rejected)s set aside", fields)
        return findings

    def check_snapshot(self, raw: Table, known_on: date, known_ids: KnownIds | None = None, circle_ids: pa.Array | None = None) -> Findings:
        """Return what the rules of `raw` find in its snapshot of `known_on`: a single partition, so how many rows it has plays no part."""
        return self.check(raw, [((None, known_on), 0)], known_ids, circle_ids)

    def workers_for(self, row_count: int) -> Workers:
        """Return who works on so many rows: where these are few, starting other processes takes longer."""
        return self.workers if row_count >= ROWS_WORTH_WORKERS else OWN_PROCESS


@dataclass(frozen=True, slots=True)
class CheckedPeople:
    """One checked snapshot of customers or prospects, and the ids of the rows that stay."""

    findings: Findings
    ids: KnownIds


def validate_sources(  # noqa: PLR0913
    company: Company,
    lake: Lake,
    day: date,
    *,
    batch_rows: int = BATCH_ROWS,
    memory_limit: str = MEMORY_LIMIT,
    workers: Workers = OWN_PROCESS,
) -> None:
    """Divide what night `day` knows of its sources into clean partitions and rejected rows.

    Raises DataError where a critical rule stops the night, GateClosed where too many rows were set aside; rejected
    rows, results and their page are stored even then, clean partitions are not.
    """
    events = company.events.values()
    tables = [(RAW_ORDER_LINES, ORDER_LINES), *((event.raw_table, event.table) for event in events)]
    versions = {raw.name: _versions_to_check(lake, day, raw, clean) for raw, clean in tables}
    with ExitStack() as opened:
        with lake.disk_errors("set rows aside"):
            folder = opened.enter_context(lake.private_folder())
        checks = RawTableChecks(company, lake, batch_rows, folder, workers)
        customers, *prospects = _check_people(checks, day)
        ids = reduce(KnownIds.with_ids_of, (people.ids for people in (customers, *prospects)))
        snapshots = [*_check_merges(checks, day, ids), *_check_campaigns(checks, day, ids)]
        lines, *happened = (checks.check(raw, versions[raw.name].items(), ids) for raw, _ in tables)
        # In the order of REJECTED_ROWS, which is that of the tables' names.
        as_stored = sorted([*snapshots, customers.findings, lines, *(people.findings for people in prospects), *happened], key=_table_name)
        lake.write(REJECTED_ROWS, (batch for findings in as_stored for batch in findings.rejected_rows()), day=day)
    beside_workers = memory_beside_workers(memory_limit, checks.workers_for(lines.tally.checked).process_count)
    lines.tally.add_spread_keys(spread_row_count(lake, list(versions[RAW_ORDER_LINES.name]), lines.kept, memory_limit=beside_workers))
    of_night = [findings for findings in happened if versions[findings.table.name]]
    found = [lines, customers.findings, *(people.findings for people in prospects), *of_night, *snapshots]
    recovered = sorted({version for each in versions.values() for version in each if version.known_on != day})
    results = results_of_findings(found, recovered)
    store_results(lake, day, results)
    for sentence in warnings_of_most_rows(lake, day, results.rule_results):
        log.warning("%s", sentence)
    with _reading_forgotten_on_failure(lake, day):
        stop_where_broken(lake, day, [row for findings in found for row in findings.broken_results()])
        stop_where_too_many_rejected(company, lake, day, found)
    write_customers(company, lake, [people.findings for people in (customers, *prospects)])
    write_order_lines(company, lake, lines, checks.workers_for(lines.tally.checked))
    for event, findings in zip(events, happened, strict=True):
        if findings.kept.masks:
            write_events(company, lake, event.table, findings, checks.workers_for(findings.tally.checked))
    write_snapshots(lake, snapshots)


@contextmanager
def _reading_forgotten_on_failure(lake: Lake, day: date) -> Iterator[None]:
    """On an error in the block, forget that the night was read, so that its next run reads the source again, where mistakes are mended.

    An older night that was computed before stays read: it keeps what it knew, whatever today's rules and limits make of it.
    """
    try:
        yield
    except PipelineError:
        is_older = day < max(lake.nights(EXTRACTIONS), default=day)
        if not (is_older and lake.has(CUSTOMER_FEATURES, day=day)):
            lake.remove(EXTRACTIONS, day=day)
        raise


def _check_people(checks: RawTableChecks, day: date) -> list[CheckedPeople]:
    """Return the customers that `day` goes by and, where the source has any, the prospects."""
    lake = checks.lake
    known = [night for table in (RAW_CUSTOMERS, RAW_PROSPECTS) if (night := lake.snapshot_known(table, day)) is not None]
    if lake.snapshot_known(RAW_CUSTOMERS, day) is None:
        raise DataError(
            f"{RAW_CUSTOMERS.name} has no snapshot", where=lake.where(), todo="Run the whole night: segments run --day YYYY-MM-DD."
        )
    # Both snapshots as of the newer of the two: then what the clean snapshot of that night holds does not depend on who writes it.
    newest = max(known)
    people: list[CheckedPeople] = []
    for raw in (RAW_CUSTOMERS, RAW_PROSPECTS):
        snapshot = lake.snapshot_known(raw, newest)
        if snapshot is not None:
            findings = checks.check_snapshot(raw, snapshot, people[0].ids if people else None)
            ids = write_ids(checks.folder / f"{raw.name}.arrow", (rows["customer_id"] for rows in findings.kept.pieces(lake)))
            people.append(CheckedPeople(findings, ids))
    return people


def _check_merges(checks: RawTableChecks, day: date, ids: KnownIds) -> list[Findings]:
    """Return what is found in the merges that `day` goes by, where the source has any; `ids` are those of customers and prospects."""
    lake = checks.lake
    snapshot = lake.snapshot_known(RAW_CUSTOMER_MERGES, day)
    if snapshot is None:
        return []
    merges = lake.read(RAW_CUSTOMER_MERGES, known_on=snapshot)
    # Who was merged on is known, though no customer any more.
    known = ids.with_ids_of(KnownIds.of(merges["customer_id"].combine_chunks()))
    return [checks.check_snapshot(RAW_CUSTOMER_MERGES, snapshot, known, ids_closing_circles(merges))]


def _check_campaigns(checks: RawTableChecks, day: date, ids: KnownIds) -> list[Findings]:
    """Return what is found in the campaigns and their members that `day` goes by, where the source has any."""
    people = {RAW_CAMPAIGNS.name: None, RAW_CAMPAIGN_MEMBERS.name: ids}  # a campaign itself is nobody's
    known = [(raw, checks.lake.snapshot_known(raw, day)) for raw in (RAW_CAMPAIGNS, RAW_CAMPAIGN_MEMBERS)]
    return [checks.check_snapshot(raw, snapshot, people[raw.name]) for raw, snapshot in known if snapshot is not None]


def _versions_to_check(lake: Lake, day: date, raw: Table, clean: Table) -> dict[Version, int]:
    """Return the versions of `raw` that night `day` learned of, and those that an earlier night left unchecked, and how many rows each has.

    A rerun returns the same ones, though they have clean counterparts by then.
    """
    # A damaged file of clean rows counts as missing, so its versions are made of the raw ones again.
    settled = set(lake.event_days(clean).versions)
    with suppress(DataError):  # damaged results are about to be written again
        settled.difference_update(stored_results(lake, day).recovered)
    stored = lake.stored_versions(raw)
    visible = known_versions(stored, through=day, known_on=day)
    return {version: stored[version].row_count for version in visible if version.known_on == day or version not in settled}


def _table_name(findings: Findings) -> str:
    return findings.table.name

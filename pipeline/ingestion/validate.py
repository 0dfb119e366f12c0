"""Validation of a night's raw rows: each becomes a clean row or is set aside with the rules that it broke.

Nothing of a night reaches the clean tables until all its rows were checked and no rule stops the night.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from datetime import date

import pyarrow as pa

from pipeline.definitions.company import Company
from pipeline.errors import DataError, PipelineError
from pipeline.ingestion.validation.batches import PartitionRef
from pipeline.ingestion.validation.clean_rows import clean_events, clean_order_lines, clean_people, unite_people
from pipeline.ingestion.validation.expectations import load_suite
from pipeline.ingestion.validation.findings import Findings
from pipeline.ingestion.validation.inspection import BATCH_ROWS, Inspection
from pipeline.ingestion.validation.merge_circles import ids_closing_circles
from pipeline.ingestion.validation.results import (
    results_of_findings,
    stop_where_broken,
    stop_where_too_many_rejected,
    store_results,
    stored_results,
    warnings_of_most_rows,
)
from pipeline.ingestion.validation.spread_keys import spread_row_count
from pipeline.lake.lake import Lake, Version
from pipeline.lake.limits import MEMORY_LIMIT
from pipeline.lake.tables import (
    CAMPAIGN_MEMBERS,
    CAMPAIGNS,
    CUSTOMER_FEATURES,
    CUSTOMER_MERGES,
    CUSTOMERS,
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

log = logging.getLogger("pipeline.ingestion.validate")
PIECE_ROWS = 100_000
CLEAN_SNAPSHOTS = {
    RAW_CUSTOMER_MERGES.name: CUSTOMER_MERGES,
    RAW_CAMPAIGNS.name: CAMPAIGNS,
    RAW_CAMPAIGN_MEMBERS.name: CAMPAIGN_MEMBERS,
}


@dataclass(frozen=True, slots=True)
class RawTableChecks:
    """What the checks of a night's raw tables share; rejected rows wait in `spools` until those of all tables can be written."""

    company: Company
    lake: Lake
    batch_rows: int
    spools: ExitStack

    def check(
        self,
        raw: Table,
        versions: Iterable[tuple[date | None, date]],
        customer_ids: pa.Array | None = None,
        circle_ids: pa.Array | None = None,
    ) -> Findings:
        """Return what the rules of `raw` find in its versions of (event day, night)."""
        table = self.company.table(raw)
        inspection = Inspection(self.company, load_suite(self.company, table), customer_ids, self.batch_rows, circle_ids)
        rejected = self.spools.enter_context(self.lake.row_spool(REJECTED_ROWS.schema))
        return inspection.check(self.lake, [PartitionRef(table, day, known) for day, known in versions], rejected)


@dataclass(frozen=True, slots=True)
class CheckedPeople:
    """One checked snapshot of customers or prospects: the night that knew it, and the ids of the rows that stay."""

    findings: Findings
    known_on: date
    ids: pa.Array


def validate_sources(company: Company, lake: Lake, day: date, *, batch_rows: int = BATCH_ROWS, memory_limit: str = MEMORY_LIMIT) -> None:
    """Divide what night `day` knows of its sources into clean partitions and rejected rows.

    Raises DataError where a critical rule stops the night, GateClosed where too many rows were set aside; rejected
    rows, results and their page are stored even then, clean partitions are not.
    """
    events = company.events.values()
    tables = [(RAW_ORDER_LINES, ORDER_LINES), *((event.raw_table, event.table) for event in events)]
    versions = {raw.name: _versions_to_check(lake, day, raw, clean) for raw, clean in tables}
    with ExitStack() as spools:
        checks = RawTableChecks(company, lake, batch_rows, spools)
        customers, *prospects = _check_people(checks, day)
        ids = pa.concat_arrays(people.ids for people in (customers, *prospects))
        snapshots = [*_check_merges(checks, day, ids), *_check_campaigns(checks, day, ids)]
        lines, *happened = (checks.check(raw, [(each.day, each.known_on) for each in versions[raw.name]], ids) for raw, _ in tables)
        # In the order of REJECTED_ROWS, which is that of the tables' names.
        as_stored = sorted([*snapshots, customers.findings, lines, *(people.findings for people in prospects), *happened], key=_table_name)
        lake.write(REJECTED_ROWS, (batch for findings in as_stored for batch in findings.rejected.batches()), day=day)
    lines.tally.add_spread_keys(spread_row_count(lake, versions[RAW_ORDER_LINES.name], memory_limit=memory_limit))
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
    _write_customers(company, lake, [customers, *prospects])
    _write_order_lines(company, lake, lines)
    for event, findings in zip(events, happened, strict=True):
        if findings.kept:
            _write_events(company, lake, event.table, findings)
    _write_snapshots(lake, snapshots)


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
            findings = checks.check(raw, [(None, snapshot)], people[0].ids if people else None)
            ids = [rows["customer_id"].combine_chunks() for _, rows in findings.kept_rows(lake)]
            people.append(CheckedPeople(findings, snapshot, pa.concat_arrays(ids)))
    return people


def _check_merges(checks: RawTableChecks, day: date, ids: pa.Array) -> list[Findings]:
    """Return what is found in the merges that `day` goes by, where the source has any; `ids` are those of customers and prospects."""
    lake = checks.lake
    snapshot = lake.snapshot_known(RAW_CUSTOMER_MERGES, day)
    if snapshot is None:
        return []
    merges = lake.read(RAW_CUSTOMER_MERGES, known_on=snapshot)
    # Who was merged on is known, though no customer any more.
    known = pa.concat_arrays([ids, merges["customer_id"].combine_chunks()])
    return [checks.check(RAW_CUSTOMER_MERGES, [(None, snapshot)], known, ids_closing_circles(merges))]


def _check_campaigns(checks: RawTableChecks, day: date, ids: pa.Array) -> list[Findings]:
    """Return what is found in the campaigns and their members that `day` goes by, where the source has any."""
    people = {RAW_CAMPAIGNS.name: None, RAW_CAMPAIGN_MEMBERS.name: ids}  # a campaign itself is nobody's
    known = [(raw, checks.lake.snapshot_known(raw, day)) for raw in (RAW_CAMPAIGNS, RAW_CAMPAIGN_MEMBERS)]
    return [checks.check(raw, [(None, snapshot)], people[raw.name]) for raw, snapshot in known if snapshot is not None]


def _versions_to_check(lake: Lake, day: date, raw: Table, clean: Table) -> list[Version]:
    """Return the versions of `raw` that night `day` learned of, and those that an earlier night left unchecked.

    A rerun returns the same ones, though they have clean counterparts by then.
    """
    # A damaged file of clean rows counts as missing, so its versions are made of the raw ones again.
    settled = set(lake.event_days(clean).versions)
    with suppress(DataError):  # damaged results are about to be written again
        settled.difference_update(stored_results(lake, day).recovered)
    visible = lake.versions_known(raw, through=day, known_on=day)
    return [version for version in visible if version.known_on == day or version not in settled]


def _write_customers(company: Company, lake: Lake, people: Sequence[CheckedPeople]) -> None:
    table = company.table(CUSTOMERS)
    customers = _clean_people(lake, people[0], table, is_prospect=False)
    prospects = _clean_people(lake, people[1], table, is_prospect=True) if people[1:] else iter(())
    manifest = {
        findings.table.name: {"suite": findings.suite.digest, **findings.counts(partition)}
        for findings in (snapshot.findings for snapshot in people)
        for partition in findings.kept
    }
    known = max(snapshot.known_on for snapshot in people)
    count = lake.write(table, _record_batches(unite_people(customers, prospects)), known_on=known, manifest=manifest)
    log.info("%s: %s rows", table.name, f"{count:,}")


def _clean_people(lake: Lake, people: CheckedPeople, table: Table, *, is_prospect: bool) -> Iterator[pa.Table]:
    for _, rows in people.findings.kept_rows(lake):
        yield clean_people(rows, table, is_prospect=is_prospect)


def _write_order_lines(company: Company, lake: Lake, lines: Findings) -> None:
    facts = {"suite": lines.suite.digest, "currency": company.currency, "first_day": company.first_day}
    rows = (clean_order_lines(rows) for rows in _merge_small_pieces(lines.kept_rows(lake)))
    counts = lake.write_event_days(ORDER_LINES, _record_batches(rows), _version_facts(lines, facts))
    log.info("%s: %s rows in %s event days", ORDER_LINES.name, f"{sum(counts.values()):,}", f"{len(lines.kept):,}")


def _write_events(company: Company, lake: Lake, table: Table, events: Findings) -> None:
    facts = {"suite": events.suite.digest, "first_day": company.first_day}
    rows = (clean_events(rows, table) for rows in _merge_small_pieces(events.kept_rows(lake)))
    counts = lake.write_event_days(table, _record_batches(rows), _version_facts(events, facts))
    log.info("%s: %s rows in %s event days", table.name, f"{sum(counts.values()):,}", f"{len(events.kept):,}")


def _write_snapshots(lake: Lake, checked: Sequence[Findings]) -> None:
    """Write the clean rows of snapshots that are kept as they are."""
    for findings in checked:
        table = CLEAN_SNAPSHOTS[findings.table.name]
        for partition in findings.kept:
            facts = {"suite": findings.suite.digest, **findings.counts(partition)}
            rows = (piece for _, piece in findings.kept_rows(lake))
            count = lake.write(table, _record_batches(rows), known_on=partition.known_on, manifest=facts)
            log.info("%s: %s rows", table.name, f"{count:,}")


def _table_name(findings: Findings) -> str:
    return findings.table.name


def _version_facts(findings: Findings, facts: Mapping[str, object]) -> dict[Version, Mapping[str, object]]:
    return {Version(each.day or date.min, each.known_on or date.min): {**facts, **findings.counts(each)} for each in findings.kept}


def _merge_small_pieces(rows: Iterable[tuple[PartitionRef, pa.Table]]) -> Iterator[pa.Table]:
    """Merge rows of event days into pieces of at least PIECE_ROWS: a small shop's day has a few dozen, and each piece costs the same."""
    waiting: list[pa.Table] = []
    count = 0
    for _, piece in rows:
        waiting.append(piece)
        count += piece.num_rows
        if count >= PIECE_ROWS:
            yield pa.concat_tables(waiting).combine_chunks()
            waiting, count = [], 0
    if count:
        yield pa.concat_tables(waiting).combine_chunks()


def _record_batches(tables: Iterable[pa.Table]) -> Iterator[pa.RecordBatch]:
    return (batch for table in tables for batch in table.to_batches())

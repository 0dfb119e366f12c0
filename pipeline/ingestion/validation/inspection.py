"""One table of one night under its rules: which rows are kept, which are set aside and why, how often each rule broke."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby, islice

import numpy as np
import pyarrow as pa

from pipeline.definitions.company import Company
from pipeline.ingestion.validation.batches import Batch, Stored, batches, pieces, same_as_previous
from pipeline.ingestion.validation.expectations import Finding, Suite, load_suite
from pipeline.ingestion.validation.raw_rows import as_records, checked_columns, repeats, source_row_text
from pipeline.ingestion.validation.suites import CRITICAL, WARNING, Result, Rule, suite_parameters
from pipeline.lake.lake import Lake, sorted_by
from pipeline.lake.tables import EVENT_DAY, REJECTED_ROWS, Partition, Table

BATCH_ROWS = 250_000
NOT_REPEATED = Rule("row_is_not_repeated", CRITICAL, rejects_rows=True)
KEY_OF_ONE_DAY = Rule("key_is_of_one_day", WARNING)
WITHIN_LIMIT = Rule("table_keeps_enough_rows", CRITICAL)

log = logging.getLogger("pipeline.ingestion.validate")


@dataclass(slots=True)
class Tally:
    """How many rows were checked; per rule how many broke it; per rule how many were set aside for it first."""

    checked: int = 0
    failed: Counter[str] = field(default_factory=Counter)
    rejected: Counter[str] = field(default_factory=Counter)

    def add(self, finding: Finding) -> None:
        before = self.failed[finding.rule.name]
        self.failed[finding.rule.name] = before + finding.failed if finding.is_about_rows else max(before, finding.failed)

    def add_spread_keys(self, row_count: int) -> None:
        """Add rows that share their key with a row of another day."""
        self.failed[KEY_OF_ONE_DAY.name] += row_count

    @property
    def rejected_count(self) -> int:
        return self.rejected.total()

    @property
    def rejected_share(self) -> float:
        return self.rejected_count / self.checked if self.checked else 0.0


@dataclass(frozen=True, slots=True)
class Inspection:
    """Runs the rules of one table over its batches; rows that break one are set aside.

    Keeps a bit per row, and the rows of the first batch, which is all there is on most nights.
    """

    company: Company
    suite: Suite
    customer_ids: pa.Array | None = None
    batch_rows: int = BATCH_ROWS
    tally: Tally = field(default_factory=Tally)
    kept: dict[Stored, list[pa.Array]] = field(default_factory=dict)
    held: dict[Stored, list[pa.Table]] = field(default_factory=dict)

    @property
    def table(self) -> Table:
        return self.suite.table

    def rejected_rows(self, lake: Lake, partitions: Sequence[Stored]) -> Iterator[pa.RecordBatch]:
        """Check every row of `partitions`, and yield those to set aside, sorted as REJECTED_ROWS is."""
        checked = (part for batch in batches(lake, partitions, limit=self.batch_rows) for part in self._check(batch))
        for _, parts in groupby(checked, key=lambda part: part[0]):
            rows = pa.concat_tables(rejected for _, rejected in parts)
            if rows.num_rows:
                yield from sorted_by(rows, (*REJECTED_ROWS.key, "broken_rules")).to_batches()

    def kept_rows(self, lake: Lake, partitions: Sequence[Stored]) -> Iterator[tuple[Stored, pa.Table]]:
        """Yield the rows of checked partitions that stay, in pieces sorted by key; those that are not held are read once more."""
        again = [each for each in partitions if len(self.held.get(each, ())) < len(self.kept[each])]
        read = pieces(lake, again, limit=self.batch_rows)
        for partition in partitions:
            masks, held = self.kept[partition], self.held.get(partition, ())
            whole = held if len(held) == len(masks) else (rows for _, rows in islice(read, len(masks)))
            for rows, mask in zip(whole, masks, strict=True):
                yield partition, rows.filter(mask) if mask.false_count else rows

    def counts(self, partition: Stored) -> dict[str, int]:
        """Return what the manifest of the clean partition says of its raw one."""
        masks = self.kept[partition]
        rejected = sum(mask.false_count for mask in masks)
        return {"raw_row_count": sum(map(len, masks)), "rejected_row_count": rejected}

    def results(self) -> list[Result]:
        """Return one row of VALIDATION_RESULTS per rule."""
        about_keys = (NOT_REPEATED, KEY_OF_ONE_DAY) if self.table.partition is Partition.EVENT_DAY else (NOT_REPEATED,)
        return [self._result(rule) for rule in (*about_keys, *self.suite.rules)] + [self._share_result()]

    def broken_results(self) -> list[Result]:
        """Return the results of the rules that stop the night; the share of rejected rows is none of them."""
        return [row for row in map(self._result, self.suite.rules) if not row["is_passed"]]

    def is_within_limit(self) -> bool:
        """Return whether few enough rows were set aside."""
        return self.tally.rejected_share <= self.company.rejected_share_limit

    def _result(self, rule: Rule) -> Result:
        return rule.result(self.table, checked=self.tally.checked, failed=self.tally.failed[rule.name])

    def _share_result(self) -> Result:
        is_within = self.is_within_limit()
        return self._result(WITHIN_LIMIT) | {"failed_count": int(not is_within), "is_passed": is_within}

    def _check(self, batch: Batch) -> Iterator[tuple[Stored, pa.Table]]:
        """Yield each part of the batch with the rows of it that are set aside."""
        rows = _merged(batch)
        broken = self._broken(rows, batch[0][0])
        positions = np.array(sorted(broken), np.int64)
        self.tally.checked += rows.num_rows
        self.tally.rejected.update(rules[0] for rules in broken.values())
        start = 0
        for partition, part in batch:
            if self.tally.checked <= self.batch_rows:
                self.held.setdefault(partition, []).append(part)
            here = positions[np.searchsorted(positions, start) : np.searchsorted(positions, start + part.num_rows)]
            yield partition, self._set_aside(partition, part, here - start, [broken[at] for at in here])
            start += part.num_rows
        log.info("%s: %s rows checked, %s set aside", self.table.name, f"{self.tally.checked:,}", f"{self.tally.rejected_count:,}")

    def _broken(self, rows: pa.Table, partition: Stored) -> dict[int, list[str]]:
        """Return the names of the rejecting rules that each row broke, in suite order, and count all rules."""
        repeated = self._repeated(rows)
        broken = {int(at): [NOT_REPEATED.name] for at in np.flatnonzero(repeated)}
        self.tally.failed[NOT_REPEATED.name] += len(broken)
        at_row = np.flatnonzero(~repeated)
        for finding in self._findings(rows.take(at_row) if broken else rows, partition):
            for at in at_row[finding.positions]:
                broken.setdefault(int(at), []).append(finding.rule.name)
        return broken

    def _repeated(self, rows: pa.Table) -> np.ndarray:
        key = (EVENT_DAY.name, *self.table.key) if self.table.partition is Partition.EVENT_DAY else self.table.key
        return repeats(rows, same_as_previous(rows, key))

    def _findings(self, rows: pa.Table, partition: Stored) -> list[Finding]:
        columns = checked_columns(rows, self.table, customer_ids=self.customer_ids)
        night = partition.known or partition.day
        if night is None:
            raise ValueError("a stored partition has a day or a known night")
        findings = self.suite.check(columns, suite_parameters(self.company, night))
        for finding in findings:
            self.tally.add(finding)
        return findings

    def _set_aside(self, partition: Stored, rows: pa.Table, positions: np.ndarray, broken: list[list[str]]) -> pa.Table:
        mask = np.ones(rows.num_rows, np.bool_)
        mask[positions] = False
        self.kept.setdefault(partition, []).append(pa.array(mask))
        if not broken:
            return REJECTED_ROWS.schema.empty_table()
        records = as_records(rows.take(positions), self.table)
        columns = {
            "source_table": pa.repeat(self.table.name, len(records)),
            "source_day": pa.repeat(pa.scalar(partition.day, pa.date32()), len(records)),
            "rule": pa.array([rules[0] for rules in broken], pa.string()),
            "broken_rules": pa.array([",".join(rules) for rules in broken], pa.string()),
            "row": pa.array([source_row_text(record) for record in records], pa.string()),
        }
        return REJECTED_ROWS.conform(pa.table(columns))


def inspection_of(company: Company, table: Table, *, batch_rows: int, customer_ids: pa.Array | None = None) -> Inspection:
    """Return the inspection of `table` under its suite."""
    return Inspection(company, load_suite(company, company.table(table)), customer_ids, batch_rows)


def _merged(batch: Batch) -> pa.Table:
    """Return the rows of a batch as one table."""
    return pa.concat_tables(rows for _, rows in batch).combine_chunks()

"""The check of one table's rows: each row is checked once, and stays or is set aside."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter

import numpy as np
import pyarrow as pa

from pipeline.definitions.company import Company
from pipeline.ingestion.validation.batches import Batch, PartitionRef, read_batches, same_as_previous
from pipeline.ingestion.validation.expectations import Suite
from pipeline.ingestion.validation.findings import NOT_REPEATED, GroupFindings, Tally
from pipeline.ingestion.validation.known_ids import KnownIds
from pipeline.ingestion.validation.partition_groups import PartitionGroup
from pipeline.ingestion.validation.raw_rows import as_records, checked_columns, repeated_rows, source_row_text
from pipeline.ingestion.validation.suites import suite_parameters
from pipeline.ingestion.validation.valid_rows import ValidRows
from pipeline.lake.lake import Lake, sorted_by
from pipeline.lake.tables import EVENT_DAY, REJECTED_ROWS, Partition, Table

BATCH_ROWS = 250_000


@dataclass(frozen=True, slots=True)
class Inspection:
    """The rules of one table and what they depend on; rows that break a rule with `rejects_rows` are set aside."""

    company: Company
    suite: Suite
    known_ids: KnownIds | None = None
    batch_rows: int = BATCH_ROWS
    circle_ids: pa.Array | None = None

    @property
    def table(self) -> Table:
        return self.suite.table

    def check(self, lake: Lake, group: PartitionGroup) -> GroupFindings:
        """Check every row of a group and return what was found.

        Raises ConfigError where a rule cannot run, and what `batches` raises.
        """
        tally, kept = Tally(), ValidRows(self.batch_rows)
        batches = read_batches(lake, group.partitions, limit=self.batch_rows)
        pieces = (piece for batch in batches for piece in self._check_batch(batch, tally, kept, group.held_rows))
        group.rejected.write(_sorted_by_partition(pieces))
        return GroupFindings(tally, kept, group.rejected)

    def _check_batch(self, batch: Batch, tally: Tally, kept: ValidRows, held_rows: int) -> Iterator[tuple[PartitionRef, pa.Table]]:
        """Add what is found in a batch to `tally` and `kept`; yield the rows to set aside, with their partition."""
        rows = pa.concat_tables(piece for _, piece in batch).combine_chunks()
        broken = self._broken_rules(rows, batch[0][0], tally)
        positions = np.array(sorted(broken), np.int64)
        tally.checked += rows.num_rows
        tally.rejected.update(rules[0] for rules in broken.values())
        start = 0
        for partition, piece in batch:
            here = positions[np.searchsorted(positions, start) : np.searchsorted(positions, start + piece.num_rows)]
            mask = np.ones(piece.num_rows, np.bool_)
            mask[here - start] = False
            kept.masks.setdefault(partition, []).append(pa.array(mask))
            if tally.checked <= held_rows:
                kept.held.setdefault(partition, []).append(piece)
            yield partition, _as_rejected(partition, piece.take(here - start), [broken[index] for index in here])
            start += piece.num_rows

    def _broken_rules(self, rows: pa.Table, partition: PartitionRef, tally: Tally) -> dict[int, list[str]]:
        """Return, by row, the names of the rejecting rules that it broke, in suite order; `tally` gets the counts of all rules."""
        if partition.known_on is None:
            raise ValueError("raw rows are known since a night")
        key = (EVENT_DAY.name, *self.table.key) if self.table.partition is Partition.EVENT_DAY else self.table.key
        repeated = repeated_rows(rows, same_as_previous(rows, key))
        broken = {int(index): [NOT_REPEATED.name] for index in np.flatnonzero(repeated)}
        tally.failed[NOT_REPEATED.name] += len(broken)
        # Identical rows are rejected once and not shown to other rules, which would count them twice.
        at_row = np.flatnonzero(~repeated)
        columns = checked_columns(rows.take(at_row) if broken else rows, self.table, known_ids=self.known_ids, circle_ids=self.circle_ids)
        for finding in self.suite.check(columns, suite_parameters(self.company, partition.known_on)):
            tally.add(finding)
            for index in at_row[finding.positions]:
                broken.setdefault(int(index), []).append(finding.rule.name)
        return broken


def _sorted_by_partition(pieces: Iterator[tuple[PartitionRef, pa.Table]]) -> Iterator[pa.RecordBatch]:
    """Yield rejected rows, those of a partition sorted as a whole, so that they lie alike whatever the size of a batch."""
    for _, pieces_of_one in groupby(pieces, key=itemgetter(0)):
        rows = pa.concat_tables(rejected_rows for _, rejected_rows in pieces_of_one)
        if rows.num_rows:
            yield from sorted_by(rows, (*REJECTED_ROWS.key, "broken_rules")).to_batches()


def _as_rejected(partition: PartitionRef, rows: pa.Table, broken: list[list[str]]) -> pa.Table:
    """Return rows of a partition, with the rules that each broke, as REJECTED_ROWS has them."""
    if not broken:
        return REJECTED_ROWS.schema.empty_table()
    columns = {
        "source_table": pa.repeat(partition.table.name, len(broken)),
        "source_day": pa.repeat(pa.scalar(partition.day, pa.date32()), len(broken)),
        "rule": pa.array([rules[0] for rules in broken], pa.string()),
        "broken_rules": pa.array([",".join(rules) for rules in broken], pa.string()),
        "row": pa.array([source_row_text(record) for record in as_records(rows, partition.table)], pa.string()),
    }
    return REJECTED_ROWS.conform(pa.table(columns))

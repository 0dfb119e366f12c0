"""What the rules of one table found in a night: how often each broke, which rows stay, and which are set aside and why."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice

import pyarrow as pa

from pipeline.ingestion.validation.batches import PartitionRef, read_pieces
from pipeline.ingestion.validation.expectations import RuleFinding, Suite
from pipeline.ingestion.validation.suites import CRITICAL, WARNING, RuleResult, ValidationRule
from pipeline.lake.lake import Lake
from pipeline.lake.row_spool import RowSpool
from pipeline.lake.tables import Partition, Table

NOT_REPEATED = ValidationRule("row_is_not_repeated", CRITICAL, rejects_rows=True)
KEY_OF_ONE_DAY = ValidationRule("key_is_of_one_day", WARNING)
WITHIN_LIMIT = ValidationRule("table_keeps_enough_rows", CRITICAL)


@dataclass(slots=True)
class Tally:
    """Numbers of rows: checked; `failed` by the rules that they broke; `rejected` by the first rule that they broke."""

    checked: int = 0
    failed: Counter[str] = field(default_factory=Counter)
    rejected: Counter[str] = field(default_factory=Counter)

    def add(self, finding: RuleFinding) -> None:
        before = self.failed[finding.rule.name]
        # A rule about the whole table fails once, in however many batches it fails.
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


@dataclass(slots=True)
class Findings:
    """What one inspection found; `rejected` has the rows to set aside, sorted as REJECTED_ROWS is.

    `kept` has a mask per piece of a partition: true for rows that stay. `held` has the rows of the first batch, which on most
    nights is all there is, so that they need not be read a second time.
    """

    suite: Suite
    rejected_share_limit: float
    batch_rows: int
    rejected: RowSpool
    tally: Tally = field(default_factory=Tally)
    kept: dict[PartitionRef, list[pa.Array]] = field(default_factory=dict)
    held: dict[PartitionRef, list[pa.Table]] = field(default_factory=dict)

    @property
    def table(self) -> Table:
        return self.suite.table

    def kept_rows(self, lake: Lake) -> Iterator[tuple[PartitionRef, pa.Table]]:
        """Yield the rows that stay, in pieces sorted by key; those that are not held are read from the lake again."""
        # One pass over all partitions that must be read again, as several of them share a file.
        again = [each for each, masks in self.kept.items() if len(self.held.get(each, ())) < len(masks)]
        read = read_pieces(lake, again, limit=self.batch_rows)
        for partition, masks in self.kept.items():
            held = self.held.get(partition, ())
            whole = held if len(held) == len(masks) else (rows for _, rows in islice(read, len(masks)))
            for rows, mask in zip(whole, masks, strict=True):
                yield partition, rows.filter(mask) if mask.false_count else rows

    def counts(self, partition: PartitionRef) -> dict[str, int]:
        """Return what the manifest of the clean partition says of its raw one."""
        masks = self.kept[partition]
        rejected = sum(mask.false_count for mask in masks)
        return {"raw_row_count": sum(map(len, masks)), "rejected_row_count": rejected}

    def results(self) -> list[RuleResult]:
        """Return one row of VALIDATION_RESULTS per rule."""
        about_keys = (NOT_REPEATED, KEY_OF_ONE_DAY) if self.table.partition is Partition.EVENT_DAY else (NOT_REPEATED,)
        is_within = self.is_within_limit()
        share = self._result(WITHIN_LIMIT) | {"failed_count": int(not is_within), "is_passed": is_within}
        return [*(self._result(rule) for rule in (*about_keys, *self.suite.rules)), share]

    def broken_results(self) -> list[RuleResult]:
        """Return the results of the rules that stop the night; the share of rejected rows is none of them."""
        return [row for row in map(self._result, self.suite.rules) if not row["is_passed"]]

    def is_within_limit(self) -> bool:
        """Return whether few enough rows were set aside."""
        return self.tally.rejected_share <= self.rejected_share_limit

    def _result(self, rule: ValidationRule) -> RuleResult:
        return rule.result(self.table, checked=self.tally.checked, failed=self.tally.failed[rule.name])

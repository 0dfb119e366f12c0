"""What the rules of one table found in a night: how often each broke, which rows stay, and which are set aside and why."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from pipeline.errors import ConfigError
from pipeline.ingestion.validation.expectation_arguments import Arguments
from pipeline.ingestion.validation.expectation_sql import row_count_bounds
from pipeline.ingestion.validation.expectations import Suite
from pipeline.ingestion.validation.suites import CRITICAL, WARNING, RuleFinding, RuleResult, ValidationRule
from pipeline.ingestion.validation.valid_rows import ValidRows
from pipeline.lake.row_file import RowFile
from pipeline.lake.tables import Partition, Table

NOT_REPEATED = ValidationRule("row_is_not_repeated", CRITICAL, rejects_rows=True)
KEY_OF_ONE_DAY = ValidationRule("key_is_of_one_day", WARNING)
WITHIN_LIMIT = ValidationRule("table_keeps_enough_rows", CRITICAL)


@dataclass(slots=True)
class Tally:
    """Numbers of rows: checked; `failed` by the rules that they broke; `rejected` by the first rule that they broke.

    `broken` are the rules about the whole table that some batch of its rows broke.
    """

    checked: int = 0
    failed: Counter[str] = field(default_factory=Counter)
    rejected: Counter[str] = field(default_factory=Counter)
    broken: set[str] = field(default_factory=set)

    def add(self, finding: RuleFinding) -> None:
        """Add what a rule found in a batch."""
        if finding.is_about_rows:
            self.failed[finding.rule.name] += finding.failed
        elif finding.failed:
            self.broken.add(finding.rule.name)

    def update(self, other: Tally) -> None:
        """Add what was counted in other partitions."""
        self.checked += other.checked
        self.failed.update(other.failed)
        self.rejected.update(other.rejected)
        self.broken |= other.broken

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
class GroupFindings:
    """What was found in a group of partitions; `rejected` has the rows to set aside, as REJECTED_ROWS sorts them."""

    tally: Tally
    kept: ValidRows
    rejected: RowFile


@dataclass(slots=True)
class Findings:
    """What was found in all partitions of one table, group by group in their order."""

    suite: Suite
    rejected_share_limit: float
    kept: ValidRows
    tally: Tally = field(default_factory=Tally)
    rejected: list[RowFile] = field(default_factory=list)

    @property
    def table(self) -> Table:
        return self.suite.table

    def add(self, found: GroupFindings) -> None:
        """Add what was found in the partitions that come next."""
        self.tally.update(found.tally)
        self.kept.update(found.kept)
        self.rejected.append(found.rejected)

    def rejected_rows(self) -> Iterator[pa.RecordBatch]:
        """Yield the rows that were set aside, as REJECTED_ROWS sorts them."""
        return (batch for file in self.rejected for batch in file.batches())

    def results(self) -> list[RuleResult]:
        """Return one row of VALIDATION_RESULTS per rule."""
        about_keys = (NOT_REPEATED, KEY_OF_ONE_DAY) if self.table.partition is Partition.EVENT_DAY else (NOT_REPEATED,)
        is_within = self.is_within_limit()
        share = self._result(WITHIN_LIMIT, 0 if is_within else self.tally.rejected_count) | {"is_passed": is_within}
        counted = (self._result(rule, self.tally.failed[rule.name]) for rule in about_keys)
        return [*counted, *self._suite_results(), share]

    def broken_results(self) -> list[RuleResult]:
        """Return the results of the rules that stop the night; the share of rejected rows is none of them."""
        return [row for row in self._suite_results() if not row["is_passed"]]

    def is_within_limit(self) -> bool:
        """Return whether few enough rows were set aside."""
        return self.tally.rejected_share <= self.rejected_share_limit

    def _suite_results(self) -> list[RuleResult]:
        return [
            self._result(rule, failed=self.tally.failed[rule.name] + self._is_table_wrong(rule, entry))
            for rule, entry in zip(self.suite.rules, self.suite.definition.entries, strict=True)
        ]

    def _is_table_wrong(self, rule: ValidationRule, entry: Mapping[str, Any]) -> bool:
        """Return whether a rule about the whole table is broken: by the number of all its rows, else by any batch of them."""
        with suppress(ConfigError):  # arguments that mean something to the library alone
            bounds = row_count_bounds(Arguments(self.suite.definition, rule, entry, {}))
            if bounds and self.kept.masks:
                return not bounds.contain(self.tally.checked - self.tally.failed[NOT_REPEATED.name])
        return rule.name in self.tally.broken

    def _result(self, rule: ValidationRule, failed: int) -> RuleResult:
        return rule.result(self.table, checked=self.tally.checked, failed=failed)

"""Suites of rules as written: one JSON file per table, read and checked without importing the library that runs them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.calendar import days_window, first_instant
from pipeline.definitions.company import COMPANY_FILE, Company
from pipeline.definitions.definition_files import Definition
from pipeline.errors import ConfigError
from pipeline.ingestion.validation.event_suites import event_expectations
from pipeline.lake.tables import EventType, Table

if TYPE_CHECKING:
    import numpy as np

CRITICAL, WARNING = "critical", "warning"
COLUMN_ARGUMENTS = ("column", "column_A", "column_B", "column_list", "column_set")
WHOLE_TABLE = "table_"  # how the name of a rule about a whole table begins

RuleResult = dict[str, Any]


@dataclass(frozen=True, slots=True)
class ValidationRule:
    """One expectation under the name that people know it by; a share of at least `mostly` of the rows must meet it."""

    name: str
    severity: str = CRITICAL
    rejects_rows: bool = False
    mostly: float = 1.0

    def is_passed(self, checked: int, failed: int) -> bool:
        """Return whether the night may go on as far as this rule is concerned."""
        # Rows that break a rule of this kind are set aside one by one; that there are too many is told by a limit of its own.
        if self.severity == WARNING or self.rejects_rows:
            return True
        return checked - failed >= self.mostly * checked

    def result(self, table: Table, *, checked: int, failed: int) -> RuleResult:
        """Return the row of VALIDATION_RESULTS for what the rule found in `table`."""
        return {
            "source_table": table.name,
            "rule": self.name,
            "severity": self.severity,
            "rejects_rows": self.rejects_rows,
            "checked_count": checked,
            "failed_count": failed,
            "is_passed": self.is_passed(checked, failed),
        }


@dataclass(frozen=True, slots=True)
class RuleFinding:
    """What one rule found in one batch.

    `failed` is the number of rows that broke it, or 0 or 1 for a rule about the whole table. `positions` are those of these rows
    in the batch, from 0, where the rule rejects rows; else empty.
    """

    rule: ValidationRule
    failed: int
    is_about_rows: bool
    positions: np.ndarray


@dataclass(frozen=True, slots=True)
class SuiteDefinition:
    """The suite of one table as written: `entries` are the file's expectations, `rules` their names and consequences, in the same order."""

    table: Table
    file: Path
    digest: str
    meta: Mapping[str, Any]
    entries: Sequence[Mapping[str, Any]]
    rules: tuple[ValidationRule, ...]


def load_suite_definition(company: Company, table: Table) -> SuiteDefinition:
    """Return the suite of `table`: the company's own file where it has one, else ours. That of an event follows from its declaration.

    Raises ConfigError naming the file and the rule where something is missing or of the wrong type.
    """
    found = company.definitions("expectations", ".json").get(table.name)
    event = next((event for event in company.events.values() if event.raw_table.name == table.name), None)
    if event:
        return _event_suite(company, event, table, found)
    if found is None:
        raise ConfigError(f"no expectations for {table.name}", where="expectations", todo=f"Write expectations/{table.name}.json.")
    content = parse_suite(found.text, found.file)
    entries = content["expectations"]
    # Kept in the manifests of what was checked by it: which rules a stored row has met can be told after they were edited.
    digest = sha256(found.text.encode()).hexdigest()[:16]
    return SuiteDefinition(table, found.file, digest, content.get("meta") or {}, entries, tuple(_read_rules(entries, found.file)))


def _event_suite(company: Company, event: EventType, table: Table, own: Definition | None) -> SuiteDefinition:
    """Return the rules that follow from the declaration of `event`, and those of the company's `own` file, where it has one."""
    content = parse_suite(own.text, own.file) if own else {"expectations": []}
    file = own.file if own else company.folder / COMPANY_FILE
    tuple(_read_rules(content["expectations"], file))  # of its own rules none may lack what every rule has
    entries = event_expectations(event, content["expectations"])
    digest = sha256(json.dumps(entries, sort_keys=True).encode()).hexdigest()[:16]
    return SuiteDefinition(table, file, digest, content.get("meta") or {}, entries, tuple(_read_rules(entries, file)))


def columns_named(entry: Mapping[str, Any]) -> Iterator[str]:
    """Yield the columns that an expectation reads."""
    kwargs = entry.get("kwargs") or {}
    for argument in COLUMN_ARGUMENTS:
        value = kwargs.get(argument, [])
        yield from [value] if isinstance(value, str) else value


def suite_parameters(company: Company, night: date) -> dict[str, Any]:
    """Return the values of `$PARAMETER`s in suites; `night` is the one that knew the rows, whichever night checks them."""
    return {
        "first_instant": first_instant(company.first_day, company.zone).isoformat(),
        "night_end": days_window(night, night, company.zone).end.isoformat(),
        "night": f"{night}T00:00:00",
        "currencies": [company.currency],
    }


def parse_suite(text: str, file: Path) -> dict[str, Any]:
    """Return the content of a suite; raises ConfigError where it is no JSON, or has no list of expectations."""
    try:
        content = json.loads(text)
    except ValueError as error:
        raise ConfigError(f"not valid JSON: {error}", where=str(file), todo="Correct that place.") from None
    entries = content.get("expectations") if isinstance(content, dict) else None
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        todo = 'Write {"expectations": [{"type": "...", "kwargs": {...}}]}.'
        raise ConfigError("`expectations` must be a list of objects", where=str(file), todo=todo)
    return dict(content)


def _read_rules(entries: Sequence[Mapping[str, Any]], file: Path) -> Iterator[ValidationRule]:
    seen: set[str] = set()
    for entry in entries:
        meta = entry.get("meta") or {}
        name, rejects_rows, severity = meta.get("rule"), meta.get("rejects_rows"), entry.get("severity")
        if not isinstance(name, str) or name in seen:
            raise ConfigError(
                f"`meta.rule` of {entry.get('type')} is missing or used twice", where=str(file), todo="Give each rule its own name."
            )
        if not isinstance(rejects_rows, bool) or severity not in (CRITICAL, WARNING) or (rejects_rows and severity == WARNING):
            raise ConfigError(
                f"the rule `{name}` needs `severity` critical or warning, and `meta.rejects_rows` true or false",
                where=str(file),
                todo="A warning rejects no rows.",
            )
        kwargs = entry.get("kwargs") or {}
        mostly = kwargs.get("mostly", 1.0) if isinstance(kwargs, dict) else None
        # In Python, True is an int.
        if isinstance(mostly, bool) or not isinstance(mostly, int | float) or not 0 <= mostly <= 1:
            raise ConfigError(
                f"`kwargs` of the rule `{name}` must be an object, and `mostly` in it a share from 0 to 1", where=str(file), todo="Mend it."
            )
        seen.add(name)
        yield ValidationRule(name, severity, rejects_rows, float(mostly))

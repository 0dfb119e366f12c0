"""Whether the rules of a suite can run at all, found without a row, and without importing the library that runs them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from pkgutil import iter_modules
from typing import Any

import pyarrow as pa

from pipeline.errors import ConfigError, ErrorCollector
from pipeline.ingestion.validation.expectation_arguments import Arguments
from pipeline.ingestion.validation.expectation_sql import is_about_table, is_known_to_sql, require_countable
from pipeline.ingestion.validation.findings_in_sql import KIND_OF_TYPE
from pipeline.ingestion.validation.known_ids import KnownIds
from pipeline.ingestion.validation.raw_rows import checked_columns
from pipeline.ingestion.validation.suites import SuiteDefinition, columns_named
from pipeline.lake.tables import EVENT_DAY, RAW_PREFIX, Column, Kind, Table
from pipeline.spelling import did_you_mean


def require_runnable(suite: SuiteDefinition, parameters: Mapping[str, Any]) -> None:
    """Raise ConfigError for each rule that could not run: of no known type, about no column, or with arguments that mean nothing.

    `parameters` are the values of `$PARAMETER`s on any night.
    """
    suite, found = replace(suite, table=_table_as_checked(suite.table)), ErrorCollector()
    for rule, entry in zip(suite.rules, suite.entries, strict=True):
        with found.collecting():
            arguments = Arguments(suite, rule, entry, parameters)
            if rule.rejects_rows and is_about_table(entry):
                raise arguments.refused("it is about no single row, so it cannot reject any")
            if is_known_to_sql(entry) or not suite.table.name.startswith(RAW_PREFIX):
                require_countable(arguments)
            else:
                _require_known_to_library(arguments)
    found.raise_first()


def _require_known_to_library(arguments: Arguments) -> None:
    """Raise ConfigError for a type that the library does not have, or a column that the table does not have."""
    kind, suite = str(arguments.entry.get("type")), arguments.suite
    if kind not in _library_expectations():
        hint = did_you_mean(kind, _library_expectations())
        raise ConfigError(f"`{kind}` is no expectation{hint}", where=str(suite.file), todo="Mend its `type`.")
    known = suite.table.column_names
    for name in columns_named(arguments.entry):
        if name not in known:
            what = f"the rule `{arguments.rule.name}` cannot run; `{name}` is no column{did_you_mean(str(name), known)}"
            raise ConfigError(what, where=str(suite.file), todo="Mend the rule.")


def _table_as_checked(table: Table) -> Table:
    """Return a raw table with the columns that rules see: its own, and what is found out about each row."""
    if not table.name.startswith(RAW_PREFIX):
        return table
    rows = checked_columns(table.schema.empty_table(), table, known_ids=KnownIds(), circle_ids=pa.array([], pa.string()))
    seen = [Column(field.name, KIND_OF_TYPE[field.type], field.name) for field in rows.schema if field.type in KIND_OF_TYPE]
    return replace(table, columns=(*seen, Column(EVENT_DAY.name, Kind.DATE, EVENT_DAY.description)))


@cache
def _library_expectations() -> frozenset[str]:
    """Return the types of expectations that the library has, by the names of its modules: importing it takes seconds."""
    spec = find_spec("great_expectations")
    root = Path(spec.origin).parent if spec and spec.origin else Path()
    found = iter_modules([str(root / "expectations" / "core"), str(root / "expectations")])
    return frozenset(module.name for module in found if module.name.startswith("expect_"))

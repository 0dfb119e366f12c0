"""How many rows in memory break each rule of a suite, counted in SQL."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

import pyarrow as pa

from pipeline.errors import ConfigError
from pipeline.ingestion.validation.expectation_sql import suite_statement
from pipeline.ingestion.validation.suites import SuiteDefinition
from pipeline.lake.engines.duckdb import select_from_memory
from pipeline.lake.tables import Column, Kind

KIND_OF_TYPE: Final = {kind.arrow: kind for kind in Kind}


def is_about_table(entry: Mapping[str, Any]) -> bool:
    """Whether an expectation is about the table as a whole, so that no row breaks it."""
    return str(entry.get("type")).startswith("expect_table_")


def count_failures_in_memory(suite: SuiteDefinition, rows: pa.Table, parameters: Mapping[str, Any]) -> list[int] | None:
    """Return the count of failures of each rule, in suite order; None where SQL does not know an expectation or an argument.

    A rule that rejects rows must be about rows; one about the whole table is not counted but left to the library, which refuses it.
    """
    if any(rule.rejects_rows and is_about_table(entry) for rule, entry in zip(suite.rules, suite.entries, strict=True)):
        return None
    columns = tuple(Column(field.name, KIND_OF_TYPE[field.type], field.name) for field in rows.schema if field.type in KIND_OF_TYPE)
    try:
        statement = suite_statement(replace(suite, table=replace(suite.table, columns=columns)), parameters)
    except ConfigError:
        return None
    [counts] = select_from_memory(suite.table, rows, statement).to_pylist()
    return [counts[f"failed_{position}"] for position in range(len(suite.rules))]

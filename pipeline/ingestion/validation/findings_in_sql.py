"""What each rule of a suite finds in rows in memory, by SQL."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

import numpy as np
import pyarrow as pa

from pipeline.errors import ConfigError
from pipeline.ingestion.validation.expectation_sql import ROW_POSITION, broken_rows_statement, is_about_table, suite_statement
from pipeline.ingestion.validation.suites import RuleFinding, SuiteDefinition
from pipeline.lake.engines.duckdb import select_from_memory
from pipeline.lake.tables import Column, Kind

KIND_OF_TYPE: Final = {kind.arrow: kind for kind in Kind}
NO_POSITIONS: Final = np.empty(0, np.int64)


def findings_in_sql(suite: SuiteDefinition, rows: pa.Table, parameters: Mapping[str, Any]) -> list[RuleFinding] | None:
    """Return what each rule finds in `rows`, in suite order; None where SQL does not know an expectation or an argument.

    A rule that rejects rows must be about rows; one about the whole table is not looked at but left to the library, which refuses it.
    """
    if any(rule.rejects_rows and is_about_table(entry) for rule, entry in zip(suite.rules, suite.entries, strict=True)):
        return None
    columns = tuple(Column(field.name, KIND_OF_TYPE[field.type], field.name) for field in rows.schema if field.type in KIND_OF_TYPE)
    seen = replace(suite, table=replace(suite.table, columns=columns))
    try:
        statement = suite_statement(seen, parameters)
    except ConfigError:
        return None
    [row] = select_from_memory(suite.table, rows, statement).to_pylist()
    counts = [row[f"failed_{place}"] for place in range(len(suite.rules))]
    rejecting = [place for place, (rule, count) in enumerate(zip(suite.rules, counts, strict=True)) if rule.rejects_rows and count]
    # Most batches have no row to set aside: then counts are enough.
    positions = _positions_of_broken_rows(seen, rows, parameters, rejecting) if rejecting else {}
    return [
        RuleFinding(rule, count, is_about_rows=not is_about_table(entry), positions=positions.get(place, NO_POSITIONS))
        for place, (rule, entry, count) in enumerate(zip(suite.rules, suite.entries, counts, strict=True))
    ]


def _positions_of_broken_rows(
    suite: SuiteDefinition, rows: pa.Table, parameters: Mapping[str, Any], places: Sequence[int]
) -> dict[int, np.ndarray]:
    """Return, for the rules in these `places` of the suite, the positions of the rows that break each, in order."""
    numbered = rows.append_column(ROW_POSITION, pa.array(np.arange(rows.num_rows)))
    found = select_from_memory(suite.table, numbered, broken_rows_statement(suite, parameters, places)).sort_by(ROW_POSITION)
    return {place: found.filter(found[f"breaks_{place}"])[ROW_POSITION].to_numpy() for place in places}

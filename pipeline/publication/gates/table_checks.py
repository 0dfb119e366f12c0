"""Check the tables of a night that we computed ourselves against their suites, before anyone sees them."""

from __future__ import annotations

import logging
from dataclasses import replace
from datetime import date

from pipeline.definitions.company import Company
from pipeline.errors import ConfigError
from pipeline.ingestion.validation import (
    PartitionRef,
    SuiteDefinition,
    load_suite_definition,
    stop_where_broken,
    store_results,
    stored_results,
    suite_parameters,
)
from pipeline.ingestion.validation.expectation_sql import CHECKED_COUNT, suite_statement
from pipeline.lake import addresses
from pipeline.lake.engines import Engine
from pipeline.lake.lake import Lake
from pipeline.lake.tables import CUSTOMER_FEATURES, CUSTOMER_SEGMENTS, Table
from pipeline.log_fields import Count

CHECKED_TABLES = (CUSTOMER_FEATURES, CUSTOMER_SEGMENTS)
log = logging.getLogger("pipeline.publication.gates.table_checks")


def check_tables(company: Company, lake: Lake, engine: Engine, day: date, *, known_on: date | None = None) -> None:
    """Check the features and the segments of the night `day`, as night `known_on` knows them, and store the results.

    Raises DataError where a critical rule stops the night, ConfigError where a suite has something that cannot be checked.
    """
    for table in CHECKED_TABLES:
        check_table(company, lake, engine, PartitionRef(table, day, known_on or day))


def check_table(company: Company, lake: Lake, engine: Engine, partition: PartitionRef) -> None:
    """Check one partition as `check_tables` does."""
    table, day, known = partition.table, partition.day, partition.known_on
    if day is None or known is None:
        raise ValueError("a computed table is checked by its day and the night that knows it")
    suite = load_table_suite(company, company.table(table))
    engine.register(suite.table, [addresses.partition(table, day=day, known_on=known)])
    # In SQL, all rules in one pass: Great Expectations would load every row into pandas and take longer than the night.
    [counts] = engine.run(suite_statement(suite, suite_parameters(company, known)), {}).read_all().to_pylist()
    checked = counts[CHECKED_COUNT]
    found = [rule.result(table, checked=checked, failed=counts[f"failed_{position}"]) for position, rule in enumerate(suite.rules)]
    log.info("%(table)s: %(rows)s rows checked", {"table": table.name, "rows": Count(checked)})
    before = stored_results(lake, day, known_on=known)
    # Validation has stored what it found under the same night, and so has the check of the other table.
    others = [row for row in before.rule_results if row["source_table"] != table.name]
    store_results(lake, day, replace(before, rule_results=[*others, *found]), known_on=known)
    stop_where_broken(lake, day, [row for row in found if not row["is_passed"]])


def load_table_suite(company: Company, table: Table) -> SuiteDefinition:
    """Return the suite of a computed table; raises ConfigError for one that rejects rows: they are right or wrong, never set aside."""
    suite = load_suite_definition(company, table)
    for rule in suite.rules:
        if rule.rejects_rows:
            raise ConfigError(
                f"the rule `{rule.name}` rejects rows of {table.name}, which is computed",
                where=str(suite.file),
                todo="Set `rejects_rows` to false.",
            )
    return suite

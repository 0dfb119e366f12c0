"""Suites of checks: the company's own files, and whether each of their rules could run."""

from __future__ import annotations

from pipeline.definitions.company import Company
from pipeline.definitions.definition_files import definition_files
from pipeline.ingestion.validation import load_suite_definition, suite_parameters
from pipeline.ingestion.validation.runnable_suites import require_runnable
from pipeline.operations.check.problems import ProblemList
from pipeline.publication.gates.table_checks import CHECKED_TABLES, load_table_suite


def check_suites(company: Company, found: ProblemList) -> int:
    """Add what is wrong with the suites that the company wrote itself, and return how many there are."""
    own = {path.stem for path in definition_files(company.folder / "expectations", ".json")}
    raw = {table.name: company.table(table) for table in company.source_tables.values()}
    computed = {table.name: company.table(table) for table in CHECKED_TABLES}
    # Any night will do: which one decides values of parameters, and not whether there are such.
    parameters = suite_parameters(company, company.last_day or company.first_day)
    for name in sorted(own & (raw.keys() | computed.keys())):
        with found.collecting():
            suite = load_table_suite(company, computed[name]) if name in computed else load_suite_definition(company, raw[name])
            require_runnable(suite, parameters)
    return len(own)

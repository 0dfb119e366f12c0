"""Validation of rows: suites of rules, the batches they are run on, findings, clean rows, results.

Great Expectations and pandas are used only in here. Customers' values must not leave it in messages or logs.
"""

from __future__ import annotations

from pipeline.ingestion.validation.batches import PartitionRef
from pipeline.ingestion.validation.findings import WITHIN_LIMIT
from pipeline.ingestion.validation.results import ValidationResults, stop_where_broken, store_results, stored_results, warnings_of_most_rows
from pipeline.ingestion.validation.suites import WHOLE_TABLE, SuiteDefinition, ValidationRule, load_suite_definition, suite_parameters

__all__ = [
    "WHOLE_TABLE",
    "WITHIN_LIMIT",
    "PartitionRef",
    "SuiteDefinition",
    "ValidationResults",
    "ValidationRule",
    "load_suite_definition",
    "stop_where_broken",
    "store_results",
    "stored_results",
    "suite_parameters",
    "warnings_of_most_rows",
]

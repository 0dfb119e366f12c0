"""Suites of rules, checked over bounded batches of raw rows: in SQL and, where it does not know an expectation, by Great Expectations.

Only names, counts and row positions leave this module: the library's own results hold customers' values.
"""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from pipeline.definitions.company import Company
from pipeline.errors import ConfigError
from pipeline.ingestion.validation.expectation_sql import is_known_to_sql
from pipeline.ingestion.validation.findings_in_sql import findings_in_sql
from pipeline.ingestion.validation.frames import pandas_frame
from pipeline.ingestion.validation.suites import RuleFinding, SuiteDefinition, ValidationRule, columns_named, load_suite_definition
from pipeline.lake.spared_imports import spared_imports
from pipeline.lake.tables import Table
from pipeline.spelling import did_you_mean

if TYPE_CHECKING:
    from types import ModuleType

    import pandas as pd
    from great_expectations import ExpectationSuite
    from great_expectations.core import ExpectationValidationResult
    from great_expectations.core.batch_definition import BatchDefinition

# Positions of broken rows, but no sample of their values, which would end up in results and logs.
POSITIONS_ONLY = {"result_format": "COMPLETE", "partial_unexpected_count": 0, "return_unexpected_index_query": False}


@dataclass(frozen=True)
class Suite:
    """The rules of one table, in the order of its file."""

    definition: SuiteDefinition

    def __reduce__(self) -> tuple[type[Suite], tuple[SuiteDefinition]]:
        return Suite, (self.definition,)  # without what the library made of it, which a worker makes anew where it needs it

    @property
    def table(self) -> Table:
        return self.definition.table

    @property
    def digest(self) -> str:
        return self.definition.digest

    @property
    def rules(self) -> tuple[ValidationRule, ...]:
        return self.definition.rules

    @cached_property
    def columns(self) -> frozenset[str]:
        """Names of the columns that the rules read."""
        return frozenset(name for entry in self.definition.entries for name in columns_named(entry))

    @cached_property
    def expectations(self) -> ExpectationSuite:
        """The suite as the library has it; raises ConfigError where the library does not understand it."""
        return _build_library_suite(self.definition)

    def check(self, rows: pa.Table, parameters: Mapping[str, Any]) -> list[RuleFinding]:
        """Return what each rule finds in `rows`, in suite order; `$PARAMETER`s are bound to `parameters`.

        Raises ConfigError where a rule cannot run, such as one on a column that is not there.
        """
        # SQL takes a hundredth of the time: importing the library alone costs more than all other checks of a small shop.
        found = findings_in_sql(self.definition, rows, parameters)
        return self.check_by_library(rows, parameters) if found is None else found

    def check_by_library(self, rows: pa.Table, parameters: Mapping[str, Any]) -> list[RuleFinding]:
        """Return what `check` returns, found by Great Expectations alone."""
        results = self._run_expectations(pandas_frame(rows, self.columns), parameters)
        self._require_run(results, rows.column_names)
        return [self._finding_of_rule(rule, results[rule.name]) for rule in self.rules]

    def _run_expectations(self, frame: pd.DataFrame, parameters: Mapping[str, Any]) -> dict[str, Any]:
        batch = _batch_definition().get_batch({"dataframe": frame})
        try:
            outcome = batch.validate(self.expectations, result_format=POSITIONS_ONLY, expectation_parameters=dict(parameters))
        except _great_expectations().exceptions.GreatExpectationsError as error:
            raise ConfigError(
                f"the rules of {self.table.name} cannot run: {type(error).__name__}",
                where=str(self.definition.file),
                todo=f"`$PARAMETER` can be one of {', '.join(parameters)}.",
            ) from None
        return {result["expectation_config"]["meta"]["rule"]: result for result in outcome.results}

    def _require_run(self, results: Mapping[str, Any], known: list[str]) -> None:
        unknown = sorted(self.columns.difference(known))
        for rule in self.rules:
            if _has_raised(results[rule.name].exception_info):
                hint = "".join(f"; `{name}` is no column{did_you_mean(name, known)}" for name in unknown)
                raise ConfigError(f"the rule `{rule.name}` cannot run{hint}", where=str(self.definition.file), todo="Mend the rule.")

    def _finding_of_rule(self, rule: ValidationRule, result: ExpectationValidationResult) -> RuleFinding:
        content = result.result
        if "unexpected_count" not in content:
            if rule.rejects_rows:
                what = f"the rule `{rule.name}` is about no single row, so it cannot reject any"
                raise ConfigError(what, where=str(self.definition.file), todo="Set `meta.rejects_rows` to false.")
            return RuleFinding(rule, int(not result.success), is_about_rows=False, positions=np.empty(0, np.int64))
        positions = content.get("unexpected_index_list") if rule.rejects_rows else None
        return RuleFinding(rule, content["unexpected_count"], is_about_rows=True, positions=np.asarray(positions or [], np.int64))


def load_suite(company: Company, table: Table) -> Suite:
    """Return the suite of `table`: the company's own file where it has one, else ours.

    Raises ConfigError naming the file and the rule where something is missing, unknown or of the wrong type.
    """
    suite = Suite(load_suite_definition(company, table))
    if not all(map(is_known_to_sql, suite.definition.entries)):
        suite.expectations  # noqa: B018 - the library says what is wrong with it before a row is read
    return suite


def _build_library_suite(definition: SuiteDefinition) -> ExpectationSuite:
    """Build the library's own suite. The library silently drops what it does not know, so types are checked and counted here."""
    gx = _great_expectations()
    entries, file = list(definition.entries), definition.file
    known = gx.expectations.registry.list_registered_expectation_implementations()
    for entry in entries:
        if entry.get("type") not in known:
            hint = did_you_mean(str(entry.get("type")), known)
            raise ConfigError(f"`{entry.get('type')}` is no expectation{hint}", where=str(file), todo="Mend its `type`.")
    try:
        suite: ExpectationSuite = gx.ExpectationSuite(name=definition.table.name, expectations=entries, meta=dict(definition.meta))
    except ValueError as error:
        raise ConfigError(f"an expectation has wrong arguments: {error}", where=str(file), todo="Mend its `kwargs`.") from None
    if len(suite.expectations) != len(entries):
        what = f"{len(entries) - len(suite.expectations)} expectations were not understood"
        raise ConfigError(what, where=str(file), todo="Compare each `type` with docs/reference/expectations.md.")
    return suite


def _has_raised(info: Mapping[str, Any]) -> bool:
    """Return whether an expectation failed to run; the library nests this by metric, at various depths."""
    return bool(info.get("raised_exception")) or any(isinstance(value, Mapping) and _has_raised(value) for value in info.values())


def _great_expectations() -> ModuleType:
    # Great Expectations sends usage statistics to its makers unless this is set before its import.
    os.environ["GX_ANALYTICS_ENABLED"] = "false"
    return _import_library()


@cache
def _import_library() -> ModuleType:
    """Import the library without its engines, charts and warnings: that saves seconds each night."""
    logging.getLogger("great_expectations").setLevel(logging.CRITICAL)
    # Spark Connect by its own name too: where Spark is loaded already, its import would end a process that has no main file.
    hidden = ("pyspark", "pyspark.sql.connect", "sqlalchemy")
    with warnings.catch_warnings(), spared_imports(hidden=hidden, put_off=("altair", "scipy.stats")):
        warnings.simplefilter("ignore")
        import great_expectations
        import great_expectations.expectations.registry
    # Its log lines can quote values, and some of its modules set a level of their own, so each is silenced.
    for name in list(logging.root.manager.loggerDict):
        if name.startswith("great_expectations."):
            logging.getLogger(name).setLevel(logging.CRITICAL)
    return great_expectations


@cache
def _batch_definition() -> BatchDefinition[Any]:
    gx = _great_expectations()
    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = gx.data_context.types.base.ProgressBarsConfig(globally=False)
    asset = context.data_sources.add_pandas("rows").add_dataframe_asset("rows")
    definition: BatchDefinition[Any] = asset.add_batch_definition_whole_dataframe("rows")
    return definition

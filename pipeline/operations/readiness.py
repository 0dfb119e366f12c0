"""What a night needs besides its data, checked before anything is read: definitions, suites of checks, the database target, the cluster.

A fault found now costs a second; found by the step that uses it, it costs the night.
"""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

from pipeline.definitions.audiences import load_audiences
from pipeline.definitions.company import Company
from pipeline.definitions.schemes import load_schemes
from pipeline.ingestion.validation.suites import load_suite_definition
from pipeline.models.refits.model_store import require_model_columns
from pipeline.publication.gates.table_checks import CHECKED_TABLES, load_table_suite

if TYPE_CHECKING:
    from pipeline.operations.deployment import Deployment


def require_ready(deployment: Deployment, company: Company, day: date) -> None:
    """Raise ConfigError for a definition, a suite, a target or a cluster that is wrong, TransientError for one that nobody answers for.

    `company` is that of the night, with the definitions by which it is computed.
    """
    load_schemes(company)
    load_audiences(company)
    require_model_columns(company, deployment.lake, day)
    suites = company.definitions("expectations", ".json")
    for table in company.source_tables.values():
        if table.name in suites:
            load_suite_definition(company, table)
    for table in CHECKED_TABLES:
        load_table_suite(company, company.table(table))
    if company.target.kind == "postgresql":
        # Imported here alone: who publishes to SQLite need not wait for the driver of another database.
        from pipeline.publication.targets.postgresql_connection import require_reachable

        require_reachable(deployment.connections(company.target.connection), company.target)
    if deployment.spark_remote is not None:
        from pipeline.lake.engines.spark_session import connect

        # With its executors. The step that computes takes the same session, where it runs in this process.
        connect(deployment.spark_remote).close()
    if company.iceberg is not None:
        from pipeline.publication.iceberg.catalogs import require_pyiceberg

        # Its address alone: a night is published whether or not the catalogue answers.
        deployment.catalogs(company.iceberg.catalog)
        require_pyiceberg("[publish.iceberg] of company.toml")

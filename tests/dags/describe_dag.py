"""Runs apart from the tests, because importing Airflow warns: writes what the DAG is, as JSON, to the file named."""

from __future__ import annotations

import json
import sys
import time
import warnings
from pathlib import Path
from typing import Any

from airflow.dag_processing.dagbag import BundleDagBag
from airflow.providers.standard.operators.trigger_dagrun import TriggerDagRunOperator  # noqa: F401 - loaded when named
from airflow.sdk import DAG, Asset, Connection, CronDataIntervalTimetable, ExceptionRetryPolicy, Param, chain, task  # noqa: F401 - loaded when named
from airflow.sdk.exceptions import AirflowException

from pipeline import errors

DAGS = Path(__file__).resolve().parents[2] / "dags"
HEAVY = (
    "duckdb",
    "pandas",
    "sklearn",
    "great_expectations",
    "sqlglot",
    "psycopg",
    "adbc_driver_manager",
    "pyspark",
    "obstore",
    "pyiceberg",
)


def facts() -> dict[str, Any]:
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        sys.addaudithook(refuse_sockets)
        sys.path.insert(0, str(DAGS))
        before = set(sys.modules)
        started = time.process_time()
        from backfill_segments import dag as backfill
        from nightly_segments import dag

        seconds = time.process_time() - started
    night = backfill.get_task("night").partial_kwargs
    bag = BundleDagBag(dag_folder=DAGS, bundle_path=DAGS, bundle_name="dags-folder")
    return {
        "dag_ids": sorted(bag.dag_ids),
        "parsed_files": sorted(Path(stat.file).name for stat in bag.dagbag_stats),
        "import_errors": {str(file): error for file, error in bag.import_errors.items()},
        "warnings": [str(one.message) for one in seen],
        "parse_seconds": seconds,
        "heavy_modules": [name for name in HEAVY if name in sys.modules and name not in before],
        "tags": sorted(dag.tags),
        "doc": dag.doc_md,
        "catchup": dag.catchup,
        "max_active_runs": dag.max_active_runs,
        "timetable": type(dag.timetable).__name__,
        "params": {name: {"default": dag.params[name], **dag.params.get_param(name).schema} for name in dag.params},
        "backfill": {
            "tags": sorted(backfill.tags),
            "doc": backfill.doc_md,
            "max_active_runs": backfill.max_active_runs,
            "params": {name: backfill.params.get_param(name).schema for name in backfill.params},
            "triggers": night["trigger_dag_id"],
            "retries": night["retries"],
            "after_a_failed_night": str(night["retry_policy"].evaluate(AirflowException("x"), 1, 4).action.value),
        },
        "tasks": {one.task_id: facts_of_task(one) for one in dag.tasks},
        "retries": {name: decision(dag.get_task("extract"), name) for name in RAISED},
    }


def facts_of_task(one: Any) -> dict[str, Any]:
    return {
        "upstream": sorted(one.upstream_task_ids),
        "retries": one.retries,
        "retry_seconds": one.retry_delay.total_seconds(),
        "timeout_seconds": one.execution_timeout.total_seconds(),
        "owner": one.owner,
        "doc": one.doc_md or one.python_callable.__doc__,
        "outlets": [asset.name for asset in one.outlets],
    }


RAISED = {
    "TransientError": errors.TransientError("x"),
    "LockTimeout": errors.LockTimeout("x"),
    "DataError": errors.DataError("x"),
    "SchemaDrift": errors.SchemaDrift("x"),
    "GateClosed": errors.GateClosed("x"),
    "ConfigError": errors.ConfigError("x"),
    "ValueError": ValueError("x"),
}


def decision(one: Any, name: str) -> str:
    return str(one.retry_policy.evaluate(RAISED[name], 1, 4).action.value)


def refuse_sockets(event: str, _arguments: tuple[Any, ...]) -> None:
    if event in ("socket.connect", "socket.getaddrinfo", "subprocess.Popen"):
        raise RuntimeError(f"parsing a DAG must not cause {event}")


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(json.dumps(facts()))

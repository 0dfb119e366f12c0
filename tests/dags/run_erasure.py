"""Runs apart from the tests, because importing Airflow warns: writes what the DAG is, and how a run of it ended, to the file named."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from airflow.utils.db import initdb

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "dags"))

from erase_customers import dag


def facts() -> dict[str, Any]:
    return {
        "schedule": getattr(dag.timetable, "expression", None),
        "max_active_runs": dag.max_active_runs,
        "catchup": dag.catchup,
        "tasks": [facts_of_task(task) for task in dag.tasks],
    }


def facts_of_task(task: Any) -> dict[str, Any]:
    words = task.doc_md or task.python_callable.__doc__
    return {"retries": task.retries, "timeout_seconds": task.execution_timeout.total_seconds(), "owner": task.owner, "doc": words}


def states() -> dict[str, str]:
    """Run the DAG once, as a person would by hand, and return how each task ended."""
    initdb()
    for task in dag.tasks:
        task.retries = 0
    run = dag.test()
    return {instance.task_id: str(instance.state) for instance in run.get_task_instances()}


if __name__ == "__main__":
    described = facts()
    if "run" in sys.argv[2:]:
        described["states"] = states()
    Path(sys.argv[1]).write_text(json.dumps(described))

"""Writes what a DAG of `dags/` is, and with `run` how a run of it ended: run_dag.py FILE DAG [run]."""

from __future__ import annotations

import json
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

from airflow.utils.db import initdb

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "dags"))

dag = import_module(sys.argv[2]).dag


def facts() -> dict[str, Any]:
    assets = getattr(dag.timetable, "asset_condition", None)
    return {
        "schedule": [asset.name for asset in assets.objects] if assets else getattr(dag.timetable, "expression", None),
        "max_active_runs": dag.max_active_runs,
        "catchup": dag.catchup,
        "tasks": [facts_of_task(task) for task in dag.tasks],
    }


def facts_of_task(task: Any) -> dict[str, Any]:
    # Of a mapped task what all of its instances share, and what it is mapped over.
    shared = getattr(task, "partial_kwargs", {})
    timeout = shared.get("execution_timeout", task.execution_timeout)
    words = shared.get("doc_md", task.doc_md) or task.python_callable.__doc__
    mapped = task.op_kwargs_expand_input.value if shared else {}
    return {"retries": task.retries, "timeout_seconds": timeout.total_seconds(), "owner": task.owner, "doc": words, "mapped": mapped}


def states() -> list[tuple[str, str, int]]:
    """Run the DAG once, as a person would by hand, and return how each task ended."""
    initdb()
    for task in dag.tasks:
        if not hasattr(task, "partial_kwargs"):
            task.retries = 0
    run = dag.test()
    return sorted((str(one.task_id), str(one.state), one.map_index) for one in run.get_task_instances())


if __name__ == "__main__":
    described = facts()
    if "run" in sys.argv[3:]:
        described["states"] = states()
    Path(sys.argv[1]).write_text(json.dumps(described))

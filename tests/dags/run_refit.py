"""Runs apart from the tests, because importing Airflow warns: writes how a run of the DAG ended, and what it is, to the file named."""

from __future__ import annotations

import json
import sys
import warnings
from pathlib import Path
from typing import Any

from airflow.utils.db import initdb

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "dags"))

with warnings.catch_warnings(record=True) as seen:
    warnings.simplefilter("always")
    from refit_clusters import dag


def facts() -> dict[str, Any]:
    return {
        "schedule": dag.timetable.timetable.expression,
        "assets": [asset.name for asset in dag.timetable.asset_condition.objects],
        "params": list(dag.params),
        "max_active_runs": dag.max_active_runs,
        "catchup": dag.catchup,
        "warnings": [str(one.message) for one in seen if "refit_clusters" in str(one.filename)],
        "upstream": {task.task_id: sorted(task.upstream_task_ids) for task in dag.tasks},
        "retries": {task.task_id: task.retries for task in dag.tasks},
        "is_approval_asked": dag.params["is_approval_asked"],
    }


def states(conf: dict[str, Any]) -> dict[str, str]:
    """Run the DAG once, as a person would by hand, and return how each task ended."""
    initdb()
    for task in dag.tasks:
        task.retries = 0
    run = dag.test(run_conf=conf)
    return {instance.task_id: str(instance.state) for instance in run.get_task_instances()}


if __name__ == "__main__":
    described = facts()
    described["states"] = states(json.loads(sys.argv[2]))
    Path(sys.argv[1]).write_text(json.dumps(described))

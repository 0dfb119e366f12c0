"""Runs apart from the tests, because importing Airflow warns: writes to a file how runs of the DAG ended, and what it is.

run_refit.py FILE MODELS RUN...: a run is its parameters as JSON, MODELS the folder of the models of which each run leaves some.
"""

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


def ended(conf: dict[str, Any], models: Path) -> dict[str, Any]:
    """Run the DAG once, as a person would by hand, and return how each task ended and the models that there are then, by name."""
    run = dag.test(run_conf=conf)
    states = {instance.task_id: str(instance.state) for instance in run.get_task_instances()}
    return {"states": states, "models": {path.name: path.read_text() for path in sorted(models.iterdir())}}


if __name__ == "__main__":
    file, folder, *runs = sys.argv[1:]
    described = facts()
    initdb()
    for task in dag.tasks:
        task.retries = 0
    described["runs"] = [ended(json.loads(conf), Path(folder)) for conf in runs]
    Path(file).write_text(json.dumps(described))

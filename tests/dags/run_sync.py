"""Runs apart from the tests, because importing Airflow warns: writes what the DAG is, and how a run of it ended, to the file named."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from airflow.utils.db import initdb

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "dags"))

from crm_sync import dag


def facts() -> dict[str, Any]:
    [task] = dag.tasks
    keywords = task.partial_kwargs
    return {
        "max_active_runs": dag.max_active_runs,
        "schedule": [asset.name for asset in dag.timetable.asset_condition.objects],
        "retries": keywords["retries"],
        "timeout_seconds": keywords["execution_timeout"].total_seconds(),
        "sinks": task.op_kwargs_expand_input.value["sink"],
    }


def states() -> list[tuple[str, str, int]]:
    """Run the DAG once, as a person would by hand, and return how each task ended."""
    initdb()
    run = dag.test()
    return sorted((str(one.task_id), str(one.state), one.map_index) for one in run.get_task_instances())


if __name__ == "__main__":
    described = facts()
    if "run" in sys.argv[2:]:
        described["states"] = states()
    Path(sys.argv[1]).write_text(json.dumps(described))

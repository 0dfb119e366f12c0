"""Writes what the scheduler plans for a company by its `last_day`, and how runs end that it began, or a person did, after that day."""

from __future__ import annotations

import json
import os
import runpy
import sys
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pendulum
from airflow import settings
from airflow.sdk.definitions.dag import _run_task
from airflow.serialization.definitions.dag import SerializedDAG
from airflow.serialization.serialized_objects import DagSerialization
from airflow.utils.db import initdb
from airflow.utils.state import DagRunState
from airflow.utils.types import DagRunTriggeredByType, DagRunType

DAGS = Path(__file__).resolve().parents[2] / "dags"
sys.path.insert(0, str(DAGS))
FOUND, ENDED, ONGOING, WEEKLY = sys.argv[1:]


def next_days(company: str) -> dict[str, str | None]:
    """Return the day on which the interval begins that the scheduler makes the next run of, per DAG; None where it makes none."""
    os.environ["SEGMENTS_COMPANY"] = company
    found: dict[str, str | None] = {}
    for file in sorted(DAGS.glob("*.py")):
        info = scheduler_dag(runpy.run_path(str(file))["dag"]).next_dagrun_info(last_automated_run_info=None)
        found[file.stem] = info.data_interval.start.in_timezone("Europe/Berlin").to_date_string() if info else None
    return found


def scheduler_dag(dag: Any) -> SerializedDAG:
    return DagSerialization.deserialize_dag(DagSerialization.serialize_dag(dag))


def scheduled_states(dag: Any, first: date, end: date) -> dict[str, str]:
    """Run `dag` as the scheduler does for the interval between the two mornings, and return how each task ended."""
    session = settings.Session()
    interval = tuple(pendulum.datetime(day.year, day.month, day.day, 4, tz="Europe/Berlin") for day in (first, end))
    run = scheduler_dag(dag).create_dagrun(
        run_id=f"scheduled__{first}",
        logical_date=interval[0],
        data_interval=interval,
        run_after=interval[1],
        run_type=DagRunType.SCHEDULED,
        triggered_by=DagRunTriggeredByType.TIMETABLE,
        state=DagRunState.RUNNING,
        start_date=datetime.now(UTC),
        session=session,
    )
    while run.state == DagRunState.RUNNING:
        ready, _ = run.update_state(session=session)
        session.commit()
        for instance in ready:
            _run_task(ti=instance, task=dag.task_dict[instance.task_id])
        session.expire_all()
    return states_of(run)


def states_of(run: Any) -> dict[str, str]:
    return {"run": str(run.state)} | {str(one.task_id): str(one.state) for one in run.get_task_instances()}


def main() -> dict[str, Any]:
    initdb()
    found: dict[str, Any] = {"ended": next_days(ENDED), "ongoing": next_days(ONGOING)}
    os.environ["SEGMENTS_COMPANY"] = WEEKLY
    weekly = runpy.run_path(str(DAGS / "nightly_segments.py"))["dag"]
    found["by hand"] = states_of(weekly.test())
    found["scheduled"] = scheduled_states(weekly, date(2024, 3, 25), date(2024, 4, 1))
    found["scheduled beyond"] = scheduled_states(weekly, date(2024, 3, 26), date(2024, 4, 2))
    return found


if __name__ == "__main__":
    Path(FOUND).write_text(json.dumps(main()))

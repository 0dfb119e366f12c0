"""Runs apart from the tests: writes the business days of a year's runs, per time zone, as JSON to the file named."""

from __future__ import annotations

import json
import os
import runpy
import sys
from datetime import datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from zoneinfo import ZoneInfo

import pendulum
from airflow.sdk.exceptions import AirflowSkipException
from airflow.serialization.encoders import coerce_to_core_timetable
from airflow.timetables.base import DataInterval, TimeRestriction

from pipeline.errors import PipelineError

DAGS = Path(__file__).resolve().parents[2] / "dags"
YEAR = 2025
MANUAL_HOURS = ((4, 0), (23, 59))


def days_of_runs(company: Path) -> dict[str, list[str]]:
    """Return what each way of starting a run would work on, from the runs of 1 January to those of 31 December."""
    os.environ["SEGMENTS_COMPANY"] = str(company)
    dag = runpy.run_path(str(DAGS / "nightly_segments.py"))
    zone: ZoneInfo = dag["COMPANY"].zone
    timetable = coerce_to_core_timetable(dag["dag"].timetable)

    def day(end: Any, run_after: Any, kind: str = "manual") -> str:
        run = SimpleNamespace(conf={}, run_id="r", run_after=run_after, run_type=kind)
        context = {"dag_run": run, "params": {"day": None}, "data_interval_end": end}
        return str(dag["day_of_run"](context, company=dag["COMPANY"], parameters=["day"]))

    dates = [datetime(YEAR, 1, 1, tzinfo=zone) + timedelta(days=n) for n in range(365)]
    found = {"scheduled": [day(interval.end, interval.end, "scheduled") for interval in scheduled(timetable, zone)]}
    for hour, minute in MANUAL_HOURS:
        instants = [pendulum.instance(date.replace(hour=hour, minute=minute)) for date in dates]
        found[f"manual {hour}:{minute:02}"] = [day(timetable.infer_manual_data_interval(run_after=at).end, at) for at in instants]
        found[f"without a logical date {hour}:{minute:02}"] = [day(None, at) for at in instants]
    return found


def scheduled(timetable: Any, zone: ZoneInfo) -> list[DataInterval]:
    first, last = (pendulum.datetime(YEAR, month, day, hour, tz=zone.key) for month, day, hour in ((1, 1, 3), (12, 31, 12)))
    restriction = TimeRestriction(earliest=first.subtract(days=1), latest=None, catchup=True)
    intervals: list[DataInterval] = []
    while not intervals or intervals[-1].end < last.subtract(days=1):
        info = timetable.next_dagrun_info(last_automated_data_interval=intervals[-1] if intervals else None, restriction=restriction)
        if info is None:
            break
        intervals.append(info.data_interval)
    return intervals


def refusal_of_knowledge_before_the_day() -> str:
    """Return what a run is told that restates a day as an earlier night knows it, by the parameters of the DAG itself."""
    dag = runpy.run_path(str(DAGS / "nightly_segments.py"))
    run = SimpleNamespace(conf={}, run_id="r", run_after=datetime(YEAR, 1, 9, tzinfo=dag["COMPANY"].zone), run_type="manual")
    params = {**dict.fromkeys(dag["dag"].params), "day": f"{YEAR}-01-05", "known": f"{YEAR}-01-04"}
    try:
        return str(dag["day_of_run"]({"dag_run": run, "params": params}, company=dag["COMPANY"], parameters=list(params)))
    except PipelineError as error:
        return str(error)


def skipped_run_of_a_day_after_the_last() -> str:
    """Return what a run is told that was scheduled before its company got a `last_day`, or of an interval that reaches beyond it."""
    dag = runpy.run_path(str(DAGS / "nightly_segments.py"))
    run = SimpleNamespace(conf={}, run_id="r", run_after=datetime(YEAR, 1, 9, tzinfo=dag["COMPANY"].zone), run_type="scheduled")
    try:
        context = {"dag_run": run, "params": {"day": None}}
        return str(dag["day_of_run"](context, company=dag["COMPANY"], parameters=["day"], through=dag["COMPANY"].last_day))
    except AirflowSkipException as skipped:
        return str(skipped)


if __name__ == "__main__":
    sys.path.insert(0, str(DAGS))
    days: dict[str, Any] = {Path(folder).name: days_of_runs(Path(folder)) for folder in sys.argv[2:]}
    refused = {"known before the day": [refusal_of_knowledge_before_the_day()], "after the last": [skipped_run_of_a_day_after_the_last()]}
    Path(sys.argv[1]).write_text(json.dumps({**days, "refused": refused}))

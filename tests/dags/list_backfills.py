"""Runs apart from the tests: writes the business days that Airflow plans for ranges of days as JSON to the file named."""

from __future__ import annotations

import json
import os
import runpy
import sys
from collections.abc import Iterator
from datetime import date, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from airflow.models.backfill import _get_info_list
from airflow.serialization.serialized_objects import DagSerialization
from list_days import DAGS

from pipeline.calendar import backfill_bounds


def planned_days(company: Path, ranges: list[list[str]]) -> Iterator[list[str]]:
    """Yield, per range of days, the business days of the runs that Airflow's own backfill would create."""
    os.environ["SEGMENTS_COMPANY"] = str(company)
    dag = runpy.run_path(str(DAGS / "nightly_segments.py"))
    stored = DagSerialization.deserialize_dag(DagSerialization.serialize_dag(dag["dag"]))
    for ends in ranges:
        first, last = (date.fromisoformat(end) for end in ends)
        bounds = (datetime.fromisoformat(bound) for bound in backfill_bounds(first, last, dag["COMPANY"].zone))
        infos = _get_info_list(from_date=next(bounds), to_date=next(bounds), reverse=False, dag=stored)
        yield [day_of(dag, info) for info in infos]


def day_of(dag: dict[str, Any], info: Any) -> str:
    run = SimpleNamespace(conf={}, run_id="r", run_after=info.run_after, run_type="backfill")
    context = {"dag_run": run, "params": {"day": None}, "data_interval_end": info.data_interval.end}
    return str(dag["day_of_run"](context, company=dag["COMPANY"], parameters=["day"]))


if __name__ == "__main__":
    sys.path.insert(0, str(DAGS))
    ranges = json.loads(sys.argv[2])
    companies = {Path(folder).name: Path(folder) for folder in sys.argv[3:]}
    Path(sys.argv[1]).write_text(json.dumps({name: list(planned_days(folder, ranges[name])) for name, folder in companies.items()}))

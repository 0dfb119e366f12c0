"""Runs apart from the tests, because importing Airflow warns: run_drift.py FILE DATABASE DAY LAKE.

Asks for a refit as the last task of a night that is not live, and again once it is, and writes to the file how each ended.
"""

from __future__ import annotations

import json
import sqlite3
import sys
from contextlib import closing
from datetime import date
from pathlib import Path
from typing import Any

from airflow.utils.db import initdb

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "dags"))

import refit_clusters  # noqa: F401 - an asset that nothing is scheduled on has no events
from nightly_segments import dag
from support.refit_nights import make_live

from pipeline.lake.lake import Lake
from pipeline.operations.steps import STEPS


def asked(database: str, day: str) -> dict[str, Any]:
    """Run the night with its steps taken as done; return how asking for a refit ended, and the events that there are by then."""
    run = dag.test(run_conf={"day": day}, mark_success_pattern="|".join(STEPS))
    with closing(sqlite3.connect(database)) as opened:
        events = [json.loads(extra) for (extra,) in opened.execute("SELECT extra FROM asset_event WHERE source_task_id = 'ask_refit'")]
    states = {instance.task_id: str(instance.state) for instance in run.get_task_instances()}
    return {"state": states["ask_refit"], "events": events}


if __name__ == "__main__":
    found, airflow, night, root = sys.argv[1:]
    initdb()
    before = asked(airflow, night)
    make_live(Lake(Path(root)), date.fromisoformat(night))
    Path(found).write_text(json.dumps([before, asked(airflow, night)]))

"""Runs apart from the tests, because importing Airflow warns: asks for a refit as the last task of a night, and writes how it ended."""

from __future__ import annotations

import json
import sqlite3
import sys
from contextlib import closing
from pathlib import Path

from airflow.utils.db import initdb

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "dags"))

import refit_clusters  # noqa: F401 - an asset that nothing is scheduled on has no events
from nightly_segments import dag

from pipeline.operations.steps import STEPS

if __name__ == "__main__":
    found, database, day = sys.argv[1:]
    initdb()
    run = dag.test(run_conf={"day": day}, mark_success_pattern="|".join(STEPS))
    with closing(sqlite3.connect(database)) as opened:
        events = [json.loads(extra) for (extra,) in opened.execute("SELECT extra FROM asset_event WHERE source_task_id = 'ask_refit'")]
    states = {instance.task_id: str(instance.state) for instance in run.get_task_instances()}
    Path(found).write_text(json.dumps({"state": states["ask_refit"], "events": events}))

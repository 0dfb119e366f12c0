"""Runs of DAGs apart from the tests, because importing Airflow warns: a script writes what it found to a file."""

from __future__ import annotations

import json
import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path
from typing import Any

from support.deployments import CANARY, Deployment

Facts = dict[str, Any]


def facts_of(run: subprocess.CompletedProcess[str], found: Path) -> Facts:
    """Return what a script wrote to `found`, of which no customer may be in what it printed."""
    assert found.exists(), run.stderr[-3_000:]
    assert CANARY not in run.stdout + run.stderr
    described: Facts = json.loads(found.read_text())
    return described


def passed_on(deployment: Deployment) -> set[tuple[str, str, str]]:
    """Return what tasks passed on to others: task, key and value."""
    with closing(sqlite3.connect(deployment.home / "airflow.db")) as database:
        return set(database.execute("SELECT task_id, key, value FROM xcom"))

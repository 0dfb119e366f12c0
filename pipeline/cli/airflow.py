"""Backfills planned in Airflow, by its own command: Airflow is no dependency of the command line, so nothing of it is imported."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import UTC, datetime

from pipeline.calendar import backfill_bounds, business_day, is_once_a_day
from pipeline.errors import ConfigError
from pipeline.operations.backfill import BackfillPlan
from pipeline.operations.deployment import Deployment, is_airflow_configured

DAG = "nightly_segments"
OTHER_WAY = "Or leave out --airflow, or trigger the DAG `backfill_segments` with the same days."


def plan_in_airflow(deployment: Deployment, plan: BackfillPlan, *, parallel: int, is_dry: bool) -> int:
    """Create the backfill in Airflow and return the exit code of its command; nights that ran before run again.

    Raises ConfigError for what Airflow's own backfill cannot do.
    """
    _require_airflow_can(deployment, plan)
    command = [sys.executable, "-m", "airflow", "backfill", "create", *_options(deployment, plan, parallel)]
    return subprocess.run([*command, "--dry-run"] if is_dry else command, check=False).returncode  # noqa: S603 - dates and our own words


def _require_airflow_can(deployment: Deployment, plan: BackfillPlan) -> None:
    company = deployment.company
    if not is_airflow_configured():
        raise ConfigError("AIRFLOW_HOME is not set", where="environment", todo=f"Run this where your Airflow runs. {OTHER_WAY}")
    if plan.request.is_reread or plan.request.tables:
        raise ConfigError("Airflow runs whole nights from what was read", where="--reread, --tables", todo=OTHER_WAY)
    # Airflow's backfill makes a run per time of the schedule: twice a day, or every other day, is not a run per business day.
    if not is_once_a_day(company.schedule):
        where = str(company.folder / "company.toml")
        raise ConfigError(f"Airflow cannot name each day of the schedule `{company.schedule}`", where=where, todo=OTHER_WAY)
    if company.last_day and company.last_day < business_day(datetime.now(UTC), company.zone):
        what = f"nothing is scheduled after {company.last_day}, the `last_day`, and Airflow plans no backfill without a schedule"
        raise ConfigError(what, where=str(company.folder / "company.toml"), todo=OTHER_WAY)


def _options(deployment: Deployment, plan: BackfillPlan, parallel: int) -> list[str]:
    first, last = backfill_bounds(plan.nights[0].day, plan.nights[-1].day, deployment.company.zone)
    options = ["--dag-id", DAG, "--from-date", first, "--to-date", last]
    # Without `completed` Airflow would skip every night that ran well before, and those are what a backfill is about.
    options += ["--max-active-runs", str(parallel), "--reprocess-behavior", "completed"]
    known = max(night.known_on for night in plan.nights)
    return [*options, "--dag-run-conf", json.dumps({"known": known.isoformat()})] if plan.request.is_as_of_now else options

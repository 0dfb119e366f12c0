"""One business day: read it, check it, describe every customer, segment them, audit, publish.

Runs at the company's own hour (`schedule` in company.toml) for the last whole local day, until the company's `last_day`. A manual
run may name another `day`; it is the same work, so any day can be run again, and again, in any order.
"""

from __future__ import annotations

from datetime import timedelta

from airflow.sdk import DAG, Asset, CronDataIntervalTimetable, Param, chain, get_current_context, task
from airflow_support.cluster import cluster_waits
from airflow_support.days import DRIFT, day_of_run, is_schedule_over
from airflow_support.notifications import notify
from airflow_support.tasks import ask_refit, step_task, task_defaults

from pipeline.definitions.notify import OF_LIVE_NIGHTS
from pipeline.lake.tables import PUBLISHED_TABLES
from pipeline.operations import deployment, steps

COMPANY = deployment.company_of_environment()
PARAMS = {
    "day": Param(None, "Business day to work on; empty for the last whole one.", type=["null", "string"], format="date"),
    "known": Param(None, "Restate the day as this later night knows it; never published.", type=["null", "string"], format="date"),
    "reread": Param(default=False, description="Read the source again, even where this night has read it.", type="boolean"),
    "override_gates": Param(None, "Closed gates to let pass: churn, volume.", type=["null", "array", "string"]),
    "override_reason": Param(None, "Why they are let pass; recorded with the night.", type=["null", "string"]),
    "since": Param(None, "Read the source again from this earlier day on.", type=["null", "string"], format="date"),
}

with DAG(
    dag_id="nightly_segments",
    dag_display_name=f"Nightly segments of {COMPANY.name}",
    doc_md=__doc__,
    tags={"segments", "nightly"},
    schedule=None if is_schedule_over(COMPANY) else CronDataIntervalTimetable(COMPANY.schedule, timezone=COMPANY.zone.key),
    catchup=False,  # a DAG that was paused must not run all missed nights: `backfill_segments` does that when asked
    max_active_runs=1,  # two runs of one night would only wait for each other
    params=PARAMS,
    default_args=task_defaults(COMPANY),
) as dag:

    @task(execution_timeout=timedelta(minutes=5))
    def business_day() -> str:
        """Return the local day this run works on, as ISO text: the only value that passes between tasks."""
        return day_of_run(get_current_context(), company=COMPANY, parameters=PARAMS, through=COMPANY.last_day)

    day = business_day()
    # Whoever works with these tables can be scheduled by their assets: the event comes when a night is live, and not before.
    publish = task(outlets=[Asset(table.name) for table in PUBLISHED_TABLES])(step_task(steps.publish))
    chain(
        *cluster_waits(),
        *(task(step_task(work))(day) for work in (steps.extract, steps.validate, steps.features, steps.segment, steps.audit)),
        publish(day),
        task(outlets=[DRIFT], execution_timeout=timedelta(minutes=5))(ask_refit)(day),
    )
    if COMPANY.notify.recipients_of(*OF_LIVE_NIGHTS):
        dag.get_task("publish") >> task(execution_timeout=timedelta(minutes=10))(notify)(day)

"""Is the last whole day live by the time that the company set? Where it is not, people are told: `not_published_by` of `[notify]`.

A run of its own looks at what is live, so it tells also where the night failed, is held back, still runs, or was never begun. Without
that setting, or after the company's `last_day`, it has no schedule.
"""

from __future__ import annotations

from datetime import timedelta

from airflow.sdk import DAG, CronDataIntervalTimetable, Param, get_current_context, task
from airflow_support.days import day_of_run, is_schedule_over
from airflow_support.notifications import notify_if_late
from airflow_support.tasks import task_defaults

from pipeline.operations.deployment import company_of_environment

COMPANY = company_of_environment()
BY = None if is_schedule_over(COMPANY) else COMPANY.notify.not_published_by
PARAMS = {"day": Param(None, "Day that should be live; empty for the last whole one.", type=["null", "string"], format="date")}

with DAG(
    dag_id="check_published",
    dag_display_name=f"Is the night of {COMPANY.name} live?",
    doc_md=__doc__,
    tags={"segments", "check"},
    schedule=CronDataIntervalTimetable(f"{BY.minute} {BY.hour} * * *", timezone=COMPANY.zone.key) if BY else None,
    catchup=False,
    max_active_runs=1,
    params=PARAMS,
    default_args={**task_defaults(COMPANY), "execution_timeout": timedelta(minutes=10)},
) as dag:

    @task(execution_timeout=timedelta(minutes=5))
    def business_day() -> str:
        """Return the local day that should be live, as ISO text."""
        return day_of_run(get_current_context(), company=COMPANY, parameters=PARAMS, through=COMPANY.last_day)

    task(notify_if_late)(business_day())

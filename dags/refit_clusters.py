"""Cluster models and predictions are fitted anew on a month's first noon, for the last whole day, and at once for a night that drifted.

Valid from the next night on. What is refused, or moves many customers, fails the run; with `is_approval_asked` a person decides.
"""

from __future__ import annotations

from datetime import timedelta

from airflow.providers.standard.operators.hitl import ApprovalOperator
from airflow.sdk import DAG, AssetOrTimeSchedule, CronDataIntervalTimetable, Param, chain, get_current_context, task
from airflow_support.days import DRIFT, day_of_run, is_schedule_over
from airflow_support.tasks import describe_refits, step_task, task_defaults

from pipeline.operations import deployment, refits

COMPANY = deployment.company_of_environment()
MONTHLY = CronDataIntervalTimetable("0 12 1 * *", timezone=COMPANY.zone.key)
PARAMS = {
    "day": Param(None, "Night whose customers are clustered; empty for the last whole day.", type=["null", "string"], format="date"),
    "is_approval_asked": Param(default=False, description="Whether a person approves before promotion.", type="boolean"),
    "override_reason": Param(None, "Why a refused candidate is promoted all the same.", type=["null", "string"]),
}

with DAG(
    dag_id="refit_clusters",
    dag_display_name=f"Refit the clusters of {COMPANY.name}",
    doc_md=__doc__,
    tags={"segments", "refit"},
    schedule=[DRIFT] if is_schedule_over(COMPANY) else AssetOrTimeSchedule(timetable=MONTHLY, assets=[DRIFT]),
    catchup=False,
    max_active_runs=1,
    params=PARAMS,
    default_args=task_defaults(COMPANY),
) as dag:

    @task(execution_timeout=timedelta(minutes=5))
    def business_day() -> str:
        """Return the local day this run works on, as ISO text."""
        return day_of_run(get_current_context(), company=COMPANY, parameters=PARAMS, through=COMPANY.last_day)

    @task.branch(execution_timeout=timedelta(minutes=5))
    def next_task() -> str:
        """Return the id of the next task: `told`, which shows a person what was found, where one is to approve; else `promote`."""
        return "told" if get_current_context()["params"]["is_approval_asked"] else "promote"

    day, branch = business_day(), next_task()
    approve = ApprovalOperator(
        task_id="approve",
        subject="Promote the cluster models refitted to {{ ti.xcom_pull('business_day') }}?",
        body="{{ ti.xcom_pull('told') }}",
        response_timeout=timedelta(days=7),
        execution_timeout=None,  # else the default of two hours would end a wait of days
        retries=0,
        doc_md="Waits a week for a person.",
    )
    chain(task(step_task(refits.refit))(day), branch, task(task_id="told")(describe_refits)(day), approve)
    chain([branch, approve], task(trigger_rule="none_failed_min_one_success")(step_task(refits.promote))(day))
    task(step_task(refits.refit_predictions))(day)

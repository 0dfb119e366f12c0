"""Customers who asked to be forgotten: whoever the company's `sources/erasures.sql` lists leaves everything that is stored.

Runs every noon, far from the night and from any change of clocks, where the company keeps such a list; else it has no
schedule. An interrupted erasure is finished first. Ids travel in no parameter, no XCom and no log.
"""

from __future__ import annotations

from datetime import timedelta

from airflow.sdk import DAG, CronDataIntervalTimetable, Param, get_current_context, task
from airflow_support.days import day_of_run
from airflow_support.tasks import step_task, task_defaults

from pipeline.lake.tables import ERASURES
from pipeline.operations.deployment import company_of_environment
from pipeline.operations.erasure.step import erase

COMPANY = company_of_environment()
PARAMS = {"day": Param(None, "Last day the list is asked for; empty for the last whole one.", type=["null", "string"], format="date")}
NOON = CronDataIntervalTimetable("0 12 * * *", timezone=COMPANY.zone.key)

with DAG(
    dag_id="erase_customers",
    dag_display_name=f"Erasures of {COMPANY.name}",
    doc_md=__doc__,
    tags={"segments", "erasure"},
    schedule=NOON if COMPANY.source_file(ERASURES.name).is_file() else None,
    catchup=False,
    max_active_runs=1,
    params=PARAMS,
    default_args={**task_defaults(COMPANY), "execution_timeout": timedelta(hours=4)},
) as dag:

    @task(execution_timeout=timedelta(minutes=5))
    def business_day() -> str:
        """Return the local day this run works on, as ISO text: the only value that passes between tasks."""
        return day_of_run(get_current_context(), company=COMPANY, parameters=PARAMS)

    task(step_task(erase))(business_day())

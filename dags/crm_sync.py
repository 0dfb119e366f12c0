"""The CRM, and whatever else people work with, gets what was published: one task for each file of the company's `sinks/`.

Starts when a night is live, and always syncs the live publication: a run for an older night, or one that comes twice, does no harm.
Without sinks it has no schedule. Names of sinks alone travel between tasks; customers are in no parameter, no XCom and no log.
"""

from __future__ import annotations

from datetime import timedelta

from airflow.sdk import DAG, Asset, Param, task
from airflow_support.tasks import sink_task, task_defaults

from pipeline.definitions.sinks import sink_names
from pipeline.lake.tables import CUSTOMER_SEGMENTS
from pipeline.operations.deployment import company_of_environment
from pipeline.operations.sync import sync_one

COMPANY = company_of_environment()
SINKS = sink_names(COMPANY)
PARAMS = {
    "full": Param(default=False, description="Read everything back, and try again whom a sink refused.", type="boolean"),
    "override_reason": Param(None, "Why limits of removals and changes are overridden; recorded.", type=["null", "string"]),
}

with DAG(
    dag_id="crm_sync",
    dag_display_name=f"Sync of {COMPANY.name}",
    doc_md=__doc__,
    tags={"segments", "sync"},
    schedule=[Asset(CUSTOMER_SEGMENTS.name)] if SINKS else None,
    catchup=False,
    max_active_runs=1,  # two syncs of one sink would only wait for each other
    params=PARAMS,
    default_args={**task_defaults(COMPANY), "execution_timeout": timedelta(hours=6)},
) as dag:
    sync = task(map_index_template="{{ task.op_kwargs['sink'] }}")(sink_task(sync_one)).expand(sink=SINKS)

"""A range of business days again: one run of `nightly_segments` per day, one after the other.

The days are the company's own, both included, whatever time zone the browser shows. "As known then" runs each night as
it was; "as of now" restates the nights with what arrived since, beside what was said then. Clear a failed day to try it
again. `nightly_segments` must not be paused; what is published never goes back.
"""

from __future__ import annotations

from datetime import timedelta

from airflow.providers.standard.operators.trigger_dagrun import TriggerDagRunOperator
from airflow.sdk import DAG, Param, get_current_context, task
from airflow_support.days import AS_KNOWN, KNOWLEDGE
from airflow_support.tasks import TASK_DEFAULTS, runs_of_backfill

from pipeline.operations.deployment import company_of_environment

COMPANY = company_of_environment()

with DAG(
    dag_id="backfill_segments",
    dag_display_name=f"Backfill the segments of {COMPANY.name}",
    doc_md=__doc__,
    tags={"segments", "backfill"},
    schedule=None,
    max_active_runs=1,
    params={
        "first_day": Param(description="First business day.", type="string", format="date"),
        "last_day": Param(description="Last business day, included.", type="string", format="date"),
        "knowledge": Param(AS_KNOWN, "What the nights may know.", type="string", enum=list(KNOWLEDGE)),
    },
    default_args=TASK_DEFAULTS,
) as dag:

    @task(execution_timeout=timedelta(minutes=5))
    def nights() -> list[dict[str, str]]:
        """Return what each run works on, dates alone; pinned here, so that a night that ends meanwhile changes nothing."""
        return runs_of_backfill(get_current_context())

    TriggerDagRunOperator.partial(
        task_id="night",
        doc_md="Runs one night and waits for its end; where the waiting process dies, the night runs once more.",
        trigger_dag_id="nightly_segments",
        logical_date=None,  # the day is in the run's configuration; two runs of one day must not collide
        wait_for_completion=True,
        fail_when_dag_is_paused=True,
        poke_interval=5,
        openlineage_inject_parent_info=False,
        retry_delay=timedelta(seconds=10),
        max_active_tis_per_dagrun=1,  # one after the other: a night is compared with the one before
        map_index_template="{{ task.conf['day'] }}",
    ).expand(conf=nights())

"""The functions of tasks: a step of the pipeline is handed its night, Airflow's connections and the parameters of the run.

A step is the task: no operator wraps it and no task holds logic, so a night run by `segments run` does the very same.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from functools import wraps
from inspect import signature
from typing import Any

from airflow.sdk import Context, ExceptionRetryPolicy, RetryAction, RetryRule, get_current_context
from airflow.sdk.exceptions import AirflowSkipException

from airflow_support.connections import find_address
from airflow_support.days import AS_OF_NOW, DRIFT, READ_AGAIN
from airflow_support.lineage import emit_step_lineage
from airflow_support.metrics import sending_step_metrics, sending_sync_metrics
from airflow_support.notifications import failure_callbacks
from airflow_support.structured_logs import keep_log_fields
from pipeline.definitions.company import Company
from pipeline.errors import PipelineError, TransientError
from pipeline.operations.deployment import Deployment, pool_of_environment
from pipeline.operations.night import Night
from pipeline.operations.step_runs import recording_step
from pipeline.operations.steps import STEPS

log = logging.getLogger("pipeline.airflow")

# Bad data stays bad: only what may pass by itself, such as a database out of reach, is tried again.
RETRY_TRANSIENT = ExceptionRetryPolicy([RetryRule(TransientError)], default=RetryAction.FAIL)
TASK_DEFAULTS = {
    "owner": "segments",
    "retries": 3,
    "retry_delay": timedelta(minutes=5),
    "retry_exponential_backoff": True,
    "max_retry_delay": timedelta(hours=1),
    "retry_policy": RETRY_TRANSIENT,
    "execution_timeout": timedelta(hours=2),
}


def task_defaults(company: Company) -> dict[str, Any]:
    """Return what the tasks of a DAG have in common: they tell of their failures whoever the company wants to be told.

    Tasks of a night follow each other, so that a night takes one slot of its pool at a time.
    """
    pool = pool_of_environment()
    return TASK_DEFAULTS | failure_callbacks(company) | ({"pool": pool} if pool else {})


def step_task(work: Callable[..., None]) -> Callable[..., None]:
    """Return a step as the function of a task: it takes the night of the task's day, as the run's parameter `known` knows it.

    A parameter of the run that has the name of a keyword of `work` goes in too, unless it is empty.
    """

    @wraps(work)
    def run_step(day: str) -> None:
        with logging_errors():
            night = _night_of_task(day)
            with _monitoring(work, night):
                work(night, **_keyword_parameters(work))
        emit_step_lineage(work.__name__, night)

    return run_step


def sink_task(work: Callable[..., None]) -> Callable[[str], None]:
    """Return work on one sink as the function of a mapped task: it takes the deployment, the sink's name and the run's parameters."""

    @wraps(work)
    def run_sink(sink: str) -> None:
        with logging_errors():
            deployment = Deployment.from_environment(connections=find_address)
            with sending_sync_metrics(deployment, sink):
                work(deployment, sink, **_keyword_parameters(work))

    # Airflow goes by the parameters of the function itself.
    del run_sink.__wrapped__
    return run_sink


def ask_refit(day: object) -> None:
    """Have clusters refitted that the night's customers drifted from: `refit_clusters` starts. Skipped where none are."""
    from pipeline.operations.refits import due_refits

    with logging_errors():
        due = due_refits(_night_of_task(day))
    if not due:
        raise AirflowSkipException("no cluster model is due for a refit")
    log.info("a refit is due: %s", ", ".join(due))
    get_current_context()["outlet_events"][DRIFT].extra = {"day": str(day)}


def describe_refits(day: object) -> str:
    """Return in Markdown what the refits of a night found, for whoever approves them."""
    from pipeline.reporting.refits.markdown import to_markdown
    from pipeline.reporting.refits.refits import refits_of_night

    with logging_errors():
        night = _night_of_task(day)
        return to_markdown(refits_of_night(night.deployment.company, night.lake, night.day))


def runs_of_backfill(context: Context) -> list[dict[str, str]]:
    """Return the configuration of a run of the nightly DAG for each night of the range that the run's parameters ask for.

    Raises ConfigError for a day that is none of the company's or not over, or nights of which nothing later is known.
    """
    from pipeline.operations.backfill.plan import BackfillRequest, plan_backfill

    params = context["params"]
    first, last = (date.fromisoformat(params[name]) for name in ("first_day", "last_day"))
    request = BackfillRequest(first, last, is_as_of_now=params["knowledge"] == AS_OF_NOW, is_reread=params["knowledge"] == READ_AGAIN)
    with logging_errors():
        deployment = Deployment.from_environment()
        plan = plan_backfill(deployment.company, deployment.lake, request, now=datetime.now(UTC))
    return [night.conf for night in plan.nights]


@contextmanager
def _monitoring(work: Callable[..., None], night: Night) -> Iterator[None]:
    """Note what a step of a night takes in the block, and send what it came to; of other work nothing."""
    name = work.__name__
    if name not in STEPS:
        yield
        return
    with sending_step_metrics(name, night), recording_step(night, name):
        yield


def _night_of_task(day: object) -> Night:
    known = get_current_context()["params"].get("known")
    deployment = Deployment.from_environment(connections=find_address)
    return Night.of(deployment, date.fromisoformat(str(day)), date.fromisoformat(known) if known else None)


def _keyword_parameters(work: Callable[..., None]) -> dict[str, Any]:
    """Return the parameters of the run that `work` takes by their names; those declared as dates go in as such."""
    context = get_current_context()
    declared, given = context["dag"].params, context["params"]
    names = [name for name in signature(work).parameters if given.get(name)]
    dates = {name for name in names if declared.get_param(name).schema.get("format") == "date"}
    return {name: date.fromisoformat(given[name]) if name in dates else given[name] for name in names}


@contextmanager
def logging_errors() -> Iterator[None]:
    """Write our errors into the task's log in words for people, above Airflow's traceback, and raise them."""
    keep_log_fields()
    try:
        yield
    except PipelineError as error:
        for line in f"{type(error).__name__}: {error}".splitlines():
            log.error(line)  # noqa: TRY400 - Airflow logs the traceback
        raise

"""People are told of nights: the functions of tasks, and what a task that failed calls. What is said comes from the pipeline."""

from __future__ import annotations

import logging
from datetime import date
from typing import Any

from airflow.sdk import Context, get_current_context
from airflow.sdk.exceptions import AirflowSkipException

from airflow_support.connections import find_address
from pipeline.definitions.company import Company
from pipeline.definitions.notify import Occasion
from pipeline.errors import PipelineError, TransientError
from pipeline.operations import steps
from pipeline.operations.deployment import Deployment
from pipeline.operations.notify import notify_late_night, notify_live_night, notify_recipients

log = logging.getLogger("pipeline.airflow")
NIGHTLY = "nightly_segments"


def failure_callbacks(company: Company) -> dict[str, Any]:
    """Return the arguments of tasks by which people are told of their failures; none where nobody wants to know.

    They are those of tasks, as Airflow 3.3 fails to render what a DAG itself would tell.
    """
    is_wanted = company.notify.recipients_of(Occasion.FAILED, Occasion.HELD_BACK)
    return {"on_failure_callback": notify_failure} if is_wanted else {}


def notify_failure(context: Context) -> None:
    """Tell people that a task failed for good, or that a gate closed. What cannot be told is logged: the failure stays what it was."""
    from airflow_support.sending import send
    from pipeline.reporting.notifications import FailedTask, failure_notification

    day, instance = _day_of_task(context), context["ti"]
    work = f"the night of {day}" if instance.dag_id == NIGHTLY and day else f"the run of {instance.dag_id}"
    is_after_publishing = steps.publish.__name__ in context["task"].upstream_task_ids
    failed = FailedTask(work, instance.task_id, day, context.get("exception"), is_after_publishing=is_after_publishing)
    try:
        deployment = Deployment.from_environment(connections=find_address)
        recipients = deployment.company.notify.recipients_of(failed.occasion)
        if recipients:
            notify_recipients(recipients, failure_notification(deployment.company, deployment.lake, failed), send)
    except PipelineError as unsent:
        log.error("nobody could be told: %s", unsent.what)  # noqa: TRY400 - its words say it all


def notify(day: object) -> None:
    """Tell people that the night is live. A night is not failed for a mail: what cannot be sent in time is logged, and skipped."""
    from airflow_support.sending import send

    instance = get_current_context()["ti"]
    try:
        notify_live_night(Deployment.from_environment(connections=find_address), date.fromisoformat(str(day)), send)
    except PipelineError as error:
        if isinstance(error, TransientError) and instance.try_number <= instance.max_tries:
            raise
        raise AirflowSkipException("somebody could not be notified; the lines above say who and why") from None


def notify_if_late(day: object) -> None:
    """Tell people where the night is not live by now, and fail where they could not be reached."""
    from airflow_support.sending import send

    notify_late_night(Deployment.from_environment(connections=find_address), date.fromisoformat(str(day)), send)


def _day_of_task(context: Context) -> date | None:
    """Return the day that the task was handed, if it was handed one."""
    arguments = [*getattr(context["task"], "op_args", ()), *dict(getattr(context["task"], "op_kwargs", {})).values()]
    for argument in arguments:
        try:
            return date.fromisoformat(str(argument))
        except ValueError:
            continue
    return None

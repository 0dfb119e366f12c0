"""Waiting for the Spark cluster that computes nights: it may be asleep at four in the morning, and no worker stands idle for it.

The task looks, and where nobody answers it hands itself to the triggerer, which holds no worker's slot, to look again later.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperator
from airflow.sdk.exceptions import TaskDeferred

from airflow_support.tasks import logging_errors
from pipeline.errors import TransientError
from pipeline.operations.deployment import spark_remote_of_environment

if TYPE_CHECKING:
    from airflow.sdk import Context

LOOK_EVERY = timedelta(minutes=1)
WAIT_AT_MOST = timedelta(hours=3)


class ClusterWait(BaseOperator):
    """Ends once a Spark Connect server answers at SPARK_REMOTE; raises TransientError where none did for WAIT_AT_MOST."""

    def execute(self, context: Context) -> None:
        """Look for the first time."""
        self.look(context, since=datetime.now(UTC).isoformat())

    def look(self, context: Context, *, since: str, event: Any = None) -> None:  # noqa: ANN401 - as triggers send it
        """Look whether the cluster answers; if not, have the triggerer wake this task again. `since` is when the waiting began."""
        del context, event
        # Airflow reads this file again and again; what it takes to look is imported by whoever looks.
        from airflow.providers.standard.triggers.temporal import TimeDeltaTrigger

        from pipeline.lake.engines.spark_session import is_answering

        with logging_errors():
            remote = spark_remote_of_environment()
            if remote is None or is_answering(remote):
                return
            if datetime.now(UTC) - datetime.fromisoformat(since) > WAIT_AT_MOST:
                what = f"no Spark Connect server has answered for {WAIT_AT_MOST}"
                raise TransientError(what, where="environment variable SPARK_REMOTE", todo="Start the cluster, then clear this task.")
        self.log.info("no Spark Connect server answers yet; looking again in %s", LOOK_EVERY)
        raise TaskDeferred(trigger=TimeDeltaTrigger(LOOK_EVERY), method_name="look", kwargs={"since": since})


def cluster_waits() -> Sequence[ClusterWait]:
    """Return the task that waits for the cluster, where one computes the nights; none where DuckDB does, within each task."""
    # A retry would begin the wait anew: three of them made twelve hours of three.
    return [ClusterWait(task_id="wait_for_cluster", retries=0)] if spark_remote_of_environment() else []

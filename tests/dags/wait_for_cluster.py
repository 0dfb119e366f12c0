"""Runs apart from the tests, because importing Airflow warns: writes, as JSON, how a night waits for its cluster."""

from __future__ import annotations

import json
import os
import socket
import sys
from datetime import UTC, datetime
from pathlib import Path

from airflow.sdk.exceptions import TaskDeferred

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "dags"))
from airflow_support.cluster import ClusterWait
from nightly_segments import dag

from pipeline.errors import PipelineError


def main() -> None:
    wait = dag.get_task("wait_for_cluster")
    assert isinstance(wait, ClusterWait)
    found = {
        "upstream": {one.task_id: sorted(one.upstream_task_ids) for one in dag.tasks},
        "pools": sorted({one.pool for one in dag.tasks}),
        "retries": wait.retries,
    }
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        os.environ["SPARK_REMOTE"] = f"sc://127.0.0.1:{server.getsockname()[1]}/;token=s3cret"
        try:
            wait.execute({})  # type: ignore[typeddict-item]
        except TaskDeferred as deferred:
            found["deferred"] = {
                "seconds": (deferred.trigger.moment - datetime.now(UTC)).total_seconds(),
                "method": deferred.method_name,
                "trigger": str(deferred.trigger.serialize()),
            }
            kwargs = dict(deferred.kwargs or {})
        try:
            wait.resume_execution("look", {"since": "2024-01-01T00:00:00+00:00", "event": None}, {})  # type: ignore[typeddict-item]
        except PipelineError as error:
            found["gave_up"] = [type(error).__name__, error.what]
        server.listen()
        found["resumed"] = wait.resume_execution("look", {**kwargs, "event": "woken"}, {})  # type: ignore[typeddict-item]
    Path(sys.argv[1]).write_text(json.dumps(found))


if __name__ == "__main__":
    main()

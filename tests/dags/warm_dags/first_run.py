"""Two tasks that do nothing: by a run of them Airflow loads what every other run needs."""

from __future__ import annotations

from airflow.sdk import DAG, task

with DAG("first_run", schedule=None) as dag:

    @task
    def day() -> str:
        """Return a day."""
        return "2024-03-31"

    @task
    def step(day: str) -> None:
        """Take it."""
        del day

    step(day())

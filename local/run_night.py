"""Runs the nightly DAG once, in this process: the same tasks as under a scheduler, without one.

Progress goes to standard error, the summary to standard output, all that Airflow says to a file. Ends with the
exit code of the error that stopped the night.
"""

from __future__ import annotations

import argparse
import gc
import logging
import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from local import airflow_home
from pipeline import calendar
from pipeline.definitions.company import Company, load_company
from pipeline.errors import ConfigError, PipelineError
from pipeline.operations.deployment import open_lake
from pipeline.operations.steps import STEPS
from pipeline.reporting.summary import print_summary

if TYPE_CHECKING:
    from airflow.sdk import DAG, Context

INTERRUPTED = 130
# Airflow's schemas and routes are a million objects that stay: looking for cycles among them every 700 objects is a fifth of the run.
GARBAGE_THRESHOLD = 20_000
Failures = list[BaseException | str | None]


def main() -> int:
    """Run one night of the company named on the command line and return the exit code."""
    arguments = _read_arguments()
    gc.set_threshold(GARBAGE_THRESHOLD)
    try:
        company = load_company(arguments.company)
        day = _day_to_run(company, arguments.day)
        os.environ.update(airflow_home.airflow_environment(company=arguments.company, lake=arguments.lake, home=arguments.home))
        log = arguments.home / "logs" / f"night-{day}.log"
        _write_line(sys.stderr, f"[0/{len(STEPS)}] starting Airflow; what it says is in {os.path.relpath(log)}")
        failures = _run_dag(day, log)
        if failures:
            return _report_failure(failures[0], log)
        print_summary(company, open_lake(arguments.lake), day)
    except PipelineError as error:
        return _report_failure(error)
    return 0


def _read_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--company", type=Path, required=True, help="the company's folder")
    parser.add_argument("--lake", required=True, help="where tables are kept: a folder, or s3://BUCKET/PREFIX")
    parser.add_argument("--day", default="", help="business day; by default `last_day` of company.toml, else the last whole one")
    parser.add_argument("--home", type=Path, default=airflow_home.HOME, help="where Airflow keeps its own state")
    return parser.parse_args()


def _day_to_run(company: Company, day_text: str) -> date:
    if day_text:
        try:
            return company.require_day(date.fromisoformat(day_text), now=datetime.now(UTC))
        except ValueError:
            raise ConfigError(f"`{day_text}` is no day", where="DAY", todo="Write it as 2014-06-30.") from None
    return company.last_day or calendar.business_day(datetime.now(UTC), company.zone)


def _run_dag(day: date, log: Path) -> Failures:
    """Run the DAG for `day` and return what its tasks failed with; Airflow writes to the file `log` alone."""
    failures: Failures = []
    with _redirecting_output_to(log) as terminal:
        from airflow.utils.db import initdb

        initdb()
        sys.path.insert(0, str(airflow_home.DAGS))  # as Airflow does before it reads DAGs
        from nightly_segments import dag

        logging.getLogger("pipeline").addHandler(_ProgressHandler(terminal))
        _watch_tasks(dag, terminal, failures)
        dag.test(run_conf={"day": day.isoformat()})
    return failures


def _watch_tasks(dag: DAG, terminal: TextIO, failures: Failures) -> None:
    """Make the tasks of `dag` tell `terminal` when they start and end, and fail at once: a person is waiting."""
    started: dict[str, float] = {}

    def starts(context: Context) -> None:
        # Airflow has just made SIGTERM kill the task alone, which would leave this process deaf to it.
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        name = context["task"].task_id
        started[name] = time.monotonic()
        _write_line(terminal, f"[{list(STEPS).index(name) + 1}/{len(STEPS)}] {name} {context['params']['day']}")

    def ends(context: Context) -> None:
        name = context["task"].task_id
        _write_line(terminal, f"      {name} took {time.monotonic() - started[name]:.1f} s")

    for task in dag.tasks:
        task.retries = 0
        # Beside those of the company, who may want to be told: what failed is shown first.
        own = task.on_failure_callback or ()
        task.on_failure_callback = [lambda context: failures.append(context["exception"]), *([own] if callable(own) else own)]
        if task.task_id in STEPS:
            task.on_execute_callback, task.on_success_callback = [starts], [ends]


class _ProgressHandler(logging.Handler):
    """Shows the pipeline's own lines; errors are reported at the end."""

    def __init__(self, terminal: TextIO) -> None:
        super().__init__(logging.INFO)
        self._terminal = terminal

    def emit(self, record: logging.LogRecord) -> None:
        if record.levelno < logging.ERROR:
            _write_line(self._terminal, f"      {record.getMessage()}")


@contextmanager
def _redirecting_output_to(log: Path) -> Iterator[TextIO]:
    """Send standard output and error of this process to `log`; yield what standard error was."""
    log.parent.mkdir(parents=True, exist_ok=True)
    originals = [os.dup(1), os.dup(2)]
    with log.open("a") as file, os.fdopen(os.dup(2), "w") as terminal:
        try:
            # Descriptors, not sys.stdout: libraries and child processes of Airflow write to these.
            os.dup2(file.fileno(), 1)
            os.dup2(file.fileno(), 2)
            yield terminal
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            for number, descriptor in enumerate(originals, 1):
                os.dup2(descriptor, number)
                os.close(descriptor)


def _report_failure(error: BaseException | str | None, log: Path | None = None) -> int:
    """Tell the person what stopped the night, and return the exit code."""
    if isinstance(error, KeyboardInterrupt):
        _write_line(sys.stderr, "interrupted; what was published before is still live")
        return INTERRUPTED
    if isinstance(error, PipelineError):
        _write_line(sys.stderr, f"{type(error).__name__}: {error}")
        return error.exit_code
    _write_line(sys.stderr, f"{type(error).__name__}: this is our mistake\n  where: {log}\n  next:  Send the end of that file.")
    return 1


def _write_line(terminal: TextIO, line: str) -> None:
    terminal.write(f"{line}\n")
    terminal.flush()


if __name__ == "__main__":
    sys.exit(main())

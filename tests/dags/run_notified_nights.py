"""Runs the nightly DAG several times, one way a night can end after the other: FILE MAIL_IN MAIL_AWAY RECEIVER UNTRUSTED.

Writes how tasks ended."""

from __future__ import annotations

import json
import logging
import os
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

from airflow.utils.db import initdb

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "dags"))

from airflow_support.sending import send
from check_published import dag as check
from nightly_segments import dag

from pipeline.definitions.notify import Occasion, Recipient
from pipeline.errors import PipelineError
from pipeline.reporting.notifications import Notification

FILE, MAIL_IN, MAIL_AWAY, RECEIVER, UNTRUSTED = sys.argv[1:]
DATA = Path(os.environ["SEGMENTS_COMPANY"]) / "data"
ORDERS = DATA / "orders.csv"


def run(which: Any = dag, **conf: Any) -> dict[str, str]:
    """Run the DAG once and return how each task ended."""
    tasks = which.test(run_conf=conf).get_task_instances()
    return {"run": str(tasks[0].dag_run.state)} | {str(one.task_id): f"{one.state} {one.try_number}" for one in tasks}


class Lines(logging.Handler):
    """Keeps what is logged."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())


def refusals() -> dict[str, str]:
    """Return what each message that is refused is answered with."""
    mail = json.loads(MAIL_IN)
    connections = {
        **{code: f"{RECEIVER}/status/{code}" for code in ("404", "302", "429", "503")},
        "gone": f"http://127.0.0.1:{json.loads(MAIL_AWAY)['port']}/",
        "untrusted": f"https://127.0.0.1:{UNTRUSTED}/",
        "no address": "postgresql://127.0.0.1/x",
        "half an address": "https://[shop",
    }
    found = {}
    for name, address in connections.items():
        os.environ["SEGMENTS_CONNECTION_X"] = address
        found[name] = refusal(Recipient(name, "webhook", "x", frozenset()))
    found["half an address of Slack"] = refusal(Recipient("team", "slack", "x", frozenset()))
    os.environ["AIRFLOW_CONN_BARE"] = json.dumps({**mail, "extra": {}})
    os.environ["AIRFLOW_CONN_SITE"] = json.dumps({**mail, "conn_type": "http"})
    os.environ["AIRFLOW_CONN_BYTLS"] = json.dumps({**mail, "port": int(UNTRUSTED), "extra": {"from_email": "night@shop.example"}})
    for name, connection in {
        "untrusted mail": "bytls",
        "refused mailbox": "post",
        "no sender": "bare",
        "no mail": "site",
        "no connection": "nowhere",
    }.items():
        found[name] = refusal(Recipient(name, "mail", connection, frozenset(), ("gone@shop.example",)))
    return found


def refusal(recipient: Recipient) -> str:
    try:
        send(recipient, Notification(Occasion.FAILED, "Shop", None, "It failed", ()))
    except PipelineError as error:
        return f"{type(error).__name__}: {error.what}"
    return "sent"


def main() -> dict[str, Any]:
    initdb()
    logged = Lines()
    logging.getLogger("pipeline").addHandler(logged)
    for each in (*dag.tasks, *check.tasks):
        each.retries = 0
    found: dict[str, Any] = {}
    os.environ["AIRFLOW_CONN_POST"] = MAIL_IN
    found["late"] = run(check, day="2024-03-30")
    found["published"] = run(day="2024-03-30")
    found["again"] = run(day="2024-03-30")
    found["in time"] = run(check, day="2024-03-30")
    os.environ["AIRFLOW_CONN_POST"] = MAIL_AWAY
    notify = dag.get_task("notify")
    notify.retries, notify.retry_delay, notify.retry_exponential_backoff = 1, timedelta(seconds=1), False
    found["mail away"] = run(day="2024-03-31")
    notify.retries = 0
    os.environ["AIRFLOW_CONN_POST"] = MAIL_IN
    found["mail back"] = run(day="2024-03-31")
    found["old"] = run(day="2024-03-29")
    orders = ORDERS.read_text()
    ORDERS.write_text(f"{orders},1,CANARY-0,2024-03-30 10:00:00,1.50,CANARY-wine\n")
    found["held back"] = run(day="2024-03-31", reread=True)
    ORDERS.write_text(orders.replace("sold_at", "sold"))
    found["failed"] = run(day="2024-03-31", reread=True)
    return found | {"log": logged.lines, "refusals": refusals()}


if __name__ == "__main__":
    Path(FILE).write_text(json.dumps(main()))

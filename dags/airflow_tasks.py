"""What a step needs of Airflow: its connections, its log, its run."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from functools import wraps
from inspect import signature
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit

from airflow.sdk import Asset, Connection, Context, ExceptionRetryPolicy, RetryAction, RetryRule, get_current_context
from airflow.sdk.exceptions import AirflowNotFoundException, AirflowSkipException
from airflow.sdk.log import mask_secret

from pipeline import calendar
from pipeline.definitions.company import Company, load_company
from pipeline.definitions.connections import from_environment
from pipeline.errors import ConfigError, PipelineError, TransientError
from pipeline.spelling import did_you_mean

log = logging.getLogger("pipeline.airflow")
# Renewed by a night whose customers drifted from a cluster model; its events carry that night's day.
DRIFT = Asset("drift_of_clusters")
AS_KNOWN, AS_OF_NOW, READ_AGAIN = KNOWLEDGE = ("as known then", "as of now", "as of now, read again first")

# Bad data stays bad: it fails on the first try.
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


class Step(Protocol):
    """One step of the night: reads and writes the lake, takes a day, returns nothing; more keywords are parameters of the run."""

    def __call__(self, day: str, *, connections: Callable[[str], str]) -> None: ...


def company_of_deployment() -> Company:
    """Return the company that SEGMENTS_COMPANY names; without one nothing can be scheduled."""
    folder = os.environ.get("SEGMENTS_COMPANY")
    if not folder:
        raise ConfigError("SEGMENTS_COMPANY is not set", where="environment", todo="Set it to a company folder and restart Airflow.")
    return load_company(Path(folder))


def day_of_run(context: Context, *, company: Company, known: Collection[str]) -> str:
    """Return the business day of a run as ISO text: the one asked for, or that drifted, else the last whole day of the company.

    A run started by hand takes the company's `last_day`, where it has one; a scheduled one never does. A run that
    belongs to no interval goes by the instant it may start. Raises ConfigError for a day that is not over, or where the
    run's configuration has keys beyond `known`, because Airflow accepts a misspelt one without a word.
    """
    run = context["dag_run"]
    for key in set(run.conf or {}) - set(known):
        raise ConfigError(
            f"the run's configuration has an unknown key `{key}`{did_you_mean(key, known)}",
            where=run.run_id,
            todo=f"Trigger it again with `{'`, `'.join(known)}` alone.",
        )
    asked: str | None = context["params"]["day"] or _day_of_drift(context)
    by_hand = company.last_day if run.run_type == "manual" else None
    last = calendar.business_day(context.get("data_interval_end") or run.run_after, company.zone)
    now = datetime.now(UTC)
    day = company.require_day(date.fromisoformat(asked) if asked else by_hand or last, now=now)
    if context["params"].get("known"):
        _require_later(company.require_day(date.fromisoformat(context["params"]["known"]), now=now), day, run.run_id)
    return day.isoformat()


def _day_of_drift(context: Context) -> str | None:
    """Return the newest night that this run was started by, if it was."""
    events = context["triggering_asset_events"].get(DRIFT, []) if "triggering_asset_events" in context else []
    return max((event.extra["day"] for event in events if "day" in event.extra), default=None)


def _require_later(known: date, day: date, run_id: str) -> None:
    if known < day:
        raise ConfigError(
            f"{day} is not known on {known}: it was not over", where=run_id, todo="Choose the day itself as `known`, or a later one."
        )


def runs_of_backfill(context: Context, *, company: Company) -> list[dict[str, str]]:
    """Return the configuration of a run of the nightly DAG for each night of the range that the run's parameters ask for.

    Raises ConfigError for a day that is none of the company's or not over, or nights of which nothing later is known.
    """
    from pipeline.lake.lake import Lake
    from pipeline.operations.backfill.plan import Asked, planned

    params = context["params"]
    first, last = (date.fromisoformat(params[name]) for name in ("first_day", "last_day"))
    asked = Asked(first, last, is_as_of_now=params["knowledge"] == AS_OF_NOW, is_reread=params["knowledge"] == READ_AGAIN)
    with told_errors():
        plan = planned(company, Lake(Path(os.environ["SEGMENTS_LAKE"])), asked, now=datetime.now(UTC))
    return [night.conf for night in plan.nights]


def ask_refit(day: object) -> None:
    """Have clusters refitted that the night's customers drifted from: `refit_clusters` starts. Skipped where none are."""
    from pipeline.lake.lake import Lake
    from pipeline.operations.refits import due_refits

    with told_errors():
        due = due_refits(Lake(Path(os.environ["SEGMENTS_LAKE"])), date.fromisoformat(str(day)))
    if not due:
        raise AirflowSkipException("no cluster model is due for a refit")
    log.info("a refit is due: %s", ", ".join(due))
    get_current_context()["outlet_events"][DRIFT].extra = {"day": str(day)}


def told(day: object) -> str:
    """Return in Markdown what the refits of a night found, for whoever approves them."""
    from pipeline.lake.lake import Lake
    from pipeline.models.refits.model_store import stored_judgement
    from pipeline.models.refits.refit import asked_schemes
    from pipeline.reporting.refits.markdown import refit_markdown

    lake = Lake(Path(os.environ["SEGMENTS_LAKE"]))
    with told_errors():
        schemes = asked_schemes(company_of_deployment(), None)
        return refit_markdown([stored_judgement(lake, scheme.name, date.fromisoformat(str(day))) for scheme in schemes])


def step(work: Step) -> Callable[..., None]:
    """Return `work` as the function of a task: Airflow's connections go in, and its errors are told in the task's log.

    A parameter of the run that has the name of a keyword of `work` goes in too, unless it is empty.
    """

    @wraps(work)
    def told(day: str) -> None:
        with told_errors():
            work(day, connections=address, **_asked(work))

    return told


@contextmanager
def told_errors() -> Iterator[None]:
    """Tell our errors in the task's log in words for people, above Airflow's traceback."""
    try:
        yield
    except PipelineError as error:
        for line in f"{type(error).__name__}: {error}".splitlines():
            log.error(line)  # noqa: TRY400 - Airflow logs the traceback
        raise


def _asked(work: Step) -> dict[str, Any]:
    """Return the parameters of the run that `work` takes; the day comes as the task's own argument."""
    params = get_current_context()["params"]
    return {name: params[name] for name in signature(work).parameters if name != "day" and params.get(name)}


def address(name: str) -> str:
    """Return the address of connection `name`: the environment's, else the one that Airflow keeps.

    Whatever is returned is masked in every log line that follows.
    """
    try:
        found = from_environment(name)
    except ConfigError as missing:
        found = _kept_by_airflow(name, missing)
    for secret in (found, urlsplit(found).password):
        if secret:
            mask_secret(secret)
    return found


def _kept_by_airflow(name: str, missing: ConfigError) -> str:
    try:
        uri = str(Connection.get(name).get_uri())
    except AirflowNotFoundException:
        todo = f"{missing.todo} Or add an Airflow connection `{name}`."
        raise ConfigError(missing.what, where=missing.where, todo=todo) from None
    if f"{Connection.EXTRA_KEY}=" in uri:
        todo = "Keep to plain pairs of key and value, such as sslmode."
        raise ConfigError("its extra fields are nested", where=f"Airflow connection `{name}`", todo=todo)
    return uri

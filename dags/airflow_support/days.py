"""Which business day a run works on, and what a backfill may know.

Airflow knows instants and intervals; the pipeline knows local business days. They are translated here, once per run, and the day
as ISO text is all that passes between tasks.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC, date, datetime

from airflow.sdk import Asset, Context
from airflow.sdk.exceptions import AirflowSkipException

from pipeline import calendar
from pipeline.definitions.company import Company
from pipeline.errors import ConfigError
from pipeline.spelling import did_you_mean

# Renewed by a night whose customers drifted from a cluster model; its events carry that night's day.
DRIFT = Asset("drift_of_clusters")
AS_KNOWN, AS_OF_NOW, READ_AGAIN = KNOWLEDGE = ("as known then", "as of now", "as of now, read again first")


def is_schedule_over(company: Company) -> bool:
    """Return whether the company's `last_day` lies before the last whole day, so that no night is left to schedule.

    An `end_date` of the DAG would say the same to the scheduler, and Airflow 3.3 would then start runs by hand without any task.
    """
    return company.last_day is not None and company.last_day < calendar.business_day(datetime.now(UTC), company.zone)


def day_of_run(context: Context, *, company: Company, parameters: Collection[str], through: date | None = None) -> str:
    """Return the business day of a run as ISO text: the one requested, or that drifted, else the last whole day of the company.

    A run started by hand takes the company's `last_day`, where it has one; a scheduled one never does, and one of a later day than
    `through` is skipped. A run that belongs to no interval goes by the instant it may start. Raises ConfigError for a day that is not
    over, or where the run's configuration has keys beyond `parameters`, because Airflow accepts a misspelt one without a word.
    """
    run = context["dag_run"]
    for key in set(run.conf or {}) - set(parameters):
        raise ConfigError(
            f"the run's configuration has an unknown key `{key}`{did_you_mean(key, parameters)}",
            where=run.run_id,
            todo=f"Trigger it again with `{'`, `'.join(parameters)}` alone.",
        )
    events = context["triggering_asset_events"].get(DRIFT, []) if "triggering_asset_events" in context else []
    drifted = max((event.extra["day"] for event in events if "day" in event.extra), default=None)
    requested: str | None = context["params"]["day"] or drifted
    by_hand = company.last_day if run.run_type == "manual" else None
    last = calendar.business_day(context.get("data_interval_end") or run.run_after, company.zone)
    now = datetime.now(UTC)
    day = company.require_day(date.fromisoformat(requested) if requested else by_hand or last, now=now)
    if run.run_type == "scheduled" and through and day > through:
        raise AirflowSkipException(f"nothing is scheduled for {day}: the `last_day` of company.toml is {through}")
    if context["params"].get("known"):
        _require_later(company.require_day(date.fromisoformat(context["params"]["known"]), now=now), day, run.run_id)
    return day.isoformat()


def _require_later(known_on: date, day: date, run_id: str) -> None:
    if known_on < day:
        raise ConfigError(
            f"{day} is not known on {known_on}: it was not over", where=run_id, todo="Choose the day itself as `known`, or a later one."
        )

"""What people are told of a night: what happened, to which day, what to do next. Counts and names alone, no value of a customer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, time
from pathlib import Path
from typing import Any

from pipeline.definitions.company import Company
from pipeline.definitions.notify import Occasion
from pipeline.errors import DataError, GateClosed, PipelineError
from pipeline.lake import addresses
from pipeline.lake.lake import Lake
from pipeline.lake.tables import CAMPAIGN_SUMMARIES
from pipeline.publication.current import current_publication
from pipeline.publication.gates.results import stored_gates
from pipeline.reporting.pages import gates_line
from pipeline.reporting.source_notices import source_notices
from pipeline.reporting.status.status import read_status
from pipeline.reporting.summary import headline_lines
from pipeline.spelling import printable_line

CAMPAIGN_WORDS = {
    "final": "its final result",
    "too few": "too few customers bought to tell what they spent more",
    "not comparable": "no random control, so no effect is told",
    "sample ratio": "its arms are not as large as planned, so no effect is told",
}
MOST_LINES = 10
LONGEST_LINE = 500


@dataclass(frozen=True, slots=True)
class Notification:
    """One message: a subject, at most MOST_LINES lines, an address to look at, and a page that a mail brings along."""

    occasion: Occasion
    company: str
    day: date | None
    subject: str
    lines: tuple[str, ...]
    link: str = ""
    page: Path | None = None


@dataclass(frozen=True, slots=True)
class FailedTask:
    """A task that ended with an error, or was ended; `work` is what it was part of, such as `the night of 2024-03-31`."""

    work: str
    name: str
    day: date | None
    error: BaseException | str | None

    @property
    def occasion(self) -> Occasion:
        """What people are told of: a night or a sync that was stopped on purpose has not failed."""
        return Occasion.HELD_BACK if isinstance(self.error, GateClosed) else Occasion.FAILED


def failure_notification(company: Company, lake: Lake, failed: FailedTask) -> Notification:
    """Return what to say of a task that failed, or that held something back: why, what to do, and what stays live."""
    is_held_back = failed.occasion is Occasion.HELD_BACK
    outcome = "is held back" if is_held_back else f"failed in {failed.name}"
    told = _notification(
        company, failed.occasion, failed.day, f"{company.name}: {failed.work} {outcome}", [*_error_lines(failed), _live_line(lake)]
    )
    page = lake.local(addresses.validation_page(failed.day)) if failed.day and is_held_back else None
    return replace(told, page=page) if page and page.is_file() else told


def morning_notification(company: Company, lake: Lake, day: date) -> Notification:
    """Return the morning's message about the night of `day`, which is live: its first sentence is the subject."""
    first, *others = headline_lines(company, lake, day)
    record = stored_gates(lake, day)
    lines = [*others, gates_line(record.results) if record else "", *source_notices(company, lake, day)]
    return _notification(company, Occasion.PUBLISHED, day, f"{company.name}, {day:%d %B}: {first}", lines)


def campaign_notification(company: Company, lake: Lake, day: date) -> Notification | None:
    """Return what to say of campaigns whose result is told since the night of `day`; None where there is none."""
    due = _campaigns_due(lake, day)
    if not due:
        return None
    what = f"the result of {due[0]['title']} is there" if len(due) == 1 else f"the results of {len(due)} campaigns are there"
    lines = [
        f"{row['title']}: {CAMPAIGN_WORDS.get(row['state'], row['state'])}. segments campaign results {row['campaign_id']}" for row in due
    ]
    return _notification(company, Occasion.CAMPAIGN_DUE, day, f"{company.name}: {what}", lines)


def not_published_notification(company: Company, lake: Lake, day: date, by: time) -> Notification:
    """Return what to say where the night of `day` is not live at the time `by`: what became of it, and what to look at."""
    newest = read_status(company, lake).newest
    outcome = newest.outcome.words if newest and newest.day >= day else "not begun"
    todo = "Next: see what the run of nightly_segments says in Airflow, or run segments status."
    lines = [f"The night of {day} is {outcome}.", _live_line(lake), todo]
    return _notification(company, Occasion.NOT_PUBLISHED, day, f"{company.name}: the night of {day} is not published at {by:%H:%M}", lines)


def _campaigns_due(lake: Lake, day: date) -> list[dict[str, Any]]:
    """Return the campaigns that are told on this night and were not on the stored night before, in order of their ids."""
    if not lake.has(CAMPAIGN_SUMMARIES, day=day):
        return []
    before = max((night for night in lake.nights(CAMPAIGN_SUMMARIES) if night < day), default=date.min)
    rows: list[dict[str, Any]] = lake.read(CAMPAIGN_SUMMARIES, day=day).to_pylist()
    # By the date that was fixed before the start: a night that is run again, or one after a gap, finds the same.
    return [row for row in rows if before < row["due_date"] <= day]


def _notification(company: Company, occasion: Occasion, day: date | None, subject: str, lines: Sequence[str]) -> Notification:
    # A subject is a header of a mail: it must stay one line, whatever the name of a company.
    told = tuple(printable_line(line)[:LONGEST_LINE] for line in lines if line.strip())
    return Notification(occasion, company.name, day, printable_line(subject), told[:MOST_LINES], company.notify.page_url)


def _error_lines(failed: FailedTask) -> list[str]:
    error = failed.error
    if isinstance(error, PipelineError):
        where, todo = (f"{name}: {text}" if text else "" for name, text in (("Where", error.where), ("Next", error.todo)))
        return [*(line.strip() for line in error.what.splitlines()), where, todo]
    # Nothing of its text: an error that is not ours may quote a row.
    what = f"It ended with {type(error).__name__}." if isinstance(error, BaseException) else "It was ended from outside."
    return [what, f"Next: read the log of the task {failed.name} in Airflow; then clear the task, and the rest of the run follows."]


def _live_line(lake: Lake) -> str:
    try:
        live = current_publication(lake)
    except DataError as error:
        return f"What is live cannot be told: {error.what}."
    if live:
        return f"The night of {live.day} is live."
    # A process that is not let at the lake, such as the DAG processor of docker-compose.yml, sees none.
    is_seen = lake.exists(addresses.OWNER)
    return "Nothing is live yet." if is_seen else "What is live cannot be seen from here: run segments status."

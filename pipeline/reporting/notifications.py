"""What people are told of a night: what happened, to which day, what to do next. Counts and names alone, no value of a customer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, time, timedelta
from typing import Any

from pipeline.definitions.campaigns import CampaignState
from pipeline.definitions.command_options import command_options
from pipeline.definitions.company import Company
from pipeline.definitions.history import company_on
from pipeline.definitions.notify import DAY_IN_URL, Occasion
from pipeline.errors import DataError, GateClosed, PipelineError
from pipeline.lake import addresses
from pipeline.lake.lake import Lake
from pipeline.lake.tables import CAMPAIGN_SUMMARIES, SEGMENT_PROFILES
from pipeline.publication.current import current_publication, known_live_day
from pipeline.reporting.pages.morning import page_of_night
from pipeline.reporting.pages.morning.cards import actions_of
from pipeline.reporting.pages.morning.in_short import Alarm, Sentence, sentences_of
from pipeline.reporting.pages.morning.language import PageLanguage
from pipeline.reporting.pages.morning.night_tables import NightTables, read_night
from pipeline.reporting.pages.morning.verdict import verdict_of
from pipeline.reporting.source_notices import source_notices
from pipeline.reporting.status.status import read_status
from pipeline.reporting.summary import headline_lines
from pipeline.spelling import printable_line

CAMPAIGN_WORDS = {
    CampaignState.FINAL: "its final result",
    CampaignState.TOO_FEW: "too few customers bought to tell what they spent more",
    CampaignState.NOT_COMPARABLE: "no random control, so no effect is told",
    CampaignState.SAMPLE_RATIO: "its arms are not as large as planned, so no effect is told",
}
MOST_LINES = 10
LONGEST_LINE = 500


@dataclass(frozen=True, slots=True)
class Page:
    """A page of HTML that a mail brings along, under this name."""

    name: str
    html: str


@dataclass(frozen=True, slots=True)
class Notification:
    """One message: a subject, at most MOST_LINES lines, an address to look at, and a page."""

    occasion: Occasion
    company: str
    day: date | None
    subject: str
    lines: tuple[str, ...]
    link: str = ""
    page: Page | None = None


@dataclass(frozen=True, slots=True)
class FailedTask:
    """A task that ended with an error, or was ended; `work` is what it was part of, such as `the night of 2024-03-31`.

    One that `is_after_publishing` began once the night was published.
    """

    work: str
    name: str
    day: date | None
    error: BaseException | str | None
    is_after_publishing: bool = False

    @property
    def occasion(self) -> Occasion:
        """What people are told of: a night or a sync that was stopped on purpose has not failed."""
        return Occasion.HELD_BACK if isinstance(self.error, GateClosed) else Occasion.FAILED


def failure_notification(company: Company, lake: Lake, failed: FailedTask) -> Notification:
    """Return what to say of a task that failed, or that held something back: why, what to do, and what stays live."""
    is_held_back = failed.occasion is Occasion.HELD_BACK
    outcome = "is held back" if is_held_back else f"failed in {failed.name}"
    if failed.is_after_publishing and failed.day and failed.day == known_live_day(lake):
        outcome = f"is live; {failed.name} failed after it"
    notification = _notification(
        company, failed.occasion, failed.day, f"{company.name}: {failed.work} {outcome}", [*_error_lines(failed), _live_line(company, lake)]
    )
    # It shows what the gates measured, which whoever has to decide needs most.
    address = addresses.validation_page(failed.day) if failed.day and is_held_back else ""
    return (
        replace(notification, page=Page(f"{failed.day}.html", lake.read_text(address)))
        if address and lake.exists(address)
        else notification
    )


def morning_notification(company: Company, lake: Lake, day: date) -> Notification:
    """Return the morning's message about the night of `day`, which is live: what the morning page says in short, and what to do today.

    Its first sentence is the subject. Sentences, segments and cards are in the company's language; a mail brings the page along.
    """
    valid, language = company_on(lake, company, day), PageLanguage.of(company.language)
    tables = read_night(valid, lake, day, language=company.language)
    first, *others = _morning_lines(valid, lake, tables, language)
    cards = [f"{card.title} ({language.count(card.customer_count)}): {card.texts.get('message', '')}" for card in actions_of(tables).cards]
    lines = [*others, *cards, _live_line(company, lake), *source_notices(valid, lake, day)]
    notification = _notification(company, Occasion.PUBLISHED, day, f"{company.name}: {first}", lines)
    page = page_of_night(valid, lake, day, language=company.language, is_alone=True, tables=tables)
    return replace(notification, page=Page(f"{day}.html", page))


def alarm_notification(company: Company, lake: Lake, day: date) -> Notification | None:
    """Return what to say of alarms of the morning page that the stored night before had not; None where there is none."""
    language = PageLanguage.of(company.language)

    def alarms_on(night: date) -> dict[Alarm, str]:
        tables = read_night(company_on(lake, company, night), lake, night, language=company.language)
        return {each.alarm: each.text for each in _sentences(tables, language) if each.alarm}

    before = lake.newest_night(SEGMENT_PROFILES, through=day - timedelta(days=1))
    alarms = alarms_on(day)
    lasting = alarms.keys() & alarms_on(before).keys() if alarms and before else set()
    if len(lasting) == len(alarms):
        return None
    # What lasts stands below what is new.
    first, *others = [alarms[alarm] for alarm in sorted(alarms, key=lambda alarm: alarm in lasting)]
    return _notification(company, Occasion.ALARM, day, f"{company.name}: {first}", others)


def campaign_notification(company: Company, lake: Lake, day: date) -> Notification | None:
    """Return what to say of campaigns whose result is told since the night of `day`; None where there is none."""
    due = _campaigns_due(lake, day)
    if not due:
        return None
    what = f"the result of {due[0]['title']} is there" if len(due) == 1 else f"the results of {len(due)} campaigns are there"
    options = command_options(company, lake)
    lines = [
        f"{row['title']}: {CAMPAIGN_WORDS.get(row['state'], row['state'])}. segments campaign results {row['campaign_id']}{options}"
        for row in due
    ]
    return _notification(company, Occasion.CAMPAIGN_DUE, day, f"{company.name}: {what}", lines)


def not_published_notification(company: Company, lake: Lake, day: date, by: time) -> Notification:
    """Return what to say where the night of `day` is not live at the time `by`: what became of it, and what to look at."""
    newest = read_status(company, lake).newest
    known = newest if newest and newest.day >= day else None
    night, outcome = (known.day, known.outcome.words) if known else (day, "not begun")
    todo = f"Next: see what the run of nightly_segments says in Airflow, or run: segments status{command_options(company, lake)}"
    lines = [f"The night of {night} is {outcome}.", _live_line(company, lake), todo]
    return _notification(company, Occasion.NOT_PUBLISHED, day, f"{company.name}: the night of {day} is not published at {by:%H:%M}", lines)


def _morning_lines(company: Company, lake: Lake, tables: NightTables, language: PageLanguage) -> list[str]:
    """Return what the page says in short; before there is a night of a week ago to compare with, how many customers there are too."""
    sentences = _sentences(tables, language)
    alarms, others = ([each.text for each in sentences if each.is_alarm is is_alarm] for is_alarm in (True, False))
    headline = [] if tables.compared_night else headline_lines(company, lake, tables.day)
    return [*alarms, *headline, *others] or headline_lines(company, lake, tables.day)


def _sentences(tables: NightTables, language: PageLanguage) -> list[Sentence]:
    return sentences_of(tables, verdict_of(tables, figures_day=tables.day), language)


def _campaigns_due(lake: Lake, day: date) -> list[dict[str, Any]]:
    """Return the campaigns whose result is there on this night and was not on the stored night before, in order of their ids.

    Where none is before it, those of earlier days are no news: a CRM knows campaigns of years.
    """
    if not lake.has(CAMPAIGN_SUMMARIES, day=day):
        return []
    yesterday = day - timedelta(days=1)
    before = lake.newest_night(CAMPAIGN_SUMMARIES, through=yesterday) or yesterday
    rows: list[dict[str, Any]] = lake.read(CAMPAIGN_SUMMARIES, day=day).to_pylist()
    # By the date that was fixed before the start: a night that is run again, or one after a gap, finds the same.
    return [row for row in rows if before < row["due_date"] <= day]


def _notification(company: Company, occasion: Occasion, day: date | None, subject: str, lines: Sequence[str]) -> Notification:
    # A subject is a header of a mail: it must stay one line, whatever the name of a company.
    shown = tuple(printable_line(line)[:LONGEST_LINE] for line in lines if line.strip())
    return Notification(occasion, company.name, day, printable_line(subject), shown[:MOST_LINES], _link(company, day))


def _link(company: Company, day: date | None) -> str:
    url = company.notify.page_url
    return "" if day is None and DAY_IN_URL in url else url.replace(DAY_IN_URL, str(day))


def _error_lines(failed: FailedTask) -> list[str]:
    error = failed.error
    if isinstance(error, PipelineError):
        where, todo = (f"{name}: {text}" if text else "" for name, text in (("Where", error.where), ("Next", error.todo)))
        return [*(line.strip() for line in error.what.splitlines()), where, todo]
    # Nothing of its text: an error that is not ours may quote a row.
    what = f"It ended with {type(error).__name__}." if isinstance(error, BaseException) else "It was ended from outside."
    return [what, f"Next: read the log of the task {failed.name} in Airflow; then clear the task, and the rest of the run follows."]


def _live_line(company: Company, lake: Lake) -> str:
    try:
        live = current_publication(lake)
    except DataError as error:
        return f"What is live cannot be told: {error.what}."
    if live:
        return f"The night of {live.day} is live."
    # A process that is not let at the lake, such as the DAG processor of docker-compose.yml, sees none.
    is_seen = lake.exists(addresses.OWNER)
    look = f"segments status{command_options(company, lake)}"
    return "Nothing is live yet." if is_seen else f"What is live cannot be seen from here; to see it: {look}"

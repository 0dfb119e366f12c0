"""The morning page of a stored night, and the list of all, written beside it.

Pages hold counts of ten customers and more, and names of segments: no customer's value, so that an erasure has nothing to remove.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path

from pipeline.definitions.company import Company
from pipeline.definitions.history import company_on
from pipeline.definitions.settings import LANGUAGE
from pipeline.errors import ConfigError
from pipeline.lake import addresses
from pipeline.lake.lake import Lake
from pipeline.lake.tables import SEGMENT_PROFILES
from pipeline.publication.current import known_live_day
from pipeline.reporting.pages.local_pages import local_page
from pipeline.reporting.pages.morning.language import PageLanguage, page_languages
from pipeline.reporting.pages.morning.night_index import write_index
from pipeline.reporting.pages.morning.night_tables import NightTables, read_checks, read_night
from pipeline.reporting.pages.morning.page import morning_page
from pipeline.reporting.pages.morning.rendering import NO_LINKS, PageLinks, render_page
from pipeline.reporting.pages.morning.verdict import outcome_of
from pipeline.spelling import did_you_mean

log = logging.getLogger(__name__)


def page_of_night(  # noqa: PLR0913 - what a page is of, and what it is for
    company: Company, lake: Lake, day: date, *, language: str = "", is_alone: bool = False, tables: NightTables | None = None
) -> str:
    """Return the morning page of a night as HTML, in `language` or the company's; one that stands alone links to no other.

    `company` is that by the definitions of the night; `tables` are those of the night in that language, where they were read before.
    Raises DataError where a table of the night is damaged.
    """
    wanted = language or company.language
    judged = tables or read_night(company, lake, day, language=wanted)
    shown = _last_good_night(company, lake, day, wanted) if outcome_of(judged).is_refused or not judged.profiles else judged
    validation = "validation.html" if lake.exists(addresses.validation_page(day)) else ""
    links = NO_LINKS if is_alone else PageLinks(validation, "../index.html")
    reader = PageLanguage.of(wanted)
    live_day = known_live_day(lake) if outcome_of(judged).is_refused else None
    return render_page(morning_page(judged, shown, reader, live_day=live_day), reader, links)


def page_file(company: Company, lake: Lake, day: date, *, language: str = "", output: Path | None = None) -> Path:
    """Write the page of a night to the file `output`, else into the lake, and return where it is.

    Raises ConfigError where no such night is stored or no page is in the language, DataError where a table is damaged.
    """
    if not (lake.has(SEGMENT_PROFILES, day=day) or lake.exists(addresses.validation_page(day))):
        nights = lake.nights(SEGMENT_PROFILES)
        todo = f"The newest night is {nights[-1]}." if nights else f"Run it first: segments run --day {day}."
        raise ConfigError(f"no night of {day} is stored", where=lake.where(), todo=todo)
    # What is no tag could be a path that leads out of the lake.
    if language and not (re.fullmatch(LANGUAGE, language) and language.split("-", maxsplit=1)[0] in page_languages()):
        raise ConfigError(
            f"pages are not written in `{language}`{did_you_mean(language, page_languages())}",
            where="--language",
            todo=f"There is {', '.join(page_languages())}.",
        )
    page = page_of_night(company_on(lake, company, day), lake, day, language=language, is_alone=output is not None)
    if output:
        output.write_text(page, "utf-8")
        return output.resolve()
    address = addresses.morning_page(day, "" if language == company.language else language)
    lake.write_text(address, page)
    write_index(company, lake, {day: page} if address == addresses.morning_page(day) else {})
    return local_page(lake, address)


def write_morning_page(company: Company, lake: Lake, day: date) -> None:
    """Write the page of a night, and the list of all; `company` is that by the definitions of the night.

    Whatever goes wrong is logged: figures are worth more than a page of them.
    """
    with _logging_what_fails(day):
        write_index(company, lake, {day: _write_page(company, lake, day)})


def write_morning_pages(company: Company, lake: Lake, days: Iterable[date]) -> None:
    """Write the pages of these nights, each by its own definitions, and once the list of all; what goes wrong is logged."""
    pages: dict[date, str] = {}
    for day in days:
        with _logging_what_fails(day):
            pages[day] = _write_page(company_on(lake, company, day), lake, day)
    if pages:
        with _logging_what_fails(max(pages)):
            write_index(company, lake, pages)


def _write_page(company: Company, lake: Lake, day: date) -> str:
    page = page_of_night(company, lake, day)
    lake.write_text(addresses.morning_page(day), page)
    return page


@contextmanager
def _logging_what_fails(day: date) -> Iterator[None]:
    try:
        yield
    except Exception as error:  # noqa: BLE001 - a page must never fail a night
        # The kind alone: what an error says may have a customer's value in it.
        log.warning("the morning page of %s was not written: %s", day, type(error).__name__)


def _last_good_night(company: Company, lake: Lake, day: date, language: str) -> NightTables | None:
    """Return the newest night before `day` that was judged, and neither refused nor taken back."""
    for night in reversed([night for night in lake.nights(SEGMENT_PROFILES) if night < day]):
        checks = read_checks(company, lake, night)
        if checks.gates and not outcome_of(checks).is_refused:
            return read_night(company_on(lake, company, night), lake, night, language=language)
    return None

"""The list of all nights that have a page. What it says of each is read from the list before, so that a night reads no page but its own."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date
from html import unescape

from pipeline.definitions.company import Company
from pipeline.lake import addresses
from pipeline.lake.lake import Lake
from pipeline.reporting.pages.morning.language import PageLanguage
from pipeline.reporting.pages.morning.rendering import IndexEntry, render_index
from pipeline.reporting.pages.morning.verdict import NightOutcome

_META = re.compile(r'<meta name="(outcome|description)" content="([^"]*)">')
_ENTRY = re.compile(r'<li data-day="([^"]*)" data-outcome="([^"]*)">.*?<span class="soft">([^<]*)</span></li>')
_HEAD = 4_000  # characters that hold what a page says of itself


def write_index(company: Company, lake: Lake, pages: Mapping[date, str]) -> None:
    """Write the list of all nights that have a page, the newest first, each with the first sentence of its page.

    `pages` are those just written, as HTML. What others say is in the list before; only of those that it lacks is the page read.
    """
    # Two nights may end at once, and each must list the other.
    with lake.lock("history"):
        found = set(lake.list_addresses(addresses.REPORTS, suffix="index.html"))
        days = sorted((addresses.date_in(each, "day") for each in found - {addresses.page_index()}), reverse=True)
        known = _listed_entries(lake)
        entries = [
            _entry_of(day, pages[day]) if day in pages else known.get(day) or _entry_of(day, lake.read_text(addresses.morning_page(day)))
            for day in days
        ]
        lake.write_text(addresses.page_index(), render_index(company.name, entries, PageLanguage.of(company.language)))


def _listed_entries(lake: Lake) -> dict[date, IndexEntry]:
    """Return what the list says by now; nothing where it is not there, or not as it was written."""
    try:
        found = _ENTRY.findall(lake.read_text(addresses.page_index()))
        entries = [IndexEntry(date.fromisoformat(day), NightOutcome(outcome), unescape(headline)) for day, outcome, headline in found]
    except (FileNotFoundError, ValueError):
        return {}
    return {each.day: each for each in entries}


def _entry_of(day: date, page: str) -> IndexEntry:
    says = dict(_META.findall(page[:_HEAD]))
    return IndexEntry(day, NightOutcome(says.get("outcome", NightOutcome.NOT_JUDGED.value)), unescape(says.get("description", "")))

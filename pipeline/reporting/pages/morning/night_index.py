"""The list of all nights that have a page. What it says of each is stored beside it, so that a night reads no page but its own."""

from __future__ import annotations

import json
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
_HEAD = 4_000  # characters that hold what a page says of itself


def write_index(company: Company, lake: Lake, pages: Mapping[date, str]) -> None:
    """Write the list of all nights that have a page, the newest first, each with the first sentence of its page.

    `pages` are those just written, as HTML. What others say is stored; only of pages that nothing is stored of is the head read.
    """
    # Two nights may end at once, and each must list the other.
    with lake.lock("page_index"):
        found = set(lake.list_addresses(addresses.REPORTS, suffix="index.html"))
        days = sorted((addresses.date_in(each, "day") for each in found - {addresses.page_index()}), reverse=True)
        stored = _stored_entries(lake)
        entries = [
            _entry_of(day, pages[day]) if day in pages else stored.get(day) or _entry_of(day, lake.read_text(addresses.morning_page(day)))
            for day in days
        ]
        rows = {str(each.day): {"outcome": each.outcome.value, "headline": each.headline} for each in entries}
        lake.write_text(addresses.page_index_entries(), json.dumps(rows, ensure_ascii=False, indent=1) + "\n")
        lake.write_text(addresses.page_index(), render_index(company.name, entries, PageLanguage.of(company.language)))


def _stored_entries(lake: Lake) -> dict[date, IndexEntry]:
    """Return what is stored of pages; nothing where the file is not there, or not as it was written."""
    try:
        rows = json.loads(lake.read_text(addresses.page_index_entries()))
        return {
            (day := date.fromisoformat(name)): IndexEntry(day, NightOutcome(row["outcome"]), str(row["headline"]))
            for name, row in rows.items()
        }
    except (FileNotFoundError, ValueError, KeyError, TypeError, AttributeError):
        return {}


def _entry_of(day: date, page: str) -> IndexEntry:
    says = dict(_META.findall(page[:_HEAD]))
    return IndexEntry(day, NightOutcome(says.get("outcome", NightOutcome.NOT_JUDGED.value)), unescape(says.get("description", "")))

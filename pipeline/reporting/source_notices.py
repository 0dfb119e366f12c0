"""What a person should know of a night's source: misdated rows, days that changed, warnings about most rows, who is left out."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date

from pipeline.definitions.command_options import command_options
from pipeline.definitions.company import Company
from pipeline.ingestion.late_days import late_spans, reread_command
from pipeline.ingestion.misdated_days import MisdatedDay, misdated_words
from pipeline.ingestion.validation import stored_results, warnings_of_most_rows
from pipeline.lake.lake import Lake
from pipeline.lake.tables import LATE_DAYS, MISDATED_DAYS
from pipeline.publication.current import current_publication, read_published_manifest


def source_notices(company: Company, lake: Lake, day: date) -> list[str]:
    """Return a sentence for each thing that a person should know of the source of the night of `day`."""
    return [
        *misdated_sentences(company, lake, day),
        *_late_sentences(company, lake, day),
        *warnings_of_most_rows(lake, day, stored_results(lake, day).rule_results),
        *_left_out_sentences(lake, day),
    ]


def misdated_sentences(company: Company, lake: Lake, day: date) -> list[str]:
    """Return a sentence for each table with rows that no night reads, as the night of `day` counted them."""
    if not lake.has(MISDATED_DAYS, day=day):
        return []
    rows = lake.read(MISDATED_DAYS, day=day).to_pylist()
    found = [MisdatedDay(row["source_table"], row["event_day"], row["row_count"]) for row in rows]
    return misdated_words(found, opening=company.first_day)


def late_days_of(lake: Lake, day: date) -> list[date]:
    """Return the days, in order, on which the source differed from what was known before the night of `day`; none where none did."""
    return sorted(set(lake.read(LATE_DAYS, day=day)["event_day"].to_pylist())) if lake.has(LATE_DAYS, day=day) else []


def _late_sentences(company: Company, lake: Lake, day: date) -> Iterator[str]:
    days = late_days_of(lake, day)
    for span in late_spans(days):
        within = sum(span.first <= each <= span.last for each in days)
        count = "1 day" if within == 1 else f"{within:,} days"
        command = reread_command(span, command_options(company, lake))
        yield f"{count} changed in the source after having been read: {command}"


def _left_out_sentences(lake: Lake, day: date) -> Iterator[str]:
    live = current_publication(lake)
    # Whom an older publication left out says nothing of this night.
    if live is None or live.day != day:
        return
    manifest = read_published_manifest(lake, live.publication_id)
    for reason, words in (("withheld", "do not agree to be written to"), ("departed", "are not in the source any more")):
        count = manifest.get(reason, {}).get("customers", 0)
        if count:
            yield f"{count:,} customer{' is' if count == 1 else 's are'} left out of what is published: they {words}"

"""What each night read of its source, and hence what it reads when it is read again."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from hashlib import sha256
from typing import Any

from pipeline.calendar import ONE_DAY
from pipeline.definitions.company import Company
from pipeline.errors import DataError
from pipeline.ingestion.versions import stored_facts
from pipeline.lake import addresses
from pipeline.lake.lake import Lake
from pipeline.lake.tables import EXTRACTIONS, RAW_CUSTOMERS, RAW_ORDER_LINES

QUERIES_KEY = "queries"
IS_BEGUN_KEY = "is_begun"
FIRST_DAY_KEY = "first_day"
KNOWN_ROWS_KEY = "known_rows"


def is_extraction_complete(company: Company, lake: Lake, day: date, nights: Sequence[date]) -> bool:
    """Return whether night `day` need not be read: it is one of `nights`, those read so far, and was read to the end.

    The newest night must also have been read with today's queries. An older one keeps what it knew, whatever they say now.
    A night whose record cannot be read is not complete.
    """
    if is_being_reread(lake, day):
        return False
    if day in nights[:-1]:
        return bool(extraction_rows(lake, day))
    return day in nights and stored_facts(lake, addresses.partition(EXTRACTIONS, day=day)).get(QUERIES_KEY) == queries_digest(company)


def is_being_reread(lake: Lake, day: date) -> bool:
    """Return whether reading the night again was begun but not completed: what is stored is a mixture of both reads."""
    return lake.has(EXTRACTIONS, day=day) and bool(stored_facts(lake, addresses.partition(EXTRACTIONS, day=day)).get(IS_BEGUN_KEY))


def queries_digest(company: Company) -> str:
    """Return a digest of the company's queries, declared columns and formats: what decides, besides the source, what a night reads."""
    files = [company.source_file(name) for name in company.source_tables]
    # A file that is no UTF-8 is reported where its query is read, not here.
    texts = [file.read_text("utf-8", "replace") for file in files if file.is_file()]
    tables = (company.table(RAW_CUSTOMERS), *(event.raw_table for event in company.declared_events))
    columns = [f"{column.name} {column.kind.name}" for table in tables for column in table.columns]
    source = company.source
    types = [f"{table}.{name} {kind}" for table, kinds in (source.column_types or {}).items() for name, kind in kinds.items()]
    written = [f"{table} {declared}" for table, declared in source.formats.items()]
    facts = [*texts, *columns, *sorted(source.appended), *sorted(types), *sorted(written), *filter(None, [source.zone])]
    return sha256("\n".join(facts).encode()).hexdigest()[:16]


def extraction_rows(lake: Lake, day: date) -> list[dict[str, Any]]:
    """Return the rows of the night's EXTRACTIONS; none where they cannot be read."""
    try:
        rows: list[dict[str, Any]] = lake.read(EXTRACTIONS, day=day).to_pylist()
    except DataError:
        return []
    return rows


def first_day_to_read(company: Company, lake: Lake, day: date, nights: Sequence[date], *, since: date | None) -> date | None:
    """Return the first local day that night `day` reads, or None for the whole history.

    `nights` are those read so far, in order; the first of all reads everything. A night among them reads the same days again.
    A new one looks back as far as the company says, and over nights that were missed. `since` extends that to an earlier day,
    but not to one before the company's first.
    """
    first = _first_day_of_night(company, lake, day, nights)
    return min(first, max(since, company.first_day)) if first and since else first


def _first_day_of_night(company: Company, lake: Lake, day: date, nights: Sequence[date]) -> date | None:
    if day in nights and extraction_rows(lake, day):
        first = stored_facts(lake, addresses.partition(EXTRACTIONS, day=day)).get(FIRST_DAY_KEY)
        return date.fromisoformat(first) if first else None
    if not nights or day == nights[0]:
        return None
    lookback = day - timedelta(days=company.lookback_days - 1)
    missed = [night + ONE_DAY for night in nights if night < day][-1:]
    # Days that a failed attempt of this night stored are read again: nobody checked what it left there.
    stored = lake.event_days(RAW_ORDER_LINES).versions
    attempted = [version.day for version in stored if version.known_on == day and version.day >= company.first_day]
    return min([lookback, *missed, *attempted])

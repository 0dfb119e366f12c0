"""What a new company's queries give, read as a night reads them: first rows, counts, sums, and what the checks would set aside."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from zoneinfo import ZoneInfo

import pyarrow as pa
import pyarrow.compute as pc

from pipeline.calendar import BEGINNING, END, ONE_DAY, Window, days_window
from pipeline.definitions.company import Company
from pipeline.definitions.company_checks import EARLIEST_DAY
from pipeline.ingestion.sources import Snapshot, SourceQuery, authored_query
from pipeline.ingestion.sources.columns import check_columns, conform_batch
from pipeline.ingestion.validation import load_suite_definition, suite_parameters
from pipeline.ingestion.validation.findings_in_sql import findings_in_sql
from pipeline.ingestion.validation.known_ids import KnownIds
from pipeline.ingestion.validation.raw_rows import checked_columns
from pipeline.lake.tables import EVENT_DAY, Partition, Table
from pipeline.onboarding.company_draft import ALL_LINES, CompanyDraft

EVERYTHING = Window(BEGINNING, END)
MOST_STRAYS, LONGEST_GAP_DAYS = 0.05, 5 * 365


@dataclass(frozen=True, slots=True)
class UncountedLines:
    """Lines that the query leaves out, and why."""

    reason: str
    line_count: int
    amount: Decimal


@dataclass(frozen=True, slots=True)
class BrokenRule:
    """Rows of a table that a night would set aside for breaking a rule."""

    table: str
    rule: str
    row_count: int


@dataclass(frozen=True, slots=True)
class QueryRows:
    """All rows of one query, in the columns of its table; those of events with their local day."""

    table: Table
    rows: pa.Table
    given_columns: tuple[str, ...]


def read_queries(company: Company, snapshot: Snapshot) -> dict[str, QueryRows]:
    """Return the rows of each of the company's queries, by name.

    Raises what a night would: SchemaDrift for wrong columns, DataError for cells that cannot be read, ConfigError for a wrong query.
    """
    found = {}
    for name, raw in company.source_tables.items():
        file = company.source_file(name)
        if file.is_file():
            query = authored_query(name, file, company.source.dialect, EVERYTHING)
            found[name] = _query_rows(company, snapshot, query, company.table(raw))
    return found


def _query_rows(company: Company, snapshot: Snapshot, query: SourceQuery, table: Table) -> QueryRows:
    schema = snapshot.schema(query)
    check_columns(table, schema, query, company.zone)
    wanted = query.select_from_rows([name for name in table.column_names if name in schema.names])
    with closing(snapshot.rows(wanted)) as batches:
        rows = pa.Table.from_batches([conform_batch(batch, table, query) for batch in batches], table.schema)
    if table.partition is Partition.EVENT_DAY:
        rows = rows.append_column(EVENT_DAY.name, local_days(rows[table.instant], company.zone))
    return QueryRows(table, rows, tuple(name for name in table.column_names if name in schema.names))


def local_days(instants: pa.ChunkedArray, zone: ZoneInfo) -> pa.ChunkedArray:
    """Return the local day of each instant."""
    return pc.local_timestamp(instants.cast(pa.timestamp("us", tz=zone.key))).cast(pa.date32())


def first_and_last_day(read: Mapping[str, QueryRows], today: date) -> tuple[date, date | None, int]:
    """Return the first day of any event, the last one that is over on `today`, and how many rows come after it.

    Without events that is the last day that is over, and None: a list of people is of today, whenever that is.
    """
    days = [each.rows[EVENT_DAY.name].combine_chunks() for each in read.values() if EVENT_DAY.name in each.rows.column_names]
    given = pa.concat_arrays(days).drop_null() if days else pa.array([], pa.date32())
    over = given.filter(pc.less(given, pa.scalar(today, pa.date32())))
    if not len(over):
        return today - ONE_DAY, None, len(given)
    return _first_day(over), pc.max(over).as_py(), len(given) - len(over)


def _first_day(days: pa.Array) -> date:
    """Return the first of the days, without a few that lie years before all others: a date of 1970 is a slip, and no beginning."""
    counted = sorted((each["values"].as_py(), each["counts"].as_py()) for each in pc.value_counts(days))
    first: date = counted[0][0]
    seen = 0
    for (day, count), (after, _) in pairwise(counted):
        seen += count
        if seen > MOST_STRAYS * len(days):
            break
        if (after - day).days > LONGEST_GAP_DAYS:
            first = after
    return max(first, EARLIEST_DAY)


def broken_rules(company: Company, read: Mapping[str, QueryRows], night: date) -> list[BrokenRule]:
    """Return which rules set rows aside in the night of `night`, and how many rows break each."""
    ids = KnownIds.of(read["customers"].rows["customer_id"].combine_chunks()) if "customers" in read else None
    has_rules = {*company.definitions("expectations", ".json"), *(event.raw_table.name for event in company.events.values())}
    checked = [each for each in read.values() if each.table.name in has_rules]
    return [rule for each in checked for rule in _broken_rules(company, each, night, ids)]


def _broken_rules(company: Company, read: QueryRows, night: date, ids: KnownIds | None) -> Iterator[BrokenRule]:
    rows = read.rows
    if read.table.partition is Partition.EVENT_DAY:
        # What comes after the night is not read by it.
        end = pa.scalar(days_window(night, night, company.zone).end, rows[read.table.instant].type)
        rows = rows.filter(pc.fill_null(pc.less(rows[read.table.instant], end), fill_value=True))
    suite = load_suite_definition(company, read.table)
    columns = checked_columns(rows, read.table, known_ids=ids)
    for finding in findings_in_sql(suite, columns, suite_parameters(company, night)) or []:
        if finding.failed and finding.rule.rejects_rows:
            yield BrokenRule(read.table.name, finding.rule.name, finding.failed)


def lines_left_out(snapshot: Snapshot, draft: CompanyDraft, file: Path) -> list[UncountedLines]:
    """Return how many lines, and how much, of those that all tables have count nowhere, by reason; `file` is `order_lines.sql`."""
    given = draft.optional_columns()
    other = f"WHEN currency <> '{draft.currency}' THEN 'in ' || currency" if "currency" in given else ""
    cancelled = "WHEN is_cancelled THEN 'cancelled, not paid or tests'" if "is_cancelled" in given else ""
    text = f"""
WITH
{draft.lines_table()}
SELECT
  CASE WHEN customer_id IS NULL THEN 'of nobody known' {other} {cancelled} END AS reason, count(*) AS lines, sum(net_amount) AS amount
FROM {ALL_LINES} GROUP BY reason HAVING reason IS NOT NULL ORDER BY reason
"""
    query = SourceQuery("order_lines", file, "duckdb", text, EVERYTHING)
    snapshot.schema(query)
    rows = [row for batch in snapshot.rows(query) for row in batch.to_pylist()]
    return [UncountedLines(row["reason"], row["lines"], row["amount"] or Decimal()) for row in rows]


def lines_that_count(rows: pa.Table) -> pa.Table:
    """Return the order lines that are not cancelled."""
    return rows.filter(pc.invert(pc.fill_null(rows["is_cancelled"], fill_value=False)))


def sample_rows(read: QueryRows, count: int) -> list[dict[str, object]]:
    """Return the first rows, in the order of the table's key, with the columns that the query gives."""
    key: Sequence[tuple[str, str]] = [
        (name, "ascending") for name in ((EVENT_DAY.name,) if EVENT_DAY.name in read.rows.column_names else ()) + read.table.key
    ]
    rows = read.rows.sort_by(list(key)).slice(0, count)
    return list(rows.select(list(read.given_columns)).to_pylist())

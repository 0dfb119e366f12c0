"""What a night is like beside the last good one: a few small answers from SQL over Parquet files.

The cost follows from the number of customers and the last weeks' order lines, never from the history.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import date
from typing import Any

import pyarrow.parquet as pq
from sqlglot import exp, parse_one

from pipeline.definitions.company import Company
from pipeline.features import reading_merges, reads_orders
from pipeline.ingestion.departures import departed_files
from pipeline.ingestion.extractions import KNOWN_ROWS_KEY, extraction_rows
from pipeline.ingestion.validation import stored_results
from pipeline.ingestion.vanished_rows import known_rows_from_facts
from pipeline.lake import addresses
from pipeline.lake.engines import Engine
from pipeline.lake.lake import Lake, known_versions
from pipeline.lake.tables import (
    CUSTOMER_FEATURES,
    CUSTOMER_SEGMENTS,
    DEPARTED_CUSTOMERS,
    EXTRACTIONS,
    ORDER_LINES,
    RAW_CONSENTS,
    RAW_CUSTOMERS,
    RAW_ORDER_LINES,
    SEGMENT_PROFILES,
    Kind,
    Table,
)
from pipeline.publication.consent import CONSENT_SOURCE
from pipeline.publication.gates import GateMeasures, ImplausibleRows, ReachableCustomers, window_first_day
from pipeline.publication.gates.last_good import LastGoodPublication
from pipeline.publication.gates.matching import measure_unmatched, measure_vanished_answers
from pipeline.publication.gates.measure_audiences import measure_audiences
from pipeline.publication.gates.measure_takeovers import measure_takeovers
from pipeline.publication.gates.segment_measures import largest_segments, scheme_moves

Row = Mapping[str, Any]
IMPLAUSIBLE_RULES = ("refund_is_not_paid_for", "sale_is_not_paid_back", "discount_is_plausible")

# What the last good night published is compared with what this one would publish, hence without those who do not agree or departed.
# The list of those who said no may not hold NULL: NOT IN would then be true of nobody.
_STAYING = """
SELECT customer_features.* FROM customer_features
LEFT JOIN departed_customers ON departed_customers.customer_id = customer_features.customer_id
LEFT JOIN departed_customers_before ON departed_customers_before.customer_id = customer_features.customer_id
WHERE (departed_customers.customer_id IS NULL OR departed_customers_before.customer_id IS NOT NULL)
  AND customer_features.customer_id NOT IN (
    SELECT TRIM(customer_id) FROM raw_consents WHERE customer_id IS NOT NULL AND NOT COALESCE(is_consenting, FALSE)
  )
"""
# Who was merged into another customer is not gone: the survivor is there.
_VANISHED = """
SELECT COUNT(*) AS customer_count,
    CAST(COALESCE(SUM(CASE WHEN staying.customer_id IS NULL THEN 1 ELSE 0 END), 0) AS BIGINT) AS vanished_count
FROM customer_features_before AS past
LEFT JOIN staying ON staying.customer_id = past.customer_id
LEFT JOIN customer_survivors AS merged ON merged.customer_id = past.customer_id AND merged.survivor_id <> past.customer_id
WHERE merged.customer_id IS NULL
"""
_REACHABLE = "SELECT COUNT(*) AS customer_count, CAST(COALESCE(SUM(CASE WHEN reachable THEN 1 ELSE 0 END), 0) AS BIGINT) AS reachable_count"


def measure_night(company: Company, lake: Lake, engine: Engine, day: date, good: LastGoodPublication | None) -> GateMeasures:
    """Return what the gates need to know of the night of `day`, beside the last `good` one where there is one."""
    facts = lake.manifest(addresses.partition(EXTRACTIONS, day=day)) if lake.has(EXTRACTIONS, day=day) else {}
    lines = {version: each.row_count for version, each in lake.stored_versions(ORDER_LINES).items()}
    first = window_first_day(day, good.day if good else None, company.limits)
    measures = GateMeasures(
        day=day,
        before=good.day if good else None,
        line_counts={each.day: lines[each] for each in known_versions(lines, through=day, known_on=day) if each.day >= first},
        newest_line_day=max((each.day for each in known_versions(lines, through=date.max, known_on=date.max) if lines[each]), default=None),
        rejected=rejected_counts(lake, day),
        known_rows=[known_rows_from_facts(each) for each in facts.get(KNOWN_ROWS_KEY) or ()],
        listed_count=next((row["row_count"] for row in extraction_rows(lake, day) if row["source_table"] == RAW_CUSTOMERS.name), None),
        unmatched=measure_unmatched(company, lake, engine, day),
        implausible=_implausible_rows(lake, day),
        reads_orders=reads_orders(lake, day),
    )
    return measures if good is None else _compare_with_last_good(measures, company, lake, engine, good)


def rejected_counts(lake: Lake, day: date) -> dict[str, tuple[int, int]]:
    """Return rows set aside and rows checked, per source table, as validation stored them."""
    results = stored_results(lake, day)
    checked = {row["source_table"]: row["checked_count"] for row in results.rule_results if row["rejects_rows"]}
    return {table: (sum(count for of, _, count in results.rejected if of == table), count) for table, count in checked.items()}


def _implausible_rows(lake: Lake, day: date) -> list[ImplausibleRows]:
    """Return what validation counted of the rules about signs and discounts, among the order lines that the night checked."""
    rows = [row for row in stored_results(lake, day).rule_results if row["source_table"] == RAW_ORDER_LINES.name]
    return [
        ImplausibleRows(row["source_table"], row["rule"], row["checked_count"], row["failed_count"])
        for row in rows
        if row["rule"] in IMPLAUSIBLE_RULES
    ]


def _compare_with_last_good(
    measures: GateMeasures, company: Company, lake: Lake, engine: Engine, good: LastGoodPublication
) -> GateMeasures:
    for table in _compared_tables(company, lake, good):
        engine.register(table, [addresses.partition(table, day=measures.day)])
        engine.register(replace(table, name=f"{table.name}_before"), [f"{good.prefix}{table.name}.parquet"])
    answers = lake.snapshot_files(RAW_CONSENTS, measures.day) if company.source_file(CONSENT_SOURCE).is_file() else []
    engine.register(RAW_CONSENTS.only(("customer_id", "is_consenting")), answers)
    engine.register(DEPARTED_CUSTOMERS, departed_files(lake, measures.day))
    # Where they stay published, those who had departed by then are not gone anew.
    gone_before = [] if company.removes_departed else departed_files(lake, good.day)
    engine.register(replace(DEPARTED_CUSTOMERS, name=f"{DEPARTED_CUSTOMERS.name}_before"), gone_before)
    with reading_merges(lake, engine, company.zone, measures.day):
        [customers] = _rows_of(engine, _among_staying(_parse_select(_VANISHED)))
        takeovers = measure_takeovers(lake, engine, measures.day, good.day)
    return replace(
        measures,
        customer_count_before=customers["customer_count"],
        vanished_count=customers["vanished_count"],
        largest_segments=largest_segments(engine),
        moves=scheme_moves(company, engine, lake, measures.day, good),
        reachable=_reachable_customers(engine, company, lake, good),
        answers=measure_vanished_answers(company, lake, engine, measures.day, good.day),
        takeovers=takeovers,
        audiences=measure_audiences(lake, measures.day, good),
    )


def _compared_tables(company: Company, lake: Lake, good: LastGoodPublication) -> list[Table]:
    """Return the compared tables with the columns that are looked at, and no others: the rest is not read, and may have changed."""
    attribute = _reachable_attribute(company, lake, good)
    return [
        company.table(CUSTOMER_FEATURES).only(("customer_id", *attribute)),
        CUSTOMER_SEGMENTS.only(("customer_id", "scheme", "segment")),
        SEGMENT_PROFILES.only(("scheme", "segment", "customer_count")),
    ]


def _reachable_attribute(company: Company, lake: Lake, good: LastGoodPublication) -> list[str]:
    """Return the attribute that tells who can be reached, unless the last good night did not have it yet as it is now."""
    name = company.limits.reachable_attribute
    if not name:
        return []
    with lake.reading(CUSTOMER_FEATURES.name, f"{good.prefix}{CUSTOMER_FEATURES.name}.parquet", piece="publication") as path:
        schema = pq.read_schema(path)
    return [name] if (name, Kind.FLAG.arrow) in zip(schema.names, schema.types, strict=True) else []


def _reachable_customers(engine: Engine, company: Company, lake: Lake, good: LastGoodPublication) -> ReachableCustomers | None:
    counts = []
    for attribute in _reachable_attribute(company, lake, good):
        for table in ("staying", f"{CUSTOMER_FEATURES.name}_before"):
            flags = exp.select(exp.alias_(exp.column(attribute, quoted=True), "reachable")).from_(table)
            [row] = _rows_of(engine, _among_staying(_parse_select(_REACHABLE).from_(flags.subquery("flags"))))
            counts += [row["reachable_count"], row["customer_count"]]
    return ReachableCustomers(*counts) if counts else None


def _parse_select(text: str) -> exp.Select:
    return parse_one(text, into=exp.Select, read="duckdb")


def _among_staying(query: exp.Select) -> exp.Select:
    """Return `query` with the table `staying`."""
    return query.with_("staying", as_=_parse_select(_STAYING))


def _rows_of(engine: Engine, query: exp.Query) -> list[Row]:
    return list(engine.run(query, {}).read_all().to_pylist())

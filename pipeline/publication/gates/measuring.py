"""What a night is like beside the last good one: a few small answers from SQL over Parquet files.

The cost follows from the number of customers and the last weeks' order lines, never from the history.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
from sqlglot import exp, parse_one

from pipeline.definitions.company import Company
from pipeline.definitions.schemes import load_schemes
from pipeline.features import reading_merges
from pipeline.ingestion.departures import departed_files
from pipeline.ingestion.extractions import KNOWN_ROWS_KEY, extraction_rows
from pipeline.ingestion.validation import stored_results
from pipeline.ingestion.vanished_rows import KnownRows, known_rows_from_facts
from pipeline.lake.engines import Engine
from pipeline.lake.lake import Lake, known_versions, reading
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
from pipeline.publication.gates import GateMeasures, ImplausibleRows, LargestSegment, ReachableCustomers, SchemeMoves, window_first_day
from pipeline.publication.gates.last_good import LastGoodPublication
from pipeline.publication.gates.matching import measure_unmatched, measure_vanished_answers
from pipeline.publication.gates.measure_takeovers import measure_takeovers

Row = Mapping[str, Any]
IMPLAUSIBLE_RULES = ("refund_is_not_paid_for", "sale_is_not_paid_back", "discount_is_plausible")

# What the last good night published is compared with what this one would publish, hence without those who do not agree or departed.
_STAYING = """
SELECT customer_features.* FROM customer_features
LEFT JOIN departed_customers ON departed_customers.customer_id = customer_features.customer_id
LEFT JOIN departed_customers_before ON departed_customers_before.customer_id = customer_features.customer_id
WHERE (departed_customers.customer_id IS NULL OR departed_customers_before.customer_id IS NOT NULL)
  AND customer_features.customer_id NOT IN (
    SELECT TRIM(customer_id) FROM raw_consents WHERE customer_id IS NOT NULL AND NOT COALESCE(is_consenting, FALSE)
  )
"""
_VANISHED = """
SELECT COUNT(*) AS customer_count,
    CAST(COALESCE(SUM(CASE WHEN staying.customer_id IS NULL THEN 1 ELSE 0 END), 0) AS BIGINT) AS vanished_count
FROM customer_features_before AS past
LEFT JOIN staying ON staying.customer_id = past.customer_id
LEFT JOIN customer_survivors AS merged ON merged.customer_id = past.customer_id AND merged.survivor_id <> past.customer_id
WHERE merged.customer_id IS NULL
"""
_MOVES = """
SELECT customer_segments.scheme, COUNT(*) AS customer_count,
    CAST(SUM(CASE WHEN customer_segments.segment <> customer_segments_before.segment THEN 1 ELSE 0 END) AS BIGINT) AS moved_count
FROM customer_segments JOIN customer_segments_before
    ON customer_segments.customer_id = customer_segments_before.customer_id AND customer_segments.scheme = customer_segments_before.scheme
GROUP BY customer_segments.scheme ORDER BY customer_segments.scheme
"""
# Who stayed a customer, and is on one of the two nights alone among those whom a scheme applies to, moved as well.
_ENTERED_OR_LEFT = """
SELECT crossed.scheme, COUNT(*) AS moved_count
FROM (
    SELECT customer_segments.customer_id, customer_segments.scheme
    FROM customer_segments LEFT JOIN customer_segments_before
        ON customer_segments.customer_id = customer_segments_before.customer_id
        AND customer_segments.scheme = customer_segments_before.scheme
    WHERE customer_segments_before.customer_id IS NULL
    UNION ALL
    SELECT customer_segments_before.customer_id, customer_segments_before.scheme
    FROM customer_segments_before LEFT JOIN customer_segments
        ON customer_segments.customer_id = customer_segments_before.customer_id
        AND customer_segments.scheme = customer_segments_before.scheme
    WHERE customer_segments.customer_id IS NULL
) AS crossed
JOIN customer_features ON customer_features.customer_id = crossed.customer_id
JOIN customer_features_before ON customer_features_before.customer_id = crossed.customer_id
"""
_REACHABLE = "SELECT COUNT(*) AS customer_count, CAST(COALESCE(SUM(CASE WHEN reachable THEN 1 ELSE 0 END), 0) AS BIGINT) AS reachable_count"


def measure_night(company: Company, lake: Lake, engine: Engine, day: date, good: LastGoodPublication | None) -> GateMeasures:
    """Return what the gates need to know of the night of `day`, beside the last `good` one where there is one."""
    measures = GateMeasures(
        day=day,
        before=good.day if good else None,
        line_counts=_line_counts(company, lake, day, good),
        rejected=rejected_counts(lake, day),
        known_rows=_known_rows(lake, day),
        listed_count=next((row["row_count"] for row in extraction_rows(lake, day) if row["source_table"] == RAW_CUSTOMERS.name), None),
        unmatched=measure_unmatched(company, lake, engine, day),
        implausible=_implausible_rows(lake, day),
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


def _known_rows(lake: Lake, day: date) -> list[KnownRows]:
    facts = lake.manifest(lake.path(EXTRACTIONS, day=day)).get(KNOWN_ROWS_KEY) if lake.has(EXTRACTIONS, day=day) else None
    return [known_rows_from_facts(each) for each in facts or ()]


def _compare_with_last_good(
    measures: GateMeasures, company: Company, lake: Lake, engine: Engine, good: LastGoodPublication
) -> GateMeasures:
    for table in _compared_tables(company, good):
        engine.register(table, [lake.path(table, day=measures.day)])
        engine.register(replace(table, name=f"{table.name}_before"), [good.folder / f"{table.name}.parquet"])
    engine.register(_only_columns(RAW_CONSENTS, "customer_id", "is_consenting"), _consent_files(company, lake, measures.day))
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
        largest_segments=_largest_segments(engine),
        moves=_scheme_moves(company, engine, lake, measures.day, good),
        reachable=_reachable_customers(engine, company, good),
        answers=measure_vanished_answers(company, lake, engine, measures.day, good.day),
        takeovers=takeovers,
    )


def _compared_tables(company: Company, good: LastGoodPublication) -> list[Table]:
    """Return the compared tables with the columns that are looked at, and no others: the rest is not read, and may have changed."""
    attribute = _reachable_attribute(company, good)
    return [
        _only_columns(company.table(CUSTOMER_FEATURES), "customer_id", *attribute),
        _only_columns(CUSTOMER_SEGMENTS, "customer_id", "scheme", "segment"),
        _only_columns(SEGMENT_PROFILES, "scheme", "segment", "customer_count"),
    ]


def _only_columns(table: Table, *names: str) -> Table:
    return replace(table, columns=tuple(column for column in table.columns if column.name in names))


def _reachable_attribute(company: Company, good: LastGoodPublication) -> list[str]:
    """Return the attribute that tells who can be reached, unless the last good night did not have it yet as it is now."""
    name = company.limits.reachable_attribute
    if not name:
        return []
    path = good.folder / f"{CUSTOMER_FEATURES.name}.parquet"
    with reading(CUSTOMER_FEATURES.name, path, piece="publication"):
        schema = pq.read_schema(path)
    return [name] if (name, Kind.FLAG.arrow) in zip(schema.names, schema.types, strict=True) else []


def _consent_files(company: Company, lake: Lake, day: date) -> list[Path]:
    """Return the answers that night `day` goes by, where the company asks and a night has read them."""
    known = lake.snapshot_known(RAW_CONSENTS, day) if company.source_file(CONSENT_SOURCE).is_file() else None
    return [lake.path(RAW_CONSENTS, known_on=known)] if known else []


def _line_counts(company: Company, lake: Lake, day: date, good: LastGoodPublication | None) -> dict[date, int]:
    """Return how many order lines each event day of the recent past has; the footers tell."""
    first = window_first_day(day, good.day if good else None, company.limits)
    stored = lake.stored_versions(ORDER_LINES)
    versions = known_versions(stored, through=day, known_on=day)
    return {version.day: stored[version].row_count for version in versions if version.day >= first}


def _largest_segments(engine: Engine) -> list[LargestSegment]:
    now, before = _segment_counts(engine, SEGMENT_PROFILES.name), _segment_counts(engine, f"{SEGMENT_PROFILES.name}_before")
    largest = []
    for scheme, counts in sorted(now.items()):
        segment = max(sorted(counts), key=counts.__getitem__)  # sorted, so that of equal ones it is always the same
        then = (before[scheme].get(segment, 0), sum(before[scheme].values())) if scheme in before else (None, None)
        largest.append(LargestSegment(scheme, segment, counts[segment], sum(counts.values()), *then))
    return largest


def _segment_counts(engine: Engine, profiles: str) -> dict[str, dict[str, int]]:
    counts: dict[str, dict[str, int]] = {}
    for row in _rows_of(engine, exp.select("scheme", "segment", "customer_count").from_(profiles)):
        counts.setdefault(row["scheme"], {})[row["segment"]] = row["customer_count"]
    return counts


def _scheme_moves(company: Company, engine: Engine, lake: Lake, day: date, good: LastGoodPublication) -> list[SchemeMoves]:
    schemes = lake.manifest(lake.path(CUSTOMER_SEGMENTS, day=day)).get("schemes", {})
    partial = [scheme.name for scheme in load_schemes(company).schemes if scheme.applies_to is not None and scheme.name in good.schemes]
    crossed = _entered_or_left_counts(engine, partial) if partial else {}
    within = {row["scheme"]: (row["customer_count"], row["moved_count"]) for row in _rows_of(engine, _parse_select(_MOVES))}
    moves = []
    for name in sorted(within.keys() | crossed.keys()):
        (stayed, moved), more = within.get(name, (0, 0)), crossed.get(name, 0)
        moves.append(SchemeMoves(name, stayed + more, moved + more, schemes.get(name) != good.schemes.get(name)))
    return moves


def _entered_or_left_counts(engine: Engine, schemes: Sequence[str]) -> dict[str, int]:
    """Count by scheme who came to be, or is not any more, among those whom it applies to."""
    is_partial = exp.column("scheme", "crossed").isin(*schemes)
    query = _parse_select(_ENTERED_OR_LEFT).where(is_partial).group_by(exp.column("scheme", "crossed"))
    return {row["scheme"]: row["moved_count"] for row in _rows_of(engine, query)}


def _reachable_customers(engine: Engine, company: Company, good: LastGoodPublication) -> ReachableCustomers | None:
    counts = []
    for attribute in _reachable_attribute(company, good):
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

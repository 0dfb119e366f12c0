"""Segments beside those of the last good night: how large the largest is, and how many customers changed theirs."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

from sqlglot import exp, parse_one

from pipeline.definitions.company import Company
from pipeline.definitions.schemes import load_schemes
from pipeline.lake import addresses
from pipeline.lake.engines import Engine
from pipeline.lake.lake import Lake
from pipeline.lake.tables import CUSTOMER_SEGMENTS, SEGMENT_PROFILES
from pipeline.publication.gates import LargestSegment, SchemeMoves
from pipeline.publication.gates.last_good import LastGoodPublication

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


def largest_segments(engine: Engine) -> list[LargestSegment]:
    """Return the largest segment of each scheme, and what it was on the night before.

    Reads SEGMENT_PROFILES, and the same of the last good night under its name with `_before`.
    """
    now, before = _segment_counts(engine, SEGMENT_PROFILES.name), _segment_counts(engine, f"{SEGMENT_PROFILES.name}_before")
    largest = []
    for scheme, counts in sorted(now.items()):
        # Sorted, so that of equal ones it is always the same.
        segment = max(sorted(counts), key=counts.__getitem__)
        then = (before[scheme].get(segment, 0), sum(before[scheme].values())) if scheme in before else (None, None)
        largest.append(LargestSegment(scheme, segment, counts[segment], sum(counts.values()), *then))
    return largest


def _segment_counts(engine: Engine, profiles: str) -> dict[str, dict[str, int]]:
    counts: dict[str, dict[str, int]] = {}
    for row in engine.run(exp.select("scheme", "segment", "customer_count").from_(profiles), {}).read_all().to_pylist():
        counts.setdefault(row["scheme"], {})[row["segment"]] = row["customer_count"]
    return counts


def scheme_moves(company: Company, engine: Engine, lake: Lake, day: date, good: LastGoodPublication) -> list[SchemeMoves]:
    """Return how many customers changed segment since the last good night, by scheme.

    Reads CUSTOMER_SEGMENTS and CUSTOMER_FEATURES, and the same of the last good night under their names with `_before`.
    """
    schemes = lake.manifest(addresses.partition(CUSTOMER_SEGMENTS, day=day)).get("schemes", {})
    partial = [scheme.name for scheme in load_schemes(company).schemes if scheme.applies_to is not None and scheme.name in good.schemes]
    crossed = _entered_or_left_counts(engine, partial) if partial else {}
    within = {
        row["scheme"]: (row["customer_count"], row["moved_count"])
        for row in engine.run(parse_one(_MOVES, into=exp.Select, read="duckdb"), {}).read_all().to_pylist()
    }
    moves = []
    for name in sorted(within.keys() | crossed.keys()):
        (stayed, moved), more = within.get(name, (0, 0)), crossed.get(name, 0)
        moves.append(SchemeMoves(name, stayed + more, moved + more, schemes.get(name) != good.schemes.get(name)))
    return moves


def _entered_or_left_counts(engine: Engine, schemes: Sequence[str]) -> dict[str, int]:
    """Count by scheme who came to be, or is not any more, among those whom it applies to."""
    is_partial = exp.column("scheme", "crossed").isin(*schemes)
    query = parse_one(_ENTERED_OR_LEFT, into=exp.Select, read="duckdb").where(is_partial).group_by(exp.column("scheme", "crossed"))
    return {row["scheme"]: row["moved_count"] for row in engine.run(query, {}).read_all().to_pylist()}

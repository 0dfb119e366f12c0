"""Whose order lines are whose tonight, beside the last good night."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

from sqlglot import exp, parse_one

from pipeline.lake import addresses
from pipeline.lake.engines import Engine
from pipeline.lake.lake import Lake
from pipeline.lake.tables import CUSTOMER_FEATURES, CUSTOMERS, ORDER_LINES
from pipeline.publication.gates.measures import Takeovers

_TAKEN_OVER = """
WITH lines_then AS (
    SELECT t.order_id, t.line_number, COALESCE(s.survivor_id, t.customer_id) AS customer_id
    FROM order_lines_then AS t LEFT JOIN customer_survivors AS s ON s.customer_id = t.customer_id
),
lines_now AS (
    SELECT n.order_id, n.line_number, COALESCE(s.survivor_id, n.customer_id) AS customer_id
    FROM order_lines_now AS n LEFT JOIN customer_survivors AS s ON s.customer_id = n.customer_id
),
changed AS (
    SELECT t.customer_id AS from_id, n.customer_id AS to_id, k.customer_id IS NULL AS is_unseen, c.customer_id IS NULL AS is_gone
    FROM lines_then AS t
    JOIN lines_now AS n ON n.order_id = t.order_id AND n.line_number = t.line_number AND n.customer_id <> t.customer_id
    LEFT JOIN seen AS k ON k.customer_id = n.customer_id
    LEFT JOIN listed AS c ON c.customer_id = t.customer_id
)
SELECT
    CAST(COALESCE(SUM(CASE WHEN is_unseen THEN 1 ELSE 0 END), 0) AS BIGINT) AS line_count,
    CAST(COALESCE(SUM(CASE WHEN is_unseen THEN 0 ELSE 1 END), 0) AS BIGINT) AS known_line_count,
    CAST(COUNT(DISTINCT CASE WHEN is_unseen THEN to_id END) AS BIGINT) AS taker_count,
    CAST(COUNT(DISTINCT CASE WHEN is_unseen THEN from_id END) AS BIGINT) AS customer_count,
    CAST(COUNT(DISTINCT CASE WHEN is_unseen AND is_gone THEN from_id END) AS BIGINT) AS gone_count
FROM changed
"""


def measure_takeovers(lake: Lake, engine: Engine, day: date, before: date) -> Takeovers:
    """Return which order lines of days up to `before` the night of `day` knows of other customers than that night did.

    Reads CUSTOMER_SURVIVORS: lines of merged customers are the survivors' on both nights. Of the lines, only days that are known
    otherwise since are read.
    """
    then, now = (set(lake.versions_known(ORDER_LINES, through=before, known_on=night)) for night in (before, day))
    if then == now:
        return Takeovers(0)
    first, stored = min(version.day for version in then ^ now), lake.stored_versions(ORDER_LINES)
    # Days that are known as they were cannot hold such a line; counted with them, any share of the others would be small.
    compared = sum(stored[version].row_count for version in then if version.day >= first)
    lines = ORDER_LINES.only(("order_id", "line_number", "customer_id"))
    for name, versions in (("order_lines_then", then - now), ("order_lines_now", now - then)):
        engine.register(replace(lines, name=name), lake.parts(ORDER_LINES, sorted(versions)))
    _register_people(lake, engine, day, before)
    [counts] = engine.run(parse_one(_TAKEN_OVER, into=exp.Select, read="duckdb"), {}).read_all().to_pylist()
    return Takeovers(compared, **counts)


def _register_people(lake: Lake, engine: Engine, day: date, before: date) -> None:
    """Make readable who was there on the night of `before`, and whom the source lists on the night of `day`."""
    seen = [addresses.partition(CUSTOMER_FEATURES, day=before)] if lake.has(CUSTOMER_FEATURES, day=before) else []
    engine.register(replace(CUSTOMER_FEATURES.only(("customer_id",)), name="seen"), seen)
    engine.register(replace(CUSTOMERS.only(("customer_id",)), name="listed"), lake.snapshot_files(CUSTOMERS, day))

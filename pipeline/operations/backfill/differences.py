"""How a partition that was computed again differs from the one before it.

Compared in SQL by customer, since two files of the same rows may differ in bytes (another footer) and files of millions of customers
do not fit into memory twice.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from decimal import Decimal
from filecmp import cmp
from typing import Any, cast

import pyarrow.parquet as pq
from sqlglot import exp, parse_one

from pipeline.lake.engines import Engine
from pipeline.lake.lake import Lake
from pipeline.lake.parquet import read_manifest
from pipeline.lake.tables import AUDIENCE_MEMBERS, CUSTOMER_FEATURES, CUSTOMER_SEGMENTS, Table

# A full join, so that one pass says who came, who went and who changed.
_CUSTOMERS = parse_one(
    """
SELECT
  CAST(COUNT(*) FILTER (WHERE before.customer_id IS NULL) AS BIGINT) AS customers_added,
  CAST(COUNT(*) FILTER (WHERE after.customer_id IS NULL) AS BIGINT) AS customers_removed,
  CAST(COUNT(*) FILTER (WHERE before.customer_id = after.customer_id AND is_changed) AS BIGINT) AS customers_changed,
  COALESCE(SUM(after.spend_amount), 0) - COALESCE(SUM(before.spend_amount), 0) AS spend_amount
FROM before FULL JOIN after ON before.customer_id = after.customer_id
""",
    into=exp.Select,
    read="duckdb",
)
# Of customers and schemes that both have: who is in a segment of a scheme on one side alone came among those whom it applies to.
_MOVES = parse_one(
    """
SELECT COALESCE(after.scheme, before.scheme) AS scheme, CAST(COUNT(*) AS BIGINT) AS moved
FROM before FULL JOIN after ON before.customer_id = after.customer_id AND before.scheme = after.scheme
WHERE before.segment IS DISTINCT FROM after.segment
  AND COALESCE(after.customer_id, before.customer_id) IN (SELECT customer_id FROM before)
  AND COALESCE(after.customer_id, before.customer_id) IN (SELECT customer_id FROM after)
  AND COALESCE(after.scheme, before.scheme) IN (SELECT scheme FROM before)
  AND COALESCE(after.scheme, before.scheme) IN (SELECT scheme FROM after)
GROUP BY COALESCE(after.scheme, before.scheme)
ORDER BY scheme
""",
    into=exp.Select,
    read="duckdb",
)
# Of customers who are there on both sides, by their segments, and of audiences that both sides have, be they empty.
_ENTRIES = parse_one(
    """
SELECT COALESCE(after.audience, before.audience) AS audience, CAST(COUNT(*) AS BIGINT) AS moved
FROM before FULL JOIN after ON before.customer_id = after.customer_id AND before.audience = after.audience
WHERE (before.customer_id IS NULL OR after.customer_id IS NULL)
  AND COALESCE(after.customer_id, before.customer_id) IN (SELECT customer_id FROM segments_before)
  AND COALESCE(after.customer_id, before.customer_id) IN (SELECT customer_id FROM segments_after)
GROUP BY COALESCE(after.audience, before.audience)
ORDER BY audience
""",
    into=exp.Select,
    read="duckdb",
)
EngineOpener = Callable[[], AbstractContextManager[Engine]]


@dataclass(frozen=True, slots=True)
class NightDifference:
    """Customers added, removed and changed, the change of the window's spend in money, and how many moved, by scheme and audience."""

    customers_added: int = 0
    customers_removed: int = 0
    customers_changed: int = 0
    spend_amount: Decimal = Decimal(0)
    moved: Mapping[str, int] = field(default_factory=dict)

    @property
    def is_nothing(self) -> bool:
        """Whether both partitions hold the same."""
        return self == NightDifference()


def compare_partitions(lake: Lake, table: Table, before: str, after: str, *, engine: EngineOpener) -> NightDifference:
    """Compare the files at the addresses `before` and `after`, audiences left out.

    `table` is the company's CUSTOMER_FEATURES, or CUSTOMER_SEGMENTS. An engine is opened only for files of different bytes.
    Raises DataError where one is absent or damaged.
    """
    with lake.reading(table.name, before) as then, lake.reading(table.name, after) as now:
        if cmp(then, now, shallow=False):
            return NightDifference()
        # Of the columns that both have: an attribute may have been declared since.
        names = set(pq.read_schema(then).names) & set(pq.read_schema(now).names)
    common = table.only(names)
    with engine() as opened:
        for name, address in (("before", before), ("after", after)):
            opened.register(replace(common, name=name), [address])
        if table.name == CUSTOMER_FEATURES.name:
            return _compare_customers(opened, common)
        return NightDifference(moved={row["scheme"]: row["moved"] for row in opened.run(_MOVES, {}).read_all().to_pylist()})


def compare_audiences(lake: Lake, members: tuple[str, str], segments: tuple[str, str], *, engine: EngineOpener) -> NightDifference:
    """Compare the AUDIENCE_MEMBERS of a night before and after, of customers who are in both files of CUSTOMER_SEGMENTS.

    Files are named by their addresses. An engine is opened only for files of different bytes.
    Raises DataError where one is absent or damaged.
    """
    with lake.reading(AUDIENCE_MEMBERS.name, members[0]) as then, lake.reading(AUDIENCE_MEMBERS.name, members[1]) as now:
        if cmp(then, now, shallow=False):
            return NightDifference()
        before, after = (read_manifest(path)["audiences"] for path in (then, now))
    with engine() as opened:
        for table, files in ((AUDIENCE_MEMBERS, members), (CUSTOMER_SEGMENTS, segments)):
            for side, address in zip(("before", "after"), files, strict=True):
                name = side if table is AUDIENCE_MEMBERS else f"segments_{side}"
                opened.register(replace(table, name=name), [address])
        rows = opened.run(_ENTRIES, {}).read_all().to_pylist()
    return NightDifference(moved={row["audience"]: row["moved"] for row in rows if row["audience"] in before and row["audience"] in after})


def _compare_customers(engine: Engine, table: Table) -> NightDifference:
    pairs = ((exp.column(name, "before", quoted=True), exp.column(name, "after", quoted=True)) for name in table.column_names)
    # Null-safe: from null to a value is a change, and null beside null is none.
    is_changed = exp.paren(exp.or_(*(exp.NullSafeNEQ(this=before, expression=after) for before, after in pairs)))
    query = _CUSTOMERS.transform(lambda node: is_changed if isinstance(node, exp.Column) and node.name == "is_changed" else node)
    row: dict[str, Any] = engine.run(cast("exp.Query", query), {}).read_all().to_pylist()[0]
    return NightDifference(**row)

"""What to do next about each customer: one card of all that their segments have.

Schemes do not know of each other, and their cards may contradict: by RFM somebody may be long gone whose own rhythm says that the next
order is not due yet. The customer's own rhythm decides, which is what the lifecycle goes by: a card that assumes somebody to be late is
for those alone who are late by their lifecycle.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import date

import pyarrow as pa
import pyarrow.compute as pc
from sqlglot import exp

from pipeline.definitions.company import Company
from pipeline.definitions.schemes import LIFECYCLE
from pipeline.lake import addresses
from pipeline.lake.engines import Engine, Parameter
from pipeline.lake.lake import Lake
from pipeline.lake.remote_rows import RemoteRows
from pipeline.lake.statements import statement, statement_digest
from pipeline.lake.tables import AFFECTED_CUSTOMERS, CUSTOMER_FEATURES, CUSTOMER_NEXT_ACTIONS, CUSTOMER_SEGMENTS, SEGMENT_STRATEGIES
from pipeline.log_fields import Count

log = logging.getLogger("pipeline.segmentation.next_actions")
SPEND_COLUMNS = ("customer_id", "spend_amount", "lifetime_spend_amount")
LEFT_OUT = replace(AFFECTED_CUSTOMERS, name="left_out_customers")
SPEND = CUSTOMER_FEATURES.only(SPEND_COLUMNS)


def write_next_actions(  # noqa: PLR0913
    company: Company, lake: Lake, engine: Engine, day: date, *, known_on: date | None = None, left_out: pa.Array | None = None
) -> None:
    """Write the next action of every customer but those `left_out`, who must not be written to, or departed.

    It reads the night's memberships, features and cards; `known_on` is the night whose knowledge counts.
    """
    for table in (SPEND, CUSTOMER_SEGMENTS, SEGMENT_STRATEGIES):
        engine.register(table, [addresses.partition(table, day=day, known_on=known_on)])
    _warn_where_nobody_can_be_late(lake, day, known_on)
    query = statement(CUSTOMER_NEXT_ACTIONS.name)
    manifest = {"statement": statement_digest(query)}
    with _rows_without(lake, engine, query, {"language": company.language}, left_out) as rows:
        count = lake.write(CUSTOMER_NEXT_ACTIONS, rows, day=day, known_on=known_on, manifest=manifest)
    log.info("%(table)s: one card each for %(rows)s customers", {"table": CUSTOMER_NEXT_ACTIONS.name, "rows": Count(count)})


@contextmanager
def _rows_without(
    lake: Lake, engine: Engine, query: exp.Query, parameters: Mapping[str, Parameter], left_out: pa.Array | None
) -> Iterator[Iterable[pa.RecordBatch]]:
    """Yield the rows of `query` without those of the customers `left_out`."""
    rows = engine.run(query, parameters)
    if left_out is None:
        yield rows
    elif not isinstance(rows, RemoteRows):
        # While they stream by: the engine would have to be given those left out as a table.
        yield (batch.filter(pc.invert(pc.is_in(batch["customer_id"], left_out))) for batch in rows)
    else:
        with lake.private_folder() as folder:
            path = folder / f"{LEFT_OUT.name}.parquet"
            lake.write_private_file(LEFT_OUT.schema, pa.table([left_out.unique().sort()], LEFT_OUT.schema).to_batches(), path, {})
            engine.register(LEFT_OUT, [path])
            is_left_out = exp.column("customer_id", "chosen").eq(exp.column("customer_id", LEFT_OUT.name))
            columns = [exp.column(name, "chosen") for name in CUSTOMER_NEXT_ACTIONS.column_names]
            others = exp.select(*columns).from_(query.subquery("chosen")).join(LEFT_OUT.name, on=is_left_out, join_type="left anti")
            yield engine.run(others.order_by(exp.column("customer_id", "chosen")), parameters)


def _warn_where_nobody_can_be_late(lake: Lake, day: date, known_on: date | None) -> None:
    """Log a warning where cards assume something, but none of the lifecycle does, so that they are shown to nobody."""
    cards = lake.read(SEGMENT_STRATEGIES, day=day, known_on=known_on)
    assuming = cards.filter(pc.is_valid(cards["assumes"]))["scheme"].unique().to_pylist()
    if assuming and LIFECYCLE not in assuming:
        log.warning("no card of %s assumes anybody to be late: cards of %s that do are for nobody", LIFECYCLE, ", ".join(sorted(assuming)))

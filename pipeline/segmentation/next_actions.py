"""What to do next about each customer: one card of all that their segments have.

Schemes do not know of each other, and their cards may contradict: by RFM somebody may be long gone whose own rhythm says that the next
order is not due yet. The customer's own rhythm decides, which is what the lifecycle goes by: a card that assumes somebody to be late is
for those alone who are late by their lifecycle.
"""

from __future__ import annotations

import logging
from datetime import date

import pyarrow as pa
import pyarrow.compute as pc

from pipeline.definitions.company import Company
from pipeline.definitions.schemes import LIFECYCLE
from pipeline.lake import addresses
from pipeline.lake.engines import Engine
from pipeline.lake.lake import Lake
from pipeline.lake.statements import statement, statement_digest
from pipeline.lake.tables import CUSTOMER_FEATURES, CUSTOMER_NEXT_ACTIONS, CUSTOMER_SEGMENTS, SEGMENT_STRATEGIES

log = logging.getLogger("pipeline.segmentation.next_actions")
SPEND_COLUMNS = ("customer_id", "spend_amount", "lifetime_spend_amount")
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
    batches = engine.run(query, {"language": company.language})
    # While they stream by: an engine would have to be given those left out as a table.
    rows = batches if left_out is None else (batch.filter(pc.invert(pc.is_in(batch["customer_id"], left_out))) for batch in batches)
    manifest = {"statement": statement_digest(query)}
    count = lake.write(CUSTOMER_NEXT_ACTIONS, rows, day=day, known_on=known_on, manifest=manifest)
    log.info("%s: one card each for %s customers", CUSTOMER_NEXT_ACTIONS.name, f"{count:,}")


def _warn_where_nobody_can_be_late(lake: Lake, day: date, known_on: date | None) -> None:
    """Log a warning where cards assume something, but none of the lifecycle does, so that they are shown to nobody."""
    cards = lake.read(SEGMENT_STRATEGIES, day=day, known_on=known_on)
    assuming = cards.filter(pc.is_valid(cards["assumes"]))["scheme"].unique().to_pylist()
    if assuming and LIFECYCLE not in assuming:
        log.warning("no card of %s assumes anybody to be late: cards of %s that do are for nobody", LIFECYCLE, ", ".join(sorted(assuming)))

"""A filter on the source: what it still says of erased customers never enters the lake."""

from __future__ import annotations

import logging
from collections.abc import Generator
from contextlib import closing

import pyarrow as pa
import pyarrow.compute as pc

from pipeline.ingestion.erased.columns import CUSTOMER_ID, MERGED_INTO, holds_customer_ids
from pipeline.ingestion.erased.hashes import ErasedIds
from pipeline.ingestion.erased.ledger import Ledger
from pipeline.ingestion.sources import Snapshot, SourceQuery
from pipeline.lake.lake import Lake
from pipeline.log_fields import Count

log = logging.getLogger("pipeline.operations.erasure")


def without_erased(snapshot: Snapshot, lake: Lake) -> Snapshot:
    """Return `snapshot` without rows of customers whom this lake has erased; `snapshot` itself where nobody was."""
    erased = Ledger(lake).erased_ids()
    return SnapshotWithoutErased(snapshot, erased) if erased else snapshot


class SnapshotWithoutErased:
    """A snapshot that leaves out the rows of erased customers, and their ids in the rows of others."""

    def __init__(self, snapshot: Snapshot, erased: ErasedIds) -> None:
        self._snapshot, self._erased = snapshot, erased

    def schema(self, query: SourceQuery) -> pa.Schema:
        return self._snapshot.schema(query)

    def reads_spans(self, query: SourceQuery) -> bool:
        return self._snapshot.reads_spans(query)

    def rows(self, query: SourceQuery) -> Generator[pa.RecordBatch, None, None]:
        dropped = 0
        with closing(self._snapshot.rows(query)) as batches:
            for batch in batches:
                kept = self._drop_erased(batch)
                dropped += batch.num_rows - kept.num_rows
                yield kept
        if dropped:
            log.info("%(query)s: %(rows)s rows of erased customers were dropped", {"query": query.name, "rows": Count(dropped)})

    def _drop_erased(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        # A column of nulls alone has no type, and names nobody.
        if CUSTOMER_ID not in batch.schema.names or pa.types.is_null(batch.schema.field(CUSTOMER_ID).type):
            return batch
        # A merge into somebody erased says nothing that may be known: whom it is about stays apart.
        for name in {CUSTOMER_ID, MERGED_INTO}.intersection(batch.schema.names):
            found = self._is_erased(batch.column(name))
            batch = batch if found is None else batch.filter(pc.invert(pc.fill_null(found, fill_value=False)))
        return self._clear_references(batch)

    def _clear_references(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """Return rows about others with null wherever they name somebody erased, such as the customer who referred them."""
        for place, field in enumerate(batch.schema):
            if field.name == CUSTOMER_ID or not holds_customer_ids(field):
                continue
            found = self._is_erased(batch.column(place))
            if found is not None:
                batch = batch.set_column(place, field, pc.if_else(found, pa.scalar(None, field.type), batch.column(place)))
        return batch

    def _is_erased(self, values: pa.Array) -> pa.Array | None:
        """Return per value whether it is the id of somebody erased; None where none is."""
        ids = values.cast(pa.string())
        found = self._erased.among(ids)
        return pc.is_in(ids, value_set=found) if len(found) else None

"""Who was erased: a ledger with keyed hashes of their ids, and the filter that every row from a source passes.

It knows nothing of how customers are erased from the lake; that is an operation.
"""

from __future__ import annotations

from pipeline.ingestion.erased.columns import CUSTOMER_ID, holds_customer_ids, is_customer_id
from pipeline.ingestion.erased.hashes import ErasedIds
from pipeline.ingestion.erased.ledger import Ledger, Receipt

__all__ = ["CUSTOMER_ID", "ErasedIds", "Ledger", "Receipt", "holds_customer_ids", "is_customer_id"]

"""Receipts of erasures as JSON, for a machine."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from pipeline.ingestion.erased import Receipt


def to_json(receipts: Sequence[Receipt]) -> str:
    """Return receipts as JSON."""
    return json.dumps([_told(receipt) for receipt in receipts], indent=2)


def _told(receipt: Receipt) -> dict[str, Any]:
    """Return a receipt as it is stored: when old versions go is said of buckets that keep them, and of no other lake."""
    content = asdict(receipt)
    if receipt.versions_expire_days is None:
        del content["versions_expire_days"]
    return content

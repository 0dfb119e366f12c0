"""Receipts of erasures as JSON, for a machine."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict

from pipeline.ingestion.erased import Receipt


def to_json(receipts: Sequence[Receipt]) -> str:
    """Return receipts as JSON."""
    return json.dumps([asdict(receipt) for receipt in receipts], indent=2)

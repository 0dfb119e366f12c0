"""The history of segments for a machine; days are ISO text."""

from __future__ import annotations

import json
from dataclasses import asdict
from functools import singledispatch
from typing import Any

from pipeline.reporting.history.history import CustomerIntervals, SegmentMembers, SegmentSizes
from pipeline.segmentation import NightAsKnown


def to_json(found: SegmentMembers | SegmentSizes | CustomerIntervals) -> str:
    """Return an answer as JSON, with the night that gave it."""
    return json.dumps(_content(found), indent=1, default=str, ensure_ascii=False)


@singledispatch
def _content(found: object) -> dict[str, Any]:
    raise TypeError(type(found).__name__)


@_content.register
def _(found: SegmentMembers) -> dict[str, Any]:
    facts = {"scheme": found.scheme, "segment": found.segment, **_night(found.night)}
    return {**facts, "customer_count": found.customer_count, "customer_ids": list(found.customer_ids)}


@_content.register
def _(found: SegmentSizes) -> dict[str, Any]:
    return {**_night(found.night), "segments": [asdict(size) for size in found.sizes]}


@_content.register
def _(found: CustomerIntervals) -> dict[str, Any]:
    return {"customer_id": found.customer_id, "intervals": [dict(row) for row in found.intervals]}


def _night(night: NightAsKnown) -> dict[str, Any]:
    """Return what was asked and which night tells."""
    return {"on": night.requested_day, "known": night.requested_known, "told_by_night": night.day, "as_known_by_night": night.known}

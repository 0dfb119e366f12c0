"""The history of segments as JSON, for a machine; days are ISO text."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

from pipeline.reporting.history.history import CustomerIntervals, SegmentMembers, SegmentSizes
from pipeline.segmentation import NightAsKnown


def to_json(answer: SegmentMembers | SegmentSizes | CustomerIntervals) -> str:
    """Return an answer as JSON, with the night that gave it."""
    content: dict[str, Any]
    match answer:
        case SegmentMembers():
            content = {"scheme": answer.scheme, "segment": answer.segment, **_night(answer.night)}
            content |= {"customer_count": answer.customer_count, "customer_ids": list(answer.customer_ids)}
        case SegmentSizes():
            content = {**_night(answer.night), "segments": [asdict(size) for size in answer.sizes]}
        case CustomerIntervals():
            content = {"customer_id": answer.customer_id, "intervals": [dict(row) for row in answer.intervals]}
    return json.dumps(content, indent=1, default=str, ensure_ascii=False)


def _night(night: NightAsKnown) -> dict[str, Any]:
    """Return what was asked for, and which night answers."""
    return {"on": night.requested_day, "known": night.requested_known, "told_by_night": night.day, "as_known_by_night": night.known_on}

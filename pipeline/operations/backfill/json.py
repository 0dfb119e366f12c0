"""The report of a backfill as JSON, for a machine."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

from pipeline.lake.lake import Lake
from pipeline.operations.backfill.changes import changed_nights
from pipeline.operations.backfill.running import BackfillReport
from pipeline.publication.publish import current_publication


def to_json(report: BackfillReport, lake: Lake) -> str:
    """Return as JSON what changed, what was published, and which nights failed and why."""
    current = current_publication(lake)
    content: dict[str, Any] = {
        "changed": [
            {"day": result.day, "known": result.known_on, "against": against, **asdict(difference)}
            for result, against, difference in changed_nights(report)
        ],
        "done": sorted({str(result.day) for result in report.results} - {str(result.day) for result in report.failures}),
        "published": sorted(str(result.day) for result in report.results if result.stage == "publish"),
        "failed": [{"day": each.day, "stage": each.stage, **asdict(each.failure)} for each in report.failures if each.failure],
        "current": current.publication_id if current else None,
    }
    return json.dumps(content, indent=2, default=str)

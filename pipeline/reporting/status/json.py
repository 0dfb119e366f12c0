"""The status of a lake as JSON, for a machine."""

from __future__ import annotations

import json
from dataclasses import asdict

from pipeline.reporting.status.status import LakeStatus


def to_json(status: LakeStatus) -> str:
    """Return the status as JSON; dates are ISO text, sizes bytes."""
    live, newest = status.live, status.newest
    content = {
        "live": live and {"day": live.day, "publication_id": live.publication_id, "previous": live.previous, "rows": live.row_counts},
        "iceberg": status.catalogue and asdict(status.catalogue),
        "newest": newest
        and {
            "day": newest.day,
            "outcome": newest.outcome.name.lower(),
            "gates": [asdict(gate) for gate in newest.gates],
            "broken_rules": newest.broken_rules,
        },
        "due": status.due,
        "is_due": status.is_due,
        "rejected_rows": status.rejected_rows,
        "events": [asdict(event) for event in status.events],
        "late_days": status.late_days,
        "misdated": list(status.misdated),
        "restated": [{"day": day, "known": known} for day, known in status.restated_nights],
        "asked_refits": list(status.requested_refits),
        "predictions": status.predictions,
        "audiences": list(status.audiences),
        "bytes": status.sizes,
        "exit_code": status.exit_code,
    }
    return json.dumps(content, indent=2, default=str)

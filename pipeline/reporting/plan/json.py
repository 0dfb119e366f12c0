"""A plan for a machine."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from pipeline.reporting.plan import SegmentPlan


def to_json(plan: SegmentPlan) -> str:
    """Write the plan as JSON; amounts are exact, as text."""
    schemes = [{**_json_values(asdict(scheme)), "flows": [_json_values(asdict(flow)) for flow in scheme.flows]} for scheme in plan.schemes]
    content = {
        "plan_id": plan.plan_id,
        "day": plan.day.isoformat(),
        "publication_id": plan.publication_id,
        "is_nothing": plan.changes.is_nothing,
        "changes": asdict(plan.changes),
        "write_count": plan.write_count,
        "settings_changed": plan.settings_changed,
        "unmet": [asdict(each) for each in plan.unmet],
        "left_out": [asdict(each) for each in plan.left_out],
        "not_computed": dict(plan.not_computed),
        "schemes": schemes,
    }
    return json.dumps(content, indent=2, ensure_ascii=False)


def _json_values(facts: Mapping[str, Any]) -> dict[str, Any]:
    # A number of JSON is read as a float almost everywhere, which no amount of money survives exactly.
    return {name: str(value) if name == "spend_amount" else value for name, value in facts.items()}

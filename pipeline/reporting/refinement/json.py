"""What was learned of segments as JSON, for a machine; days are ISO text, money is text."""

from __future__ import annotations

import json
from dataclasses import asdict

from pipeline.reporting.refinement.refinement import StoredEffectiveness, StoredInsights, StoredProposals


def to_json(stored: StoredInsights | StoredEffectiveness | StoredProposals) -> str:
    """Return an answer as JSON, with the night that tells it."""
    return json.dumps(asdict(stored), indent=1, default=str, ensure_ascii=False)

"""Judgements of refits as JSON, for a machine: as they are stored."""

from __future__ import annotations

import json
from collections.abc import Sequence

from pipeline.models.refits.model_store import Judgement


def to_json(judgements: Judgement | Sequence[Judgement]) -> str:
    """Return one judgement, or several, as JSON."""
    return json.dumps(judgements, indent=2, ensure_ascii=False)

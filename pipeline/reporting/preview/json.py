"""A preview for a machine, such as an editor."""

from __future__ import annotations

import json
from dataclasses import asdict

from pipeline.reporting.preview.preview import Preview


def to_json(preview: Preview) -> str:
    """Return the preview as JSON; amounts are exact, as text, shares from 0 to 1."""
    content = {**asdict(preview), "day": preview.day.isoformat(), "spend_amount": str(preview.spend_amount)}
    return json.dumps(content, indent=1, ensure_ascii=False)

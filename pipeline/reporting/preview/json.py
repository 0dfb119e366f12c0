"""A preview for a machine, such as an editor."""

from __future__ import annotations

import json
from dataclasses import asdict

from pipeline.errors import ConfigError
from pipeline.reporting.preview.preview import Preview


def error_to_json(error: ConfigError) -> str:
    """Return what is wrong with a rule as JSON: in which line and column of it, counted from 1, where one place of it is wrong."""
    (line, column), (what, *_) = error.place or (None, None), error.what.splitlines()
    said = {"what": what, "where": error.where, "line": line, "column": column, "next": error.todo}
    return json.dumps({"error": said}, indent=1, ensure_ascii=False)


def to_json(preview: Preview) -> str:
    """Return the preview as JSON; amounts are exact, as text, shares from 0 to 1."""
    content = {**asdict(preview), "day": preview.day.isoformat(), "spend_amount": str(preview.spend_amount)}
    return json.dumps(content, indent=1, ensure_ascii=False)

"""The rules that a definition holds, found before any of them is read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_RULE_KEYS = ("applies_to", "rule", "score")


def rule_texts(values: Mapping[str, Any]) -> list[str]:
    """Return the texts of all rules of a definition, as far as they can be read."""
    listed = values.get("segment", [])
    segments = [segment for segment in listed if isinstance(segment, Mapping)] if isinstance(listed, list) else []
    texts = [table.get(key) for table in (values, *segments) for key in _RULE_KEYS]
    texts += [signal for segment in segments if isinstance(segment.get("signals"), list) for signal in segment["signals"]]
    return [text for text in texts if isinstance(text, str)]

"""The catalogue of schemes for a machine."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from pipeline.reporting.catalog import Card, Catalog, SchemeEntry, SegmentEntry, Size


def to_json(catalog: Catalog) -> str:
    """Return the catalogue as JSON; amounts are exact, as text, shares from 0 to 1."""
    content = {
        "company": catalog.company,
        "language": catalog.language,
        "day": catalog.day.isoformat() if catalog.day else None,
        "publication_id": catalog.publication_id,
        "schemes": [_scheme_json(entry) for entry in catalog.schemes],
        "gone": list(catalog.gone),
    }
    return json.dumps(content, indent=2, ensure_ascii=False)


def _scheme_json(entry: SchemeEntry) -> dict[str, Any]:
    return {
        "scheme": entry.scheme,
        "title": entry.title,
        "level": entry.level,
        "kind": entry.kind,
        "question": entry.question,
        "decision": entry.decision,
        "proof": entry.proof,
        "undecided": list(entry.undecided),
        "state": entry.state,
        "reason": entry.reason,
        "file": entry.file,
        "parameters": _plain(entry.parameters),
        "features": list(entry.features),
        "evidence": list(entry.evidence),
        "references": list(entry.references),
        "strategy": _card_json(entry.card),
        "segments": _segments_json(entry.segments),
    }


def _segments_json(segments: Sequence[SegmentEntry]) -> list[dict[str, Any]]:
    return [
        {
            "segment": entry.segment,
            "title": entry.title,
            "description": entry.description,
            "rule": entry.rule,
            "words": entry.words,
            "parameters": _plain(entry.parameters),
            **_size_json(entry.size),
            "strategy": _card_json(entry.card),
            "crosswalk": dict(entry.crosswalk),
        }
        for entry in segments
    ]


def _size_json(size: Size | None) -> dict[str, Any]:
    return {
        "customer_count": size.customer_count if size else None,
        "customer_share": size.customer_share if size else None,
        "spend_amount": str(size.spend_amount) if size else None,
        "spend_share": size.spend_share if size else None,
    }


def _card_json(card: Card | None) -> dict[str, Any] | None:
    return {**card.texts, "priority": card.priority, "budget_share": card.budget_share} if card else None


def _plain(parameters: Mapping[str, object]) -> dict[str, object]:
    """Return parameters as JSON values; dates are ISO text."""
    return {name: value if isinstance(value, bool | int | float) else str(value) for name, value in parameters.items()}

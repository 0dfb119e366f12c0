"""The catalogue of schemes for a machine."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from pipeline.reporting.catalog import AudienceEntry, Catalog, PublishedSize, SchemeEntry, SegmentEntry, StrategyCard


def to_json(catalog: Catalog) -> str:
    """Return the catalogue as JSON; amounts are exact, as text, shares from 0 to 1."""
    content = {
        "company": catalog.company,
        "language": catalog.language,
        "day": catalog.day.isoformat() if catalog.day else None,
        "publication_id": catalog.publication_id,
        "schemes": [_scheme_content(entry) for entry in catalog.schemes],
        "gone": list(catalog.gone),
        "audiences": [_audience_content(entry) for entry in catalog.audiences],
    }
    return json.dumps(content, indent=2, ensure_ascii=False)


def _scheme_content(entry: SchemeEntry) -> dict[str, Any]:
    return {
        "scheme": entry.scheme,
        "title": entry.title,
        "level": entry.level,
        "kind": entry.kind,
        "question": entry.question,
        "applies_to": entry.applies_to,
        "outside_count": entry.outside_count,
        "decision": entry.decision,
        "proof": entry.proof,
        "undecided": list(entry.undecided),
        "state": entry.state,
        "reason": entry.reason,
        "file": entry.file,
        "parameters": _json_parameters(entry.parameters),
        "features": list(entry.features),
        "evidence": list(entry.evidence),
        "references": list(entry.references),
        "strategy": _card_content(entry.card),
        "segments": _segments_content(entry.segments),
    }


def _audience_content(entry: AudienceEntry) -> dict[str, Any]:
    return {
        "audience": entry.audience,
        "title": entry.title,
        "purpose": entry.purpose,
        "owner": entry.owner,
        "expires": entry.expires.isoformat() if entry.expires else None,
        "applies_to": entry.applies_to,
        "rule": entry.rule,
        "parameters": _json_parameters(entry.parameters),
        "features": list(entry.features),
        "references": list(entry.references),
        "state": entry.state,
        "reason": entry.reason,
        "file": entry.file,
        **_size_content(entry.size),
        "unknown_count": entry.unknown_count,
        "strategy": _card_content(entry.card),
    }


def _segments_content(segments: Sequence[SegmentEntry]) -> list[dict[str, Any]]:
    return [
        {
            "segment": entry.segment,
            "title": entry.title,
            "description": entry.description,
            "rule": entry.rule,
            "words": entry.words,
            "parameters": _json_parameters(entry.parameters),
            **_size_content(entry.size),
            "strategy": _card_content(entry.card),
            "crosswalk": dict(entry.crosswalk),
            "profile": [asdict(each) for each in entry.profile],
        }
        for entry in segments
    ]


def _size_content(size: PublishedSize | None) -> dict[str, Any]:
    # The keys stay where there is no size, so that every segment has the same ones.
    return {
        "customer_count": size.customer_count if size else None,
        "customer_share": size.customer_share if size else None,
        "spend_amount": str(size.spend_amount) if size else None,
        "spend_share": size.spend_share if size else None,
    }


def _card_content(card: StrategyCard | None) -> dict[str, Any] | None:
    return {**card.texts, "priority": card.priority, "budget_share": card.budget_share, "assumes": card.assumes} if card else None


def _json_parameters(parameters: Mapping[str, object]) -> dict[str, object]:
    """Values that JSON has as they are, all others as text: dates in ISO form."""
    return {name: value if isinstance(value, bool | int | float) else str(value) for name, value in parameters.items()}

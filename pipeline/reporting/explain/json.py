"""Why a customer is in their segments, for a machine."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import date
from fractions import Fraction
from typing import Any

from pipeline.reporting.explain import ANOTHER, ClusterExplanation, Explanation, Judged, Nearest
from pipeline.reporting.explain.customer import Explained, Membership
from pipeline.reporting.explain.view import cluster_words, nearest_words


def to_json(found: Explained) -> str:
    """Return the explanation as JSON."""
    content = {
        "customer_id": found.customer_id,
        "day": found.day.isoformat(),
        "is_live": found.is_live,
        "schemes": [_membership(membership) for membership in found.memberships],
        "not_computed": dict(found.not_computed),
    }
    return json.dumps(content, indent=1, ensure_ascii=False)


def _membership(membership: Membership) -> dict[str, Any]:
    explanation = membership.explanation
    facts = {"scheme": membership.scheme, "segment": membership.segment, "title": membership.title, "evidence": membership.evidence}
    moves = [{**_fields(move, ("from_segment", "to_segment", "reason")), "day": move.day.isoformat()} for move in membership.moves]
    decided = _decision(explanation) if explanation else _clusters(membership.segment, membership.clusters)
    return {**facts, **decided, "moves": moves}


def _clusters(segment: str, found: ClusterExplanation | None) -> dict[str, Any]:
    if found is None:
        return {"decided_by": "clusters"}
    return {
        "decided_by": "clusters",
        "values": _plain(found.values),
        "centres": [_fields(centre, ("segment", "title", "distance")) for centre in found.centres],
        "margin": found.margin,
        "nearest": _nearest(found.nearest) if found.nearest and found.decided == segment else None,
        "nearest_words": cluster_words(segment, found),
    }


def _decision(explanation: Explanation) -> dict[str, Any]:
    scheme, standing = explanation.scheme, explanation.standing
    return {
        "decided_by": scheme.decision if scheme.kind == "rules" else scheme.kind,
        "rule": explanation.rule_text,
        "values": _plain(explanation.values),
        "scores": [_judged(judged) for judged in explanation.judged],
        "standing": _fields(standing, ("place", "customer_count", "rank_share")) if standing else None,
        "nearest": _nearest(explanation.nearest) if explanation.nearest else None,
        "nearest_words": nearest_words(explanation),
    }


def _judged(judged: Judged) -> dict[str, Any]:
    signals = [{"signal": text, "is_shown": holds} for text, holds in judged.signals]
    segment = judged.segment
    return {"segment": segment.id, "score": judged.score, "rule": segment.rule_text, "holds": judged.holds, "signals": signals}


def _nearest(nearest: Nearest) -> dict[str, Any]:
    change = nearest.change
    values = {"from": change.before, "to": None if change.after == ANOTHER else change.after}
    return {
        "segment": nearest.segment,
        "title": nearest.title,
        "feature": change.feature,
        **_plain(values),
        "follows": _plain(change.follows),
    }


def _fields(thing: object, names: Sequence[str]) -> dict[str, Any]:
    return {name: getattr(thing, name) for name in names}


def _plain(values: Mapping[str, object]) -> dict[str, Any]:
    """Return `values` as JSON can hold them."""
    return {name: _plain_value(value) for name, value in values.items()}


def _plain_value(value: object) -> object:
    if isinstance(value, Fraction):
        return int(value) if value.denominator == 1 else float(value)
    return value.isoformat() if isinstance(value, date) else value

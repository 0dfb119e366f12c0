"""Why a customer is in their segments, for a machine."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import date
from fractions import Fraction
from typing import Any

from pipeline.reporting.explain import (
    ANY_OTHER_TEXT,
    AudienceExplanation,
    ClusterExplanation,
    CustomerExplanation,
    CustomerMove,
    ExplainedMembership,
    NearestSegment,
    NextAction,
    SchemeExplanation,
    WhatIf,
)
from pipeline.reporting.explain.words import cluster_words, nearest_change_words, nearest_words, outside_words, with_calls


def to_json(explanation: CustomerExplanation) -> str:
    """Write the explanation as JSON: texts say aggregates as rules do; keys and names of features stay, since programs read them."""
    calls = explanation.aggregates
    content = {
        "customer_id": explanation.customer_id,
        "day": explanation.day.isoformat(),
        "is_live": explanation.is_live,
        "merges": [
            {**_named_fields(each, ("customer_id", "merged_into")), "merged_on": each.merged_on.isoformat()} for each in explanation.merges
        ],
        "next_action": _next_action_content(explanation.next_action, calls),
        "schemes": [_membership_content(membership, calls) for membership in explanation.memberships],
        "does_not_apply": [
            {
                **_named_fields(outside, ("scheme", "title", "applies_to")),
                "values": _json_values(outside.values),
                "words": with_calls(outside_words(outside), calls),
                "moves": _moves_content(outside.moves),
            }
            for outside in explanation.outside
        ],
        "audiences": [_audience_content(audience, calls) for audience in explanation.audiences],
        "not_computed": dict(explanation.not_computed),
    }
    return json.dumps(content, indent=1, ensure_ascii=False)


def _next_action_content(action: NextAction | None, calls: Mapping[str, str]) -> dict[str, Any] | None:
    if action is None:
        return None
    facts = _named_fields(action, ("scheme", "segment", "title", "message", "priority"))
    reason = with_calls(action.reason, calls)
    since = action.since_date.isoformat() if action.since_date else None
    return {**facts, "reason": reason, "stake_amount": str(action.stake_amount), "since_date": since}


def _membership_content(membership: ExplainedMembership, calls: Mapping[str, str]) -> dict[str, Any]:
    explanation = membership.explanation
    facts = {**_named_fields(membership, ("scheme", "segment", "title")), "evidence": with_calls(membership.evidence, calls)}
    moves = _moves_content(membership.moves)
    decided = _scheme_content(explanation, calls) if explanation else _cluster_content(membership.segment, membership.clusters, calls)
    card = _named_fields(membership.card, ("priority", "message", "assumes", "fits")) if membership.card else None
    return {**facts, **decided, "moves": moves, "card": card}


def _audience_content(audience: AudienceExplanation, calls: Mapping[str, str]) -> dict[str, Any]:
    nearest = audience.nearest
    return {
        **_named_fields(audience, ("audience", "title", "is_member", "rule")),
        "values": _json_values(audience.values),
        "nearest": {"feature": nearest.feature, **_change_content(nearest)} if nearest else None,
        "nearest_words": with_calls(nearest_change_words(audience), calls),
        "moves": [
            {"day": move.day.isoformat(), "move": "entered" if move.to_segment else "left", "reason": move.reason}
            for move in audience.moves
        ],
    }


def _moves_content(moves: Sequence[CustomerMove]) -> list[dict[str, Any]]:
    return [{**_named_fields(move, ("from_segment", "to_segment", "reason")), "day": move.day.isoformat()} for move in moves]


def _cluster_content(segment: str, explanation: ClusterExplanation | None, calls: Mapping[str, str]) -> dict[str, Any]:
    if explanation is None:
        return {"decided_by": "clusters"}
    return {
        "decided_by": "clusters",
        "values": _json_values(explanation.values),
        "centres": [_named_fields(centre, ("segment", "title", "distance")) for centre in explanation.centres],
        "apart": [asdict(each) for each in explanation.profile],
        "margin": explanation.margin,
        "nearest": _nearest_content(explanation.nearest) if explanation.nearest and explanation.segment_now == segment else None,
        "nearest_words": with_calls(cluster_words(segment, explanation), calls),
    }


def _scheme_content(explanation: SchemeExplanation, calls: Mapping[str, str]) -> dict[str, Any]:
    scheme, rank = explanation.scheme, explanation.value_rank
    return {
        "decided_by": scheme.decision if scheme.kind == "rules" else scheme.kind,
        "rule": explanation.rule_text,
        "values": _json_values(explanation.values),
        "scores": [
            {
                "segment": scored.segment.id,
                "score": scored.score,
                "rule": scored.segment.rule_text,
                "holds": scored.holds,
                "signals": [{"signal": text, "is_shown": holds} for text, holds in scored.signals],
            }
            for scored in explanation.scored_segments
        ],
        "standing": _named_fields(rank, ("place", "customer_count", "rank_share")) if rank else None,
        "nearest": _nearest_content(explanation.nearest) if explanation.nearest else None,
        "nearest_words": with_calls(nearest_words(explanation), calls),
    }


def _nearest_content(nearest: NearestSegment) -> dict[str, Any]:
    change = nearest.change
    return {"segment": nearest.segment, "title": nearest.title, "feature": change.feature, **_change_content(change)}


def _change_content(change: WhatIf) -> dict[str, Any]:
    values = {"from": change.before, "to": None if change.after == ANY_OTHER_TEXT else change.after}
    return {**_json_values(values), "follows": _json_values(change.follows)}


def _named_fields(thing: object, names: Sequence[str]) -> dict[str, Any]:
    return {name: getattr(thing, name) for name in names}


def _json_values(values: Mapping[str, object]) -> dict[str, Any]:
    """Turn what JSON does not have into what it has: exact fractions into numbers, dates into ISO text."""
    content = dict[str, Any]()
    for name, value in values.items():
        if isinstance(value, Fraction):
            content[name] = int(value) if value.denominator == 1 else float(value)
        else:
            content[name] = value.isoformat() if isinstance(value, date) else value
    return content

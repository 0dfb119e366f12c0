"""How a definition reads: rules as they are written, with the values of their parameters, and all else in words."""

from __future__ import annotations

from collections.abc import Mapping

from pipeline.definitions.rules import parameters_of
from pipeline.definitions.schemes import Scheme, Segment

EVERYBODY_ELSE = "everybody else"
DECISIONS: Mapping[str, str] = {
    "first_match": "the first rule that holds decides",
    "highest_score": "the highest score decides",
    "values": "each value is a segment",
    "value_tiers": "values are ranked by how many customers have them",
    "clusters": "the nearest centre decides",
}
ASSUMPTIONS: Mapping[str, str] = {
    "on_time": "who is on time by the lifecycle",
    "late": "who is late or gone by the lifecycle",
    "gone": "who is gone by the lifecycle",
}
PROOFS: Mapping[str, str] = {
    "enumeration": "proven on every combination of scores",
    "intervals": "proven on every case that the rules can tell apart",
    "features": "proven as far as rules can tell without customers",
    "construction": "total by its kind: whatever the value, one segment takes it",
}


def rule_words(scheme: Scheme, segment: Segment) -> str:
    """Say what makes a customer one of `segment`: the rule as it is written, where there is one."""
    if scheme.kind == "value_tiers" and segment.below is not None:
        return f"the most frequent values of {scheme.attribute}, up to {100 * segment.below:g} % of customers"
    if scheme.kind in ("values", "value_tiers"):
        others = {"unknown": f"{scheme.attribute} is not known", "insufficient_evidence": f"not: {' '.join(scheme.rule_text.split())}"}
        return others.get(segment.id, f"all other values of {scheme.attribute}")
    parts = [segment.rule_text]
    if segment.signals is not None:
        parts.append(f"{segment.signals.needed} of {len(segment.signals.texts)}: {'; '.join(segment.signals.texts)}")
    if segment.score_text:
        parts.append(f"score: {segment.score_text}")
    # Rules are written over several lines; here each is a part of one.
    return "; and ".join(" ".join(part.split()) for part in parts if part) or EVERYBODY_ELSE


def value_words(attribute: str, value: str) -> str:
    """Say who is in a segment that is itself a value, as a rule would."""
    return f"{attribute} = '{value}'"


def parameters_beside(scheme: Scheme, segment: Segment) -> dict[str, object]:
    """Return the parameters that the rule of `segment` names, with their values, in the order of the definition."""
    named = {name for text in (*segment.texts, scheme.rule_text) for name in parameters_of(text)}
    return {name: value for name, value in scheme.parameters.items() if name in named}


def decision_words(scheme: Scheme) -> str:
    """Say how a scheme decides between its segments."""
    if scheme.kind == "values":
        return f"each value of {scheme.attribute} is a segment, the {scheme.most_segments:,} most frequent at most"
    if scheme.kind == "value_tiers":
        return f"values of {scheme.attribute} are ranked by how many customers have them"
    floor = f" if it is above {scheme.floor:g}" if scheme.decision == "highest_score" else ""
    methods = ", ".join(f"{score} {method}" for score, method in scheme.score_methods.items())
    return f"{DECISIONS[scheme.decision]}{floor}{f'; {methods}' if methods else ''}"

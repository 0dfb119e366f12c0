"""Schemes whose rules compare with quantiles, with the limits that a night knows in their place."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from decimal import Decimal

from pipeline.definitions.rules import Quantile, Vocabulary, parameter_value, parse_rule, parse_score
from pipeline.definitions.schemes.scheme import Scheme, Schemes, Segment

Limits = Mapping[Quantile, Decimal | float | None]


def quantiles_of(schemes: Iterable[Scheme]) -> frozenset[Quantile]:
    """Return the quantiles that any of these schemes compares with."""
    return frozenset(quantile for scheme in schemes for quantile in scheme.quantiles.values())


def with_limits(loaded: Schemes, limits: Limits) -> Schemes:
    """Return `loaded` with the `limits` of a night; a scheme is left out where nobody has the attribute of a limit."""
    lacking = {
        scheme.name: sorted({each.of for each in scheme.quantiles.values() if limits.get(each) is None}) for scheme in loaded.schemes
    }
    left_out = [replace(scheme, missing=tuple(lacking[scheme.name])) for scheme in loaded.schemes if lacking[scheme.name]]
    gone = {scheme.name for scheme in left_out}
    behind = [scheme for scheme in loaded.schemes if scheme.name not in gone and gone.intersection(scheme.references)]
    left_out += [replace(scheme, missing=tuple(sorted(gone.intersection(scheme.references)))) for scheme in behind]
    reasons = {scheme.name: f"needs {', '.join(scheme.missing)}, of which nobody has any" for scheme in left_out}
    names = {scheme.name for scheme in left_out}
    return replace(
        loaded,
        schemes=tuple(_limited_scheme(scheme, limits) for scheme in loaded.schemes if scheme.name not in names),
        not_computed=dict(sorted({**loaded.not_computed, **reasons}.items())),
        uncomputed=(*loaded.uncomputed, *left_out),
    )


def _limited_scheme(scheme: Scheme, limits: Limits) -> Scheme:
    vocabulary = scheme.vocabulary
    if not scheme.quantiles or vocabulary is None:
        return scheme
    values = {name: parameter_value(limit) for name, each in scheme.quantiles.items() if (limit := limits[each]) is not None}
    known = replace(vocabulary, parameters={**vocabulary.parameters, **values})
    where = str(scheme.file)
    return replace(
        scheme,
        parameters=known.parameters,
        vocabulary=known,
        applies_to=parse_rule(scheme.applies_to_text, known, where=where) if scheme.applies_to_text else None,
        rule=parse_rule(scheme.rule_text, known, where=where) if scheme.rule_text else None,
        segments=tuple(_limited_segment(segment, known, where) for segment in scheme.segments),
    )


def _limited_segment(segment: Segment, known: Vocabulary, where: str) -> Segment:
    signals = segment.signals
    if signals is not None:
        signals = replace(signals, conditions=tuple(parse_rule(text, known, where=where) for text in signals.texts))
    return replace(
        segment,
        rule=parse_rule(segment.rule_text, known, where=where) if segment.rule_text else None,
        score=parse_score(segment.score_text, known, where=where) if segment.score_text else None,
        signals=signals,
    )

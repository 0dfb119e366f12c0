"""The schemes and audiences of a night: those of the company, less what the source did not give the columns for by then."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import date

from pipeline.definitions.audiences import expiry_words, has_expired, load_audiences
from pipeline.definitions.company import Company
from pipeline.definitions.schemes import (
    ClusterScheme,
    Scheme,
    Schemes,
    load_cluster_schemes,
    load_schemes,
    quantiles_of,
    with_limits,
    without_unknown,
)
from pipeline.definitions.schemes.references import SEGMENT_SUFFIX
from pipeline.features import frozen_quantiles, lacks_orders, unknown_features
from pipeline.lake.lake import Lake
from pipeline.lake.tables import CUSTOMER_PREDICTIONS, ORDERS_SOURCE
from pipeline.models.predictions import signals_without
from pipeline.models.refits.model_store import with_clusters_of


def schemes_of_night(company: Company, lake: Lake, day: date, known_on: date | None = None) -> Schemes:
    """Return the schemes that can be computed on a night whose features are stored, and what each of the others needs.

    `known_on` is the night whose knowledge counts; a later one than `day` is that of a restatement.
    """
    loaded = without_unknown(load_schemes(company), _unknown_of_night(company, lake, day, known_on))
    quantiles = quantiles_of(loaded.schemes)
    return with_limits(loaded, frozen_quantiles(lake, day, quantiles, known_on)) if quantiles else loaded


def clusters_of_night(company: Company, lake: Lake, day: date, known_on: date | None = None) -> list[ClusterScheme]:
    """Return the schemes of clusters that can be computed on a night: where no order lines are read, those that go by attributes alone."""
    has_orders = not lacks_orders(unknown_features(lake, day, known_on))
    return [scheme for scheme in load_cluster_schemes(company) if has_orders or not scheme.goes_by_orders]


def _unknown_of_night(company: Company, lake: Lake, day: date, known_on: date | None) -> dict[str, str]:
    """Return the features that nobody has, and clusters as `scheme.segment` that nobody is in, each with what it needs."""
    unknown = unknown_features(lake, day, known_on)
    clusters = _clusters_by_orders(company) if lacks_orders(unknown) else []
    return {**unknown, **{f"{name}{SEGMENT_SUFFIX}": ORDERS_SOURCE for name in clusters}}


def _clusters_by_orders(company: Company) -> list[str]:
    return [scheme.name for scheme in load_cluster_schemes(company) if scheme.goes_by_orders]


def not_computed_on(
    company: Company, lake: Lake, day: date, known_on: date | None = None, *, schemes: Schemes | None = None
) -> dict[str, str]:
    """Return what a night could not compute, each with what it needs; `schemes` are those of the night, where the caller has them.

    That is schemes, segments as `scheme.segment`, features that clusters do without, and signals that predictions do without.
    """
    unknown, loaded = unknown_features(lake, day, known_on), schemes or schemes_of_night(company, lake, day, known_on)
    if lacks_orders(unknown):
        names = [*_clusters_by_orders(company), CUSTOMER_PREDICTIONS.name]
        return {**loaded.not_computed, **dict.fromkeys(names, f"needs {ORDERS_SOURCE}")}
    clusters = {
        f"{scheme.name}.{feature.name}": f"needs {unknown[feature.name]}"
        for scheme in load_cluster_schemes(company)
        for feature in scheme.features
        if feature.name in unknown
    }
    without = signals_without(unknown, company.prediction_features)
    signals = {f"{CUSTOMER_PREDICTIONS.name}.{signal}": f"needs {needs}" for signal, needs in without.items()}
    return {**loaded.not_computed, **clusters, **signals}


def audiences_of_night(company: Company, lake: Lake, day: date, known_on: date | None = None) -> Schemes:
    """Return the audiences that can be computed on a night whose features are stored, and of each other why not.

    `known_on` is the night whose knowledge counts; a later one than `day` is that of a restatement.
    """
    declared = load_audiences(company)
    if not (declared.schemes or declared.uncomputed):
        return declared
    audiences = [audience for audience in declared.schemes if not has_expired(audience, day)]
    expired = {each.name: expiry_words(each) for each in declared.schemes if has_expired(each, day)}
    found = computable_audiences(company, lake, day, audiences, known_on)
    return replace(found, not_computed=dict(sorted({**declared.not_computed, **expired, **found.not_computed}.items())))


def computable_audiences(  # noqa: PLR0913 - a night, and what is asked of it
    company: Company,
    lake: Lake,
    day: date,
    audiences: Sequence[Scheme],
    known_on: date | None = None,
    *,
    unknown: Mapping[str, str] | None = None,
) -> Schemes:
    """Return those of `audiences` that a stored night can compute, with its limits, and what each of the others needs.

    `unknown` are features that the night does not store and that nobody has, each with what it needs.
    """
    # Most audiences look at none: then no file of a scheme is read.
    schemes = load_schemes(company) if any(audience.references for audience in audiences) else Schemes((), {})
    # Together with the schemes, as one that cannot be computed takes those along that look at it.
    together = replace(schemes, schemes=(*schemes.schemes, *audiences), not_computed={})
    together = without_unknown(together, {**_unknown_of_night(company, lake, day, known_on), **(unknown or {})})
    if quantiles := quantiles_of(together.schemes):
        together = with_limits(together, frozen_quantiles(lake, day, quantiles, known_on))
    names = {audience.name for audience in audiences}
    found = tuple(scheme for scheme in together.schemes if scheme.name in names)
    return Schemes(found, {name: reason for name, reason in together.not_computed.items() if name in names})


def schemes_and_audiences(company: Company, lake: Lake, day: date) -> Schemes:
    """Return the schemes of a night and, after them, its audiences; and of each other why it is left out."""
    schemes, audiences = schemes_of_night(company, lake, day), audiences_of_night(company, lake, day)
    reasons = {**schemes.not_computed, **audiences.not_computed}
    return replace(schemes, schemes=(*schemes.schemes, *audiences.schemes), not_computed=reasons)


def schemes_beside(
    company: Company, lake: Lake, day: date, audiences: Iterable[Scheme], known_on: date | None = None
) -> Mapping[str, Scheme]:
    """Return `audiences` and the schemes that they look at by name, with the clusters as a stored night assigned them."""
    audiences = list(audiences)
    named = {name for audience in audiences for name in audience.references}
    schemes = schemes_of_night(company, lake, day, known_on).schemes if named else ()
    looked_at = (*(scheme for scheme in schemes if scheme.name in named), *audiences)
    return {scheme.name: scheme for scheme in with_clusters_of(lake, company, day, looked_at, known_on)}

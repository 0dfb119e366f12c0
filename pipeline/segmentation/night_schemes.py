"""The schemes of a night: those of the company, less what the source did not give the columns for by then."""

from __future__ import annotations

from datetime import date

from pipeline.definitions.company import Company
from pipeline.definitions.schemes import Schemes, load_cluster_schemes, load_schemes, quantiles_of, with_limits, without_unknown
from pipeline.features import frozen_quantiles, unknown_features
from pipeline.lake.lake import Lake
from pipeline.lake.tables import CUSTOMER_PREDICTIONS
from pipeline.models.predictions import signals_without


def schemes_of_night(company: Company, lake: Lake, day: date, known_on: date | None = None) -> Schemes:
    """Return the schemes that can be computed on a night whose features are stored, and what each of the others needs.

    `known_on` is the night whose knowledge counts; a later one than `day` is that of a restatement.
    """
    loaded = without_unknown(load_schemes(company), unknown_features(lake, day, known_on))
    quantiles = quantiles_of(loaded.schemes)
    return with_limits(loaded, frozen_quantiles(lake, day, quantiles, known_on)) if quantiles else loaded


def not_computed_on(
    company: Company, lake: Lake, day: date, known_on: date | None = None, *, schemes: Schemes | None = None
) -> dict[str, str]:
    """Return what a night could not compute, each with what it needs; `schemes` are those of the night, where the caller has them.

    That is schemes, segments as `scheme.segment`, features that clusters do without, and signals that predictions do without.
    """
    unknown, loaded = unknown_features(lake, day, known_on), schemes or schemes_of_night(company, lake, day, known_on)
    clusters = {
        f"{scheme.name}.{feature.name}": f"needs {unknown[feature.name]}"
        for scheme in load_cluster_schemes(company)
        for feature in scheme.features
        if feature.name in unknown
    }
    signals = {f"{CUSTOMER_PREDICTIONS.name}.{signal}": f"needs {needs}" for signal, needs in signals_without(unknown).items()}
    return {**loaded.not_computed, **clusters, **signals}

"""The refits of a night: every cluster scheme of a company, or the one that is named."""

from __future__ import annotations

import logging
from datetime import date

from pipeline.definitions.company import Company
from pipeline.definitions.schemes import ClusterScheme, load_cluster_schemes
from pipeline.errors import ConfigError, PipelineError, RefitRefused
from pipeline.lake.engines import Engine
from pipeline.lake.lake import Lake
from pipeline.models.refits.candidate import fit_candidate
from pipeline.models.refits.model_store import RefitContext
from pipeline.models.refits.promotion import PromotionConsent, promote_candidate, store_refit
from pipeline.models.signals import SurvivorsOf
from pipeline.spelling import did_you_mean

log = logging.getLogger("pipeline.models.refits")


def cluster_schemes_named(company: Company, name: str | None) -> list[ClusterScheme]:
    """Return the cluster schemes of the company, or the one named; raises ConfigError where there is none of that name."""
    schemes = load_cluster_schemes(company)
    named = [scheme for scheme in schemes if name in (None, scheme.name)]
    if not named:
        names = [scheme.name for scheme in schemes]
        what = f"no cluster scheme is called `{name}`{did_you_mean(str(name), names)}" if name else "no cluster scheme is defined"
        raise ConfigError(what, where=str(company.folder), todo=f"Choose among {', '.join(names) or 'those you define'}.")
    return named


def refit_clusters(  # noqa: PLR0913
    company: Company, lake: Lake, engine: Engine, day: date, *, survivors_of: SurvivorsOf, scheme: str | None = None
) -> None:
    """Fit a candidate of each cluster scheme, or of the one named, to the customers of night `day`, and store it judged."""
    for each in cluster_schemes_named(company, scheme):
        refit = fit_candidate(RefitContext(company, lake, engine, day, each, survivors_of))
        place = store_refit(lake, refit)
        log.info("%s: %s: %s (%s)", refit.scheme, refit.verdict, refit.reason, place)


def promote_candidates(company: Company, lake: Lake, day: date, consent: PromotionConsent, *, scheme: str | None = None) -> None:
    """Promote the stored candidates of night `day`, each as far as its judgement allows.

    Raises the first RefitRefused only at the end, so that a refusal of one scheme does not keep another from its model.
    """
    refusals: list[PipelineError] = []
    for each in cluster_schemes_named(company, scheme):
        try:
            promote_candidate(lake, each.name, day, consent=consent)
        except RefitRefused as refused:  # a verdict; any other error is a fault and ends all
            refusals.append(refused)
            log.warning("%s: %s", each.name, refused.what)
    if refusals:
        raise refusals[0]

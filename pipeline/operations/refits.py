"""New models, judged before they are used: which refits a night requests, the refits, and their promotion.

A refit stores a candidate and changes no night; promotion makes it valid from the next night on. The two are apart so that a
person, or Airflow's approval task, can stand between them. What a step needs is imported inside it: Airflow parses the DAG
without loading an engine.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING

from pipeline.operations.night import Night

if TYPE_CHECKING:
    from pipeline.lake.engines import Engine

log = logging.getLogger("pipeline.operations.refits")
# A candidate that was refused, or that waits for a person, is not fitted again the night after.
REST = timedelta(days=7)


def due_refits(night: Night) -> list[str]:
    """Return the schemes that the night requests to refit, where it is live and no refit was judged in the week before.

    Raises DataError where the live publication, or the night's drift, cannot be read.
    """
    from pipeline.models.measure_drift import rows_beyond_limits
    from pipeline.models.refits.model_store import judged_days
    from pipeline.publication.current import current_publication

    live = current_publication(night.lake)
    if live is None or live.day != night.day:
        return []  # a backfilled old night may have drifted too, but its model is long gone
    drifted = {row["scheme"] for row in rows_beyond_limits(night.lake, night.day)}
    return sorted(scheme for scheme in drifted if all(judged <= night.day - REST for judged in judged_days(night.lake, scheme)))


def refit(night: Night, *, scheme: str | None = None) -> None:
    """Fit a candidate of each cluster scheme, or of one, to the customers of the night, and store it judged; no night changes."""
    from pipeline.features import MergeHistory
    from pipeline.models.refits.refit import refit_clusters

    company = night.deployment.company
    with _holding_refits(night) as engine:
        merges = MergeHistory(night.lake, company.zone)
        refit_clusters(company, night.lake, engine, night.day, survivors_of=merges.rows_of, scheme=scheme)


def promote(night: Night, *, scheme: str | None = None, override_reason: str = "", is_approval_asked: bool = False) -> None:
    """Make the stored candidates of the night the models of the nights to come, unless they were refused.

    `is_approval_asked` is the run's parameter: where it is set, a person has approved by the time this is called, which candidates
    need that move many customers. With an `override_reason` a refused one is promoted too. Raises RefitRefused where the current
    model stays.
    """
    from pipeline.models.refits.promotion import PromotionConsent
    from pipeline.models.refits.refit import promote_candidates

    consent = PromotionConsent(is_approved=is_approval_asked, override=override_reason)
    # So that no refit replaces the candidate between its judgement being read and its promotion.
    with night.lake.lock("refits"):
        promote_candidates(night.deployment.company, night.lake, night.day, consent, scheme=scheme)


def refit_predictions(night: Night, *, is_held: bool = False) -> None:
    """Fit and test a model of customers' value by what the night knows, and make it valid from the next night on unless `is_held`.

    Raises RefitRefused where it does not beat both baselines: then nothing is predicted from the next night on.
    """
    from pipeline.features import MergeHistory
    from pipeline.models.refits.prediction_refit import fit_and_test_predictions, promote_predictions, store_prediction_refit

    company = night.deployment.company
    with _holding_refits(night) as engine:
        refitted = fit_and_test_predictions(company, night.lake, engine, night.day, MergeHistory(night.lake, company.zone).rows_of)
        judgement = store_prediction_refit(night.lake, refitted)
        log.info("%s: %s: %s", judgement["scheme"], judgement["verdict"], judgement["reason"])
        if not is_held:
            promote_predictions(night.lake, refitted)


@contextmanager
def _holding_refits(night: Night) -> Iterator[Engine]:
    """Yield an engine, and hold off erasures and other refits for the time of the block."""
    from pipeline.operations.erasure.erase import holding_off_erasures

    with holding_off_erasures(night.lake), night.lake.lock("refits"), night.deployment.engine() as engine:
        yield engine

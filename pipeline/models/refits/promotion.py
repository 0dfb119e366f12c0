"""A candidate is stored with its judgement, and becomes the model of the nights to come."""

from __future__ import annotations

import json
import logging
from dataclasses import asdict, dataclass, replace
from datetime import date
from typing import Any

from pipeline.errors import ConfigError, RefitRefused
from pipeline.lake import addresses
from pipeline.lake.lake import Lake
from pipeline.models.clusters import ClusterModel, to_json
from pipeline.models.refits.candidate import ClusterRefit
from pipeline.models.refits.model_store import current_model, last_number, model_in, next_night, stored_judgement
from pipeline.models.refits.verdict import RefitVerdict

log = logging.getLogger("pipeline.models.refits")


@dataclass(frozen=True, slots=True)
class PromotionConsent:
    """A person's consent to a candidate: whether it is approved, and why even a refused one is to be promoted."""

    is_approved: bool = False
    override: str = ""


NOBODY_ASKED = PromotionConsent()


def store_refit(lake: Lake, refit: ClusterRefit) -> str:
    """Write the candidate, where there is one, and its judgement; return the place that they are in."""
    candidate = addresses.candidate(refit.scheme, refit.day)
    if refit.candidate:
        lake.write_text(candidate, to_json(refit.candidate))
    else:
        # One that an earlier refit of the same night stored must not outlive its judgement.
        lake.delete(candidate)
    lake.write_text(
        addresses.judgement(refit.scheme, refit.day),
        json.dumps(refit_judgement(refit), indent=1, sort_keys=True, ensure_ascii=False) + "\n",
    )
    return lake.where(addresses.refit(refit.scheme, refit.day)).rstrip("/")


def refit_judgement(refit: ClusterRefit) -> dict[str, Any]:
    """Return all of a refit but the candidate itself, as JSON values."""
    return {
        "scheme": refit.scheme,
        "day": refit.day.isoformat(),
        "verdict": refit.verdict.value,
        "reason": refit.reason,
        "current": refit.current and refit.current.first_night.isoformat(),
        "current_inputs": refit.current and refit.current.inputs_digest,
        "clusters": [asdict(size) for size in refit.sizes],
        "events": [asdict(event) for event in refit.events],
        "measures": refit.measures and asdict(refit.measures),
        "tried": [asdict(trial) for trial in refit.trials],
    }


def promote_candidate(lake: Lake, scheme: str, day: date, *, consent: PromotionConsent = NOBODY_ASKED) -> ClusterModel:
    """Make the candidate of night `day` the model from the next night on, and return it; no stored night changes.

    A candidate for a person to decide is promoted if `consent` approves, a refused one if `consent` says why. One that is the
    current model already is returned as that: promoting twice is promoting once. Raises RefitRefused with the verdict's reason,
    and ConfigError where another model took the place of the one that the candidate was judged beside.
    """
    with lake.lock("models"):  # nights look up their model under the same lock
        judgement = stored_judgement(lake, scheme, day)
        _require_verdict(lake, judgement, scheme, day, consent)
        candidate = model_in(lake, addresses.candidate(scheme, day))
        current = current_model(lake, scheme)
        if judgement["verdict"] == RefitVerdict.KEEP.value and current:
            return current
        # But for what promotion itself writes into a model.
        if current and replace(current, valid_from=None, last_number=0) == replace(candidate, valid_from=None, last_number=0):
            return current
        if (current and current.inputs_digest) != judgement["current_inputs"]:
            what = "another model was promoted since this candidate was judged"
            raise ConfigError(what, where=lake.where(addresses.refit(scheme, day)), todo=f"Refit again: segments refit --day {day}.")
        model = replace(candidate, valid_from=next_night(lake, day), last_number=max(candidate.highest_number, last_number(lake, scheme)))
        lake.write_text(addresses.model(scheme, model.first_night), to_json(model))
        promotion = {"first_night": model.first_night.isoformat(), "verdict": judgement["verdict"], "override": consent.override}
        lake.write_text(addresses.promotion(scheme, day), json.dumps(promotion, indent=1, ensure_ascii=False) + "\n")
    log.info(
        "%s: the candidate of %s is the model from %s on%s", scheme, day, model.first_night, consent.override and f": {consent.override}"
    )
    return model


def _require_verdict(lake: Lake, judgement: dict[str, Any], scheme: str, day: date, consent: PromotionConsent) -> None:
    where = lake.where(addresses.judgement(scheme, day))
    if judgement["verdict"] == RefitVerdict.NO_CLUSTERS.value:
        raise RefitRefused(judgement["reason"], where=where, todo="The current model stays. Look at the scheme's features.")
    # An override promotes either; approving alone does not promote what was refused.
    is_for_a_person = judgement["verdict"] == RefitVerdict.ASK.value and not consent.is_approved
    if (is_for_a_person or judgement["verdict"] == RefitVerdict.REFUSE.value) and not consent.override:
        command = f"segments promote --day {day}"
        then = f"To approve it: {command}" if is_for_a_person else f"Where you want it all the same: {command} --override 'why'"
        todo = f"The current model stays. See who would move: segments plan --model {lake.where(addresses.candidate(scheme, day))}. {then}"
        raise RefitRefused(judgement["reason"], where=where, todo=todo)

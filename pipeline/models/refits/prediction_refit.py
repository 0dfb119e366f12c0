"""Predicted value is fitted anew like clusters: to an older night and what happened since, tested, and valid from the next night on.

A model is never tested on what it was fitted to. Where a second night lies far enough back, a model of that one is tested on the
days after the first; else customers are left out by fifths (`forecast_of_others`). If the test fails, nothing is predicted: the
predecessor was fitted to still older days, so it goes too.

models/customer_predictions/<first night>.json     a model, or why nothing is predicted, valid until the next one's first night
refits/customer_predictions/<day>/candidate.json   what was fitted on a night
refits/customer_predictions/<day>/judgement.json   how it did in the test, and the verdict
"""

from __future__ import annotations

import json
import logging
from dataclasses import asdict, dataclass, replace
from datetime import date
from typing import Any

from pipeline.definitions.company import Company
from pipeline.errors import RefitRefused
from pipeline.lake import addresses
from pipeline.lake.engines import Engine
from pipeline.lake.lake import Lake
from pipeline.models.predictions import (
    HORIZON_DAYS,
    ForecastComparison,
    NotPredicted,
    Outcomes,
    PredictionModel,
    compare_with_baselines,
    decision_from_json,
    fit_predictions,
    reason_to_refuse,
    to_json,
)
from pipeline.models.predictions.fitting import forecast_by_model, forecast_of_others
from pipeline.models.predictions.model import Decision
from pipeline.models.refits.model_store import next_night, stored_models
from pipeline.models.refits.prediction_sample import NAME, OLDEST_DAYS, OutcomeHistory, night_before
from pipeline.models.signals import SurvivorsOf

log = logging.getLogger("pipeline.models.refits")
NOT_FITTED = "no model was fitted before this night"


@dataclass(frozen=True, slots=True)
class PredictionRefit:
    """The outcome of a refit of predictions: what nights are to go by, unless nothing could be judged, and how it was tested.

    `candidate` is the fitted model even where the decision is to predict nothing.
    """

    day: date
    decision: Decision
    test: ForecastComparison | None
    is_judged: bool
    candidate: PredictionModel | None = None


def valid_decision(lake: Lake, day: date) -> Decision:
    """Return what night `day` goes by.

    Unlike clusters, a night before the first model does not borrow that one: it knows what came after the night.
    """
    valid = [night for night in stored_models(lake, NAME) if night <= day.isoformat()]
    if not valid:
        return NotPredicted(day, NOT_FITTED)
    address = addresses.model(NAME, valid[-1])
    return decision_from_json(lake.read_text(address), where=lake.where(address))


def prediction_source_words(lake: Lake, day: date) -> str:
    """Say by which model value is predicted on night `day`, and how that did in its test; or why nothing is predicted."""
    decision = valid_decision(lake, day)
    if isinstance(decision, PredictionModel):
        return f"model of {decision.day}, {_test_words(lake, decision.day)}"
    return f"none: {decision.reason}{_first_fit_words(lake, day) if decision.reason == NOT_FITTED else ''}"


def _first_fit_words(lake: Lake, day: date) -> str:
    """Say what a first model takes: a stored night whose next days are over."""
    if night_before(lake, day):
        return f"; to fit and test one: segments refit-predictions --day {day}"
    return f"; one can be fitted once a night of {HORIZON_DAYS} to {OLDEST_DAYS} days earlier is stored"


def _test_words(lake: Lake, day: date) -> str:
    try:
        return str(json.loads(lake.read_text(addresses.judgement(NAME, day)))["reason"])
    except (OSError, ValueError, KeyError, TypeError):
        # The summary of a night goes on: the model alone decides what is predicted, and its test is told for information.
        return "whose test cannot be read any more"


def fit_and_test_predictions(company: Company, lake: Lake, engine: Engine, day: date, survivors_of: SurvivorsOf) -> PredictionRefit:
    """Fit a model to what is known on night `day`, and test it; nothing is written. Rows that arrived later play no part in it."""
    history = OutcomeHistory(company, lake, engine, day, survivors_of)
    formed = night_before(lake, day)
    if formed is None:
        return _unjudged_refit(day, f"no night of {HORIZON_DAYS} to {OLDEST_DAYS} days earlier is stored")
    outcomes = history.read(formed)
    if isinstance(outcomes, str):
        return _unjudged_refit(day, outcomes)
    model = fit_predictions(outcomes, day)
    earlier = _earlier_outcomes(history, formed)
    # A model can be asked only of customers whose signals are known.
    if earlier is None or not set(earlier.names) <= set(outcomes.names):
        test = compare_with_baselines(forecast_of_others(outcomes, day), outcomes, "customers it had not seen")
    else:
        forecast = forecast_by_model(fit_predictions(earlier, day), outcomes.signals, outcomes.last_years_spend, names=outcomes.names)
        test = compare_with_baselines(forecast, outcomes, "days it had not seen")
    reason = reason_to_refuse(test)
    decision = NotPredicted(day, reason) if reason else model
    return PredictionRefit(day, decision, test, is_judged=True, candidate=model)


def _unjudged_refit(day: date, reason: str) -> PredictionRefit:
    return PredictionRefit(day, NotPredicted(day, reason), None, is_judged=False)


def _earlier_outcomes(history: OutcomeHistory, formed: date) -> Outcomes | None:
    """Read the customers of a night whose next days were over by `formed`, so that a model of them is tested on later days."""
    night = night_before(history.lake, formed)
    outcomes = history.read(night) if night else None
    return outcomes if isinstance(outcomes, Outcomes) else None


def store_prediction_refit(lake: Lake, refit: PredictionRefit) -> dict[str, Any]:
    """Write what was fitted and how it did, and return the judgement as JSON values."""
    lake.write_text(addresses.candidate(NAME, refit.day), to_json(refit.decision))
    judgement = prediction_judgement(refit)
    lake.write_text(addresses.judgement(NAME, refit.day), json.dumps(judgement, indent=1, sort_keys=True, ensure_ascii=False) + "\n")
    return judgement


def prediction_judgement(refit: PredictionRefit) -> dict[str, Any]:
    """Return the judgement of a refit as JSON values: verdict, reason, and the measures of the model and both baselines."""
    is_refused = isinstance(refit.decision, NotPredicted)
    verdict = "promote" if not is_refused else "refuse" if refit.is_judged else "not judged"
    return {
        "scheme": NAME,
        "day": refit.day.isoformat(),
        "verdict": verdict,
        "reason": _reason_words(refit),
        "test": refit.test and asdict(refit.test),
    }


def promote_predictions(lake: Lake, refit: PredictionRefit) -> None:
    """Make the decision of a refit valid from the first night that is not stored yet.

    Where the model does not beat both baselines, nothing is predicted from then on, and RefitRefused says so. Where nothing
    could be judged, what is valid stays.
    """
    with lake.lock("models"):
        first = next_night(lake, refit.day)
        current = valid_decision(lake, first)
        # Whatever is valid was judged once; only that nothing was ever fitted gives way to a better reason.
        if not refit.is_judged and (isinstance(current, PredictionModel) or current.reason != NOT_FITTED):
            return
        # Else the same refit once more: nothing to write.
        if replace(current, valid_from=None) != refit.decision:
            lake.write_text(addresses.model(NAME, first), to_json(replace(refit.decision, valid_from=first)))
            log.info("%s: valid from %s on: %s", NAME, first, _reason_words(refit))
    if refit.is_judged and isinstance(refit.decision, NotPredicted):
        where = lake.where(addresses.judgement(NAME, refit.day))
        raise RefitRefused(
            refit.decision.reason, where=where, todo=f"Nothing is predicted from {first} on, until a later refit does better."
        )


def _reason_words(refit: PredictionRefit) -> str:
    return refit.decision.reason if isinstance(refit.decision, NotPredicted) else refit.test.words if refit.test else ""

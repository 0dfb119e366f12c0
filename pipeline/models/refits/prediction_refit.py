"""Predicted value is fitted anew like clusters: to an older night and what happened since, tested, and then valid from the next night.

models/customer_predictions/<first night>.json     a model, or why nothing is predicted, valid until the next one's first night
refits/customer_predictions/<day>/candidate.json   what was fitted on a night
refits/customer_predictions/<day>/judgement.json   how it did in the test, and the verdict
"""

from __future__ import annotations

import json
import logging
from dataclasses import asdict, dataclass, replace
from datetime import date, timedelta
from typing import Any

import numpy as np
import pyarrow as pa
from sqlglot import exp

from pipeline.definitions.company import Company
from pipeline.errors import DataError, RefitRefused
from pipeline.lake import addresses
from pipeline.lake.engines import Engine
from pipeline.lake.lake import Lake
from pipeline.lake.statements import statement
from pipeline.lake.tables import CUSTOMER_DAYS, CUSTOMER_FEATURES, CUSTOMER_PREDICTIONS
from pipeline.models.clusters.preparation import Numbers
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
from pipeline.models.predictions.model import SIGNALS, Decision
from pipeline.models.refits.model_store import next_night, stored_models

log = logging.getLogger("pipeline.models.refits")
NAME = CUSTOMER_PREDICTIONS.name
SAMPLE_ROWS = 100_000
OLDEST_DAYS = 180
NOT_FITTED = "no model was fitted before this night"
BASES = ("lifetime_order_day_count", "tenure_days", "recency_days", "lifetime_spend_amount", "spend_amount")


@dataclass(frozen=True, slots=True)
class PredictionRefit:
    """What a refit of the predictions found: what nights are to go by, unless nothing could be judged, and how it was tested."""

    day: date
    decision: Decision
    test: ForecastComparison | None
    is_judged: bool
    candidate: PredictionModel | None = None


def valid_decision(lake: Lake, day: date) -> Decision:
    """Return what night `day` goes by; no night before the first model goes by a later one, which knows what came after it."""
    valid = [night for night in stored_models(lake, NAME) if night <= day.isoformat()]
    if not valid:
        return NotPredicted(day, NOT_FITTED)
    address = addresses.model(NAME, valid[-1])
    return decision_from_json(lake.read_text(address), where=lake.where(address))


def prediction_source_words(lake: Lake, day: date) -> str:
    """Return by which model the value of customers is predicted on night `day`, and how it did in its test, or why it is not."""
    decision = valid_decision(lake, day)
    if isinstance(decision, PredictionModel):
        return f"model of {decision.day}, {_test_words(lake, decision.day)}"
    return f"none: {decision.reason}{_first_fit_words(lake, day) if decision.reason == NOT_FITTED else ''}"


def _first_fit_words(lake: Lake, day: date) -> str:
    """Return what is needed for a first model, which learns from a night whose next days are over."""
    if _night_before(lake, day):
        return f"; to fit and test one: segments refit-predictions --day {day}"
    return f"; one can be fitted once a night of {HORIZON_DAYS} to {OLDEST_DAYS} days earlier is stored"


def _test_words(lake: Lake, day: date) -> str:
    try:
        return str(json.loads(lake.read_text(addresses.judgement(NAME, day)))["reason"])
    except (OSError, ValueError, KeyError, TypeError):
        return "whose test cannot be read any more"


def fit_and_test_predictions(company: Company, lake: Lake, engine: Engine, day: date) -> PredictionRefit:
    """Return a model fitted to what is known on night `day`, tested; nothing is written. Later rows play no part in it."""
    formed = _night_before(lake, day)
    if formed is None:
        return _unjudged_refit(day, f"no night of {HORIZON_DAYS} to {OLDEST_DAYS} days earlier is stored")
    outcomes = _read_outcomes(company, lake, engine, formed, day)
    if isinstance(outcomes, str):
        return _unjudged_refit(day, outcomes)
    model = fit_predictions(outcomes, day)
    test = _test_model(outcomes, _earlier_outcomes(company, lake, engine, formed, day), day)
    reason = reason_to_refuse(test)
    decision = NotPredicted(day, reason) if reason else model
    return PredictionRefit(day, decision, test, is_judged=True, candidate=model)


def _unjudged_refit(day: date, reason: str) -> PredictionRefit:
    return PredictionRefit(day, NotPredicted(day, reason), None, is_judged=False)


def _night_before(lake: Lake, day: date) -> date | None:
    """Return the newest night whose next days are over by `day`."""
    limits = (day - timedelta(days=OLDEST_DAYS), day - timedelta(days=HORIZON_DAYS))
    return max((night for night in lake.nights(CUSTOMER_FEATURES) if limits[0] <= night <= limits[1]), default=None)


def _earlier_outcomes(company: Company, lake: Lake, engine: Engine, formed: date, day: date) -> Outcomes | None:
    """Return the customers of a night whose next days were over by `formed`, so that a model of them is tested on later days."""
    night = _night_before(lake, formed)
    found = _read_outcomes(company, lake, engine, night, day) if night else None
    return found if isinstance(found, Outcomes) else None


def _test_model(outcomes: Outcomes, earlier: Outcomes | None, day: date) -> ForecastComparison:
    if earlier is None:
        return compare_with_baselines(forecast_of_others(outcomes), outcomes, "customers it had not seen")
    return compare_with_baselines(forecast_by_model(fit_predictions(earlier, day), outcomes.signals), outcomes, "days it had not seen")


def _read_outcomes(company: Company, lake: Lake, engine: Engine, formed: date, day: date) -> Outcomes | str:
    """Return what customers of night `formed` did in the days after it, as known on `day`, or why nothing can be learned of them."""
    try:
        rows, count = _sampled_rows(company, lake, engine, formed, day)
    except DataError as error:
        log.warning("%s: %s", NAME, error)
        return f"the features of {formed} cannot be read"
    columns = {name: _filled_column(rows, name) for name in (*SIGNALS, *BASES, "amount", "returned")}
    outcomes = Outcomes(
        formed=formed,
        window_days=company.window_days,
        ids=tuple(rows["customer_id"].to_pylist()),
        signals=np.column_stack([columns[name] for name in SIGNALS]),
        amounts=np.maximum(columns["amount"], 0.0),
        returned=columns["returned"].astype(np.int64),
        order_days=columns["lifetime_order_day_count"],
        active_days=columns["tenure_days"] - columns["recency_days"],
        known_days=columns["tenure_days"],
        lifetime_spend=np.maximum(columns["lifetime_spend_amount"], 0.0),
        window_spend=columns["spend_amount"],
        customer_count=count,
    )
    return outcomes.insufficiency() or outcomes if outcomes.ids else "nobody had ordered by then"


def _filled_column(rows: pa.Table, name: str) -> Numbers:
    return np.asarray(rows[name].cast(pa.float64()).fill_null(0).to_numpy(), dtype=np.float64)


def _sampled_rows(company: Company, lake: Lake, engine: Engine, formed: date, day: date) -> tuple[pa.Table, int]:
    """Return a bounded sample of customers with signals and outcomes, by hash of id, in order of id; and how many there are."""
    signals = statement("customer_signals")
    read = {column.name for column in signals.find_all(exp.Column)} | set(BASES)
    held = tuple(column for column in CUSTOMER_FEATURES.columns if column.name in read)
    engine.register(replace(CUSTOMER_FEATURES, columns=held), [lake.path(CUSTOMER_FEATURES, day=formed)])
    last = formed + timedelta(days=HORIZON_DAYS)
    versions = [each for each in lake.versions_known(CUSTOMER_DAYS, through=last, known=day) if each.day > formed and each.known <= day]
    engine.register(CUSTOMER_DAYS, lake.parts(CUSTOMER_DAYS, versions))
    rows = engine.run(_sample_statement(signals), {"window_days": company.window_days, "formed": formed, "last": last}).read_all()
    [count] = (
        engine.run(_ordering_customers().select("CAST(COUNT(*) AS BIGINT) AS customer_count"), {}).read_all()["customer_count"].to_pylist()
    )
    return rows.sort_by("customer_id"), count


def _ordering_customers() -> exp.Select:
    return exp.select().from_(CUSTOMER_FEATURES.name).where("lifetime_order_day_count >= 1")


def _sample_statement(signals: exp.Query) -> exp.Select:
    chosen = (
        _ordering_customers().select("customer_id", *BASES).order_by(f"MD5('{NAME}:' || customer_id)", "customer_id").limit(SAMPLE_ROWS)
    )
    since = (
        exp.select("customer_id AS buyer_id", "SUM(order_amount - refund_amount) AS amount")
        .select("MAX(CASE WHEN order_count > 0 THEN 1 ELSE 0 END) AS returned")
        .from_(CUSTOMER_DAYS.name)
        .where("order_day > $formed AND order_day <= $last", dialect="duckdb")
        .group_by("customer_id")
    )
    columns = [exp.column(name, "signals") for name in SIGNALS]
    chosen_columns = [exp.column(name, "chosen") for name in ("customer_id", *BASES)]
    return (
        exp.select(*chosen_columns, *columns, "amount", "returned")
        .from_(chosen.subquery("chosen"))
        .join(signals.copy().subquery("signals"), on="signals.customer_id = chosen.customer_id")
        .join(since.subquery("since"), on="buyer_id = chosen.customer_id", join_type="left")
    )


def store_prediction_refit(lake: Lake, trial: PredictionRefit) -> dict[str, Any]:
    """Write what was fitted and how it did, and return the judgement as JSON values."""
    lake.write_text(addresses.candidate(NAME, trial.day), to_json(trial.decision))
    said = prediction_judgement(trial)
    lake.write_text(addresses.judgement(NAME, trial.day), json.dumps(said, indent=1, sort_keys=True, ensure_ascii=False) + "\n")
    return said


def prediction_judgement(trial: PredictionRefit) -> dict[str, Any]:
    """Return what is told of a trial: verdict, reason, and the measures of the model and both baselines."""
    refused = isinstance(trial.decision, NotPredicted)
    verdict = "promote" if not refused else "refuse" if trial.is_judged else "not judged"
    reason = trial.decision.reason if isinstance(trial.decision, NotPredicted) else trial.test.words if trial.test else ""
    return {
        "scheme": NAME,
        "day": trial.day.isoformat(),
        "verdict": verdict,
        "reason": reason,
        "test": trial.test and asdict(trial.test),
    }


def promote_predictions(lake: Lake, trial: PredictionRefit) -> None:
    """Make what was found valid from the first night that is not stored yet.

    A model that does not beat last year's spend is not published, and neither is its predecessor: RefitRefused says so. Where
    nothing could be judged, what is valid stays.
    """
    with lake.lock("models"):
        first = next_night(lake, trial.day)
        current = valid_decision(lake, first)
        if not trial.is_judged and (isinstance(current, PredictionModel) or current.reason != NOT_FITTED):
            return
        if replace(current, valid_from=None) != trial.decision:
            lake.write_text(addresses.model(NAME, first), to_json(replace(trial.decision, valid_from=first)))
            log.info("%s: valid from %s on: %s", NAME, first, _refit_words(trial))
    if trial.is_judged and isinstance(trial.decision, NotPredicted):
        where = lake.where(addresses.judgement(NAME, trial.day))
        raise RefitRefused(
            trial.decision.reason, where=where, todo=f"Nothing is predicted from {first} on, until a later refit does better."
        )


def _refit_words(trial: PredictionRefit) -> str:
    return trial.decision.reason if isinstance(trial.decision, NotPredicted) else trial.test.words if trial.test else ""

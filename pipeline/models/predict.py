"""Predict every customer's next days on a night, by the model that is valid then; a night never fits one."""

from __future__ import annotations

import logging
from datetime import date

from pipeline.definitions.company import Company
from pipeline.lake import addresses
from pipeline.lake.engines import Engine
from pipeline.lake.lake import Lake
from pipeline.lake.statements import statement_digest
from pipeline.lake.tables import CUSTOMER_DAYS, CUSTOMER_FEATURES, CUSTOMER_PREDICTIONS
from pipeline.models.predictions import NotPredicted, PredictionModel, predictions_statement
from pipeline.models.refits.prediction_refit import valid_decision
from pipeline.models.signals import recent_days, signal_parameters

log = logging.getLogger("pipeline.models.predict")


def write_predictions(company: Company, lake: Lake, engine: Engine, day: date, *, known_on: date | None = None) -> None:
    """Write the predicted spend and chance of buying of each customer of night `day`, or why nothing is predicted.

    `known_on` is the night whose knowledge counts; a later one than `day` writes a restatement.
    """
    features = lake.path(CUSTOMER_FEATURES, day=day, known_on=known_on)
    engine.register(company.table(CUSTOMER_FEATURES), [features])
    with lake.lock("models"):  # a refit that is promoted meanwhile waits, so that the night goes by one model
        decision = _decision_for_window(valid_decision(lake, day), company)
    # Where nothing is predicted, no day of the past is read.
    recent = recent_days(lake, day, known_on or day) if isinstance(decision, PredictionModel) else []
    engine.register(CUSTOMER_DAYS, lake.parts(CUSTOMER_DAYS, recent))
    query = predictions_statement(decision)
    first_night = decision.valid_from.isoformat() if decision.valid_from else None
    stored = lake.stored_versions(CUSTOMER_DAYS) if recent else {}
    inputs = lake.digest(
        [addresses.partition(CUSTOMER_FEATURES, day=day, known_on=known_on)],
        [f"{version.day} {stored[version].digest}" for version in recent],
    )
    manifest = {"statement": statement_digest(query), "inputs": inputs, "model": first_night}
    rows = engine.run(query, signal_parameters(day, company.window_days))
    count = lake.write(CUSTOMER_PREDICTIONS, rows, day=day, known_on=known_on, manifest=manifest)
    log.info(
        "%s: %s customers%s", CUSTOMER_PREDICTIONS.name, f"{count:,}", f": {decision.reason}" if isinstance(decision, NotPredicted) else ""
    )


def _decision_for_window(decision: PredictionModel | NotPredicted, company: Company) -> PredictionModel | NotPredicted:
    """Return the decision, unless the company has changed its window since: features of another window mean something else."""
    if isinstance(decision, NotPredicted) or decision.window_days == company.window_days:
        return decision
    reason = f"the model was fitted to a window of {decision.window_days} days, which is {company.window_days} now"
    return NotPredicted(decision.day, reason, decision.valid_from)

"""What is predicted of every customer on a night, by the model that is valid then; a night never fits one."""

from __future__ import annotations

import logging
from datetime import date

from pipeline.definitions.company import Company
from pipeline.lake import addresses
from pipeline.lake.engines import Engine
from pipeline.lake.lake import Lake
from pipeline.lake.statements import statement_digest
from pipeline.lake.tables import CUSTOMER_FEATURES, CUSTOMER_PREDICTIONS
from pipeline.models.predictions import NotPredicted, PredictionModel, predictions_statement
from pipeline.models.refits.prediction_refit import valid_decision

log = logging.getLogger("pipeline.models.predict")


def write_predictions(company: Company, lake: Lake, engine: Engine, day: date, *, known: date | None = None) -> None:
    """Write what the next days are expected to bring of each customer of night `day`, or why that is not predicted.

    `known` is the night whose knowledge counts; a later one than `day` writes a restatement.
    """
    features = lake.path(CUSTOMER_FEATURES, day=day, known=known)
    engine.register(company.table(CUSTOMER_FEATURES), [features])
    with lake.lock("models"):
        by = _for_same_window(valid_decision(lake, day), company)
    query = predictions_statement(by)
    first_night = by.valid_from.isoformat() if by.valid_from else None
    inputs = lake.digest([addresses.partition(CUSTOMER_FEATURES, day=day, known=known)])
    manifest = {"statement": statement_digest(query), "inputs": inputs, "model": first_night}
    rows = engine.run(query, {"window_days": company.window_days})
    count = lake.write(CUSTOMER_PREDICTIONS, rows, day=day, known=known, manifest=manifest)
    log.info("%s: %s customers%s", CUSTOMER_PREDICTIONS.name, f"{count:,}", f": {by.reason}" if isinstance(by, NotPredicted) else "")


def _for_same_window(by: PredictionModel | NotPredicted, company: Company) -> PredictionModel | NotPredicted:
    if isinstance(by, NotPredicted) or by.window_days == company.window_days:
        return by
    reason = f"the model was fitted to a window of {by.window_days} days, which is {company.window_days} now"
    return NotPredicted(by.day, reason, by.valid_from)

"""Predict every customer's next days on a night, by the model that is valid then; a night never fits one."""

from __future__ import annotations

import logging
from datetime import date

from pipeline.definitions.company import Company
from pipeline.definitions.features import feature_digests
from pipeline.lake import addresses
from pipeline.lake.engines import Engine
from pipeline.lake.lake import Lake
from pipeline.lake.statements import short_digest, statement_digest
from pipeline.lake.tables import CUSTOMER_DAYS, CUSTOMER_FEATURES, CUSTOMER_PREDICTIONS, CUSTOMER_SURVIVORS
from pipeline.models.predictions import NotPredicted, PredictionModel, predictions_statement
from pipeline.models.refits.prediction_refit import valid_decision
from pipeline.models.signals import SurvivorsOf, recent_days, registered_days, signal_parameters

log = logging.getLogger("pipeline.models.predict")


def write_predictions(  # noqa: PLR0913 - what every step is given, and who was merged
    company: Company, lake: Lake, engine: Engine, day: date, *, survivors_of: SurvivorsOf, known_on: date | None = None
) -> None:
    """Write the predicted spend and chance of buying of each customer of night `day`, or why nothing is predicted.

    `known_on` is the night whose knowledge counts; a later one than `day` writes a restatement. `survivors_of` says who was merged.
    """
    features = addresses.partition(CUSTOMER_FEATURES, day=day, known_on=known_on)
    engine.register(company.table(CUSTOMER_FEATURES), [features])
    # A refit that is promoted meanwhile waits, so that the night goes by one model.
    with lake.lock("models"):
        decision = _decision_for_company(valid_decision(lake, day), company)
    query = predictions_statement(decision)
    # Where nothing is predicted, no day of the past is read.
    recent = recent_days(lake, day, known_on or day) if isinstance(decision, PredictionModel) else []
    survivors = survivors_of(day, known_on or day) if recent else CUSTOMER_SURVIVORS.schema.empty_table()
    stored = lake.stored_versions(CUSTOMER_DAYS) if recent else {}
    # What the prediction was read from besides the features, so that the same night computed of late data shows another digest.
    contents = [f"{version.day} {stored[version].digest}" for version in recent]
    contents += [short_digest(survivors.to_pydict())] if survivors.num_rows else []
    inputs = lake.digest([addresses.partition(CUSTOMER_FEATURES, day=day, known_on=known_on)], contents)
    # By its first night, which names the model's file; a reason that no refit has stored yet has none.
    first_night = decision.valid_from.isoformat() if decision.valid_from else None
    manifest = {"statement": statement_digest(query), "inputs": inputs, "model": first_night}
    with registered_days(lake, engine, recent, survivors):
        rows = engine.run(query, signal_parameters(day, company.window_days))
        count = lake.write(CUSTOMER_PREDICTIONS, rows, day=day, known_on=known_on, manifest=manifest)
    log.info(
        "%s: %s customers%s", CUSTOMER_PREDICTIONS.name, f"{count:,}", f": {decision.reason}" if isinstance(decision, NotPredicted) else ""
    )


def _decision_for_company(decision: PredictionModel | NotPredicted, company: Company) -> PredictionModel | NotPredicted:
    """Return the decision, unless the company has changed its window, or a feature of its own, since: they mean something else."""
    if isinstance(decision, NotPredicted):
        return decision
    reason = ""
    if decision.window_days != company.window_days:
        reason = f"the model was fitted to a window of {decision.window_days} days, which is {company.window_days} now"
    elif decision.declared:
        digests = feature_digests(company.features)
        changed = sorted(name for name, digest in decision.declared.items() if digests.get(name) != digest)
        reason = f"the model was fitted to {', '.join(changed)}, which is declared otherwise now" if changed else ""
    return NotPredicted(decision.day, reason, decision.valid_from) if reason else decision

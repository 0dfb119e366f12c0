"""The model of clusters that a night goes by, fitted where there is none yet.

Only a scheme's first model is ever fitted by a night, so that a new scheme has clusters on its first morning. From then on models
change by refits alone, which are judged and promoted.
"""

from __future__ import annotations

import logging
from datetime import date

from pipeline.definitions.schemes import ClusterScheme
from pipeline.lake import addresses
from pipeline.lake.engines import Engine
from pipeline.lake.lake import Lake
from pipeline.models.clusters import ClusterModel, NotFitted, fit_model, to_json
from pipeline.models.refits.model_store import note_unfitted, stored_model, stored_models, unfitted_nights
from pipeline.models.sample import sample_customers

log = logging.getLogger("pipeline.models.refits.first_model")


def model_for_night(lake: Lake, engine: Engine, scheme: ClusterScheme, day: date) -> ClusterModel | NotFitted:
    """Return the model that the night of `day` goes by; the first one of its scheme is fitted and stored.

    A fit reads the registered table `customer_features`. The caller holds the lock of the models.
    """
    model = valid_or_first_model(lake, engine, scheme, day)
    if isinstance(model, NotFitted):
        log.warning("%s: nobody clustered: %s", scheme.name, model.reason)
        note_unfitted(lake, scheme.name, day)
    # Asked again: `model` may be a stored one, and a model is never written twice.
    elif not stored_models(lake, scheme.name):
        lake.write_text(addresses.model(scheme.name, day), to_json(model))
        log.info("%s: model fitted with %s clusters", scheme.name, len(model.clusters))
    return model


def valid_or_first_model(lake: Lake, engine: Engine, scheme: ClusterScheme, day: date) -> ClusterModel | NotFitted:
    """Return the model valid on `day`, or a fitted one where there is none; nothing is written.

    A night before the first model uses that one, so that a backfill needs no model of its own. Only a night that is known to have
    had none is fitted again: with late data it may have enough customers now, and if so it goes by the first model after all.
    """
    stored = stored_models(lake, scheme.name)
    # ISO text sorts as dates do.
    valid = [night for night in stored if night <= day.isoformat()][-1:] or stored[:1]
    if valid and not (valid[0] > day.isoformat() and day in unfitted_nights(lake, scheme.name)):
        return stored_model(lake, scheme.name, valid[0])
    sample = sample_customers(engine, scheme)
    model = fit_model(sample.features, scheme, day=day, customer_count=sample.customer_count)
    # Of the fit it only matters whether there can be clusters: those of the first model keep their ids and titles.
    return stored_model(lake, scheme.name, valid[0]) if valid and not isinstance(model, NotFitted) else model

"""The judgements of the refits of a night, as they were stored."""

from __future__ import annotations

import json
from datetime import date

from pipeline.definitions.company import Company
from pipeline.lake import addresses
from pipeline.lake.lake import Lake
from pipeline.lake.tables import CUSTOMER_PREDICTIONS
from pipeline.models.refits.model_store import Judgement, stored_judgement
from pipeline.models.refits.refit import cluster_schemes_named


def refits_of_night(company: Company, lake: Lake, day: date, *, scheme: str | None = None) -> list[Judgement]:
    """Read the judgement of the refit of each cluster scheme, or of one, to the night of `day`.

    Raises ConfigError where there is no such scheme, DataError where the night has no refit of it or it is damaged.
    """
    return [stored_judgement(lake, each.name, day) for each in cluster_schemes_named(company, scheme)]


def prediction_refit_of_night(lake: Lake, day: date) -> Judgement:
    """Read the judgement of the refit of predictions to the night of `day`."""
    judgement: Judgement = json.loads(lake.read_text(addresses.judgement(CUSTOMER_PREDICTIONS.name, day)))
    return judgement

"""A lake of three nights, ninety days apart, of a made-up shop whose customers come often for some months, and then hardly ever."""

from __future__ import annotations

from contextlib import closing
from datetime import date, timedelta
from decimal import Decimal
from itertools import pairwise
from typing import Any

import numpy as np

from pipeline.definitions.company import Company
from pipeline.features import MergeHistory, compute_features, compute_rollups
from pipeline.lake.engines.duckdb import DuckDBEngine
from pipeline.lake.lake import Lake
from pipeline.lake.tables import CUSTOMER_PREDICTIONS
from pipeline.models.predict import write_predictions
from pipeline.models.predictions.fitting import Outcomes
from pipeline.models.predictions.model import SIGNALS
from pipeline.models.refits.prediction_refit import PredictionRefit, fit_and_test_predictions
from support.builders import a_company, an_order_line, write_order_lines

NIGHT = date(2024, 12, 31)
HORIZON = timedelta(days=90)
NIGHTS = (NIGHT - 2 * HORIZON, NIGHT - HORIZON, NIGHT)
# Everybody orders on one day of the week, so that there are few files to write.
WEEK, FIRST_DAYS, SEED = 7, 330, 5
SHARE_BUSY, CHANCE_OF_QUIET, CHANCE_OF_BUSY, OFTEN, RARELY = 0.25, 0.03, 0.01, 0.3, 0.003


def write_shop_nights(lake: Lake, company: Company | None = None, *, customers: int = 700) -> Company:
    """Write three nights of a shop, each computed from what was known then."""
    lake.root.mkdir(parents=True, exist_ok=True)
    company = company or a_company(lake.root)
    lines = orders(customers)
    for since, night in pairwise((date.min, *NIGHTS)):
        write_order_lines(lake, [line for line in lines if since < line["day"] <= night], known_on=night)
        compute_night(lake, company, night)
    return company


def orders(customers: int) -> list[dict[str, Any]]:
    """Return the orders of customers who have busy and quiet months by turns; each has an amount of their own.

    BG/NBD knows no such turns: it supposes one pace for life, until a customer leaves for good.
    """
    random = np.random.default_rng(SEED)
    weeks = (FIRST_DAYS + 180) // WEEK
    value, began = np.exp(random.normal(3, 0.6, customers)), random.integers(0, FIRST_DAYS // WEEK, customers)
    lines: list[dict[str, Any]] = []
    for customer in range(customers):
        turns = random.random(weeks)
        is_busy = [bool(turns[0] < SHARE_BUSY)]
        for turn in turns[1:]:
            is_busy.append(not is_busy[-1] if turn < (CHANCE_OF_QUIET if is_busy[-1] else CHANCE_OF_BUSY) else is_busy[-1])
        came = random.random(weeks) < np.where(is_busy, OFTEN, RARELY)
        first = int(began[customer])
        for week in sorted({first, *(week for week in np.flatnonzero(came).tolist() if week > first)}):
            amount = Decimal(str(round(float(value[customer] * np.exp(random.normal(0, 0.3))), 2)))
            day = NIGHTS[0] - timedelta(days=FIRST_DAYS - 1 - WEEK * week)
            lines.append(an_order_line(len(lines), day=day, customer_id=f"c{customer:04}", order_id=f"o{len(lines)}", net_amount=amount))
    return lines


def compute_night(lake: Lake, company: Company, night: date) -> None:
    with closing(DuckDBEngine(lake.store, memory_limit="1GB")) as engine:
        compute_rollups(lake, engine, night)
        compute_features(company, lake, engine, night)


def predict_night(lake: Lake, company: Company, night: date) -> list[dict[str, Any]]:
    """Predict as a night does, and return the rows."""
    with closing(DuckDBEngine(lake.store, memory_limit="1GB")) as engine:
        write_predictions(company, lake, engine, night, survivors_of=MergeHistory(lake, company.zone).rows_of)
    return lake.read(CUSTOMER_PREDICTIONS, day=night).to_pylist()


def trial_of(lake: Lake, company: Company, day: date = NIGHT) -> PredictionRefit:
    with closing(DuckDBEngine(lake.store, memory_limit="1GB")) as engine:
        return fit_and_test_predictions(company, lake, engine, day, MergeHistory(lake, company.zone).rows_of)


def outcomes_of(count: int = 800, *, seed: int = 3) -> Outcomes:
    """Return made-up customers whose spend and return follow from their signals."""
    random = np.random.default_rng(seed)
    signals = random.normal(0, 1, (count, len(SIGNALS)))
    returned = (random.random(count) < 1 / (1 + np.exp(-signals[:, 0]))).astype(np.int64)
    nothing = np.ones(count)
    return Outcomes(
        formed=NIGHTS[1],
        window_days=365,
        ids=tuple(f"c{number:05}" for number in range(count)),
        signals=signals,
        amounts=returned * np.exp(2 + 0.5 * signals[:, 1] + random.normal(0, 0.2, count)),
        returned=returned,
        order_days=nothing * 2,
        active_days=nothing * 50,
        known_days=nothing * 200,
        lifetime_spend=nothing * 100,
        last_years_spend=nothing * 100,
        customer_count=count,
    )

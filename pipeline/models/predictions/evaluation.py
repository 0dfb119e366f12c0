"""Does a model foretell better than last year's spend? Tested on days or customers that it was not fitted to, beside BG/NBD."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pipeline.models.clusters.preparation import Numbers, round_figures
from pipeline.models.predictions.bg_nbd import (
    DAYS_PER_WEEK,
    PurchaseHistories,
    buying_probabilities,
    expected_amounts,
    expected_order_days,
    fit_bg_nbd,
    fit_gamma_gamma,
)
from pipeline.models.predictions.fitting import Forecast, Outcomes
from pipeline.models.predictions.model import HORIZON_DAYS

TENTHS = 10
LARGEST_CALIBRATION_ERROR = 0.15
# The classical baseline is a search over all of them at each step: more customers would cost minutes and change nothing.
CLASSICAL_CUSTOMERS = 20_000


@dataclass(frozen=True, slots=True)
class ForecastMeasures:
    """How well one forecaster did.

    `gini` is how well it orders customers by what they then spent, 1 is perfect and 0 chance; `error` the mean absolute error
    per customer in money; `total` the sum it foretold per money spent; `calibration_error` how far probabilities are from shares,
    on average over tenths of customers.
    """

    gini: float
    error: float
    total: float
    calibration_error: float | None = None


@dataclass(frozen=True, slots=True)
class ForecastComparison:
    """How the model and both baselines foretold the days after `formed`; `unseen` says what the model had not seen."""

    formed: str
    unseen: str
    customers: int
    model: ForecastMeasures
    last_years_spend: ForecastMeasures
    classical: ForecastMeasures | None

    @property
    def words(self) -> str:
        """Return by how much the model orders customers better or worse, and errs less or more."""
        change = 1 - self.model.error / self.last_years_spend.error if self.last_years_spend.error else 0.0
        order = f"Gini {self.model.gini:.3f}, {self.last_years_spend.gini:.3f} by last year's spend"
        return f"tested on {self.unseen}: {order}; error {abs(change):.1%} {'smaller' if change >= 0 else 'larger'}"


def compare_with_baselines(said: Forecast, outcomes: Outcomes, unseen: str) -> ForecastComparison:
    """Return how the forecast did, beside last year's spend scaled to the days and BG/NBD with Gamma-Gamma."""
    naive = Forecast(np.maximum(outcomes.window_spend, 0) * HORIZON_DAYS / outcomes.window_days)
    classical = classical_forecast(outcomes)
    return ForecastComparison(
        formed=outcomes.formed.isoformat(),
        unseen=unseen,
        customers=len(outcomes.ids),
        model=measure_forecast(said, outcomes),
        last_years_spend=measure_forecast(naive, outcomes),
        classical=measure_forecast(classical, outcomes) if classical else None,
    )


def reason_to_refuse(test: ForecastComparison) -> str | None:
    """Return why nothing may be published, None where the model beats last year's spend in both order and error."""
    naive, ours = test.last_years_spend, test.model
    if ours.gini <= naive.gini or ours.error >= naive.error:
        return f"it does not beat last year's spend: {test.words}"
    if (ours.calibration_error or 0.0) > LARGEST_CALIBRATION_ERROR:
        return f"its probabilities are {ours.calibration_error:.1%} off on average"
    return None


def classical_forecast(outcomes: Outcomes) -> Forecast | None:
    """Return what BG/NBD and Gamma-Gamma, fitted to the same customers until the night, say of the days after it."""
    step = -(-len(outcomes.ids) // CLASSICAL_CUSTOMERS)
    history = PurchaseHistories(outcomes.order_days - 1, outcomes.active_days / DAYS_PER_WEEK, outcomes.known_days / DAYS_PER_WEEK)
    means = outcomes.lifetime_spend / outcomes.order_days
    buying = fit_bg_nbd(PurchaseHistories(history.repeats[::step], history.last_week[::step], history.weeks[::step]))
    spending = fit_gamma_gamma(outcomes.order_days[::step], means[::step])
    if buying is None or spending is None:
        return None
    weeks = HORIZON_DAYS / DAYS_PER_WEEK
    amounts = expected_order_days(history, buying, weeks) * expected_amounts(outcomes.order_days, means, spending)
    return Forecast(amounts, buying_probabilities(history, buying, weeks))


def measure_forecast(said: Forecast, outcomes: Outcomes) -> ForecastMeasures:
    """Return how well a forecast did."""
    amounts = outcomes.amounts
    off = None if said.probabilities is None else _calibration_error(said.probabilities, outcomes.returned.astype(np.float64))
    return ForecastMeasures(
        gini=float(round_figures(_gini_coefficient(said.amounts, amounts) / (_gini_coefficient(amounts, amounts) or 1.0))),
        error=float(round_figures(np.abs(said.amounts - amounts).mean())),
        total=float(round_figures(said.amounts.sum() / amounts.sum())),
        calibration_error=off,
    )


def _gini_coefficient(said: Numbers, amounts: Numbers) -> float:
    """Return how uneven amounts are along the order of what was said; customers of whom the same was said stand together."""
    labels = np.unique(-round_figures(said), return_inverse=True)[1]
    counts, sums = np.bincount(labels), np.bincount(labels, weights=amounts)
    people, money = (np.concatenate([[0.0], np.cumsum(part) / part.sum()]) for part in (counts, sums))
    return float(2 * np.trapezoid(money, people) - 1)


def _calibration_error(chances: Numbers, returned: Numbers) -> float:
    tenths = np.array_split(np.argsort(round_figures(chances), kind="stable"), TENTHS)
    return float(round_figures(sum(abs(chances[part].sum() - returned[part].sum()) for part in tenths) / len(chances)))

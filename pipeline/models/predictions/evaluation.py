"""Does a model predict better than what costs nothing? Tested on days or customers that it was not fitted to, beside two baselines.

Last year's spend, scaled by the days that are known, is hard to beat; BG/NBD with Gamma-Gamma is what the literature would use.
A model has to beat the better of them twice: in order (who will spend more than whom, for choosing customers) and in error (how
much, for a budget).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pipeline.models.clusters.encoding import Numbers, round_figures
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
from pipeline.models.predictions.gini import gini_of_order
from pipeline.models.predictions.model import HORIZON_DAYS

TENTHS = 10
LARGEST_CALIBRATION_ERROR = 0.15
# The classical baseline is a search over all of them at each step: more customers would cost minutes and change nothing.
CLASSICAL_CUSTOMERS = 20_000


@dataclass(frozen=True, slots=True)
class ForecastMeasures:
    """How well one forecaster did.

    `gini` is how well it orders customers by what they then spent, 1 is perfect and 0 chance; `error` the mean absolute error
    per customer, in money; `total` the sum of predictions divided by the sum spent; `calibration_error` the mean difference of
    predicted probabilities and true shares over tenths of customers, 0 to 1.
    """

    gini: float
    error: float
    total: float
    calibration_error: float | None = None


@dataclass(frozen=True, slots=True)
class ForecastComparison:
    """How the model and both baselines predicted the days after night `formed`; `unseen` names what the model had not seen."""

    formed: str
    unseen: str
    customers: int
    model: ForecastMeasures
    last_years_spend: ForecastMeasures
    classical: ForecastMeasures | None

    @property
    def baselines(self) -> dict[str, ForecastMeasures]:
        """What the model has to beat, by its title."""
        found = {"last year's spend": self.last_years_spend, "BG/NBD with Gamma-Gamma": self.classical}
        return {title: measures for title, measures in found.items() if measures}

    @property
    def words(self) -> str:
        """The comparison in a line: the model's figures, and the best that a baseline reached in each."""
        order = max(self.baselines, key=lambda title: self.baselines[title].gini)
        amount = min(self.baselines, key=lambda title: self.baselines[title].error)
        gini, error = self.baselines[order].gini, self.baselines[amount].error
        return (
            f"tested on {self.unseen}: Gini {self.model.gini:.3f}, {gini:.3f} by {order}; "
            f"error {self.model.error:,.2f}, {error:,.2f} by {amount}"
        )


def compare_with_baselines(forecast: Forecast, outcomes: Outcomes, unseen: str) -> ForecastComparison:
    """Measure the forecast, last year's spend scaled to HORIZON_DAYS, and BG/NBD with Gamma-Gamma by what customers then did."""
    classical = classical_forecast(outcomes)
    return ForecastComparison(
        formed=outcomes.formed.isoformat(),
        unseen=unseen,
        customers=len(outcomes.ids),
        model=measure_forecast(forecast, outcomes),
        last_years_spend=measure_forecast(Forecast(outcomes.last_years_spend), outcomes),
        classical=measure_forecast(classical, outcomes) if classical else None,
    )


def reason_to_refuse(test: ForecastComparison) -> str | None:
    """Say why nothing may be predicted by the model; None where it beats every baseline in both order and error."""
    ours = test.model
    # A tie does not beat: what costs nothing needs no model to do the same.
    unbeaten = [title for title, theirs in test.baselines.items() if ours.gini <= theirs.gini or ours.error >= theirs.error]
    if unbeaten:
        return f"it does not beat {' or '.join(unbeaten)}: {test.words}"
    if (ours.calibration_error or 0.0) > LARGEST_CALIBRATION_ERROR:
        return f"its probabilities are {ours.calibration_error:.1%} off on average"
    return None


def classical_forecast(outcomes: Outcomes) -> Forecast | None:
    """Forecast by BG/NBD and Gamma-Gamma, fitted to the same customers until the night; None where no parameters are found."""
    # Every step-th customer in order of id: rounded up, so never too many.
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


def measure_forecast(forecast: Forecast, outcomes: Outcomes) -> ForecastMeasures:
    """Measure a forecast by what customers then did."""
    amounts, chances = outcomes.amounts, forecast.probabilities
    return ForecastMeasures(
        gini=float(round_figures(gini_of_order(forecast.amounts, amounts))),
        error=float(round_figures(np.abs(forecast.amounts - amounts).mean())),
        total=float(round_figures(forecast.amounts.sum() / amounts.sum())),
        calibration_error=None if chances is None else _calibration_error(chances, outcomes.returned.astype(np.float64)),
    )


def _calibration_error(chances: Numbers, returned: Numbers) -> float:
    """Compute the expected calibration error over tenths of equal size, as in Naeini, Cooper & Hauskrecht (2015), AAAI 29."""
    # Rounded before sorting and stable, so that equal chances are in order of id, on every machine the same.
    tenths = np.array_split(np.argsort(round_figures(chances), kind="stable"), TENTHS)
    return float(round_figures(sum(abs(chances[part].sum() - returned[part].sum()) for part in tenths) / len(chances)))

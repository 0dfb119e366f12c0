"""A model is fitted to the signals of an older night and to what customers did since.

Spend by a Poisson regression with a logarithmic link: it needs no logarithm of spend, so customers who spent nothing count too,
and its predictions add up to the money spent. Buying again by a logistic regression. Both are sums of weighed signals, which
SQL computes; both are then calibrated on customers that they were not fitted to.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date
from hashlib import sha256

import numpy as np
import numpy.typing as npt

from pipeline.models.clusters.preparation import Numbers, round_figures
from pipeline.models.predictions.model import HORIZON_DAYS, SIGNALS, SMALLEST_SCALE, PredictionModel, Signal

HELD_QUANTILES = (0.001, 0.999)
PENALTY = 0.1
FOLDS = 5
MOST_ITERATIONS = 500
# Fine enough to settle the six digits of a weight that a model keeps.
TOLERANCE = 1e-9
FEWEST_CUSTOMERS, FEWEST_OF_EACH = 500, 50


@dataclass(frozen=True, slots=True)
class Outcomes:
    """Customers of night `formed`, in order of id: their signals, and what they did in the HORIZON_DAYS after it.

    `signals` has a row per customer and a column per name in SIGNALS. `amounts` are spend less refunds, at least 0; `returned` is
    1 for those who bought again. `order_days` to `window_spend` are for the baselines: order-days ever, days from the first to the
    last and to the night, spend ever and in the window. `customer_count` counts those who could have been sampled.
    """

    formed: date
    window_days: int
    ids: tuple[str, ...]
    signals: Numbers
    amounts: Numbers
    returned: npt.NDArray[np.int64]
    order_days: Numbers
    active_days: Numbers
    known_days: Numbers
    lifetime_spend: Numbers
    window_spend: Numbers
    customer_count: int

    def insufficiency(self) -> str | None:
        """Say why nothing can be learned from these customers; None where it can."""
        again, count = int(self.returned.sum()), len(self.ids)
        if count < FEWEST_CUSTOMERS:
            return f"fewer than {FEWEST_CUSTOMERS} customers had ordered by then"
        if self.known_days.max() < HORIZON_DAYS:
            return f"orders of fewer than {HORIZON_DAYS} days were known by then"
        if min(again, count - again) < FEWEST_OF_EACH:
            return f"fewer than {FEWEST_OF_EACH} customers ordered again, or fewer than {FEWEST_OF_EACH} did not"
        if not self.amounts.sum() > 0:
            return "nobody spent anything since then"
        return None

    def digest(self) -> str:
        """Digest of all that a fit reads, in hexadecimal digits."""
        content = sha256("\n".join([self.formed.isoformat(), str(self.window_days), *self.ids]).encode())
        for values in (self.signals, self.amounts, self.returned.astype(np.float64)):
            content.update(np.ascontiguousarray(values).astype("<f8").tobytes())  # the same bytes on any machine
        return content.hexdigest()


@dataclass(frozen=True, slots=True)
class Forecast:
    """What is predicted of each customer: spend, in money, and unless it is None the probability of buying again, 0 to 1."""

    amounts: Numbers
    probabilities: Numbers | None = None


def fit_predictions(outcomes: Outcomes, day: date) -> PredictionModel:
    """Fit a model to what customers did by `day`, and calibrate it."""
    import sklearn

    raw = _fit_weights(outcomes, np.arange(len(outcomes.ids)))
    model = PredictionModel(
        day=day,
        formed=outcomes.formed,
        horizon_days=HORIZON_DAYS,
        window_days=outcomes.window_days,
        library=f"scikit-learn {sklearn.__version__}",
        inputs_digest=outcomes.digest(),
        customer_count=outcomes.customer_count,
        spend_intercept=raw.spend_intercept,
        repeat_intercept=raw.repeat_intercept,
        signals=raw.signals,
    )
    return _calibrate_model(model, outcomes)


def forecast_by_model(model: PredictionModel, signals: Numbers) -> Forecast:
    """Forecast by the model, for a row of signals per customer, as its statement computes it before rounding."""
    return _forecast_by_weights(ForecastWeights(model.signals, model.spend_intercept, model.repeat_intercept), signals)


def forecast_of_others(outcomes: Outcomes) -> Forecast:
    """Forecast each customer by a model that was fitted to the others: cross-validation, five fits each without a fifth of them."""
    amounts, probabilities = np.empty(len(outcomes.ids)), np.empty(len(outcomes.ids))
    # By a hash of the id, so that a customer is in the same fold whoever else is there.
    folds = np.array([sha256(customer.encode()).digest()[0] % FOLDS for customer in outcomes.ids])
    for number in range(FOLDS):
        apart, rest = np.flatnonzero(folds == number), np.flatnonzero(folds != number)
        forecast = _forecast_by_weights(_fit_weights(outcomes, rest), outcomes.signals[apart])
        amounts[apart], probabilities[apart] = forecast.amounts, forecast.probabilities
    return Forecast(amounts, probabilities)


@dataclass(frozen=True, slots=True)
class ForecastWeights:
    """The weights of the signals and both intercepts: all that decides a forecast."""

    signals: tuple[Signal, ...]
    spend_intercept: float
    repeat_intercept: float


def _fit_weights(outcomes: Outcomes, rows: npt.NDArray[np.int64]) -> ForecastWeights:
    from sklearn.linear_model import LogisticRegression, PoissonRegressor

    values, amounts, returned = outcomes.signals[rows], outcomes.amounts[rows], outcomes.returned[rows]
    low, high = (round_figures(limit) for limit in np.quantile(values, HELD_QUANTILES, axis=0))
    held = np.clip(values, low, high)
    mean, scale = np.clip(round_figures(held.mean(axis=0)), low, high), round_figures(held.std(axis=0))
    varying = np.flatnonzero(scale >= SMALLEST_SCALE)
    # Spend is divided by its mean, so that the penalty weighs the same in any currency; the intercept takes it back.
    points, unit = (held[:, varying] - mean[varying]) / scale[varying], float(amounts.mean())
    settings = {"solver": "newton-cholesky", "tol": TOLERANCE, "max_iter": MOST_ITERATIONS}
    spend = PoissonRegressor(alpha=PENALTY, **settings).fit(points, amounts / unit)
    chance = LogisticRegression(C=1 / (PENALTY * len(rows)), **settings).fit(points, returned)
    names = [SIGNALS[place] for place in varying]
    columns = (low[varying], high[varying], mean[varying], scale[varying], round_figures(spend.coef_), round_figures(chance.coef_[0]))
    signals = tuple(Signal(name, *row) for name, *row in zip(names, *(column.tolist() for column in columns), strict=True))
    return ForecastWeights(signals, float(round_figures(spend.intercept_ + np.log(unit))), float(round_figures(chance.intercept_[0])))


def _forecast_by_weights(weights: ForecastWeights, signals: Numbers) -> Forecast:
    spend, logit = np.full(len(signals), weights.spend_intercept), np.full(len(signals), weights.repeat_intercept)
    for signal in weights.signals:
        column = signals[:, SIGNALS.index(signal.name)]
        distance = np.clip(column, signal.low, signal.high) - signal.mean
        spend += distance * (signal.spend_weight / signal.scale)
        logit += distance * (signal.repeat_weight / signal.scale)
    return Forecast(np.exp(spend), 1 / (1 + np.exp(-logit)))


def _calibrate_model(model: PredictionModel, outcomes: Outcomes) -> PredictionModel:
    """Scale spend to its true sum, and probabilities to their true shares, by forecasts of customers that were not fitted to.

    The latter is Platt scaling: Platt (1999), "Probabilistic outputs for support vector machines". Both corrections are linear
    before the link, so they go into the weights, and the statement has nothing more to apply.
    """
    from sklearn.linear_model import LogisticRegression

    others = forecast_of_others(outcomes)
    factor = float(np.log(outcomes.amounts.sum() / others.amounts.sum()))
    chances = np.clip(np.asarray(others.probabilities), 1e-9, 1 - 1e-9)
    logits = np.log(chances / (1 - chances))[:, None]
    platt = LogisticRegression(C=np.inf, solver="newton-cholesky", tol=TOLERANCE, max_iter=MOST_ITERATIONS).fit(logits, outcomes.returned)
    slope, shift = float(platt.coef_[0][0]), float(platt.intercept_[0])
    return replace(
        model,
        spend_intercept=float(round_figures(model.spend_intercept + factor)),
        repeat_intercept=float(round_figures(slope * model.repeat_intercept + shift)),
        signals=tuple(replace(signal, repeat_weight=float(round_figures(slope * signal.repeat_weight))) for signal in model.signals),
    )

"""A model is fitted to the signals of an older night and to what customers did since.

Spend by a Poisson regression with a logarithmic link: it needs no logarithm of spend, so customers who spent nothing count too,
and its predictions add up to the money spent. Buying again by a logistic regression. Both are sums of weighed signals, which
SQL computes; both are then calibrated on customers that they were not fitted to. On such customers it is also decided how much
last year's spend counts beside the regression: where few customers spend most, the regression alone errs more than that.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from hashlib import sha256

import numpy as np
import numpy.typing as npt

from pipeline.models.clusters.encoding import Numbers, round_figures
from pipeline.models.predictions.gini import gini_of_order
from pipeline.models.predictions.model import DECLARED_PREFIX, HORIZON_DAYS, SIGNALS, SMALLEST_SCALE, PredictionModel, Signal

Rows = npt.NDArray[np.int64]
HELD_QUANTILES = (0.001, 0.999)
PENALTY = 0.1
FOLDS = 5
MOST_ITERATIONS = 500
LARGEST_RISE = 10
# Shares of the regression that are tried, in tenths: finer ones differ by less than the next season does. With none of it, customers
# would be in the order of last year's spend, which is to be beaten.
SHARES = tuple(tenth / 10 for tenth in range(10, 0, -1))
# Fine enough to settle the six digits of a weight that a model keeps.
TOLERANCE = 1e-9
FEWEST_CUSTOMERS, FEWEST_OF_EACH = 500, 50


@dataclass(frozen=True, slots=True)
class Outcomes:
    """Customers of night `formed`, in order of id: their signals, and what they did in the HORIZON_DAYS after it.

    `signals` has a row per customer and a column per name in `names`; `declared` are the declared features among them, with what each
    means. `amounts` are spend less refunds, at least 0; `returned` is 1 for those who bought again. `order_days` to `lifetime_spend` are
    for BG/NBD: order-days ever, days from the first to the last and to the night, spend ever. `last_years_spend` is the window's, scaled
    to HORIZON_DAYS by the days that are known of it. `customer_count` counts those who could have been sampled.
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
    last_years_spend: Numbers
    customer_count: int
    names: tuple[str, ...] = SIGNALS
    declared: Mapping[str, str] = field(default_factory=dict)

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

    def subset(self, rows: Rows) -> Outcomes:
        """Return some of the customers, by their places in order."""
        names = ("signals", "amounts", "returned", "order_days", "active_days", "known_days", "lifetime_spend", "last_years_spend")
        arrays = {name: getattr(self, name)[rows] for name in names}
        return replace(self, ids=tuple(self.ids[row] for row in rows), **arrays)

    def digest(self) -> str:
        """Digest of all that a fit reads, in hexadecimal digits."""
        content = sha256("\n".join([self.formed.isoformat(), str(self.window_days), *self.ids]).encode())
        for values in (self.signals, self.last_years_spend, self.amounts, self.returned.astype(np.float64)):
            # The same bytes on any machine.
            content.update(np.ascontiguousarray(values).astype("<f8").tobytes())
        return content.hexdigest()


@dataclass(frozen=True, slots=True)
class Forecast:
    """What is predicted of each customer: spend, in money, and unless it is None the probability of buying again, 0 to 1."""

    amounts: Numbers
    probabilities: Numbers | None = None


def fit_predictions(outcomes: Outcomes, day: date) -> PredictionModel:
    """Fit a model to what customers did by `day`, and calibrate it."""
    import sklearn

    raw = _fit_weights(outcomes)
    weighed = {signal.name for signal in raw.signals}
    model = PredictionModel(
        day=day,
        formed=outcomes.formed,
        horizon_days=HORIZON_DAYS,
        window_days=outcomes.window_days,
        library=f"scikit-learn {sklearn.__version__}",
        inputs_digest=outcomes.digest(),
        customer_count=outcomes.customer_count,
        regression_share=1.0,
        last_year_factor=0.0,
        spend_intercept=raw.spend_intercept,
        repeat_intercept=raw.repeat_intercept,
        signals=raw.signals,
        declared={name: digest for name, digest in outcomes.declared.items() if f"{DECLARED_PREFIX}{name}" in weighed},
    )
    return _calibrate_model(model, outcomes)


def forecast_by_model(model: PredictionModel, signals: Numbers, last_years_spend: Numbers, *, names: Sequence[str] = SIGNALS) -> Forecast:
    """Forecast by the model, for a row of signals and a scaled spend per customer, as its statement computes it before rounding.

    `names` are those of the columns of `signals`, which hold at least what the model weighs.
    """
    regression = _forecast_by_weights(ForecastWeights(model.signals, model.spend_intercept, model.repeat_intercept), signals, names)
    return replace(regression, amounts=model.regression_share * regression.amounts + model.last_year_factor * last_years_spend)


def forecast_of_others(outcomes: Outcomes, day: date) -> Forecast:
    """Forecast each customer by a model of the others, calibrated among them: cross-validation in fifths."""
    amounts, probabilities = np.empty(len(outcomes.ids)), np.empty(len(outcomes.ids))
    for apart, rest in _fifths(outcomes):
        model = fit_predictions(outcomes.subset(rest), day)
        forecast = forecast_by_model(model, outcomes.signals[apart], outcomes.last_years_spend[apart], names=outcomes.names)
        amounts[apart], probabilities[apart] = forecast.amounts, forecast.probabilities
    return Forecast(amounts, probabilities)


@dataclass(frozen=True, slots=True)
class ForecastWeights:
    """The weights of the signals and both intercepts: all that decides what the regressions forecast."""

    signals: tuple[Signal, ...]
    spend_intercept: float
    repeat_intercept: float


def _fifths(outcomes: Outcomes) -> Iterator[tuple[Rows, Rows]]:
    """Yield the places of each fifth of customers, and of all others."""
    # By a hash of the id, so that a customer is in the same fifth whoever else is there.
    folds = np.array([sha256(customer.encode()).digest()[0] % FOLDS for customer in outcomes.ids])
    for number in range(FOLDS):
        yield np.flatnonzero(folds == number), np.flatnonzero(folds != number)


def _fit_weights(outcomes: Outcomes) -> ForecastWeights:
    from sklearn.linear_model import LogisticRegression, PoissonRegressor

    values, amounts, returned = outcomes.signals, outcomes.amounts, outcomes.returned
    low, high = (round_figures(limit) for limit in np.quantile(values, HELD_QUANTILES, axis=0))
    held = np.clip(values, low, high)
    # Held between the limits, out of which rounding to figures may bring it; a stored model is refused there.
    mean, scale = np.clip(round_figures(held.mean(axis=0)), low, high), round_figures(held.std(axis=0))
    # What hardly varies cannot tell customers apart, and would be divided by almost nothing.
    varying = np.flatnonzero(scale >= SMALLEST_SCALE)
    # Spend is divided by its mean, so that the penalty weighs the same in any currency; the intercept takes it back.
    points, unit = (held[:, varying] - mean[varying]) / scale[varying], float(amounts.mean())
    settings = {"solver": "newton-cholesky", "tol": TOLERANCE, "max_iter": MOST_ITERATIONS}
    spend = PoissonRegressor(alpha=PENALTY, **settings).fit(points, amounts / unit)
    chance = LogisticRegression(C=1 / (PENALTY * len(amounts)), **settings).fit(points, returned)
    names = [outcomes.names[place] for place in varying]
    columns = (low[varying], high[varying], mean[varying], scale[varying], round_figures(spend.coef_), round_figures(chance.coef_[0]))
    signals = tuple(Signal(name, *row) for name, *row in zip(names, *(column.tolist() for column in columns), strict=True))
    return ForecastWeights(signals, float(round_figures(spend.intercept_ + np.log(unit))), float(round_figures(chance.intercept_[0])))


def _forecast_by_weights(weights: ForecastWeights, signals: Numbers, names: Sequence[str]) -> Forecast:
    spend, logit = np.full(len(signals), weights.spend_intercept), np.full(len(signals), weights.repeat_intercept)
    for signal in weights.signals:
        column = signals[:, names.index(signal.name)]
        distance = np.clip(column, signal.low, signal.high) - signal.mean
        spend += distance * (signal.spend_weight / signal.scale)
        logit += distance * (signal.repeat_weight / signal.scale)
    return Forecast(np.exp(spend), 1 / (1 + np.exp(-logit)))


def _calibrate_model(model: PredictionModel, outcomes: Outcomes) -> PredictionModel:
    """Scale spend to its true sum, and probabilities to their true shares, by forecasts of customers that were not fitted to.

    The latter is Platt scaling: Platt (1999), "Probabilistic outputs for support vector machines". Both corrections are linear
    before the link, so they go into the weights. How much last year's spend counts beside the regression is decided by the same
    forecasts; combining forecasts goes back to Bates & Granger (1969), "The combination of forecasts".
    """
    from sklearn.linear_model import LogisticRegression

    amounts, probabilities = np.empty(len(outcomes.ids)), np.empty(len(outcomes.ids))
    for apart, rest in _fifths(outcomes):
        others = _forecast_by_weights(_fit_weights(outcomes.subset(rest)), outcomes.signals[apart], outcomes.names)
        amounts[apart], probabilities[apart] = others.amounts, others.probabilities
    factor = float(outcomes.amounts.sum() / amounts.sum())
    share, last_year_factor = _weigh_last_year(factor * amounts, outcomes)
    # 0 and 1 have no finite logit.
    chances = np.clip(probabilities, 1e-9, 1 - 1e-9)
    logits = np.log(chances / (1 - chances))[:, None]
    platt = LogisticRegression(C=np.inf, solver="newton-cholesky", tol=TOLERANCE, max_iter=MOST_ITERATIONS).fit(logits, outcomes.returned)
    slope, shift = float(platt.coef_[0][0]), float(platt.intercept_[0])
    return replace(
        model,
        regression_share=share,
        last_year_factor=last_year_factor,
        spend_intercept=float(round_figures(model.spend_intercept + np.log(factor))),
        repeat_intercept=float(round_figures(slope * model.repeat_intercept + shift)),
        signals=tuple(replace(signal, repeat_weight=float(round_figures(slope * signal.repeat_weight))) for signal in model.signals),
    )


def _weigh_last_year(regression: Numbers, outcomes: Outcomes) -> tuple[float, float]:
    """Return the share of the regression that predicts best, and the factor of last year's spend that then keeps the sum right.

    Best is the least product of both measures of the test: the mean absolute error, and 1 less the Gini coefficient.
    """
    amounts, total, last_year = outcomes.amounts, float(outcomes.amounts.sum()), float(outcomes.last_years_spend.sum())
    # A factor that had to make up for a year without sales would make much of the few who bought.
    if last_year * LARGEST_RISE < total:
        return 1.0, 0.0
    factor = total / last_year
    mixes = [share * regression + (1 - share) * factor * outcomes.last_years_spend for share in SHARES]
    losses = np.array([np.abs(mix - amounts).mean() * (1 - gini_of_order(mix, amounts)) for mix in mixes])
    share = SHARES[int(np.argmin(round_figures(losses)))]
    return share, float(round_figures((1 - share) * factor))

"""What nights predict by is a small JSON document: two weights per signal, or the reason why nothing is predicted."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from datetime import date

from pipeline.definitions.fields import Document, Fields, json_fields
from pipeline.errors import DataError

HORIZON_DAYS = 90
SIGNALS = (
    *("spend_pace", "order_pace", "category_pace", "lifetime_spend_pace", "lifetime_order_pace", "recency", "lateness", "rhythm"),
    *("order_value", "order_day_value", "order_day_total", "is_once", "discounts", "returns", "weekends"),
)
"""The columns of `sql/customer_signals.sql`."""
LONGEST_DOCUMENT = 100_000
SMALLEST_SCALE = 1e-6
LARGEST_EXPONENT = 60.0
MOST_ROWS = 10**12


@dataclass(frozen=True, slots=True)
class Signal:
    """How a signal counts: held within `low` and `high`, standardised, then weighed for spend and for buying again."""

    name: str
    low: float
    high: float
    mean: float
    scale: float
    spend_weight: float
    repeat_weight: float

    def largest(self, weight: float) -> float:
        """Return how much a sum can grow by the signal at most, whoever the customer is."""
        return abs(weight) * max(abs(self.low - self.mean), abs(self.high - self.mean)) / self.scale


@dataclass(frozen=True, slots=True)
class PredictionModel:
    """A fitted model: spend is e to the weighed sum of the signals, the probability of buying again its logistic function.

    Fitted to the features of night `formed` and to what happened in the days after it, as known on `day`; `window_days` is what
    the features counted. `valid_from` is the first night that goes by it.
    """

    day: date
    formed: date
    horizon_days: int
    window_days: int
    library: str
    inputs_digest: str
    customer_count: int
    spend_intercept: float
    repeat_intercept: float
    signals: tuple[Signal, ...]
    valid_from: date | None = None


@dataclass(frozen=True, slots=True)
class NotPredicted:
    """Why nothing is predicted: a sentence that stays the same while the cause does."""

    day: date
    reason: str
    valid_from: date | None = None


Decision = PredictionModel | NotPredicted


def to_json(decision: Decision) -> str:
    """Return the document of `decision`: equal ones give equal bytes."""
    content = {name: value.isoformat() if isinstance(value, date) else value for name, value in asdict(decision).items()}
    return json.dumps(content, sort_keys=True, indent=1, allow_nan=False, ensure_ascii=False) + "\n"


def decision_from_json(text: str, *, where: str) -> Decision:
    """Return what `text` describes; raises DataError naming `where` and the field for what `to_json` would not have written."""
    todo = "Put back the file as it was written, or fit a new model."
    fields = json_fields(text, Document(where, DataError, "not a prediction model: ", todo, noun="field"), longest=LONGEST_DOCUMENT)
    decision = _read_reason(fields) if fields.has("reason") else _read_model(fields)
    fields.refuse_unknown()
    return decision


def _read_reason(fields: Fields) -> NotPredicted:
    return NotPredicted(fields.day("day"), fields.text("reason"), _read_first_night(fields))


def _read_model(fields: Fields) -> PredictionModel:
    model = PredictionModel(
        day=fields.day("day"),
        formed=fields.day("formed"),
        horizon_days=fields.integer("horizon_days", HORIZON_DAYS, HORIZON_DAYS),
        window_days=fields.integer("window_days", 1, 100_000),
        library=fields.text("library"),
        inputs_digest=fields.text("inputs_digest", pattern="[0-9a-f]{64}"),
        customer_count=fields.integer("customer_count", 1, MOST_ROWS),
        spend_intercept=fields.number("spend_intercept", -LARGEST_EXPONENT, LARGEST_EXPONENT),
        repeat_intercept=fields.number("repeat_intercept", -LARGEST_EXPONENT, LARGEST_EXPONENT),
        signals=tuple(_read_signal(row) for row in fields.rows("signals", 1, len(SIGNALS))),
        valid_from=_read_first_night(fields),
    )
    names = [signal.name for signal in model.signals]
    if len(set(names)) < len(names):
        raise fields.refusal("signals", "names a signal twice")
    sums = [
        abs(model.spend_intercept) + sum(signal.largest(signal.spend_weight) for signal in model.signals),
        abs(model.repeat_intercept) + sum(signal.largest(signal.repeat_weight) for signal in model.signals),
    ]
    if max(sums) > LARGEST_EXPONENT * 10:
        raise fields.refusal("signals", "weighs so much that a prediction could be no number")
    return model


def _read_signal(fields: Fields) -> Signal:
    low = fields.number("low")
    high = fields.number("high", low)
    signal = Signal(
        name=fields.choice("name", SIGNALS),
        low=low,
        high=high,
        mean=fields.number("mean", low, high),
        scale=fields.number("scale", SMALLEST_SCALE),
        spend_weight=fields.number("spend_weight", -LARGEST_EXPONENT, LARGEST_EXPONENT),
        repeat_weight=fields.number("repeat_weight", -LARGEST_EXPONENT, LARGEST_EXPONENT),
    )
    fields.refuse_unknown()
    return signal


def _read_first_night(fields: Fields) -> date | None:
    return fields.day("valid_from") if fields.has("valid_from") else None

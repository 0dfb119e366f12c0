"""What nights predict by is a small JSON document: two weights per signal and one of last year's spend, or why nothing is predicted.

A reason is stored like a model, with the first night it holds for: so a night that is computed again predicts as it did then,
and not by a model that replaced the refused one since.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import date

from pipeline.definitions.fields import Document, Fields, json_fields
from pipeline.errors import DataError

HORIZON_DAYS = 90
SIGNALS = (
    *("spend_pace", "order_pace", "category_pace", "lifetime_spend_pace", "lifetime_order_pace"),
    *("quarter_spend_pace", "half_year_spend_pace", "quarter_order_total", "half_year_order_total", "recency", "lateness", "rhythm"),
    *("order_value", "order_day_value", "order_day_total", "is_once", "discounts", "returns", "weekends"),
)
"""The columns of `sql/customer_signals.sql` that are weighed."""
DECLARED_PREFIX = "declared_"
"""What the signal of a declared feature begins with; the rest is the feature's name."""
LONGEST_DOCUMENT = 100_000
SMALLEST_SCALE = 1e-6
LARGEST_EXPONENT = 60.0  # e^60 is more money than there is; e^710 would be no number any more
MOST_ROWS = 10**12
LARGEST_FACTOR = 1e6


@dataclass(frozen=True, slots=True)
class Signal:
    """How a signal counts: limited to `low` and `high`, standardised, then weighed for spend and for buying again."""

    name: str
    low: float
    high: float
    mean: float
    scale: float
    spend_weight: float
    repeat_weight: float

    def largest(self, weight: float) -> float:
        """Bound what the signal, weighed by `weight`, can add to a sum: its largest amount, whoever the customer is."""
        return abs(weight) * max(abs(self.low - self.mean), abs(self.high - self.mean)) / self.scale


@dataclass(frozen=True, slots=True)
class PredictionModel:
    """A fitted model of spend, and of the probability of buying again: the logistic function of a weighed sum of the signals.

    Spend is `regression_share` x e to another weighed sum + `last_year_factor` x last year's spend, scaled to the horizon.
    Fitted to the features of night `formed` and to what happened in the `horizon_days` after it, as known on `day`; `window_days`
    is how many days the features looked back. `valid_from` is the first night that goes by it. `declared` are the declared features
    that it weighs, each with a digest of what it meant.
    """

    day: date
    formed: date
    horizon_days: int
    window_days: int
    library: str
    inputs_digest: str
    customer_count: int
    regression_share: float
    last_year_factor: float
    spend_intercept: float
    repeat_intercept: float
    signals: tuple[Signal, ...]
    valid_from: date | None = None
    declared: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class NotPredicted:
    """Why nothing is predicted: a sentence that stays the same while the cause does."""

    day: date
    reason: str
    valid_from: date | None = None


Decision = PredictionModel | NotPredicted


def to_json(decision: Decision) -> str:
    """Return `decision` as a JSON document with sorted keys: equal ones give equal bytes."""
    content = {name: value.isoformat() if isinstance(value, date) else value for name, value in asdict(decision).items() if value != {}}
    return json.dumps(content, sort_keys=True, indent=1, allow_nan=False, ensure_ascii=False) + "\n"


def decision_from_json(text: str, *, where: str) -> Decision:
    """Read a decision from its document; raises DataError naming `where` and the field for what `to_json` would not have written."""
    todo = "Put back the file as it was written, or fit a new model."
    fields = json_fields(text, Document(where, DataError, "not a prediction model: ", todo, noun="field"), longest=LONGEST_DOCUMENT)
    decision: Decision
    if fields.has("reason"):
        decision = NotPredicted(fields.day("day"), fields.text("reason"), _read_first_night(fields))
    else:
        decision = _read_model(fields)
    fields.refuse_unknown()
    return decision


def _read_model(fields: Fields) -> PredictionModel:
    declared = fields.section("declared").take_texts() if fields.has("declared") else {}
    names = (*SIGNALS, *(f"{DECLARED_PREFIX}{name}" for name in declared))
    model = PredictionModel(
        day=fields.day("day"),
        formed=fields.day("formed"),
        horizon_days=fields.integer("horizon_days", HORIZON_DAYS, HORIZON_DAYS),
        window_days=fields.integer("window_days", 1, 100_000),
        library=fields.text("library"),
        inputs_digest=fields.text("inputs_digest", pattern="[0-9a-f]{64}"),
        customer_count=fields.integer("customer_count", 1, MOST_ROWS),
        regression_share=fields.number("regression_share", 0, 1),
        last_year_factor=fields.number("last_year_factor", 0, LARGEST_FACTOR),
        spend_intercept=fields.number("spend_intercept", -LARGEST_EXPONENT, LARGEST_EXPONENT),
        repeat_intercept=fields.number("repeat_intercept", -LARGEST_EXPONENT, LARGEST_EXPONENT),
        signals=tuple(_read_signal(row, names) for row in fields.rows("signals", 1, len(names))),
        valid_from=_read_first_night(fields),
        declared=declared,
    )
    weighed = [signal.name for signal in model.signals]
    if len(set(weighed)) < len(weighed):
        raise fields.refusal("signals", "names a signal twice")
    # Checked once here rather than for every customer: e to the largest possible sum must still be a number.
    sums = [
        abs(model.spend_intercept) + sum(signal.largest(signal.spend_weight) for signal in model.signals),
        abs(model.repeat_intercept) + sum(signal.largest(signal.repeat_weight) for signal in model.signals),
    ]
    # 600: beyond 709, e to it is no double any more.
    if max(sums) > LARGEST_EXPONENT * 10:
        raise fields.refusal("signals", "weighs so much that a prediction could be no number")
    return model


def _read_signal(fields: Fields, names: Sequence[str]) -> Signal:
    low = fields.number("low")
    high = fields.number("high", low)
    signal = Signal(
        name=fields.choice("name", names),
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

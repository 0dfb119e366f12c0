"""Parameters that the company's own customers set: `modest_to = {quantile = 0.3, of = "yearly_income"}`.

A fixed limit means something else in every currency. A quantile is a value that occurs among customers, frozen on the first of the
month. Until a night supplies it, rules are proven with a number in its place: only the order of limits decides who is left over.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import ROUND_CEILING, Context, Decimal
from typing import Any

from pipeline.definitions.rules.parameters import Parameter
from pipeline.errors import ConfigError
from pipeline.lake.tables import Kind
from pipeline.spelling import did_you_mean

NUMERIC_KINDS = (Kind.INTEGER, Kind.NUMBER, Kind.MONEY)
MOST_DIGITS = 15  # of a number in a rule
_STAND_IN_SCALE = 1_000_000


@dataclass(frozen=True, slots=True)
class Quantile:
    """The lowest value of attribute `of` that at least `share` of those who have one do not exceed; negative values count for none."""

    share: float
    of: str

    def __str__(self) -> str:
        return f"the lowest {self.of} that {self.share:.4g} of customers do not exceed"

    @property
    def stand_in(self) -> int:
        """A number that is larger for a larger share."""
        return round(self.share * _STAND_IN_SCALE)


def take_quantiles(values: Mapping[str, Any], attributes: Mapping[str, Kind], where: str) -> dict[str, Quantile]:
    """Return the parameters that are quantiles of `attributes`; raises ConfigError for one that cannot be."""
    found = {}
    for name, value in values.items():
        if not isinstance(value, dict):
            continue
        share, of = value.get("quantile"), value.get("of")
        if value.keys() != {"quantile", "of"} or not isinstance(share, float) or not 0 < share < 1 or not isinstance(of, str):
            todo = 'Write it as {quantile = 0.3, of = "yearly_income"}, with a share between 0 and 1.'
            raise ConfigError(f"the parameter `{name}` is no quantile", where=where, todo=todo)
        if attributes.get(of) not in NUMERIC_KINDS:
            numbers = [attribute for attribute, kind in attributes.items() if kind in NUMERIC_KINDS]
            what = f"the parameter `{name}` is a quantile of `{of}`, which is no number that customers have{did_you_mean(of, numbers)}"
            raise ConfigError(what, where=where, todo="Name an attribute that is a number, declared under [needs].")
        found[name] = Quantile(share, of)
    return found


def parameter_value(value: Decimal | float) -> Parameter:
    """Return a quantile as a rule can write it; where it has more digits than that, the next larger number that has not."""
    exact = Decimal(repr(value)) if isinstance(value, float) else Decimal(value)
    rounded = Context(prec=MOST_DIGITS, rounding=ROUND_CEILING).plus(exact)
    return int(rounded) if rounded == rounded.to_integral_value() else float(rounded)

"""What an arm brought in money: spend that would not have come without it, less what it cost."""

from __future__ import annotations

from dataclasses import dataclass

from scipy.special import ndtr

from pipeline.measurement.intervals import Difference


@dataclass(frozen=True, slots=True)
class Profit:
    """Margin of the incremental spend less cost, with its interval; `return_on_cost` is None where it cost nothing."""

    value: float
    low: float
    high: float
    return_on_cost: float | None
    probability_paid: float

    @property
    def verdict(self) -> str:
        """`paid` or `did not pay` where the whole interval says so, else `not sure`."""
        return "paid" if self.low > 0 else "did not pay" if self.high < 0 else "not sure"


def profit_of(spend: Difference, customers: int, *, margin_share: float, cost: float) -> Profit:
    """Return the profit of an arm of so many `customers`, each of whom spent `spend` more than those of the control.

    n (m d - c) with c the cost per customer, fixed cost included; it paid with probability Phi((m d - c) / (m se)).
    """
    value, low, high = (customers * margin_share * each - cost for each in (spend.value, spend.low, spend.high))
    error = customers * margin_share * spend.standard_error
    paid = float(ndtr(value / error)) if error else float(value > 0)
    return Profit(value, low, high, value / cost if cost else None, paid)

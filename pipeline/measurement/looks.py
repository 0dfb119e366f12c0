"""When results are told: on the day fixed at the start, or at four looks with wider limits for the early ones.

Who looks every night at an interval of 95 % calls a third of all empty campaigns a success. The limits of O'Brien and Fleming (1979):
A multiple testing procedure for clinical trials, keep that at 5 % over four looks at equal steps.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta

from scipy.special import ndtr

from pipeline.definitions.campaigns import LOOK_COUNT
from pipeline.measurement.intervals import CONFIDENCE

LIMITS = (4.049, 2.863, 2.337, 2.024)


@dataclass(frozen=True, slots=True)
class Look:
    """One look: its `number` from 1 on, the last day that counts, and the confidence of its intervals, 0 to 1."""

    number: int
    last_day: date
    confidence: float
    is_final: bool


def looks(start_day: date, end_day: date, *, count: int) -> tuple[Look, ...]:
    """Return the looks at a campaign: one at its end, or four at equal steps."""
    if count == 1:
        return (Look(1, end_day, CONFIDENCE, is_final=True),)
    days = (end_day - start_day).days + 1
    return tuple(
        Look(
            number,
            start_day + timedelta(days=days * number // LOOK_COUNT - 1),
            float(1 - 2 * ndtr(-limit)),
            is_final=number == LOOK_COUNT,
        )
        for number, limit in enumerate(LIMITS, 1)
    )

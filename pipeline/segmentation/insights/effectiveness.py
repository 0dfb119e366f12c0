"""What schemes tell about the 90 days after an older night, and what they add to tenths of customers by last year's spend.

Whether a scheme beats tenths of spend is no question: nearly none does. It is asked what it adds to them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pipeline.lake.rounding import rounded
from pipeline.lake.tables import SCHEME_EFFECTIVENESS, SEGMENT_EFFECTIVENESS
from pipeline.models.refits.verdict import normalised_gini
from pipeline.segmentation.insights.risk_ratios import Numbers

TENTHS, FOLDS = 10, 10
HORIZON_DAYS = 90
FEWEST_CUSTOMERS = 100  # of fewer, one big order decides
SUFFICIENT_Z = 2.0
Labels = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class FormedCustomers:
    """Customers of night `of_night` in the order of a hash, and what they did in the next 90 days; arrays with one entry each.

    `spend` is that of the window by then and `next_spend` what they spent since, less refunds, both at least 0. `is_back` says whether they
    ordered since, `is_recent` whether they had in the 90 days up to that night.
    """

    of_night: date
    spend: Numbers
    next_spend: Numbers
    is_back: Numbers
    is_recent: Numbers

    def only(self, places: Labels) -> FormedCustomers:
        """Return the customers at these places."""
        return FormedCustomers(self.of_night, self.spend[places], self.next_spend[places], self.is_back[places], self.is_recent[places])


@dataclass(frozen=True, slots=True)
class SegmentOutcome:
    """What the customers of one segment did in the 90 days: means with the variance of spend, shares of those who came back."""

    scheme: str
    segment: str
    customer_count: int
    mean_spend: float
    spend_variance: float
    repeat_share: float
    retention_share: float | None


@dataclass(frozen=True, slots=True)
class AddedR2:
    """What groups add to R2 beyond tenths of spend, by predictions of customers that were left out; `z` is that in standard errors."""

    gain: float
    z: float


@dataclass(frozen=True, slots=True)
class SchemeOutcome:
    """What one scheme tells about the 90 days."""

    scheme: str
    customer_count: int
    gini: float
    gini_of_tenths: float
    spend: AddedR2
    buying: AddedR2

    @property
    def adds(self) -> bool:
        """Whether the scheme adds something to either, beyond chance."""
        return any(each.gain > 0 and each.z >= SUFFICIENT_Z for each in (self.spend, self.buying))


def spend_tenths(spend: Numbers) -> Labels:
    """Return the tenth of each customer by spend, from 0; equal spend, equal tenth."""
    cuts = np.unique(np.quantile(spend, [place / TENTHS for place in range(1, TENTHS)]))
    return np.searchsorted(cuts, spend, side="left")


def added_r2(tenths: Labels, groups: Labels, outcome: Numbers) -> AddedR2:
    """Return what `groups` add to the R2 of `outcome` beyond `tenths`.

    Both regressions are least squares on indicator columns, of tenths alone and of tenths and groups. Each customer is predicted from the
    nine tenths of customers whose place modulo 10 is another one. The gain is the sum of the differences d of squared errors divided by
    the total sum of squares; z is mean(d) / (sd(d) / sqrt(n)).
    """
    total = float(((outcome - outcome.mean()) ** 2).sum())
    if total <= 0:
        return AddedR2(0.0, 0.0)
    errors = [outcome - _left_out_predictions(labels, outcome) for labels in ((tenths,), (tenths, groups))]
    # Rounded, as the last digits of a least squares solution depend on the machine.
    differences = np.round(errors[0] ** 2 - errors[1] ** 2, 9)
    spread = float(differences.std(ddof=1)) / math.sqrt(len(differences))
    return AddedR2(float(differences.sum()) / total, float(differences.mean()) / spread if spread > 0 else 0.0)


def scheme_outcome(scheme: str, customers: FormedCustomers, groups: Labels) -> SchemeOutcome:
    """Measure one scheme, whose segments `groups` numbers."""
    tenths = spend_tenths(customers.spend)
    return SchemeOutcome(
        scheme,
        len(groups),
        normalised_gini(groups, customers.next_spend),
        normalised_gini(tenths, customers.next_spend),
        added_r2(tenths, groups, np.log1p(customers.next_spend)),
        added_r2(tenths, groups, customers.is_back),
    )


def segment_outcomes(scheme: str, customers: FormedCustomers, groups: Labels, names: Mapping[int, str]) -> list[SegmentOutcome]:
    """Measure each segment of one scheme; `names` are those of the numbers in `groups`."""
    outcomes = []
    for number, name in names.items():
        members = customers.only(np.nonzero(groups == number)[0])
        recent = members.is_back[members.is_recent > 0]
        variance = float(members.next_spend.var(ddof=1)) if len(members.spend) > 1 else 0.0
        retention = float(recent.mean()) if len(recent) else None
        mean, repeat = float(members.next_spend.mean()), float(members.is_back.mean())
        outcomes.append(SegmentOutcome(scheme, name, len(members.spend), mean, variance, repeat, retention))
    return outcomes


def segment_rows(outcomes: list[SegmentOutcome], of_night: date) -> pa.Table:
    """Return the rows of SEGMENT_EFFECTIVENESS."""
    rows = [
        {
            "scheme": each.scheme,
            "segment": each.segment,
            "of_night": of_night,
            "customer_count": each.customer_count,
            "next_90_day_spend": rounded(each.mean_spend),
            "repeat_share": rounded(each.repeat_share),
            "retention_share": None if each.retention_share is None else rounded(each.retention_share),
        }
        for each in sorted(outcomes, key=lambda each: (each.scheme, each.segment))
    ]
    return pa.Table.from_pylist(rows, schema=SEGMENT_EFFECTIVENESS.schema)


def scheme_rows(outcomes: list[SchemeOutcome], of_night: date) -> pa.Table:
    """Return the rows of SCHEME_EFFECTIVENESS."""
    rows: list[dict[str, Any]] = [
        {
            "scheme": each.scheme,
            "of_night": of_night,
            "customer_count": each.customer_count,
            "gini": rounded(each.gini),
            "gini_of_spend_tenths": rounded(each.gini_of_tenths),
            "added_r2_spend": rounded(each.spend.gain),
            "added_r2_spend_z": rounded(each.spend.z),
            "added_r2_buying": rounded(each.buying.gain),
            "added_r2_buying_z": rounded(each.buying.z),
            "adds": each.adds,
        }
        for each in sorted(outcomes, key=lambda each: each.scheme)
    ]
    return pa.Table.from_pylist(rows, schema=SCHEME_EFFECTIVENESS.schema)


def _left_out_predictions(labels: tuple[Labels, ...], outcome: Numbers) -> Numbers:
    """Predict each customer from those of the other folds."""
    # A constant, and a column for each label but the first of each grouping; a customer is told by the places of their columns.
    numbered = [np.unique(each, return_inverse=True)[1] for each in labels]
    starts = np.cumsum([1, *(int(each.max()) for each in numbered)])
    size = int(starts[-1])
    columns = [
        np.zeros(len(outcome), np.int64),
        *(np.where(each > 0, start + each - 1, -1) for start, each in zip(starts, numbered, strict=False)),
    ]
    folds = np.arange(len(outcome)) % FOLDS
    sums = [_normal_equations([each[folds == fold] for each in columns], outcome[folds == fold], size) for fold in range(FOLDS)]
    squares, products = (np.sum([each[part] for each in sums], axis=0) for part in (0, 1))
    predicted = np.empty(len(outcome))
    for fold, (own_squares, own_products) in enumerate(sums):
        # The pseudo-inverse: a segment may have no customer in the other folds, and then tells nothing.
        weights = np.append(np.linalg.pinv(squares - own_squares, hermitian=True) @ (products - own_products), 0.0)
        predicted[folds == fold] = np.sum([weights[each[folds == fold]] for each in columns], axis=0)
    return predicted


def _normal_equations(columns: list[Labels], outcome: Numbers, size: int) -> tuple[Numbers, Numbers]:
    """Return X'X and X'y of indicator columns, each customer's given by their places; -1 is none."""
    squares, products = np.zeros((size + 1, size + 1)), np.zeros(size + 1)
    for one in columns:
        products += np.bincount(one % (size + 1), weights=outcome, minlength=size + 1)
        for two in columns:
            places = (one % (size + 1)) * (size + 1) + two % (size + 1)
            squares += np.bincount(places, minlength=(size + 1) ** 2).reshape(squares.shape)
    return squares[:size, :size], products[:size]

"""Is a candidate worth it? What it was measured by, and the verdict: promote it, keep what there is, ask a person, or refuse it.

People plan campaigns on segments, so moving customers is a cost. A candidate that moves few is promoted unless it tells spend
apart less well; one that moves many has to separate customers better, and even then a person decides.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from pipeline.definitions.schemes import ClusterScheme
from pipeline.models.clusters.algorithms import Labels
from pipeline.models.clusters.encoding import Numbers, round_figures

# By how much the silhouette must grow for moves beyond the limit to be worth a person's look.
WORTHWHILE = 0.05
# Loss of the normalised Gini coefficient in the backtest: a smaller one is no reason to refuse.
LARGEST_LOSS = 0.02


class RefitVerdict(StrEnum):
    """What becomes of a candidate."""

    PROMOTE = "promote"
    KEEP = "keep"
    ASK = "ask"
    REFUSE = "refuse"
    NO_CLUSTERS = "no clusters"


@dataclass(frozen=True, slots=True)
class Backtest:
    """How well groups formed on `day` order customers by what they spent in the `days` after it: normalised Gini, 1 is perfect.

    `now` is by the current model, `then` by the candidate, `naive` by tenths of customers by spend in the window.
    """

    day: str
    days: int
    now: float
    then: float
    naive: float


@dataclass(frozen=True, slots=True)
class RefitMeasures:
    """A candidate beside the current model, both for the same customers.

    `moved_share` of them, 0 to 1, would change their cluster; `stability` is the adjusted Rand index, 1 where both group alike;
    `psi` the population stability index of the sizes; silhouettes are of both in the candidate's coordinates.
    """

    moved_share: float
    stability: float
    psi: float
    silhouette: float
    silhouette_now: float
    backtest: Backtest | None = None
    backtest_missing: str = ""

    @property
    def gain(self) -> float:
        return self.silhouette - self.silhouette_now


def verdict(measures: RefitMeasures, scheme: ClusterScheme, *, is_same: bool) -> tuple[RefitVerdict, str]:
    """Judge a candidate: the verdict and its reason. `is_same` says that it assigns and names as the current model does."""
    if is_same:
        return RefitVerdict.KEEP, "nobody would move and no title would change"
    # A person is asked last, and so only about candidates that lose nothing.
    is_far = measures.moved_share > scheme.moved_share_limit
    if is_far and measures.gain < WORTHWHILE:
        return RefitVerdict.REFUSE, f"{_upheaval_words(measures, scheme)}: that is not worth it"
    test = measures.backtest
    if test and test.then < test.now - LARGEST_LOSS:
        return RefitVerdict.REFUSE, (
            f"formed on {test.day}, it would have told spend of the next {test.days} days less well: Gini {test.then:.3f}, "
            f"{test.now:.3f} by the current model"
        )
    if is_far:
        return RefitVerdict.ASK, f"{_upheaval_words(measures, scheme)}: that may be worth it, but a person decides"
    return RefitVerdict.PROMOTE, f"{measures.moved_share:.1%} of customers change their cluster, and nothing gets worse by it"


def _upheaval_words(measures: RefitMeasures, scheme: ClusterScheme) -> str:
    return (
        f"{measures.moved_share:.1%} of customers would change their cluster, over the limit of {scheme.moved_share_limit:.1%}, "
        f"while the silhouette goes from {measures.silhouette_now:.3f} to {measures.silhouette:.3f}"
    )


def normalised_gini(groups: Labels, amounts: Numbers) -> float:
    """Normalised Gini coefficient: how well groups, from the highest mean amount down, order customers by amount.

    1 is the order of perfect foresight, 0 that of chance. `groups` and `amounts` have one entry per customer.
    """
    perfect = _gini_coefficient(np.arange(len(amounts)), amounts)
    return float(round_figures(_gini_coefficient(groups, amounts) / perfect)) if perfect else 0.0


def _gini_coefficient(groups: Labels, amounts: Numbers) -> float:
    labels = np.unique(groups, return_inverse=True)[1]
    counts, sums = np.bincount(labels), np.bincount(labels, weights=amounts)
    # Stable: groups with the same mean keep their order of number, whatever the sort would do with ties.
    order = np.argsort(-sums / counts, kind="stable")
    total = float(sums.sum())
    if total <= 0:
        return 0.0
    people, money = (np.concatenate([[0.0], np.cumsum(part[order]) / part.sum()]) for part in (counts, sums))
    return float(2 * np.trapezoid(money, people) - 1)

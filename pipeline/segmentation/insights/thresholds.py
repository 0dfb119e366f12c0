"""Whether a limit that a rule names parts customers where it would tell most about who orders in the next 90 days.

Of a limit on a feature, such as `recency_days <= 90`, the best single cut of that feature is looked for; the bootstrap says how sure it is.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from typing import Final

import numpy as np
from numpy.typing import NDArray
from sqlglot import exp

from pipeline.definitions.rules import MAX_LITERAL_DIGITS, MIRRORED
from pipeline.definitions.schemes import Scheme
from pipeline.lake.tables import CUSTOMER_FEATURES, Kind
from pipeline.segmentation.insights.effectiveness import FEWEST_CUSTOMERS
from pipeline.segmentation.insights.proposals import REPEAT_MARGIN, SMALLEST_PART, Proposal
from pipeline.segmentation.insights.risk_ratios import Numbers

DRAWS, INTERVAL = 300, (0.05, 0.95)
MOST_CUTS = 1_000
LEAST_CHI_SQUARE = 15.1  # the best of many cuts is never the worst: chance alone gets here for one feature in a thousand or so
UP_TO_SIGNS: Final = frozenset({"<=", ">"})
"""Signs that put a customer with just the limit below it; the others put him above."""
_SIGNS: Final[Mapping[type[exp.Expr], str]] = {exp.LT: "<", exp.LTE: "<=", exp.GT: ">", exp.GTE: ">="}
_NUMERIC: Final = frozenset({Kind.INTEGER, Kind.NUMBER, Kind.MONEY})
FEATURES: Final = frozenset(
    column.name for column in CUSTOMER_FEATURES.columns if column.kind in _NUMERIC and not column.name.endswith("_score")
)
"""Our numeric features; scores are ranks, and their limits are places of a grid."""


@dataclass(frozen=True, slots=True)
class Threshold:
    """A literal limit of a rule: `feature` `sign` `limit`, as it is written, in the first segment of the scheme that has it."""

    scheme: str
    segment: str
    feature: str
    sign: str
    limit: Decimal


@dataclass(frozen=True, slots=True)
class BestCut:
    """The limit that parts customers best, its 90 % interval, and today's limit as the nearest one that parts them alike.

    `shares` are those of customers who order, where the comparison holds and where it does not; `counts` the customers.
    """

    limit: float
    low: float
    high: float
    today: float
    shares: tuple[float, float]
    counts: tuple[int, int]

    @property
    def is_elsewhere(self) -> bool:
        """Whether the interval excludes today's limit, and the parts are large and differ by more than the margin of what is alike."""
        return (
            not self.low <= self.today <= self.high
            and min(self.counts) >= FEWEST_CUSTOMERS
            and abs(self.shares[0] - self.shares[1]) >= REPEAT_MARGIN
            and _chi_square(self.shares, self.counts) >= LEAST_CHI_SQUARE
        )


def thresholds_of(schemes: Iterable[Scheme]) -> list[Threshold]:
    """Return the literal limits on FEATURES in the rules of segments, each once per scheme."""
    found: dict[tuple[str, str, str, Decimal], Threshold] = {}
    for scheme in schemes:
        for segment in scheme.segments if scheme.kind == "rules" else ():
            for comparison in segment.rule.find_all(*_SIGNS) if segment.rule is not None else ():
                limit = _literal_limit(comparison)
                if limit:
                    found.setdefault((scheme.name, *limit), Threshold(scheme.name, segment.id, *limit))
    return sorted(found.values(), key=lambda each: (each.scheme, each.feature, each.sign, each.limit))


def _unknown_cut(_threshold: Threshold) -> None:
    return None


def threshold_proposals(
    thresholds: Iterable[Threshold],
    columns: Mapping[str, Mapping[str, Numbers]],
    is_back: Mapping[str, Numbers],
    cut_before: Callable[[Threshold], BestCut | None] = _unknown_cut,
) -> Iterator[Proposal]:
    """Yield for each feature of a scheme the surest limit to move; `columns` and `is_back` are those of the scheme's customers, by scheme.

    A feature is NaN where it is not known. A limit that an earlier period would not move in the same direction is none; where that
    period's `cut_before` is not known, or of few customers, it is seen once.
    """
    best: dict[tuple[str, str], tuple[float, Threshold, BestCut]] = {}
    for each in thresholds:
        cut = best_cut(each, columns[each.scheme][each.feature], is_back[each.scheme])
        if cut and cut.is_elsewhere:
            chosen = (abs(cut.today - cut.limit), each, cut)
            # Of several limits on a feature, the one that is nearest to the best cut is meant to be it.
            before = best.setdefault((each.scheme, each.feature), chosen)
            if chosen[0] < before[0]:
                best[each.scheme, each.feature] = chosen
    for _, threshold, cut in best.values():
        earlier, found = cut_before(threshold), _proposal(threshold, cut)
        if earlier is None or min(earlier.counts) < FEWEST_CUSTOMERS:
            yield found.seen_once()
        elif earlier.is_elsewhere and (earlier.limit < earlier.today) == (cut.limit < cut.today):
            yield found


def best_cut(threshold: Threshold, values: Numbers, is_back: Numbers) -> BestCut | None:
    """Return the cut of `values` that leaves the least variance of `is_back` (0 or 1) within both parts; None where none can be made.

    That is the cut of a regression tree of one node (Breiman et al. 1984); both parts hold at least a tenth of the customers. The interval
    is that of the percentile bootstrap (Efron 1979) with DRAWS draws of the counts by value, so that the order of customers is no matter;
    draws in which no cut can be made do not count.
    """
    known = np.isfinite(values)
    if known.sum() < 2 * FEWEST_CUSTOMERS:
        return None
    lasts, firsts, counts, backs = _by_value(values[known], is_back[known])
    if len(lasts) < 2:  # noqa: PLR2004 - one value cannot be cut
        return None
    cells = np.concatenate([counts - backs, backs])
    seed = hashlib.sha256(f"{threshold.feature} {lasts.tobytes().hex()} {cells.tobytes().hex()}".encode()).digest()
    draws = np.random.default_rng(int.from_bytes(seed[:8], "big")).multinomial(int(cells.sum()), cells / cells.sum(), DRAWS)
    found = _best_places(np.vstack([cells, draws]))
    cut_draws = found[1:][found[1:] >= 0]
    if found[0] < 0 or not len(cut_draws):
        return None
    is_up_to = threshold.sign in UP_TO_SIGNS
    # Between two neighbouring values lies one cut: told by the lower of them for `<=` and `>`, by the upper for `<` and `>=`.
    limits = lasts[:-1] if is_up_to else firsts[1:]
    best, drawn = int(found[0]), np.sort(limits[cut_draws])
    low, high = (float(np.quantile(drawn, share, method="inverted_cdf")) for share in INTERVAL)
    limit = float(threshold.limit)
    place = np.searchsorted(limits, limit, side="right") - 1 if is_up_to else np.searchsorted(limits, limit)
    today = float(limits[min(max(int(place), 0), len(limits) - 1)])
    below = (int(counts[: best + 1].sum()), int(backs[: best + 1].sum()))
    above = (int(counts[best + 1 :].sum()), int(backs[best + 1 :].sum()))
    parts = (below, above) if threshold.sign in ("<", "<=") else (above, below)
    shares, sizes = (parts[0][1] / parts[0][0], parts[1][1] / parts[1][0]), (parts[0][0], parts[1][0])
    return BestCut(float(limits[best]), low, high, today, shares, sizes)


def _by_value(values: Numbers, is_back: Numbers) -> tuple[Numbers, Numbers, NDArray[np.int64], NDArray[np.int64]]:
    """Return the last and the first value of each class of values, in order, its customers, and those of these who are back.

    Each value is a class; of more than MOST_CUTS of them so many quantiles part the classes.
    """
    ordered = distinct = np.unique(values)
    if len(distinct) > MOST_CUTS:
        distinct = np.unique(np.quantile(values, np.linspace(0, 1, MOST_CUTS), method="inverted_cdf"))
    numbers = np.minimum(np.searchsorted(distinct, values), len(distinct) - 1)
    counts = np.bincount(numbers, minlength=len(distinct)).astype(np.int64)
    firsts = ordered[np.searchsorted(ordered, np.concatenate([[-np.inf], distinct[:-1]]), side="right")]
    return distinct, firsts, counts, np.bincount(numbers[is_back > 0], minlength=len(distinct)).astype(np.int64)


def _best_places(cells: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return for each row of counts (not back by value, then back by value) the place of the last value below the best cut.

    -1 where no cut leaves SMALLEST_PART on both sides.
    """
    stayed, back = np.split(cells, 2, axis=1)
    below, back_below = (stayed + back).cumsum(axis=1), back.cumsum(axis=1)
    total, back_total = below[:, -1:], back_below[:, -1:]
    below, back_below = below[:, :-1], back_below[:, :-1]
    smallest = SMALLEST_PART * total
    is_large = (below >= smallest) & (total - below >= smallest)
    with np.errstate(divide="ignore", invalid="ignore"):
        gain = back_below**2 / below + (back_total - back_below) ** 2 / (total - below)
    places: NDArray[np.int64] = np.argmax(np.where(is_large, np.round(gain, 9), -1.0), axis=1)
    return np.where(is_large.any(axis=1), places, -1)


def _chi_square(shares: tuple[float, float], counts: tuple[int, int]) -> float:
    """Return Pearson's statistic of two shares."""
    overall = sum(share * count for share, count in zip(shares, counts, strict=True)) / sum(counts)
    variance = overall * (1 - overall) * sum(1 / count for count in counts)
    return (shares[0] - shares[1]) ** 2 / variance if variance > 0 else 0.0


def _literal_limit(comparison: exp.Expr) -> tuple[str, str, Decimal] | None:
    """Return feature, sign and limit of a comparison of a feature with a number; None of any other."""
    left, right, sign = _inner(comparison.this), _inner(comparison.expression), _SIGNS[type(comparison)]
    if isinstance(right, exp.Column):
        left, right, sign = right, left, _SIGNS[MIRRORED[type(comparison)]]
    is_number = isinstance(right, exp.Literal) and not right.is_string
    if isinstance(left, exp.Column) and left.name in FEATURES and not left.table and is_number:
        return left.name, sign, Decimal(right.name)
    return None


def _inner(node: exp.Expr) -> exp.Expr:
    """Return what is compared, without the types that a rule's check has put around it."""
    while isinstance(node, exp.Cast | exp.Paren):
        node = node.this
    return node


def plain_limit(limit: float, sign: str) -> str:
    """Return `limit` in digits that a rule may have, so that it parts the same customers: rounded to their side where it has more."""
    exact = Decimal(repr(limit))
    places = max(MAX_LITERAL_DIGITS - len(str(abs(int(exact)))), 0)
    rounding = ROUND_CEILING if sign in UP_TO_SIGNS else ROUND_FLOOR
    return f"{exact.quantize(Decimal(1).scaleb(-places), rounding=rounding).normalize() + 0:f}"


def _proposal(threshold: Threshold, cut: BestCut) -> Proposal:
    limit, low, high = (plain_limit(each, threshold.sign) for each in (cut.limit, cut.low, cut.high))
    today, rule = (f"{threshold.feature} {threshold.sign} {each}" for each in (f"{threshold.limit:f}", limit))
    return Proposal(
        "move_threshold",
        threshold.scheme,
        cut.limit,
        f"{today} tells less of who orders in 90 days than {rule} would (between {low} and {high}): "
        f"with it {cut.shares[0]:.1%} of {cut.counts[0]:,} customers ordered, without it {cut.shares[1]:.1%} of {cut.counts[1]:,}",
        f"In segments/{threshold.scheme}.toml write {rule} in place of {today} (first in `{threshold.segment}`); then run `segments plan`, "
        "which shows who would move.",
        f'segments preview "{rule}"',
        segment=threshold.segment,
        rule=rule,
        low=cut.low,
        high=cut.high,
    )

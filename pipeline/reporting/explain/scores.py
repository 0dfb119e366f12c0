"""Scores of one customer, worked out here instead of by an engine, to the same answer: by the limits that a method names, or by rank."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import accumulate
from typing import Any

from pipeline.definitions.rules import Value
from pipeline.definitions.schemes import Scheme
from pipeline.definitions.schemes.score_methods import AXES, COMBINED_OF, COMBINED_SCORE, ScoreAxis, ScoreMethod, axes_behind

# The numbers of definitions/sql/score_limits.sql, which decides for everybody; tests/property holds both to the same answers.
FIFTHS = 5
VALUE_SHARES = (0.8, 0.95)
Row = Mapping[str, Value]


@dataclass(frozen=True, slots=True)
class FigureRanks:
    """The figures of all other customers whom an axis ranks: any figure can be tried for this one.

    `figures` are distinct and rising; `counts` and `sums` are of the customers with the first 0, 1, 2 ... of them.
    """

    figures: tuple[Any, ...]
    counts: tuple[int, ...]
    sums: tuple[Any, ...] = field(repr=False)

    @classmethod
    def from_counts(cls, counts: Iterable[tuple[Any, int]]) -> FigureRanks:
        """Make the ranks of figures, each with the number of customers who have it, the least figure first."""
        pairs = [*counts]
        figures = tuple(figure for figure, _ in pairs)
        sums = tuple(accumulate((figure * count for figure, count in pairs), initial=Fraction(0)))
        return cls(figures, tuple(accumulate((count for _, count in pairs), initial=0)), sums)

    def score_of(self, axis: ScoreAxis, figure: Any) -> int:  # noqa: ANN401  # a number of any kind
        """Return the rank score of a customer who has `figure`, with all others as they are."""
        customers = self.counts[-1] + 1
        below = self.counts[bisect_left(self.figures, figure)]
        if not axis.needs_order:
            richer = self.sums[-1] - self.sums[bisect_right(self.figures, figure)]
            # As doubles, as the statement divides: a share right at a limit falls on the same side only if it is rounded alike.
            share = float(richer) / float(self.sums[-1] + figure)
            return axis.best - sum(share >= limit for limit in VALUE_SHARES)
        return -(-FIFTHS * (customers - below) // customers) if axis.is_low_better else 1 + FIFTHS * below // customers

    def turning_points(self, axis: ScoreAxis) -> Iterator[Any]:
        """Yield the figures of others at or just beyond which the score becomes another one."""
        # Scores rise or fall with the figure all the way, so that each turning point is found by bisection, not by trying every figure.
        sign = -1 if axis.is_low_better else 1
        for score in range(1, axis.best + 1):
            place = bisect_left(self.figures, sign * score, key=lambda figure: sign * self.score_of(axis, figure))
            yield from self.figures[max(place - 1, 0) : place + 1]


Ranks = Mapping[str, FigureRanks]


def with_scheme_scores(scheme: Scheme, row: Row, ranks: Ranks) -> Row:
    """Return `row` with the scores that the scheme names, by its methods."""
    if not scheme.scores:
        return row
    known = {score: _axis_score(AXES[score], scheme.score_methods[score], row, ranks) for score in axes_behind(scheme.scores)}
    frequency, money = (known.get(score) for score in COMBINED_OF)
    known[COMBINED_SCORE] = None if frequency is None or money is None else (frequency + money + 1) // 2
    return {**row, **{score: known[score] for score in scheme.scores}}


def _axis_score(axis: ScoreAxis, method: ScoreMethod, row: Row, ranks: Ranks) -> int | None:
    figure: Any = row[axis.figure]
    if axis.needs_order:
        if not _is_above_zero(row["order_day_count"]):
            return 1 if _is_above_zero(row["lifetime_order_day_count"]) else None
    elif not _is_above_zero(figure):
        return None
    if method.name == "rank":
        return ranks[axis.score].score_of(axis, figure)
    return score_by_limits(axis, figure, score_limits(axis, method, row))


def score_limits(axis: ScoreAxis, method: ScoreMethod, row: Row) -> list[Any]:
    """Return the limit of each score from 2 up; None where nobody, or of days everybody, reaches it."""
    return [Fraction(limit) for limit in method.limits] if method.name == "thresholds" else [row[name] for name in axis.limits]


def score_by_limits(axis: ScoreAxis, figure: Any, limits: list[Any]) -> int:  # noqa: ANN401
    """Return how many limits `figure` reaches, and one."""
    if axis.is_low_better:
        beyond = (score for score, limit in enumerate(limits, 1) if limit is not None and figure is not None and figure > limit)
        return next(beyond, axis.best)
    reached = (score for score, limit in reversed([*enumerate(limits, 2)]) if limit is not None and figure is not None and figure >= limit)
    return next(reached, 1)


def _is_above_zero(value: Any) -> bool:  # noqa: ANN401
    return value is not None and value > 0

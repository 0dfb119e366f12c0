"""Counts and sums of pairs (x, y), one pair per customer, and what follows from them: means, variances, covariances.

SQL adds up exactly, and so do these: only what is told is a float. Samples are merged by adding up their sums.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction

Exact = int | Decimal | Fraction


@dataclass(frozen=True, slots=True)
class Moments:
    """`n` pairs of which these are the sums; variances are those of a sample, divided by n - 1."""

    n: int
    x: Fraction
    y: Fraction
    xx: Fraction
    yy: Fraction
    xy: Fraction

    @classmethod
    def of_sums(cls, n: int, y: Exact, yy: Exact, *, x: Exact = 0, xx: Exact = 0, xy: Exact = 0) -> Moments:  # noqa: PLR0913
        """Return the moments of `n` customers with these sums of x, y, x squared, y squared and x times y."""
        return cls(n, *(Fraction(each) for each in (x, y, xx, yy, xy)))

    def __add__(self, other: Moments) -> Moments:
        return Moments(self.n + other.n, self.x + other.x, self.y + other.y, self.xx + other.xx, self.yy + other.yy, self.xy + other.xy)

    @property
    def mean_x(self) -> Fraction:
        """Mean of x."""
        return self.x / self.n

    @property
    def mean_y(self) -> Fraction:
        """Mean of y."""
        return self.y / self.n

    @property
    def var_x(self) -> Fraction:
        """Variance of x; 0 for a single customer."""
        return _scaled(self.xx - self.x * self.x / self.n, self.n)

    @property
    def var_y(self) -> Fraction:
        """Variance of y."""
        return _scaled(self.yy - self.y * self.y / self.n, self.n)

    @property
    def cov(self) -> Fraction:
        """Covariance of x and y."""
        return _scaled(self.xy - self.x * self.y / self.n, self.n)


def _scaled(squares: Fraction, n: int) -> Fraction:
    return squares / (n - 1) if n > 1 else Fraction(0)

"""Every case that rules can tell apart.

A rule sees no more of a column than on which side of its constants a value lies. `recency_days <= 30 OR recency_days > 90` can
tell apart 29, 30, 31, 89, 90, 91 and no value at all; any other number of days is decided like one of these. So finitely many
cases stand for every customer there can ever be.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from fractions import Fraction
from itertools import pairwise, product
from math import ceil, floor
from typing import Any

from sqlglot import exp

from pipeline.definitions.proofs.comparisons import ORDERED, compared_constants
from pipeline.definitions.rules import Call, Value, call_of, calls_in, joined_kind
from pipeline.lake.tables import CUSTOMER_FEATURES, Kind

Cell = Mapping[str, Value]

_SCORES = range(1, 6)
_UNSCORED: Cell = dict.fromkeys(("r_score", "f_score", "m_score", "fm_score"))
_PROSPECT: Cell = {"is_prospect": True, "is_refund_only": False, **_UNSCORED}
CELLS: tuple[Cell, ...] = (
    _PROSPECT,
    {"is_prospect": False, "is_refund_only": True, **_UNSCORED},
    *(
        {"is_prospect": False, "is_refund_only": False, "r_score": r, "f_score": f, "m_score": m, "fm_score": (f + m + 1) // 2}
        for r, f, m in product(_SCORES, repeat=3)
    ),
)
"""Every combination of scores that a customer can have."""
SCORES = frozenset(_PROSPECT)
_REQUIRED = frozenset(column.name for column in CUSTOMER_FEATURES.columns if column.required)
_FEATURES = frozenset(CUSTOMER_FEATURES.column_names)
_BOUNDS: Mapping[str, tuple[int, int | None]] = {"value_score": (1, 3)}
# More may come back within a window than was bought in it.
MAY_BE_NEGATIVE = frozenset(("spend_amount", "lifetime_spend_amount", "average_order_amount"))
_MAY_EXCEED_ONE = frozenset(("return_share", "return_share_q75"))
# x + "\x01" stands for any text just after x, and U+10FFFF for one after everything that people write.
_TEXT_AFTER, _TEXT_LAST = "\x01", chr(0x10FFFF)


@dataclass(frozen=True, slots=True)
class Domains:
    """What the names of rules can be: their kinds, and the segments of the schemes that are referred to.

    `always` names columns that are never empty, though their values are not known; `partial` those of segments that are empty for
    whoever is in none.
    """

    kinds: Mapping[str, Kind]
    segments: Mapping[str, Sequence[str]] = field(default_factory=dict)
    always: frozenset[str] = frozenset()
    partial: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Atom:
    """The smallest part of a rule that is true, false or unknown.

    `axis` names what decides it: columns, a call, or the comparison itself.
    """

    node: exp.Expr
    axis: str
    is_negated: bool = False
    call: Call | None = None

    @property
    def bases(self) -> frozenset[str]:
        """The columns that the axis is about."""
        return self.call.bases if self.call else frozenset({self.axis}) if self.axis != SCORE_AXIS else SCORES


SCORE_AXIS = "scores"
_OPPOSITES: Mapping[type[exp.Expr], type[exp.Expr]] = {exp.NEQ: exp.EQ, exp.GT: exp.LTE, exp.GTE: exp.LT}


def atom_of(node: exp.Expr) -> Atom:
    """Find the axis that decides `node`.

    A comparison of features with each other is an axis of its own. It shares that axis with its opposite, so that `a > b` and
    `a <= b` are never both taken to be true.
    """
    call = _deciding_call(node)
    if call is not None:
        return Atom(node, call.text, call=call)
    names = {column.name for column in node.find_all(exp.Column)}
    # Scores are one axis, since they follow from each other: with an axis each, a rule would be proven by a combination that nobody has.
    if names and names <= SCORES and not calls_in(node):
        return Atom(node, SCORE_AXIS)
    if len(names) <= 1 and not calls_in(node) and (not isinstance(node, ORDERED) or compared_constants(node) is not None):
        return Atom(node, next(iter(names), ""))
    opposite = _OPPOSITES.get(type(node))
    plain = opposite(this=node.this, expression=node.expression) if opposite else node
    return Atom(plain, f"({plain.sql()})", is_negated=opposite is not None)


def _deciding_call(node: exp.Expr) -> Call | None:
    """Return the call that alone decides `node`, if its values are known well enough: true or false itself, or compared with constants."""
    calls = calls_in(node)
    if len(calls) != 1 or not calls[0].is_surjective:
        return None
    if isinstance(node, exp.In):
        sides = [node.this]
    elif isinstance(node, (exp.Is, *ORDERED)):
        sides = [side for side in (node.this, node.expression) if side.find(exp.Column)]
    else:
        sides = [node]
    return calls[0] if len(sides) == 1 and call_of(sides[0]) is calls[0] else None


def is_open_axis(axis: str) -> bool:
    """Whether an axis is a comparison of features with each other, which may be true or false of anybody."""
    return axis.startswith("(")


def axis_cases(axis: str, nodes: Iterable[exp.Expr], domains: Domains) -> list[Cell]:
    """List rows of values, one for each case of `axis` that `nodes` can tell apart."""
    atoms = list(nodes)
    if is_open_axis(axis) or not axis:
        return [{}]
    if axis == SCORE_AXIS:
        names = {column.name for node in atoms for column in node.find_all(exp.Column)}
        # Of 126 combinations, few differ in the scores that a rule names; a dict keeps each once, and their order.
        distinct = dict.fromkeys(tuple((name, cell[name]) for name in _PROSPECT if name in names) for cell in CELLS)
        return [dict(cell) for cell in distinct]
    if (call := _deciding_call(atoms[0])) is not None:
        return [{axis: value} for value in _call_values(call, atoms, domains)]
    return [{axis: value} for value in _column_values(axis, atoms, domains)]


def _call_values(call: Call, atoms: Sequence[exp.Expr], domains: Domains) -> Sequence[Value]:
    """List the values of a call that rules can tell apart."""
    low, high = call.low, call.high
    if call.text.startswith("DAYS_SINCE(") and call.bases <= _FEATURES:
        low = 0  # nothing that a customer did lies after the night
    elif call.text.startswith("DAYS_UNTIL(") and call.bases <= _FEATURES:
        high = 0
    constants = _sorted_constants(atoms, low, high)
    values = _values_within(_values_around(call.kind, constants), low, high)
    known = _REQUIRED | domains.always
    return values if call.unknown_with is not None and call.unknown_with <= known else [*values, None]


def _column_values(name: str, atoms: Sequence[exp.Expr], domains: Domains) -> Sequence[Value]:
    if name in domains.segments:
        return [*sorted(domains.segments[name]), *([None] if name in domains.partial else [])]
    kind = domains.kinds.get(name) or joined_kind(name)
    if kind is None:
        raise KeyError(name)
    low, high = _feature_range(name, kind)
    values = _values_within(_values_around(kind, _sorted_constants(atoms, low, high)), low, high)
    return values if name in _REQUIRED or name in domains.always else [*values, None]


def _sorted_constants(atoms: Sequence[exp.Expr], low: float | None, high: float | None) -> list[Any]:
    """List what is compared with, and the ends of the range too, so that each stretch within it has a value."""
    constants: list[Any] = sorted(
        {bound for node in atoms for bound in compared_constants(node) or ()}, key=lambda value: (str(type(value)), value)
    )
    ends = [Fraction(end) for end in (low, high) if end is not None]
    return sorted({*constants, *ends}) if constants and ends else constants


def _values_within(values: Sequence[Any], low: float | None, high: float | None) -> list[Any]:
    """List the values in order, each once: a rule that only a negative count or a share above 1 would fulfil is dead."""
    return sorted(value for value in set(values) if (low is None or value >= low) and (high is None or value <= high))


def _feature_range(name: str, kind: Kind) -> tuple[int | None, int | None]:
    """Return the least and the largest value that a feature can have, None for no limit; of a company's attribute nothing is known."""
    if name not in _FEATURES or kind not in (Kind.INTEGER, Kind.NUMBER, Kind.MONEY):
        return None, None
    if name in _BOUNDS:
        return _BOUNDS[name]
    is_share = name.endswith("_share") or "_share_" in name or name == "category_concentration"
    least = None if name in MAY_BE_NEGATIVE or name.endswith("_limit_amount") else 0
    return least, 1 if is_share and name not in _MAY_EXCEED_ONE else None


def _values_around(kind: Kind, constants: Sequence[Any]) -> list[Any]:
    """List a value of `kind` for each stretch that `constants` cut, and each constant that is such a value."""
    if kind is Kind.FLAG:
        return [True, False]
    if kind is Kind.TEXT:
        return ["", *(text for constant in constants for text in (constant, constant + _TEXT_AFTER)), _TEXT_LAST]
    if kind is Kind.DATE:
        around = (constant.toordinal() + step for constant in constants for step in (-1, 0, 1))
        # The day before the first and after the last day of the calendar do not exist.
        days = [date.fromordinal(number) for number in around if date.min.toordinal() <= number <= date.max.toordinal()]
        return days or [date(2000, 1, 1)]
    if not constants:
        return [1]  # within every range
    if kind is Kind.INTEGER:
        # Whole numbers on both sides of each constant: `> 2.5` is decided by 2 and 3, and there may be none between two constants.
        return [number for constant in constants for number in (floor(constant) - 1, floor(constant), ceil(constant), ceil(constant) + 1)]
    # Between two constants one value stands for all, since rules compare with nothing there.
    middles = [(low + high) / 2 for low, high in pairwise(constants)]
    return sorted([constants[0] - 1, *constants, *middles, constants[-1] + 1])

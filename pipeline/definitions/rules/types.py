"""How the values of a rule are brought to one type, so that no engine chooses it and no sum or product overflows."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from functools import reduce
from typing import cast

from sqlglot import exp

from pipeline.lake.tables import MONEY_DECIMALS, Kind

NUMERIC = frozenset({Kind.INTEGER, Kind.MONEY, Kind.NUMBER})
COMPARABLE = NUMERIC | {Kind.TEXT, Kind.DATE, Kind.FLAG}
# The widest decimal that both engines have.
MAX_DIGITS = 38
# DuckDB holds a decimal of up to 18 digits in 64 bits, a longer one in 128.
_SHORT_DIGITS = 18
_ISO_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_SAFE_DECIMALS = 6
# A BIGINT has up to 19 digits; money is stored with 18, four of them decimals.
_COLUMN_DIGITS = {Kind.INTEGER: (19, 0), Kind.MONEY: (18, MONEY_DECIMALS)}
_ATOMS = (exp.Column, exp.Literal, exp.Neg, exp.Boolean, exp.Cast, exp.Paren)


@dataclass(frozen=True, slots=True)
class TypedNode:
    """A node built anew; exact numbers carry how many digits they may have, and how many of them are decimals.

    `days` are still to be added to a date: whoever compares it brings them to the other side.
    """

    node: exp.Expression
    kind: Kind
    digits: int = 0
    decimals: int = 0
    days: int = 0


def is_iso_date(text: str) -> bool:
    """Whether `text` is a day that the calendar has, written as 2026-01-31."""
    try:
        return bool(_ISO_DATE.fullmatch(text) and date.fromisoformat(text))
    except ValueError:
        return False


def typed_column(name: str, kind: Kind) -> TypedNode:
    """Return the column `name`, quoted."""
    return TypedNode(exp.column(name, quoted=True), kind, *_COLUMN_DIGITS.get(kind, (0, 0)))


def typed_number(text: str) -> TypedNode:
    """Return the literal that `text`, digits with at most one point, stands for; with a point it is exact, like money."""
    whole, _, fraction = text.partition(".")
    whole = whole.lstrip("0") or "0"
    number, kind = (f"{whole}.{fraction}", Kind.MONEY) if fraction else (whole, Kind.INTEGER)
    return TypedNode(exp.Literal.number(number), kind, len(whole) + len(fraction), len(fraction))


def bracketed_node(node: exp.Expression) -> exp.Expression:
    """Put `node` in brackets, unless it is one piece, so that no engine's precedence can regroup it."""
    return node if isinstance(node, _ATOMS) else exp.Paren(this=node)


def operator_chain(operator: type[exp.Expr], *parts: exp.Expression) -> exp.Expression:
    """Join `parts` by `operator`, from the left."""
    first, *others = map(bracketed_node, parts)
    return reduce(lambda left, right: cast("exp.Expression", operator(this=left, expression=right)), others, first)


def common_kind(items: Sequence[TypedNode]) -> Kind | None:
    """Return the kind that `cast_to_one_type` brings `items` to; None where they cannot be compared."""
    kinds = {item.kind for item in items}
    if not kinds <= COMPARABLE or (len(kinds) > 1 and not kinds <= NUMERIC):
        return None
    return next(iter(kinds)) if len(kinds) == 1 else Kind.NUMBER if Kind.NUMBER in kinds else Kind.MONEY


def cast_to_one_type(items: Sequence[TypedNode]) -> list[exp.Expression]:
    """Cast the nodes of comparable `items` to one type; raises OverflowError beyond 38 digits.

    Left to themselves, engines pick that type each in its own way, and may then compare differently.
    """
    kinds = {item.kind for item in items}
    if len(kinds) == 1 and Kind.MONEY not in kinds:
        return [item.node for item in items]
    if Kind.NUMBER in kinds:
        return [_as_double(item) for item in items]
    digits, decimals = _common_digits(items)
    return [_as_decimal(item, digits, decimals) for item in items]


def typed_arithmetic(operator: type[exp.Expr], left: TypedNode, right: TypedNode) -> TypedNode:
    """Add, subtract or multiply two numbers, exact unless one is a NUMBER; raises OverflowError beyond 38 digits."""
    if Kind.NUMBER in (left.kind, right.kind):
        return TypedNode(operator_chain(operator, _as_double(left), _as_double(right)), Kind.NUMBER)
    return _exact_product(left, right) if operator is exp.Mul else _exact_sum(operator, left, right)


def typed_quotient(left: TypedNode, right: TypedNode) -> TypedNode:
    """Divide two numbers; the result is unknown for a divisor of 0. Raises OverflowError beyond 38 digits.

    Exact numbers are brought to whole ones first, so that the quotient is rounded once: 0.3 / 0.1 is 3.
    """
    if Kind.NUMBER not in (left.kind, right.kind):
        decimals = max(left.decimals, right.decimals)
        left, right = (_scaled_integer(item, decimals) for item in (left, right))
    divisor = exp.Nullif(this=_as_double(right), expression=exp.cast(exp.Literal.number(0), "double"))
    return TypedNode(exp.Div(this=bracketed_node(_as_double(left)), expression=divisor, typed=False, safe=False), Kind.NUMBER)


def _scaled_integer(item: TypedNode, decimals: int) -> TypedNode:
    if not decimals:
        return item
    scaled = _exact_product(item, typed_number(str(10**decimals)))
    digits = item.digits + decimals - item.decimals
    return TypedNode(exp.cast(bracketed_node(scaled.node), f"decimal({digits}, 0)"), Kind.MONEY, digits, 0)


def _exact_sum(operator: type[exp.Expr], left: TypedNode, right: TypedNode) -> TypedNode:
    digits, decimals = _common_digits((left, right))
    # Both engines set one digit aside for the carry, on top of the one that the result needs.
    _require_room(digits + 2)
    node = operator_chain(operator, _as_decimal(left, digits + 1, decimals), _as_decimal(right, digits + 1, decimals))
    return TypedNode(node, Kind.MONEY, digits + 1, decimals)


def _exact_product(left: TypedNode, right: TypedNode) -> TypedNode:
    digits, decimals = left.digits + right.digits, left.decimals + right.decimals
    # DuckDB keeps a product of two short decimals to 18 digits and stops the night when one is longer.
    widened = max(left.digits, _SHORT_DIGITS + 1) if right.digits <= _SHORT_DIGITS else left.digits
    # Spark sets one digit more aside, and takes it from the decimals past the sixth.
    _require_room(widened + right.digits + (decimals > _SAFE_DECIMALS))
    node = operator_chain(exp.Mul, _as_decimal(left, widened, left.decimals), _as_decimal(right, right.digits, right.decimals))
    return TypedNode(node, Kind.MONEY, digits, decimals)


def _common_digits(items: Sequence[TypedNode]) -> tuple[int, int]:
    decimals = max(item.decimals for item in items)
    digits = max(item.digits - item.decimals for item in items) + decimals
    _require_room(digits)
    return digits, decimals


def _require_room(digits: int) -> None:
    if digits > MAX_DIGITS:
        raise OverflowError


def _as_double(item: TypedNode) -> exp.Expression:
    if item.kind is Kind.NUMBER:
        return item.node
    # DuckDB rounds a decimal of 128 bits twice on its way; every engine reads a text right.
    is_wide = item.kind is Kind.MONEY and item.digits > _SHORT_DIGITS
    return exp.cast(exp.cast(item.node, "varchar") if is_wide else item.node, "double")


def _as_decimal(item: TypedNode, digits: int, decimals: int) -> exp.Expression:
    is_so_declared = isinstance(item.node, exp.Column) and item.kind is Kind.MONEY and (item.digits, item.decimals) == (digits, decimals)
    return item.node if is_so_declared else exp.cast(item.node, f"decimal({digits}, {decimals})")

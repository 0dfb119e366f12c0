"""Rules that leave out customers of whom a value is not known: `x <> 'a'`, `NOT x` and `x NOT IN ('a')` are not true of them.

As in SQL that is so whether it was meant or not. To find whom it concerns, a scheme is compared with its twin in which the same
rules are true of the unknown, as `x IS NOT 'a'` would be.
"""

from __future__ import annotations

from collections.abc import Container
from dataclasses import replace

from sqlglot import exp

from pipeline.definitions.rules import call_of, nodes_outside_calls
from pipeline.definitions.schemes.scheme import Scheme, Segment
from pipeline.lake.tables import CUSTOMER_FEATURES

_ALWAYS_KNOWN = frozenset(column.name for column in CUSTOMER_FEATURES.columns if column.required)
# Of known values these make nothing unknown, as a function or a division might.
_COMPARISONS = (exp.EQ, exp.NEQ, exp.GT, exp.GTE, exp.LT, exp.LTE, exp.NullSafeEQ, exp.NullSafeNEQ, exp.In, exp.Between)
_KNOWN_OF_KNOWN = (*_COMPARISONS, exp.And, exp.Or, exp.Not, exp.Paren, exp.Neg, exp.Column, exp.Identifier, exp.Literal, exp.Boolean)


def scheme_taking_unknown_in(scheme: Scheme) -> Scheme | None:
    """Return the scheme with every `<>`, `NOT` and `NOT IN` true of what is not known; None where it has none that could be."""
    if not any(_is_untrue_of_unknown(node) for tree in scheme.trees for node in nodes_outside_calls(tree)):
        return None
    applies_to, rule = (None if tree is None else _taking_unknown_in(tree) for tree in (scheme.applies_to, scheme.rule))
    segments = tuple(_segment_taking_unknown_in(segment) for segment in scheme.segments)
    return replace(scheme, applies_to=applies_to, rule=rule, segments=segments)


def may_be_unknown(rule: exp.Expression, counted: Container[str] = ()) -> bool:
    """Whether a rule can be neither true nor false of anybody: not if all it does is compare what is known of everybody.

    `counted` are the declared features that count rows, which nobody is without.
    """
    nodes = list(rule.walk())
    names = {node.name for node in nodes if isinstance(node, exp.Column)}
    return not all(isinstance(node, _KNOWN_OF_KNOWN) for node in nodes) or any(
        name not in _ALWAYS_KNOWN and name not in counted for name in names
    )


def _segment_taking_unknown_in(segment: Segment) -> Segment:
    signals = segment.signals
    if signals is not None:
        signals = replace(signals, conditions=tuple(_taking_unknown_in(condition) for condition in signals.conditions))
    return replace(segment, rule=None if segment.rule is None else _taking_unknown_in(segment.rule), signals=signals)


def _is_untrue_of_unknown(node: exp.Expr) -> bool:
    """Whether a part of a rule says that something is not so, and looks at a value that may be unknown."""
    # NOT of a negation says that something is so.
    is_opposite = isinstance(node, exp.Not) and not isinstance(node.this.unnest(), exp.Is | exp.Not | exp.NEQ)
    is_negation = is_opposite or isinstance(node, exp.NEQ)
    return is_negation and any(column.name not in _ALWAYS_KNOWN for column in node.find_all(exp.Column))


def _taking_unknown_in(tree: exp.Expression) -> exp.Expression:
    root = exp.Paren(this=tree.copy())
    # Below a NOT, `<>` is turned round with it, so nothing there is changed by itself.
    for node in list(
        root.walk(prune=lambda node: _is_untrue_of_unknown(node) or (isinstance(node, exp.Paren) and call_of(node) is not None))
    ):
        if _is_untrue_of_unknown(node):
            is_true = exp.true() if isinstance(node, exp.NEQ) else exp.false()
            part = node if isinstance(node, exp.NEQ) else node.this
            known = exp.Coalesce(this=exp.Paren(this=part.copy()), expressions=[is_true])
            node.replace(known if isinstance(node, exp.NEQ) else exp.Not(this=known))
    taken: exp.Expression = root.this
    return taken

"""The first of many rules that holds, looked up in lists: many rules are a handful of sentences with other numbers and words in them.

The tree of cuts is walked level by level, the limit of each step looked up by where the one before led to; so are, at its end, the
constants of the few rules that can hold there. A thousand rules are then some lists of a thousand constants and a dozen comparisons,
where cases would be thousands of expressions for an engine to read, plan and compare one by one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any

from sqlglot import exp

from pipeline.definitions.schemes.decision_tree import FEW_RULES, Choice, Cut, Limits, Tree, cases_of, choices_of, sorted_for, tree_of

MOST_LEVELS, MOST_COMPARED = 14, 8
_MOST_ENTRIES = 8  # of a list, for each rule: a tree that leans to one side would make long ones
_COMPARISONS = (exp.EQ, exp.NEQ, exp.LT, exp.LTE, exp.GT, exp.GTE)
_MIXED = (exp.Connector, exp.Not, exp.Is, exp.In)  # may be true though a part of them is unknown

Key = tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Found:
    """A relation with columns to decide by, the expression that decides by them, and their names."""

    relation: exp.Expression
    chosen: exp.Expression
    added: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Walk:
    """The cuts on each level of a tree, and the choices at its end; a level has twice as many places as the one before.

    From place n a walk goes to 2n + 1 where a cut holds, else to 2n.
    """

    levels: Sequence[Sequence[Cut | None]]
    ends: Sequence[Sequence[Choice]]


@dataclass(frozen=True, slots=True)
class _Said:
    """A sentence that conditions say, with the constants of each as they are looked up, and what each of them chooses."""

    condition: exp.Expr
    constants: Sequence[Sequence[exp.Expr | None]]
    chosen: Sequence[exp.Expr | None]


def first_of(pairs: Sequence[tuple[exp.Expr, exp.Expr]], otherwise: exp.Expr | None, relation: exp.Expression) -> Found:
    """Return what gives for `relation` what the first condition that holds chooses, else `otherwise`, else nothing.

    `pairs` are of a condition and the text that it chooses.
    """
    choices, limits = choices_of(pairs)
    if len(choices) <= FEW_RULES:
        return Found(relation, cases_of(choices, limits, otherwise))
    walk = _walk(tree_of(choices, limits, 1)) if all(map(_are_alike, limits.nodes.values())) else None
    said = _said(walk.ends) if walk and len(walk.ends) <= _MOST_ENTRIES * len(choices) else []
    if not walk or not 0 < len(said) <= MOST_COMPARED:
        tree = tree_of(choices, limits, FEW_RULES)
        return Found(sorted_for(tree, limits, relation), cases_of(tree, limits, otherwise))
    names = tuple(f"place.{level}" for level in range(len(walk.levels)))
    for level, name in enumerate(names):
        place = _step(walk.levels[level], limits, names[level - 1] if level else "")
        relation = exp.Select().select(exp.Star(), exp.alias_(place, name, quoted=True), copy=False).from_(relation, copy=False)
        relation = relation.subquery(f"walked_{level}", copy=False)
    return Found(relation, _decided(said, otherwise, names[-1] if names else ""), names)


def _walk(tree: Tree) -> _Walk | None:
    """Return the walk through a tree; None through one of too many levels."""
    levels: list[Sequence[Cut | None]] = []
    ends: list[Tree] = [tree]
    while any(isinstance(end, Cut) for end in ends) and len(levels) < MOST_LEVELS:
        levels.append([end if isinstance(end, Cut) else None for end in ends])
        ends = [side for end in ends for side in ((end.rest, end.held) if isinstance(end, Cut) else (end, ()))]
    return None if any(isinstance(end, Cut) for end in ends) else _Walk(levels, [end for end in ends if not isinstance(end, Cut)])


def _step(cuts: Sequence[Cut | None], limits: Limits, before: str) -> exp.Expression:
    """Return the place that a level leads to from the place in the column `before`."""
    ways = dict.fromkeys((cut.name, cut.operator) for cut in cuts if cut)
    conditions = []
    for name, operator in ways:
        found = [limits.nodes[name][cut.place] if cut and (cut.name, cut.operator) == (name, operator) else None for cut in cuts]
        conditions.append(operator(this=limits.sides[name].copy(), expression=_looked_up(found, before)))
    is_held = reduce(lambda one, other: exp.Or(this=one, expression=other), conditions)
    bit = exp.Case().when(is_held, exp.Literal.number(1), copy=False).else_(exp.Literal.number(0), copy=False)
    if not before:
        return bit
    return exp.Add(this=exp.Mul(this=exp.Literal.number(2), expression=exp.column(before, quoted=True)), expression=bit)


def _said(ends: Sequence[Sequence[Choice]]) -> list[_Said]:
    """Return what is compared at the ends of a walk, in order: all first choices before all second ones."""
    found: list[_Said] = []
    sentences: dict[int, tuple[Key, list[exp.Expr]]] = {}
    for nth in range(max(len(end) for end in ends)):
        at = [end[nth] if len(end) > nth else None for end in ends]
        for choice in at:
            if choice and id(choice) not in sentences:
                constants: list[exp.Expr] = []
                sentences[id(choice)] = _sentence(choice.condition, constants), constants
        for key in dict.fromkeys(sentences[id(choice)][0] for choice in at if choice):
            found.append(_same([choice if choice and sentences[id(choice)][0] == key else None for choice in at], sentences))
            if len(found) > MOST_COMPARED:
                return found
    return found


def _same(choices: Sequence[Choice | None], sentences: dict[int, tuple[Key, list[exp.Expr]]]) -> _Said:
    model = next(choice for choice in choices if choice)
    nothing: list[exp.Expr | None] = [None] * len(sentences[id(model)][1])
    constants = zip(*(sentences[id(choice)][1] if choice else nothing for choice in choices), strict=True)
    return _Said(model.condition, list(constants), [choice.chosen if choice else None for choice in choices])


def _sentence(node: exp.Expr, constants: list[exp.Expr]) -> Key:
    """Return what `node` says with its constants left out; they are added to `constants` in order."""
    if isinstance(node, exp.Column):
        return (exp.Column, node.name)
    if isinstance(node, exp.DataType):
        return _type(node)
    kind = _kind(node)
    if kind:
        constants.append(node)
        return kind
    given = ((name, value if isinstance(value, list) else [value]) for name, value in node.args.items() if value is not None)
    parts = [(name, _sentence(part, constants) if isinstance(part, exp.Expr) else part) for name, values in given for part in values]
    return (type(node), *parts)


def _kind(node: exp.Expr) -> Key:
    """Return the type of a constant as rules write them, nothing for anything else."""
    inner = node.this if isinstance(node, exp.Cast) else node
    literal = inner.this if isinstance(inner, exp.Neg) else inner
    if not isinstance(literal, exp.Literal):
        return ()
    if node is not inner:
        return _type(node.args["to"])
    return ("text",) if literal.is_string else ("integer",) if literal.name.isdigit() else ()


def _type(node: exp.DataType) -> Key:
    return (exp.DataType, node.this, *(size.name for size in node.expressions))


def _are_alike(constants: Sequence[exp.Expr]) -> bool:
    """Return whether one list can hold all of them: no calculations, all of one type."""
    [kind, *others] = {_kind(constant) for constant in constants}
    return bool(kind) and not others


def _decided(said: Sequence[_Said], otherwise: exp.Expr | None, place: str) -> exp.Case:
    case = exp.Case()
    for one in said:
        condition, slots = one.condition.copy(), list[exp.Expr]()
        _sentence(condition, slots)
        for slot, constants in zip(slots, one.constants, strict=True):
            slot.replace(_looked_up(constants, place))
        if None in one.chosen and not _is_strict(condition):
            is_there = exp.Not(this=exp.Is(this=_looked_up(one.chosen, place), expression=exp.null()))
            condition = exp.And(this=is_there, expression=exp.Paren(this=condition))
        case.when(condition, _looked_up(one.chosen, place), copy=False)
    return case if otherwise is None else case.else_(otherwise.copy(), copy=False)


def _is_strict(condition: exp.Expr) -> bool:
    """Return whether a condition never holds where nothing is looked up: one of all that it needs is a plain comparison with that."""
    parts = [part.unnest() for part in condition.flatten(unnest=False)] if isinstance(condition, exp.And) else [condition]
    return any(isinstance(part, _COMPARISONS) and part.find(exp.Bracket) and not part.find(*_MIXED) for part in parts)


def _looked_up(constants: Sequence[exp.Expr | None], place: str) -> exp.Expr:
    """Return the one of `constants` at the place that the column `place` holds: itself where they are all the same."""
    first = next(constant for constant in constants if constant)
    if all(constant is first or (constant is not None and constant == first) for constant in constants):
        return first.copy()
    kind = first.args["to"] if isinstance(first, exp.Cast) else exp.DataType.build("varchar" if _is_text(first) else "bigint")
    # Doubles are divided one by one: a decimal that has room for all of them may be too long for one correctly rounded division.
    is_whole = isinstance(first, exp.Cast) and kind.this is not exp.DType.DOUBLE
    entries = [exp.Null() if constant is None else _entry(constant.this if is_whole else constant) for constant in constants]
    listed = exp.DataType(this=exp.DType.ARRAY, expressions=[kind.copy()], nested=True)
    values = exp.Cast(this=exp.Array(expressions=entries), to=listed)
    values.type = listed
    return exp.Bracket(this=values, expressions=[exp.cast(exp.column(place, quoted=True), "int")])


def _is_text(constant: exp.Expr) -> bool:
    return isinstance(constant, exp.Literal) and constant.is_string


def _entry(constant: exp.Expr) -> exp.Expr:
    if isinstance(constant, exp.Literal):
        return exp.Literal(this=constant.this, is_string=constant.is_string)
    return constant.copy()

"""Calls of functions within a checked rule: the SQL that an engine runs, and what the rest of the house must know of it.

`DAYS_SINCE(born)` becomes SQL in brackets. What is known beside that SQL lies in the brackets' `meta`, which copies of a tree share:
how people read it, what it is of one customer, and which values it can have, so that a proof need not understand any SQL.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from sqlglot import exp

from pipeline.lake.tables import Kind

_META = "call"
Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Call:
    """A call of a function, or a calculation that only an engine could read otherwise.

    `text` is how a person would write it; equal texts are equal values. `value_of` works it out for the features of one customer.
    `bases` are the columns that decide it. It is unknown where any column of `unknown_with` is, and only there; None: anywhere.
    `low` and `high` are the least and the largest of its values. `is_surjective` says that a customer may have any value of its kind in
    between. Calls that are `is_free` may have any values beside each other, though their bases are the same.
    `examples` are texts for which it is true where its only base is one of them or, given the `separator` of a list, holds them.
    """

    text: str
    kind: Kind
    value_of: Callable[[Row], Any]
    bases: frozenset[str]
    unknown_with: frozenset[str] | None
    low: int | float | None = None
    high: int | float | None = None
    is_surjective: bool = False
    is_free: bool = False
    examples: tuple[str, ...] = ()
    separator: str = ""

    def __deepcopy__(self, memo: dict[int, object]) -> Call:
        """Return itself: every copy of a tree shares what is known of its calls."""
        return self

    @property
    def column_it_needs(self) -> frozenset[str]:
        """The column without which the call is unknown, and with which it is known; empty where there is no such one."""
        needed = (self.unknown_with or frozenset()) & self.bases
        return needed if len(needed) == 1 else frozenset()

    def is_independent_of(self, other: Call) -> bool:
        """Return whether the values of both can be chosen without regard to each other."""
        return not self.bases & other.bases or (self.is_free and other.is_free)


def call_node(call: Call, sql: exp.Expression) -> exp.Paren:
    """Return the node of a call: its SQL in brackets."""
    node = exp.Paren(this=sql)
    node.meta[_META] = call
    return node


def own_call(node: exp.Expr) -> Call | None:
    """Return the call whose brackets `node` is; None for any other brackets."""
    call: Call | None = node.meta.get(_META)
    return call


def call_of(node: exp.Expr) -> Call | None:
    """Return the call that `node` is, whatever type it is cast to; None for anything else."""
    while isinstance(node, exp.Cast | exp.Paren):
        if isinstance(node, exp.Paren) and (call := own_call(node)) is not None:
            return call
        node = node.this
    return None


def nodes_outside_calls(tree: exp.Expr) -> Iterator[exp.Expr]:
    """Yield the nodes of a checked rule as a person wrote it: of a call its brackets, and nothing of the SQL within."""
    yield from tree.walk(prune=lambda node: isinstance(node, exp.Paren) and own_call(node) is not None)


def calls_in(tree: exp.Expr) -> list[Call]:
    """Return the outermost calls in `tree`, in the order in which they are written."""
    # Not by calling itself: a chain of AND or OR is as deep as it is long.
    found = map(call_of, tree.dfs(prune=lambda node: call_of(node) is not None))
    return [call for call in found if call is not None]

"""What a declared feature, or an aggregate within a rule, adds up: one aggregate over the rows of one customer in a range of days."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum
from functools import cached_property
from hashlib import sha256

from sqlglot import exp

from pipeline.definitions.rules.calls import own_call
from pipeline.definitions.rules.day_windows import DayWindow
from pipeline.definitions.rules.words import written_name
from pipeline.lake.tables import Kind

LIST_SEPARATOR = "|"
"""What stands between the values that LIST gives; within a value a slash takes its place."""
_LONGEST_SLUG = 54  # with a digest, 63 characters: PostgreSQL cuts off what is longer


class AggregateFunction(Enum):
    """How rows become one value; the value is the word in which people write it."""

    COUNT = "COUNT"
    COUNT_DISTINCT = "COUNT DISTINCT"
    SUM = "SUM"
    MIN = "MIN"
    MAX = "MAX"
    AVG = "AVG"
    FIRST = "FIRST"
    LAST = "LAST"
    MOST_FREQUENT = "MOST_FREQUENT"
    LIST = "LIST"

    @property
    def is_count(self) -> bool:
        """Whether it is 0, and not unknown, of a customer without rows."""
        return self in (AggregateFunction.COUNT, AggregateFunction.COUNT_DISTINCT)

    @property
    def is_by_value(self) -> bool:
        """Whether it needs the rows of each value together."""
        return self in (AggregateFunction.COUNT_DISTINCT, AggregateFunction.MOST_FREQUENT, AggregateFunction.LIST)


@dataclass(frozen=True)
class SequenceCondition:
    """What a row must be followed by, or preceded by: a row of `source` for which `where` holds, of the same customer.

    It must happen later, or earlier, by the instants of both; `days`, at most so many local days apart. `is_first`: the row before is the
    first such one of the customer. Both have the value of the column `same` in common, where one is named. Where `is_negated`, there must
    be no such row.
    """

    source: str
    where: exp.Expression | None
    days: int | None = None
    is_before: bool = False
    is_first: bool = False
    is_negated: bool = False
    same: str = ""

    @cached_property
    def words(self) -> str:
        """The condition, for people."""
        where = "" if self.where is None else f" where {_plain_sql(self.where)}"
        days = "" if self.days is None else f" within {self.days} days"
        first = "the first of " if self.is_first else ""
        same = f" of the same {self.same}" if self.same else ""
        return (
            f"{'not ' if self.is_negated else ''}{'preceded' if self.is_before else 'followed'} by {first}{self.source}{same}{where}{days}"
        )

    @property
    def clause(self) -> str:
        """The condition as a rule says it."""
        how = f"{'NOT ' if self.is_negated else ''}{'PRECEDED' if self.is_before else 'FOLLOWED'} BY {'FIRST ' if self.is_first else ''}"
        where = "" if self.where is None else f" WHERE {_plain_sql(self.where)}"
        same = f" OF THE SAME {written_name(self.same)}" if self.same else ""
        return f"{how}{self.source}{same}{where}{'' if self.days is None else f' WITHIN {self.days} DAYS'}"

    @cached_property
    def columns(self) -> frozenset[str]:
        """The columns of its source that it looks at."""
        named = frozenset() if self.where is None else frozenset(column.name for column in self.where.find_all(exp.Column))
        return named | {self.same} if self.same else named

    @cached_property
    def identity(self) -> str:
        """All that decides it."""
        where = "" if self.where is None else self.where.sql("duckdb")
        return " | ".join((self.source, where, str(self.days), str(self.is_before), str(self.is_first), str(self.is_negated), self.same))


@dataclass(frozen=True)
class Aggregate:
    """`function` of `argument` over the rows of `source` within `window` for which `where` and `sequence` hold; no argument counts rows.

    Where `latest` is given, of these rows, whatever came before or after, only the customer's newest so many count.
    Trees are checked ones, as the rule language builds them, over the columns of the source.
    """

    source: str
    function: AggregateFunction
    argument: exp.Expression | None
    where: exp.Expression | None
    window: DayWindow
    kind: Kind
    sequence: SequenceCondition | None = None
    latest: int = 0

    @cached_property
    def identity(self) -> str:
        """All that decides its values: equal for two aggregates that cannot differ."""
        trees = ("" if tree is None else tree.sql("duckdb") for tree in (self.argument, self.where))
        sequence = () if self.sequence is None else (self.sequence.identity,)
        latest = (f"latest {self.latest}",) if self.latest else ()
        return " | ".join((self.source, self.function.value, *trees, self.window.words, self.kind.sql, *sequence, *latest))

    @cached_property
    def name(self) -> str:
        """The name of the column that holds it: what it is in small letters, as far as there is room, and a digest of all of it."""
        where = "" if self.where is None else _plain_sql(self.where)
        argument = "" if self.argument is None else _plain_sql(self.argument)
        sequence = "" if self.sequence is None else self.sequence.words
        said = f"{self.function.value} {argument} {self.source} {where} {sequence}{self._latest_words} {self.window.words}"
        slug = re.sub(r"[^a-z0-9]+", "_", said.lower())[:_LONGEST_SLUG].strip("_")
        return f"{slug}_{sha256(self.identity.encode()).hexdigest()[:8]}"

    @cached_property
    def words(self) -> str:
        """What it is, for people."""
        argument = "rows" if self.argument is None else _plain_sql(self.argument)
        where = "" if self.where is None else f" where {_plain_sql(self.where)}"
        days = f", {self.window.words}" if self.window.words else ""
        sequence = "" if self.sequence is None else f", {self.sequence.words}"
        function = self.function.value.capitalize().replace("_", " ")
        return f"{function} of {argument} of {self.source}{where}{sequence}{self._latest_words}{days}."

    @property
    def _latest_words(self) -> str:
        return f", latest {self.latest}" if self.latest else ""

    @cached_property
    def call(self) -> str:
        """The aggregate as a rule says it."""
        function, _, distinct = self.function.value.partition(" ")
        of = self.source if self.argument is None else f"{self.source}.{_plain_sql(self.argument)}"
        where = "" if self.where is None else f"WHERE {_plain_sql(self.where)}"
        sequence = "" if self.sequence is None else self.sequence.clause
        latest = f"LATEST {self.latest}" if self.latest else ""
        parts = (distinct, of, where, sequence, latest, self.window.clause)
        return f"{function}({' '.join(part for part in parts if part)})"

    @property
    def other_sources(self) -> tuple[str, ...]:
        """The events that it looks at beside its own."""
        return () if self.sequence is None else (self.sequence.source,)

    @cached_property
    def columns(self) -> frozenset[str]:
        """The columns of the source that it looks at."""
        trees = [tree for tree in (self.argument, self.where) if tree is not None]
        named = frozenset(column.name for tree in trees for column in tree.find_all(exp.Column))
        return named | {self.sequence.same} if self.sequence is not None and self.sequence.same else named

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Aggregate) and self.identity == other.identity

    def __hash__(self) -> int:
        return hash(self.identity)


def _plain_sql(tree: exp.Expression) -> str:
    """Return a condition as people write it: calls by name, names without needless quotes, no casts that make engines agree."""
    return tree.copy().transform(_plain_node).sql("duckdb")


def _plain_node(node: exp.Expr) -> exp.Expr:
    if (call := own_call(node)) is not None:
        return exp.var(call.text)
    if isinstance(node, exp.Cast):
        is_date = isinstance(node.this, exp.Literal) and node.this.is_string
        return exp.var(f"DATE {node.this.sql('duckdb')}" if is_date else _plain_sql(node.this))
    return exp.var(written_name(node.name)) if isinstance(node, exp.Column) else node

"""What a declared feature, or an aggregate within a rule, adds up: one aggregate over the rows of one customer in a range of days."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date, timedelta
from enum import Enum
from functools import cached_property
from hashlib import sha256

from sqlglot import exp

from pipeline.lake.tables import Kind

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

    @property
    def is_count(self) -> bool:
        """Whether it is 0, and not unknown, of a customer without rows."""
        return self in (AggregateFunction.COUNT, AggregateFunction.COUNT_DISTINCT)

    @property
    def is_by_value(self) -> bool:
        """Whether it needs the rows of each value together."""
        return self in (AggregateFunction.COUNT_DISTINCT, AggregateFunction.MOST_FREQUENT)


@dataclass(frozen=True, slots=True)
class DayWindow:
    """The days whose rows count on a night: the last so many, `before` days ago; or fixed ones; all up to the night by default."""

    last_days: int | None = None
    before: int = 0
    from_day: date | None = None
    to_day: date | None = None

    def first_day(self, day: date) -> date | None:
        """Return the first day that counts on the night of `day`; None where there is none."""
        return self.from_day if self.last_days is None else day - timedelta(days=self.before + self.last_days - 1)

    def final_day(self, day: date) -> date:
        """Return the last day that counts on the night of `day`."""
        return min(day - timedelta(days=self.before), self.to_day or date.max)

    @property
    def words(self) -> str:
        """The window as people read it; empty for all days."""
        parts = [
            "" if self.last_days is None else f"last {self.last_days} days",
            f"before {self.before} days ago" if self.before else "",
            f"from {self.from_day}" if self.from_day else "",
            f"to {self.to_day}" if self.to_day else "",
        ]
        return " ".join(part for part in parts if part)


@dataclass(frozen=True)
class Aggregate:
    """`function` of `argument` over the rows of `source` within `window` for which `where` holds; no argument counts rows.

    Trees are checked ones, as the rule language builds them, over the columns of the source.
    """

    source: str
    function: AggregateFunction
    argument: exp.Expression | None
    where: exp.Expression | None
    window: DayWindow
    kind: Kind

    @cached_property
    def identity(self) -> str:
        """All that decides its values: equal for two aggregates that cannot differ."""
        trees = ("" if tree is None else tree.sql("duckdb") for tree in (self.argument, self.where))
        return " | ".join((self.source, self.function.value, *trees, self.window.words, self.kind.sql))

    @cached_property
    def name(self) -> str:
        """The name of the column that holds it: what it is in small letters, as far as there is room, and a digest of all of it."""
        where = "" if self.where is None else _plain_sql(self.where)
        argument = "" if self.argument is None else _plain_sql(self.argument)
        said = f"{self.function.value} {argument} {self.source} {where} {self.window.words}"
        slug = re.sub(r"[^a-z0-9]+", "_", said.lower())[:_LONGEST_SLUG].strip("_")
        return f"{slug}_{sha256(self.identity.encode()).hexdigest()[:8]}"

    @cached_property
    def words(self) -> str:
        """What it is, for people."""
        argument = "rows" if self.argument is None else _plain_sql(self.argument)
        where = "" if self.where is None else f" where {_plain_sql(self.where)}"
        days = f", {self.window.words}" if self.window.words else ""
        return f"{self.function.value.capitalize().replace('_', ' ')} of {argument} of {self.source}{where}{days}."

    @cached_property
    def columns(self) -> frozenset[str]:
        """The columns of the source that it looks at."""
        trees = [tree for tree in (self.argument, self.where) if tree is not None]
        return frozenset(column.name for tree in trees for column in tree.find_all(exp.Column))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Aggregate) and self.identity == other.identity

    def __hash__(self) -> int:
        return hash(self.identity)


def _plain_sql(tree: exp.Expression) -> str:
    """Return a condition as people write it: without quotes around names, and without the casts that make engines agree."""
    plain = tree.copy().transform(lambda node: node.this if isinstance(node, exp.Cast) else node)
    text: str = plain.sql("duckdb", identify=False)
    return text.replace('"', "")

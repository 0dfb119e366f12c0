"""What could be otherwise about one customer: for each feature that rules name, the values at and just beyond what it is compared with.

What nobody could change alone, such as a limit of the population, is left out. The values are found by `candidate_values`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from fractions import Fraction
from itertools import combinations
from math import isfinite
from typing import Any

from sqlglot import exp

from pipeline.definitions.rules import StayColumn, Value, calls_in, joined_column, nodes_outside_calls
from pipeline.definitions.schemes import Scheme
from pipeline.definitions.schemes.score_methods import AXES, axes_behind
from pipeline.definitions.schemes.score_sql import limit_literal
from pipeline.lake.tables import CUSTOMER_FEATURES, MONTHLY_FEATURES, Kind
from pipeline.reporting.explain.candidate_values import (
    ANY_OTHER_TEXT,
    candidate_values,
    days_to_come,
    numbers_around,
    texts_for_calls,
)
from pipeline.reporting.explain.cluster_centres import Row
from pipeline.reporting.explain.decide import SchemeCase, ValueRanks
from pipeline.reporting.explain.scores import score_limits

TODAY = "as_of_date"
_AGEING = ("recency_days", "tenure_days")
# They tell what all customers do, or what is past: nothing that one customer could do would change them alone.
_FIXED = MONTHLY_FEATURES | {"customer_id", "is_prospect", "is_refund_only", "last_gap_days"}
_FEATURES = frozenset(CUSTOMER_FEATURES.column_names)
# These count what has happened: they are proposed upward alone.
_ONLY_GROWING = frozenset((TODAY, "calendar_year", "tenure_days", "gap_count", "lifetime_order_count", "lifetime_order_day_count"))
_COMPARISONS = (exp.EQ, exp.NEQ, exp.LT, exp.LTE, exp.GT, exp.GTE)
_YEAR = timedelta(days=365)


@dataclass(frozen=True, slots=True)
class WhatIf:
    """One feature that would be otherwise, with what `follows` from it; `size` is how large the change is, see `_relative_size`."""

    feature: str
    before: Value
    after: Value
    size: float
    follows: Row = field(default_factory=dict)

    def apply_to(self, row: Row) -> Row:
        """Return `row` as it would be then."""
        return {**row, self.feature: self.after, **self.follows}


def what_ifs_of_rules(case: SchemeCase, row: Row, kinds: Mapping[str, Kind]) -> list[WhatIf]:
    """Propose what-ifs of one feature that may lead to another segment, the smallest first.

    `kinds` has the kind of each feature in `row`. A score changes by the figure that it tells of.
    """
    trees = [tree for name in case.scheme.references for tree in case.by_name[name].trees] + [*case.scheme.trees]
    names = list(dict.fromkeys(column.name for tree in trees for column in tree.find_all(exp.Column, bfs=False)))
    comparisons, calls = list(_compared_pairs(case, trees)), [call for tree in trees for call in calls_in(tree)]
    changes = [*_score_what_ifs(case, row)]
    for scheme, ranks in case.ranked_schemes:
        changes += _value_what_ifs(scheme, ranks, row)
    for name in names:
        if name in row and not _is_fixed(name, row):
            values = dict.fromkeys(candidate_values(name, kinds[name], comparisons, case.with_references(row)))
            values |= dict.fromkeys(texts_for_calls(name, kinds[name], calls, row))
            if name == TODAY and any(call.bases == {TODAY} for call in calls):
                values |= dict.fromkeys(days_to_come(row[name]))
            changes += what_ifs_to(name, values, row)
    return sorted(changes, key=lambda change: change.size)


def what_ifs_across(name: str, kind: Kind, root: Fraction, row: Row) -> Iterator[WhatIf]:
    """Propose the numbers at or just beside `root`, as far as one customer could bring that about."""
    if not _is_fixed(name, row):
        yield from what_ifs_to(name, numbers_around(root, name, kind), row)


def what_ifs_to(name: str, values: Iterable[Value], row: Row) -> Iterator[WhatIf]:
    """Propose each of the values that the customer does not have."""
    before: Any = row[name]
    for value in values:
        after: Any = value
        if after > before if name in _ONLY_GROWING else after != before:
            change = WhatIf(name, before, value, _relative_size(before, value))
            yield _with_ageing(change, row) if name == TODAY else change


def _is_fixed(name: str, row: Row) -> bool:
    """Whether a feature cannot change alone: who never ordered has none that could, and one that is empty follows from others."""
    if name not in _FEATURES:
        return isinstance(joined_column(name), StayColumn)  # past, and so beyond any change
    is_of_orders = name not in ("calendar_year", TODAY)
    return (
        name in _FIXED
        or name.endswith("_score")
        or (is_of_orders and (row["is_prospect"] is True or row["is_refund_only"] is True))
        or row[name] is None
    )


def _score_what_ifs(case: SchemeCase, row: Row) -> Iterator[WhatIf]:
    """Propose the figures at which a score becomes another one."""
    for scheme in (case.scheme, *(case.by_name[name] for name in case.scheme.references)):
        for score in axes_behind(scheme.scores):
            axis, method = AXES[score], scheme.score_methods[score]
            if _is_fixed(axis.figure, row):
                continue
            if method.name == "rank":
                limits = [*case.score_ranks[score].turning_points(axis)]
            else:
                limits = [limit for limit in score_limits(axis, method, row) if limit is not None]
            values = dict.fromkeys(number for limit in limits for number in numbers_around(Fraction(limit), axis.figure, axis.kind))
            for change in what_ifs_to(axis.figure, values, row):
                yield _with_order_date(change, row) if method.name == "rank" and axis.is_low_better else change


def _with_order_date(change: WhatIf, row: Row) -> WhatIf:
    """Return the what-if with the date that goes with its days, by which customers rank."""
    last: Any = row["last_order_date"]
    before: Any = change.before
    after: Any = change.after
    return replace(change, follows={"last_order_date": last + timedelta(days=before - after)}) if last else change


def _with_ageing(change: WhatIf, row: Row) -> WhatIf:
    """Return the what-if of a later day with the days that pass until then."""
    before: Any = change.before
    after: Any = change.after
    counts: dict[str, Any] = {name: row[name] for name in _AGEING if row.get(name) is not None}
    return replace(change, follows={name: count + (after - before).days for name, count in counts.items()})


def _value_what_ifs(scheme: Scheme, ranks: ValueRanks, row: Row) -> Iterator[WhatIf]:
    """Propose the other values of the attribute that decides: the most frequent first, of tiers the next in rank."""
    name = scheme.attribute
    if _is_fixed(name, row):
        return
    own = ranks.rank_of(row[name])
    values = [value for _, value in ranks.order]
    if scheme.kind == "value_tiers" and own is not None:
        places = {value: abs(place - own.place) for place, value in enumerate(values, 1)}
        # Two values as far up as down keep the order of frequency: sorting is stable.
        values.sort(key=places.__getitem__)
    yield from (WhatIf(name, row[name], value, 1) for value in [*values, ANY_OTHER_TEXT] if value != row[name])


def _compared_pairs(case: SchemeCase, trees: Iterable[exp.Expr]) -> Iterator[exp.Expr]:
    """Yield everything that is compared, as two sides; where the highest score decides, also scores with each other."""
    for tree in trees:
        nodes = list(nodes_outside_calls(tree))
        yield from (node for node in nodes if isinstance(node, _COMPARISONS))
        for node in (each for each in nodes if isinstance(each, exp.In)):
            # A list is many comparisons: each of its values is one that could be taken up.
            yield from (exp.EQ(this=node.this, expression=choice) for choice in node.expressions)
    scores = [segment.score for segment in case.scheme.segments if segment.score is not None]
    yield from (exp.GT(this=left, expression=right) for left, right in combinations([*scores, limit_literal(case.scheme.floor)], 2))


def _relative_size(before: Any, after: Any) -> float:  # noqa: ANN401  # a value of any kind
    """Measure how large a change is: of numbers relative to the larger one, of days to a year, else 1.

    What-ifs of different features are sorted by it, so that it has no unit.
    """
    if isinstance(before, date) and isinstance(after, date):
        return abs((after - before) / _YEAR)
    if isinstance(before, bool | str | None) or not isfinite(before):
        return 1.0
    return abs(float(after) - float(before)) / max(abs(float(before)), abs(float(after)))

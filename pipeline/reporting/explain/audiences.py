"""One customer and one audience: whether they are in it, by which values, and what would change that."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlglot import exp

from pipeline.lake.tables import Kind
from pipeline.reporting.explain.cluster_centres import Row
from pipeline.reporting.explain.decide import SchemeCase
from pipeline.reporting.explain.explanation import what_ifs_of_case
from pipeline.reporting.explain.moves import CustomerMove
from pipeline.reporting.explain.what_if import WhatIf


@dataclass(frozen=True, slots=True)
class AudienceExplanation:
    """Whether a customer `is_member` of an audience as stored, and by the rule as it is now, None where that is unknown.

    `values` are those that the rule looks at; `nearest` is the smallest change of one feature by which the customer enters or leaves,
    None where no such change does, or another version computed the night.
    """

    audience: str
    title: str
    is_member: bool
    is_member_now: bool
    rule: str
    values: Mapping[str, object]
    nearest: WhatIf | None
    moves: Sequence[CustomerMove]


def explain_audience(
    case: SchemeCase, row: Row, kinds: Mapping[str, Kind], *, is_member: bool, moves: Sequence[CustomerMove]
) -> AudienceExplanation:
    """Explain why a customer with the features `row`, of these `kinds`, is in an audience or not."""
    audience, known = case.scheme, case.with_references(row)
    columns = audience.applies_to.find_all(exp.Column, bfs=False) if audience.applies_to else ()
    is_member_now = case.segment_of(row) is not None
    return AudienceExplanation(
        audience=audience.name,
        title=audience.title,
        is_member=is_member,
        is_member_now=is_member_now,
        rule=audience.applies_to_text,
        values={
            **{name: known[name] for name in dict.fromkeys(column.name for column in columns)},
            **{f"@{name}": value for name, value in audience.parameters.items()},
        },
        nearest=_nearest_change(case, row, kinds) if is_member_now == is_member else None,
        moves=[move for move in moves if move.scheme == audience.name],
    )


def _nearest_change(case: SchemeCase, row: Row, kinds: Mapping[str, Kind]) -> WhatIf | None:
    """Return the smallest change of one feature by which the customer enters or leaves: each is tried, from the smallest on."""
    own = case.segment_of(row)
    changes = sorted(what_ifs_of_case(case, row, kinds), key=lambda change: change.size)
    return next((change for change in changes if case.segment_of(change.apply_to(row)) != own), None)

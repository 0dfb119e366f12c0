"""Schemes as one statement: the segment and the evidence of every customer in every scheme, alike on every engine.

Who a scheme does not apply to has a decision without a segment, and no row in `segments_statement`.

A scheme is built from the inside out: customers, then a column for the segment of each scheme that its rules refer to, then the
columns that it decides by (scores, or how common a value is), then one CASE that gives the segment. Such columns get names with
a dot, such as `score.0` or `lifecycle.segment`, which no feature or attribute can have.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from sqlglot import exp

from pipeline.definitions.schemes.references import SEGMENT_SUFFIX
from pipeline.definitions.schemes.scheme import FEWEST_OF_LEADING_VALUE, INSUFFICIENT_EVIDENCE, OTHER, UNKNOWN, Scheme
from pipeline.definitions.schemes.score_methods_sql import with_scores
from pipeline.definitions.schemes.score_sql import competing_score, limit_literal, score_column, score_texts
from pipeline.lake.expressions import union_all
from pipeline.lake.statements import statement
from pipeline.lake.tables import CUSTOMER_FEATURES

NEW_THIS_MONTH = "is_new_this_month"
# The columns of ranked_values, under names that no attribute can have.
_RANKED = {name: exp.column(f"ranked.{name}", quoted=True) for name in ("value", "customer_count", "place", "spend_place", "rank_share")}


@dataclass(frozen=True, slots=True)
class SchemeDecision:
    """A relation of customers, the segment and the evidence of each of them in terms of its columns, and the columns that it adds.

    The segment is NULL of whoever the scheme does not apply to.
    """

    relation: exp.Expression
    segment: exp.Expression
    evidence: exp.Expression
    added: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _SegmentChoice:
    """A relation with the columns that a scheme decides by, the segment in terms of them, and the names of those that were added."""

    relation: exp.Expression
    segment: exp.Expression
    added: tuple[str, ...] = ()


def segments_statement(schemes: Sequence[Scheme]) -> exp.Query:
    """Return the statement that gives customer_id, scheme, segment and evidence, one row per customer and scheme, unsorted.

    It reads the registered table customer_features, alike on every engine. No scheme is a ValueError, one that looks at clusters
    without their assignments a KeyError.
    """
    by_name = {scheme.name: scheme for scheme in schemes}
    return union_all(membership_statement(scheme, by_name) for scheme in schemes)


def membership_statement(scheme: Scheme, by_name: Mapping[str, Scheme]) -> exp.Query:
    """Return the statement of those whom one scheme applies to; `by_name` holds at least the schemes that it refers to."""
    decided = decisions_statement(scheme, by_name)
    return decided if scheme.applies_to is None else decided.where(_applies_condition(scheme))


def decisions_statement(scheme: Scheme, by_name: Mapping[str, Scheme]) -> exp.Select:
    """Return the statement of what a scheme says of every customer: no segment for whoever it does not apply to."""
    found = scheme_decision(scheme, by_name, exp.to_table(CUSTOMER_FEATURES.name))
    columns = {"scheme": exp.Literal.string(scheme.name), "segment": found.segment, "evidence": found.evidence}
    named = [exp.alias_(value, name, copy=False) for name, value in columns.items()]
    return exp.Select().select(exp.column("customer_id"), *named, copy=False).from_(found.relation, copy=False)


def scheme_decision(scheme: Scheme, by_name: Mapping[str, Scheme], customers: exp.Expression) -> SchemeDecision:
    """Return how a scheme decides on `customers`, a relation with the columns of their features."""
    relation, looked_at = with_referenced_segments(scheme, by_name, customers)
    choice = _choose_segment(scheme, by_name, relation, "scored" if scheme.kind == "rules" else "valued")
    return SchemeDecision(choice.relation, choice.segment, _evidence_text(scheme), (*looked_at, *choice.added))


def _first_match_case(scheme: Scheme) -> exp.Expression:
    """Return the first segment of a scheme of rules whose rule holds; those that compete come last, after every other rule."""
    case = exp.Case()
    for segment in scheme.segments:
        if segment.rule is not None and not segment.competes:
            case.when(segment.rule.copy(), exp.Literal.string(segment.id), copy=False)  # in place: a copy for each rule is slow
    scores = [score_column(place) for place in range(len(scheme.competing))]
    for score, segment in zip(scores, scheme.competing, strict=True):
        is_above = exp.GT(this=score.copy(), expression=limit_literal(scheme.floor))
        best = exp.Greatest(this=scores[0], expressions=scores[1:]) if len(scores) > 1 else scores[0]
        is_best = exp.EQ(this=score.copy(), expression=best.copy())
        # Of equal scores the segment that is written first wins, as a CASE takes its first branch that holds.
        case.when(exp.and_(is_above, is_best), exp.Literal.string(segment.id), copy=False)
    otherwise = next((segment for segment in scheme.segments if segment.is_otherwise), None)
    if otherwise is None:
        return case
    rest = exp.Literal.string(otherwise.id)
    return case.else_(rest, copy=False) if case.args.get("ifs") else rest  # SQL has no CASE without a branch


def with_referenced_segments(
    scheme: Scheme, by_name: Mapping[str, Scheme], customers: exp.Expression
) -> tuple[exp.Expression, tuple[str, ...]]:
    """Return `customers` with the segment of each scheme that is referred to as one more column, and the names of these.

    The scores that the scheme names are by its own methods.
    """
    relation = customers
    for name in scheme.clusters:
        relation = _with_cluster(relation, name, scheme.assignments[name])
    for name in scheme.references:
        other = by_name[name]
        relation = with_scores(relation, other.scores, other.score_methods)
        choice = _choose_segment(other, by_name, relation, f"{'scored' if other.kind == 'rules' else 'valued'}_{name}")
        query = exp.Select().select(
            all_columns_except(choice.added), exp.alias_(choice.segment, f"{name}{SEGMENT_SUFFIX}", quoted=True), copy=False
        )
        relation = query.from_(choice.relation, copy=False).subquery(f"with_{name}", copy=False)
    scored = with_scores(relation, scheme.scores, scheme.score_methods)
    return scored, tuple(f"{name}{SEGMENT_SUFFIX}" for name in (*scheme.clusters, *scheme.references))


def _choose_segment(scheme: Scheme, by_name: Mapping[str, Scheme], relation: exp.Expression, alias: str) -> _SegmentChoice:
    """Return `relation` with the columns that a scheme decides by, and the segment that it chooses, NULL where it does not apply."""
    choice = _choose_among_all(scheme, by_name, relation, alias)
    if scheme.applies_to is None:
        return choice
    return replace(choice, segment=exp.Case().when(_applies_condition(scheme), choice.segment))


def _applies_condition(scheme: Scheme) -> exp.Expression:
    """Return the condition that a scheme applies to a customer: that its rule is true, and neither false nor unknown."""
    if scheme.applies_to is None:
        return exp.true()
    return exp.Coalesce(this=exp.Paren(this=scheme.applies_to.copy()), expressions=[exp.false()])


def _choose_among_all(scheme: Scheme, by_name: Mapping[str, Scheme], relation: exp.Expression, alias: str) -> _SegmentChoice:
    """Return what `_choose_segment` does, as if the scheme applied to everybody."""
    if scheme.kind != "rules":
        valued = _with_value_ranks(scheme, relation, by_name).subquery(alias)
        return _SegmentChoice(valued, _value_decision(scheme), tuple(column.name for column in _RANKED.values()))
    if scheme.decision != "highest_score":
        return _SegmentChoice(relation, _first_match_case(scheme))
    scores = [
        exp.alias_(competing_score(scheme, segment), score_column(place).name, quoted=True)
        for place, segment in enumerate(scheme.competing)
    ]
    scored = exp.select("*", *scores).from_(relation).subquery(alias)
    return _SegmentChoice(scored, _first_match_case(scheme), tuple(score.alias for score in scores))


def all_columns_except(names: Sequence[str]) -> exp.Star:
    """Return all columns but those of these `names`."""
    return exp.Star(except_=[exp.to_identifier(name, quoted=True) for name in names]) if names else exp.Star()


def _with_cluster(relation: exp.Expression, name: str, assignment: exp.Query) -> exp.Expression:
    """Return `relation` with each customer's cluster as one more column."""
    known, assigned = exp.alias_(relation, "known", table=True), assignment.subquery(f"assigned_{name}")
    is_same = exp.column("customer_id", "known").eq(exp.column("customer_id", assigned.alias))
    segment = exp.alias_(exp.column("segment", assigned.alias), f"{name}{SEGMENT_SUFFIX}", quoted=True)
    return exp.select("known.*", segment).from_(known).join(assigned, on=is_same).subquery(f"with_{name}")


def _evidence_text(scheme: Scheme) -> exp.Expression:
    parts: list[exp.Expression] = []
    for name in scheme.evidence:
        parts += [
            _evidence_label(name, parts),
            # CONCAT leaves out what is NULL on one engine, and is NULL on another.
            exp.Coalesce(this=exp.cast(exp.column(name, quoted=True), "varchar"), expressions=[exp.Literal.string("-")]),
        ]
    for place, segment in enumerate(scheme.competing):
        parts += [_evidence_label(segment.id, parts), *score_texts(place, segment)]
    return exp.Concat(expressions=parts) if parts else exp.cast(exp.null(), "varchar")


def _evidence_label(name: str, before: Sequence[exp.Expression]) -> exp.Expression:
    return exp.Literal.string(f"{', ' if before else ''}{name}=")


def _with_value_ranks(scheme: Scheme, relation: exp.Expression, by_name: Mapping[str, Scheme]) -> exp.Select:
    """Return `relation` with how common each customer's value is among those whom the scheme applies to and takes."""
    value = exp.column(scheme.attribute, quoted=True)
    is_alike = exp.EQ(this=value, expression=_RANKED["value"].copy())
    ranked = _ranked_values(scheme, with_referenced_segments(scheme, by_name, exp.to_table(CUSTOMER_FEATURES.name))[0])
    return exp.select("*").from_(relation).join(ranked, on=is_alike, join_type="left")


def _value_decision(scheme: Scheme) -> exp.Case:
    """Return the expression that gives the segment of a scheme whose segments are the values of an attribute, or tiers of them."""
    chosen = exp.Case()
    if scheme.rule is not None:
        is_taken = exp.Coalesce(this=exp.Paren(this=scheme.rule), expressions=[exp.false()])
        chosen = chosen.when(exp.Not(this=is_taken), exp.Literal.string(INSUFFICIENT_EVIDENCE))
    if scheme.kind == "values":  # what the source calls other is other, and stands in one row with ours
        chosen = chosen.when(_plain_value(scheme).eq(exp.Literal.string(OTHER)), exp.Literal.string(OTHER))
        is_unknown: exp.Expr = exp.Is(this=_RANKED["value"].copy(), expression=exp.null())
    else:  # a value that only newcomers have is known, though it has no rank yet
        is_named = exp.In(this=_plain_value(scheme), expressions=[exp.Literal.string(name) for name in ("", UNKNOWN)])
        is_unknown = exp.Coalesce(this=is_named, expressions=[exp.true()])
    chosen = chosen.when(is_unknown, exp.Literal.string(UNKNOWN))
    return _tier_case(scheme, chosen) if scheme.kind == "value_tiers" else _value_case(scheme, chosen)


def _plain_value(scheme: Scheme) -> exp.Expression:
    """Return the value of a customer without capitals and the spaces around it."""
    return exp.Lower(this=exp.Trim(this=exp.column(scheme.attribute, quoted=True)))


def _ranked_values(scheme: Scheme, relation: exp.Expression) -> exp.Subquery:
    """Return the values of those whom the scheme's rule takes, ranked, so that a value of many others gets no place of theirs."""
    values = (
        exp.select(exp.alias_(exp.column(scheme.attribute, quoted=True), "value"), "spend_amount")
        .from_(relation)
        .where(scheme.applies_to, scheme.rule)
    )
    if scheme.kind == "value_tiers":  # frozen for the month: nobody is moved by those who came since
        values = values.where(exp.Not(this=exp.Coalesce(this=exp.column(NEW_THIS_MONTH), expressions=[exp.false()])))
    query = statement("ranked_values").copy()
    next(table for table in query.find_all(exp.Table) if table.name == "attribute_values").replace(values.subquery("attribute_values"))
    named = (exp.alias_(exp.column(name), column.name, quoted=True) for name, column in _RANKED.items())
    return exp.select(*named).from_(query.subquery("counted")).subquery("ranked")


def _tier_case(scheme: Scheme, chosen: exp.Case) -> exp.Case:
    *limited, last = (segment for segment in scheme.segments if segment.id not in (UNKNOWN, INSUFFICIENT_EVIDENCE))
    is_rare = exp.LT(this=_RANKED["customer_count"].copy(), expression=exp.Literal.number(scheme.fewest_customers))
    chosen = chosen.when(is_rare, exp.Literal.string(last.id))
    for segment in limited:
        below = exp.LT(this=_RANKED["rank_share"].copy(), expression=limit_literal(segment.below or 0))
        chosen = chosen.when(below, exp.Literal.string(segment.id))
    return chosen.else_(exp.Literal.string(last.id))


def _value_case(scheme: Scheme, chosen: exp.Case) -> exp.Case:
    count, place, spend_place = (_RANKED[name].copy() for name in ("customer_count", "place", "spend_place"))
    # By customers or by spend, whichever is the better place: a few customers who bring much of the money deserve a segment too.
    best_place = exp.Least(this=place, expressions=[exp.Coalesce(this=spend_place, expressions=[place.copy()])])
    is_beyond = exp.GT(this=best_place, expression=exp.Literal.number(scheme.most_segments))
    is_rare: exp.Expr = exp.LT(this=count, expression=exp.Literal.number(scheme.fewest_customers))
    if scheme.leading_values:
        is_leading = exp.LTE(this=spend_place.copy(), expression=exp.Literal.number(scheme.leading_values))
        is_shared = exp.GTE(this=count.copy(), expression=exp.Literal.number(FEWEST_OF_LEADING_VALUE))
        is_rare = exp.and_(is_rare, exp.not_(exp.Coalesce(this=exp.Paren(this=exp.and_(is_leading, is_shared)), expressions=[exp.false()])))
    return chosen.when(exp.or_(is_beyond, is_rare), exp.Literal.string(OTHER)).else_(_RANKED["value"].copy())

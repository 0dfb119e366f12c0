"""All audiences in one look at the customers: whom each rule takes, as statements that every engine answers alike."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import chain

from sqlglot import exp

from pipeline.definitions.schemes.scheme import Scheme
from pipeline.definitions.schemes.score_methods import SCORE_NAMES
from pipeline.definitions.schemes.sql import with_referenced_segments
from pipeline.lake.tables import CUSTOMER_FEATURES

# Names that no feature or attribute can have.
_MOVED_CUSTOMER, _MOVED_AUDIENCE = "moved.customer_id", "moved.audience"


def conditions_statement(
    conditions: Mapping[str, exp.Expression], audiences: Sequence[Scheme], by_name: Mapping[str, Scheme], *, is_in_order: bool = False
) -> exp.Select:
    """Return the statement of customer_id and of what each condition in the rules of `audiences` says of the customer, by its name.

    That is true, false or unknown. Sorted by customer. It reads the registered table customer_features; `by_name` holds at least the
    schemes that the audiences refer to. `is_in_order`: the rows of the table come in that order by themselves.
    """
    customers = _with_what_rules_name(audiences, by_name)
    if not (is_in_order and isinstance(customers, exp.Table)):
        # Sorted before conditions are worked out: there may be many more of them than of columns.
        customers = exp.select("*").from_(customers).order_by("customer_id").subquery("known", copy=False)
    columns = [exp.alias_(condition.copy(), name, copy=False) for name, condition in conditions.items()]
    return exp.Select().select("customer_id", *columns, copy=False).from_(customers, copy=False)


def unknown_counts_statement(audiences: Sequence[Scheme], by_name: Mapping[str, Scheme]) -> exp.Select:
    """Return the statement of how many customers each audience's rule is unknown of: one row, a column for each, by name."""
    counts = [
        exp.alias_(
            exp.Count(this=exp.Case().when(exp.Paren(this=rule_of(audience).copy()).is_(exp.null()), exp.Literal.number(1))),
            audience.name,
            quoted=True,
        )
        for audience in audiences
    ]
    return exp.select(*counts).from_(_with_what_rules_name(audiences, by_name))


def members_statement(audience: Scheme, by_name: Mapping[str, Scheme]) -> exp.Select:
    """Return the statement of customer_id, `is_member` and spend_amount of every customer; `is_member` may be unknown."""
    rule = exp.alias_(rule_of(audience).copy(), "is_member", copy=False)
    return exp.select("customer_id", rule, "spend_amount").from_(_with_what_rules_name([audience], by_name))


def all_members_statement(audiences: Sequence[Scheme], by_name: Mapping[str, Scheme]) -> exp.Select:
    """Return the statement of customer_id and audience of every member of `audiences`, sorted by both."""
    audience = exp.column(_MOVED_AUDIENCE, quoted=True)
    names = [exp.Literal.string(each.name) for each in audiences]
    is_member = exp.Case(this=audience.copy())
    for name, each in zip(names, audiences, strict=True):
        is_member.when(name.copy(), rule_of(each).copy(), copy=False)
    pairs = exp.values([(name,) for name in names], alias="named", columns=[_MOVED_AUDIENCE])
    relation = exp.alias_(_with_what_rules_name(audiences, by_name), "known", table=True)
    query = exp.Select().select("customer_id", exp.alias_(audience, "audience"), copy=False).from_(relation, copy=False)
    return query.join(pairs, join_type="cross", copy=False).where(is_member, copy=False).order_by("customer_id", "audience", copy=False)


def memberships_on_features(audiences: Sequence[Scheme], by_name: Mapping[str, Scheme], *, moved: str) -> exp.Select:
    """Return the statement of customer_id, scheme and segment of those audiences and customers that the table `moved` names.

    The segment is NULL for whoever the audience does not take. It reads customer_features, in whose place others may be put: there the
    id may have a prefix, which a quoted one, such as that of the join, is freed of.
    """
    names = [exp.Literal.string(audience.name) for audience in audiences]
    pairs = exp.select(
        exp.alias_(exp.column("customer_id"), _MOVED_CUSTOMER, quoted=True), exp.alias_(exp.column("scheme"), _MOVED_AUDIENCE, quoted=True)
    )
    pairs = pairs.from_(moved).where(exp.In(this=exp.column("scheme"), expressions=names))
    segment = exp.Case(this=exp.column(_MOVED_AUDIENCE, quoted=True))
    for name, audience in zip(names, audiences, strict=True):
        member = exp.Literal.string(audience.segments[0].id)
        segment.when(name.copy(), exp.Case().when(rule_of(audience).copy(), member, copy=False), copy=False)
    relation = exp.alias_(_with_what_rules_name(audiences, by_name), "known", table=True)
    is_same = exp.column(_MOVED_CUSTOMER, quoted=True).eq(exp.column("customer_id", "known", quoted=True))
    # The segment comes last: each step would copy a CASE of a thousand branches.
    query = exp.Select().from_(relation, copy=False).join(pairs.subquery("pairs"), on=is_same, copy=False)
    customer = exp.alias_(exp.column("customer_id", "known"), "customer_id")
    named = (customer, exp.alias_(exp.column(_MOVED_AUDIENCE, quoted=True), "scheme"), exp.alias_(segment, "segment", copy=False))
    return query.select(*named, copy=False)


def rule_of(audience: Scheme) -> exp.Expression:
    """Return whom an audience takes."""
    return exp.true() if audience.applies_to is None else audience.applies_to


def _with_what_rules_name(audiences: Sequence[Scheme], by_name: Mapping[str, Scheme]) -> exp.Expression:
    """Return the customers with the segments and scores that any of the audiences names, each worked out once."""
    scores = set(chain.from_iterable(audience.scores for audience in audiences))
    together = replace(
        audiences[0],
        references=tuple(dict.fromkeys(chain.from_iterable(audience.references for audience in audiences))),
        clusters=tuple(sorted(set(chain.from_iterable(audience.clusters for audience in audiences)))),
        assignments={name: query for audience in audiences for name, query in audience.assignments.items()},
        scores=tuple(name for name in SCORE_NAMES if name in scores),
        # Audiences have no methods of their own: all go by the company's.
        score_methods={name: method for audience in audiences for name, method in audience.score_methods.items()},
    )
    return with_referenced_segments(together, by_name, exp.to_table(CUSTOMER_FEATURES.name))[0]

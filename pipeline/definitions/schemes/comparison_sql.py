"""Two versions of a scheme beside each other: where each customer is by one and by the other, in one look at them."""

from __future__ import annotations

from collections.abc import Mapping

from sqlglot import exp

from pipeline.definitions.schemes.scheme import Scheme
from pipeline.definitions.schemes.sql import SchemeDecision, all_columns_except, scheme_decision
from pipeline.lake.tables import CUSTOMER_FEATURES

# Names that no feature or attribute can have.
_SEGMENT, _EVIDENCE = "before.segment", "before.evidence"

SchemeVersion = tuple[Scheme, Mapping[str, Scheme]]
"""A scheme with the schemes of its version by name."""


def comparison_statement(old: SchemeVersion, new: SchemeVersion) -> exp.Query:
    """Return the statement that gives customer_id, scheme, from_segment, to_segment, is_written and spend_amount of every customer.

    A segment is NULL for whoever the scheme does not apply to; `is_written` says whether the row of customer_segments would be another one.
    """
    before = scheme_decision(*old, exp.to_table(CUSTOMER_FEATURES.name))
    after = scheme_decision(*new, _customers_with_before(before))
    from_segment, to_segment = exp.column(_SEGMENT, quoted=True), after.segment
    columns = {
        "scheme": exp.Literal.string(new[0].name),
        "from_segment": from_segment,
        "to_segment": to_segment,
        "other_evidence": _is_other_evidence(old[0], before, new[0], after),
    }
    is_moved = exp.NullSafeNEQ(this=exp.column("to_segment"), expression=exp.column("from_segment"))
    # Who is in no segment before and after has no row that could be written.
    is_in_any = exp.not_(exp.column("to_segment").is_(exp.null()))
    is_written = exp.alias_(exp.or_(is_moved, exp.and_(is_in_any, exp.column("other_evidence"))), "is_written")
    named = [exp.alias_(value, name, copy=False) for name, value in columns.items()]
    rows = exp.Select().select("customer_id", *named, "spend_amount", copy=False).from_(after.relation, copy=False)
    return exp.select("customer_id", "scheme", "from_segment", "to_segment", is_written, "spend_amount").from_(rows.subquery("beside"))


def _customers_with_before(before: SchemeDecision) -> exp.Subquery:
    """Return the customers with the segment and evidence that they had as two more columns."""
    known = exp.alias_(before.segment, _SEGMENT, quoted=True), exp.alias_(before.evidence, _EVIDENCE, quoted=True)
    return (
        exp.Select()
        .select(all_columns_except(before.added), *known, copy=False)
        .from_(before.relation, copy=False)
        .subquery("known_before")
    )


def _is_other_evidence(old: Scheme, before: SchemeDecision, new: Scheme, after: SchemeDecision) -> exp.Expression:
    """Return the condition that a customer's evidence differs between the versions."""
    # Evidence made of features alone is the same text on both sides, for it is about the same customer; scores may differ.
    is_alike = before.evidence == after.evidence and old.shown_methods == new.shown_methods
    if is_alike and not (old.competing or new.competing):
        return exp.false()
    return exp.NEQ(this=exp.column(_EVIDENCE, quoted=True), expression=exp.Paren(this=after.evidence))

"""Whom rules leave out only because a value is not known, counted among the live night's customers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass

from sqlglot import exp

from pipeline.definitions.audiences import rule_of, unknown_counts_statement
from pipeline.definitions.schemes import Scheme, comparison_statement, may_be_unknown, scheme_taking_unknown_in
from pipeline.lake.engines import Engine
from pipeline.lake.expressions import union_all


@dataclass(frozen=True, slots=True)
class LeftOut:
    """Customers who would be in a segment if `<>`, `NOT` and `NOT IN` were true of what is not known of them."""

    scheme: str
    segment: str
    customer_count: int

    def __str__(self) -> str:
        whom = "1 customer, of whom a value is" if self.customer_count == 1 else f"{self.customer_count:,} customers, of whom a value is"
        return (
            f"{self.scheme}: `{self.segment}` leaves out {whom} not known: `<>`, NOT and NOT IN are not true of them. To take them in, "
            "write `x IS NOT 'a'` or `flag IS NOT TRUE`; to say that they stay out, add `AND x IS NOT NULL`"
        )


@dataclass(frozen=True, slots=True)
class UnknownMembers:
    """Customers who are not in an audience because its rule is unknown of them."""

    scheme: str
    customer_count: int

    def __str__(self) -> str:
        whom = "1 customer is" if self.customer_count == 1 else f"{self.customer_count:,} customers are"
        return (
            f"{self.scheme}: {whom} not in it because the rule is unknown: a value is not known. To take them in, write "
            "`x IS NOT 'a'` or `OR x IS NULL`; to say that they stay out, add `AND x IS NOT NULL`"
        )


def find_unknown(engine: Engine, schemes: Sequence[Scheme], *, counted: Container[str] = ()) -> tuple[UnknownMembers, ...]:
    """Return of which audiences the rule is unknown of anybody; reads the registered table customer_features.

    `counted` are the declared features that count rows, of which nobody is without.
    """
    audiences = [scheme for scheme in schemes if scheme.audience is not None and may_be_unknown(rule_of(scheme), counted)]
    if not audiences:
        return ()
    by_name = {scheme.name: scheme for scheme in schemes}
    [counts] = engine.run(unknown_counts_statement(audiences, by_name), {}).read_all().to_pylist()
    return tuple(UnknownMembers(name, count) for name, count in counts.items() if count)


def find_left_out(engine: Engine, schemes: Sequence[Scheme]) -> tuple[LeftOut, ...]:
    """Return who is left out, by scheme and segment in the order of the definitions; reads the registered table customer_features.

    Of audiences `find_unknown` tells.
    """
    by_name = {scheme.name: scheme for scheme in schemes}
    of_schemes = (scheme for scheme in schemes if scheme.audience is None)
    # Most schemes ask nothing that unknown values make untrue: they have no twin, and cost no look at the customers.
    twins = {scheme.name: twin for scheme in of_schemes if (twin := scheme_taking_unknown_in(scheme))}
    if not twins:
        return ()
    counts = _count_others(engine, by_name, twins)
    segments = ((name, segment.id) for name in twins for segment in by_name[name].segments)
    return tuple(LeftOut(name, segment, counts[name, segment]) for name, segment in segments if counts[name, segment])


def _count_others(engine: Engine, by_name: Mapping[str, Scheme], twins: Mapping[str, Scheme]) -> Counter[tuple[str, str]]:
    """Count the customers whom the twin of a scheme has in another segment, by scheme and that segment."""
    beside = union_all([comparison_statement((by_name[name], by_name), (twin, by_name)) for name, twin in twins.items()])
    is_nobody = exp.column("from_segment").is_(exp.null())  # whom the scheme does not apply to
    is_other = exp.and_(
        exp.or_(is_nobody, exp.column("from_segment").neq(exp.column("to_segment"))), exp.column("to_segment").is_(exp.null()).not_()
    )
    keys = ("scheme", "to_segment")
    query = exp.select(*keys, exp.alias_(exp.Count(this=exp.Star()), "customer_count")).from_(beside.subquery("beside"))
    rows = engine.run(query.where(is_other).group_by(*keys), {}).read_all().to_pylist()
    return Counter({(row["scheme"], row["to_segment"]): row["customer_count"] for row in rows})

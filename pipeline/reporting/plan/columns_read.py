"""The columns of customer_features that the statements of a plan read: those of what changes, and of whoever is left out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from sqlglot import exp

from pipeline.definitions.audiences import unknown_counts_statement
from pipeline.definitions.schemes import Scheme, decisions_statement, scheme_taking_unknown_in
from pipeline.features import FeaturesSince
from pipeline.lake.engines import Engine
from pipeline.lake.tables import Table


def materialize_columns_read(  # noqa: PLR0913 - both versions, and what differs
    engine: Engine,
    features: Table,
    names: Sequence[str],
    before: Sequence[Scheme],
    after: Sequence[Scheme],
    *,
    since: FeaturesSince | None,
) -> None:
    """Work out the readable table `features` once, with those columns alone that a plan of the schemes `names` reads.

    `since` works out those of them that the stored night lacks.
    """
    named = {"customer_id", "spend_amount"}
    for query in _statements(names, before, after):
        named |= {column.name for column in query.find_all(exp.Column)}
    read = features.only(named)
    if since:
        since.work_out(named)
    engine.materialize(read, exp.select(*(exp.column(name, quoted=True) for name in read.column_names)).from_(features.name))


def _statements(names: Sequence[str], before: Sequence[Scheme], after: Sequence[Scheme]) -> Iterator[exp.Query]:
    by_name_before, by_name = ({scheme.name: scheme for scheme in version} for version in (before, after))
    for version in (by_name_before, by_name):
        yield from (decisions_statement(version[name], version) for name in names if name in version)
    schemes = [scheme for scheme in after if scheme.audience is None and scheme_taking_unknown_in(scheme)]
    yield from (decisions_statement(scheme, by_name) for scheme in schemes)
    if audiences := [scheme for scheme in after if scheme.audience is not None]:
        yield unknown_counts_statement(audiences, by_name)

"""The columns of customer_features that the statements of a plan read: those of what changes, and of whoever is left out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from sqlglot import exp

from pipeline.definitions.audiences import unknown_counts_statement
from pipeline.definitions.schemes import Scheme, decisions_statement, scheme_taking_unknown_in
from pipeline.segmentation import columns_named


def columns_read(names: Sequence[str], before: Sequence[Scheme], after: Sequence[Scheme]) -> set[str]:
    """Return the columns that a plan of the schemes `names` reads of customers."""
    return {"customer_id", "spend_amount", *columns_named(_statements(names, before, after))}


def _statements(names: Sequence[str], before: Sequence[Scheme], after: Sequence[Scheme]) -> Iterator[exp.Query]:
    by_name_before, by_name = ({scheme.name: scheme for scheme in version} for version in (before, after))
    for version in (by_name_before, by_name):
        yield from (decisions_statement(version[name], version) for name in names if name in version)
    schemes = [scheme for scheme in after if scheme.audience is None and scheme_taking_unknown_in(scheme)]
    yield from (decisions_statement(scheme, by_name) for scheme in schemes)
    if audiences := [scheme for scheme in after if scheme.audience is not None]:
        yield unknown_counts_statement(audiences, by_name)

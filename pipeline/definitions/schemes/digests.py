"""What a scheme decides, as a short text: equal for two that cannot decide otherwise about the same customers."""

from __future__ import annotations

from collections.abc import Mapping

from sqlglot import exp

from pipeline.definitions.schemes.scheme import Scheme
from pipeline.definitions.schemes.sql import membership_statement
from pipeline.lake.statements import short_digest, statement_digest


def scheme_digest(scheme: Scheme, by_name: Mapping[str, Scheme]) -> str:
    """Return a digest of whom a scheme has in which segment; `by_name` holds at least the schemes that it refers to."""
    return decision_digest(membership_statement(scheme, by_name), declared_behind(scheme, by_name))


def decision_digest(membership: exp.Query, declared: Mapping[str, str]) -> str:
    """Return the digest of a scheme by its statement, and by what the declared features mean that it looks at."""
    decided = statement_digest(membership)
    return short_digest(decided, sorted(declared.items())) if declared else decided


def declared_behind(scheme: Scheme, by_name: Mapping[str, Scheme]) -> dict[str, str]:
    """Return the declared features that a scheme looks at, itself or through others, each with a digest of what it means."""
    schemes = (scheme, *(by_name[name] for name in scheme.references))
    return {name: digest for each in schemes for name, digest in each.declared.items()}

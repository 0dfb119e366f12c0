"""What a scheme decides, as a short text: equal for two that cannot decide otherwise about the same customers."""

from __future__ import annotations

from collections.abc import Mapping

from pipeline.definitions.schemes.scheme import Scheme
from pipeline.definitions.schemes.sql import membership_statement
from pipeline.lake.statements import short_digest, statement_digest


def scheme_digest(scheme: Scheme, by_name: Mapping[str, Scheme]) -> str:
    """Return a digest of whom a scheme has in which segment: of its statement, and of what the declared features mean that it looks at.

    `by_name` holds at least the schemes that it refers to.
    """
    decided = statement_digest(membership_statement(scheme, by_name))
    declared = {name: digest for each in (scheme, *(by_name[name] for name in scheme.references)) for name, digest in each.declared.items()}
    return short_digest(decided, sorted(declared.items())) if declared else decided

"""Lists that customers are on none of while a campaign leaves them alone, put into the statements that say who is on which."""

from __future__ import annotations

from typing import cast

from sqlglot import exp

from pipeline.lake.statements import statement

WITHHELD_LISTS = "withheld_lists"


def with_withheld_lists(name: str) -> exp.Query:
    """Return the statement of that name with the query of `withheld_lists` in its place, so that slices of customers cut it as well."""
    return cast("exp.Query", exp.expand(statement(name), {WITHHELD_LISTS: statement(WITHHELD_LISTS)}))

"""Who is a firm, and not a person: what `is_firm` stands for in a rule."""

from __future__ import annotations

from collections.abc import Mapping

from sqlglot import exp

from pipeline.definitions.rules import Vocabulary, parse_rule
from pipeline.lake.tables import Kind

IS_FIRM = "is_firm"
FIRM_ATTRIBUTES = ("business_type", "employee_count", "annual_sales", "year_opened")
"""What only firms have: the attributes that our firmographic schemes read."""


def firm_condition(names: Mapping[str, Kind]) -> exp.Expression:
    """Return the condition that any of FIRM_ATTRIBUTES is known of a customer, of those among `names`; nobody meets it without any.

    It is true or false of everybody, and never unknown, so that NOT is_firm holds for all others.
    """
    # A source that has no empty cells writes 0, false or a blank for whoever is no firm.
    given = {Kind.TEXT: " <> ''", Kind.FLAG: " = TRUE", Kind.DATE: " IS NOT NULL"}
    known = [f"({name} IS NOT NULL AND {name}{given.get(names[name], ' <> 0')})" for name in FIRM_ATTRIBUTES if name in names]
    return parse_rule(" OR ".join(known), Vocabulary(names), where=IS_FIRM) if known else exp.false()

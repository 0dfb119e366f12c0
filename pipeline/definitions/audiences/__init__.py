"""Audiences: lists of customers that overlap as they like, each by one rule.

An audience is a scheme with one segment, MEMBER, for those alone whom its rule takes: everybody else is in no segment of it. So moves,
intervals, plans and explanations of schemes hold for audiences as they are. Offers `load_audiences`, which reads a company's files, and
the statements that decide all audiences in one look at the customers.
"""

from pipeline.definitions.audiences.audience_sql import (
    all_members_statement,
    conditions_statement,
    members_statement,
    memberships_on_features,
    rule_of,
    unknown_counts_statement,
)
from pipeline.definitions.audiences.formulas import Formula, RuleFormulas, formula_flags, rule_formulas
from pipeline.definitions.audiences.loading import (
    MEMBER,
    UNNAMED,
    audience_of_rule,
    expiry_words,
    has_expired,
    load_audiences,
)

__all__ = [
    "MEMBER",
    "UNNAMED",
    "Formula",
    "RuleFormulas",
    "all_members_statement",
    "audience_of_rule",
    "conditions_statement",
    "expiry_words",
    "formula_flags",
    "has_expired",
    "load_audiences",
    "members_statement",
    "memberships_on_features",
    "rule_formulas",
    "rule_of",
    "unknown_counts_statement",
]

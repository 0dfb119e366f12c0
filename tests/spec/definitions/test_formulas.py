"""Rules as formulas say of every customer what SQL says of the rule, and ask each condition once."""

from __future__ import annotations

import itertools

import duckdb
import pytest
from sqlglot import exp, parse_one

from pipeline.definitions.audiences import formula_flags, rule_formulas
from pipeline.definitions.rules.types import operator_chain

RULES = ["a AND b", "a OR b", "NOT a", "NOT (a AND NOT (b OR c))", "(a OR b) AND (b OR c) AND NOT b", "a", "a = b OR NOT (a = b)"]


VALUES = itertools.product(("TRUE", "FALSE", "CAST(NULL AS BOOLEAN)"), repeat=3)
TRUTH_TABLE = " UNION ALL ".join(f"SELECT {a} AS a, {b} AS b, {c} AS c" for a, b, c in VALUES)


def test_a_formula_is_true_false_or_unknown_as_the_rule_is_in_sql() -> None:
    rules = rule_formulas([parse_one(rule, into=exp.Condition, read="duckdb") for rule in RULES])
    columns = ", ".join(f"{condition.sql('duckdb')} AS {name}" for name, condition in rules.conditions.items())
    [said] = duckdb.sql(f"SELECT {columns} FROM ({TRUTH_TABLE})").to_arrow_table().combine_chunks().to_batches()
    conditions, worked_out = {name: said[name] for name in rules.conditions}, {}
    for rule, formula in zip(RULES, rules.formulas, strict=True):
        expected = [flag for (flag,) in duckdb.sql(f"SELECT {rule} FROM ({TRUTH_TABLE})").fetchall()]
        assert formula_flags(formula, conditions, worked_out).to_pylist() == expected, rule


def test_a_condition_in_many_rules_is_asked_once() -> None:
    rules = rule_formulas([parse_one(rule, read="duckdb") for rule in ("x >= 2 AND y = 'a'", "NOT (x >= 2)", "y = 'a' OR x >= 3")])
    assert [each.sql("duckdb") for each in rules.conditions.values()] == ["x >= 2", "y = 'a'", "x >= 3"]


MANY = 1_000


@pytest.mark.parametrize("operator", ["AND", "OR"])
def test_a_chain_of_a_thousand_conditions_is_worked_out(operator: str) -> None:
    # As the rule language builds it, and as an audience that names others by brackets.
    chain = parse_one(f" {operator} ".join(f"a = {number}" for number in range(MANY)), into=exp.Condition, read="duckdb")
    nested = operator_chain(exp.And, chain, exp.Not(this=exp.Paren(this=exp.Is(this=exp.Paren(this=chain.copy()), expression=exp.null()))))
    rules = rule_formulas([chain, nested])
    assert len(rules.conditions) == MANY + 1
    columns = ", ".join(f"{condition.sql('duckdb')} AS {name}" for name, condition in rules.conditions.items())
    rows = "SELECT unnest([0, 999, 1000, NULL]) AS a"
    [said] = duckdb.sql(f"SELECT {columns} FROM ({rows})").to_arrow_table().combine_chunks().to_batches()
    conditions = {name: said[name] for name in rules.conditions}
    found = [formula_flags(formula, conditions, {}).to_pylist() for formula in rules.formulas]
    assert found == (
        [[False, False, False, None], [False] * 4] if operator == "AND" else [[True, True, False, None], [True, True, False, False]]
    )


def test_what_brackets_only_group_is_one_chain() -> None:
    rules = rule_formulas(
        [parse_one(rule, into=exp.Condition, read="duckdb") for rule in ("a AND b AND c", "a AND (b AND c)", "(a AND b) AND c")]
    )
    assert len(set(rules.formulas)) == 1

"""Many rules decide as they would one after the other, however few of them a customer is compared with."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlglot import exp
from support.builders import write_rows

from pipeline.definitions.rules import Vocabulary, parse_rule, rule_value
from pipeline.definitions.schemes.decision_lookup import Found, first_of
from pipeline.definitions.schemes.decision_tree import FEW_RULES
from pipeline.lake.engines.duckdb import DuckDBEngine
from pipeline.lake.lake import Lake
from pipeline.lake.tables import CUSTOMER_FEATURES

NIGHT = date(2024, 3, 31)
KINDS = {column.name: column.kind for column in CUSTOMER_FEATURES.columns}
VOCABULARY = Vocabulary(KINDS)

NUMBERS = st.integers(0, 12)
WORDS = st.sampled_from(["", "a", "ab", "B", "ä", "z", "\U0001f600", "￿"])
OPERATORS = st.sampled_from(["<", "<=", ">", ">=", "=", "<>"])
COMPARISON = st.one_of(
    st.builds("spend_amount {} {}".format, OPERATORS, st.sampled_from(["0", "1.5", "3", "7.0001"])),
    st.builds("recency_days {} {}".format, OPERATORS, NUMBERS),
    st.builds("recency_days BETWEEN {} AND {}".format, NUMBERS, NUMBERS),
    st.builds("rhythm_days {} {}".format, st.sampled_from(["<", ">="]), st.sampled_from(["1", "2.5", "6"])),
    st.builds("favourite_category = '{}'".format, WORDS),
    st.builds("favourite_category IN ('{}', '{}')".format, WORDS, WORDS),
    st.builds("last_order_date >= DATE '2024-01-{:02}'".format, st.integers(1, 12)),
    st.sampled_from(["is_prospect", "is_prospect = TRUE", "recency_days IS NULL", "rhythm_days > recency_days"]),
)
RULE = st.recursive(
    COMPARISON,
    lambda inner: st.one_of(
        st.builds("({} AND {})".format, inner, inner), st.builds("({} OR {})".format, inner, inner), st.builds("NOT ({})".format, inner)
    ),
    max_leaves=4,
)
CUSTOMER = st.fixed_dictionaries(
    {
        "spend_amount": st.sampled_from([Decimal(text) for text in ("-1", "0", "1.5", "2", "3", "7", "7.0001", "50")]),
        "recency_days": st.one_of(st.none(), st.integers(0, 13)),
        "rhythm_days": st.one_of(st.none(), st.sampled_from([0.5, 1.0, 2.5, 6.0, 20.0])),
        "favourite_category": st.one_of(st.none(), WORDS),
        "last_order_date": st.one_of(st.none(), st.dates(date(2023, 12, 30), date(2024, 1, 14))),
        "is_prospect": st.booleans(),
    }
)


NARROW = {
    "a number": [f"recency_days = {n}" for n in range(60)],
    "up to a number": [f"recency_days <= {n}" for n in range(60)],
    "from a number": [f"{n} < recency_days" for n in range(60, 0, -1)],
    "between": [f"recency_days BETWEEN {n} AND {n + 1}" for n in range(0, 120, 2)],
    "one of two": [f"recency_days IN ({n}, {119 - n})" for n in range(60)],
    "either": [f"recency_days = {n} OR recency_days = {n + 60}" for n in range(60)],
    "a text": [f"favourite_category = 'k{n:03}'" for n in range(60)],
    "two columns": [f"recency_days = {n % 8} AND favourite_category >= 'k{n:03}'" for n in range(60)],
}


SENTENCES = [
    "recency_days = {low} AND (is_prospect OR spend_amount < {high})",
    "recency_days BETWEEN {low} AND {high}",
    "rhythm_days > {low} AND rhythm_days <= {high} AND favourite_category <> 'k{low}'",
    "spend_amount >= {low}.5 AND {high} >= spend_amount AND (recency_days IS NULL OR recency_days > {low})",
    "recency_days = {low} AND (recency_days > {high} OR spend_amount > 2) = is_prospect",
    "recency_days + 1 > {high} AND recency_days = {low} AND NOT (favourite_category IN ('a', 'B', 'k{high}'))",
    "recency_days IS NULL AND spend_amount = {low}",
    "NOT (recency_days <> {low}) AND spend_amount < 0 - {high}",
]


@pytest.mark.parametrize("texts", NARROW.values(), ids=NARROW)
def test_a_rule_takes_whom_it_names_to_the_limit(texts: list[str]) -> None:
    rows = [{"customer_id": f"c{n:03}", "recency_days": n, "favourite_category": f"k{n:03}"} for n in range(122)]
    assert_chosen_in_order(texts, [*rows, {"customer_id": "nothing known", "recency_days": None, "favourite_category": None}])


@settings(max_examples=15, derandomize=True, deadline=None)
@given(texts=st.lists(RULE, min_size=2 * FEW_RULES, max_size=60, unique=True), customers=st.lists(CUSTOMER, min_size=20, max_size=60))
def test_a_tree_of_cases_chooses_the_first_rule_that_holds(texts: list[str], customers: list[dict[str, Any]]) -> None:
    assert_chosen_in_order(texts, [{"customer_id": f"c{number:03}", **customer} for number, customer in enumerate(customers)])


@settings(max_examples=15, derandomize=True, deadline=None)
@given(
    sentences=st.lists(st.sampled_from(SENTENCES), min_size=1, max_size=3),
    numbers=st.lists(st.tuples(st.integers(0, 2), NUMBERS, NUMBERS), min_size=2 * FEW_RULES, max_size=60, unique=True),
    customers=st.lists(CUSTOMER, min_size=20, max_size=60),
)
def test_lists_of_constants_choose_the_first_rule_that_holds(
    sentences: list[str], numbers: list[tuple[int, int, int]], customers: list[dict[str, Any]]
) -> None:
    texts = [sentences[kind % len(sentences)].format(low=low, high=low + width) for kind, low, width in numbers]
    assert_chosen_in_order(texts, [{"customer_id": f"c{number:03}", **customer} for number, customer in enumerate(customers)])


def assert_chosen_in_order(texts: list[str], rows: list[dict[str, Any]]) -> None:
    rules = [parse_rule(text, VOCABULARY, where="test") for text in texts]
    assert answers(rows, found_of(rules)) == [first_in_order(rules, row) for row in rows]


def found_of(rules: Sequence[exp.Expr]) -> Found:
    choices = [(rule, exp.Literal.string(f"s{place}")) for place, rule in enumerate(rules)]
    return first_of(choices, exp.Literal.string("rest"), exp.to_table(CUSTOMER_FEATURES.name))


@pytest.mark.parametrize(
    "text", ["spend_amount >= {n} AND spend_amount < {n} + 1", "spend_amount < {n}", "spend_amount <= {n}", "spend_amount > 1000 - {n}"]
)
def test_a_customer_is_compared_with_few_of_a_thousand_rules(text: str) -> None:
    found = found_of([parse_rule(text.format(n=n), VOCABULARY, where="test") for n in range(1_000)])
    assert most_compared(found.chosen) + len(found.added) <= FEW_RULES + 10


@pytest.mark.parametrize("name", sorted(NARROW.keys() - {"one of two", "either"}))
def test_rules_that_differ_by_their_constants_alone_are_looked_up_in_lists(name: str) -> None:
    found = found_of([parse_rule(text, VOCABULARY, where="test") for text in NARROW[name]])
    assert most_compared(found.chosen) <= 8


def most_compared(chosen: exp.Expr | None) -> int:
    """Return how many conditions the unluckiest customer is compared with."""
    if not isinstance(chosen, exp.Case):
        return 0
    conditions = chosen.args["ifs"]
    return max([most_compared(one.args["true"]) for one in conditions] + [most_compared(chosen.args.get("default"))]) + len(conditions)


def first_in_order(rules: Sequence[exp.Expr], row: dict[str, Any]) -> str:
    known = {name: Fraction(value) if isinstance(value, Decimal) else value for name, value in row.items()}
    return next((f"s{place}" for place, rule in enumerate(rules) if rule_value(rule, known) is True), "rest")


def answers(customers: list[dict[str, Any]], found: Found) -> list[str]:
    with TemporaryDirectory() as folder:
        lake = Lake(Path(folder))
        write_rows(lake, CUSTOMER_FEATURES, customers, day=NIGHT)
        engine = DuckDBEngine(lake.root, memory_limit="500MB", threads=1)
        engine.register(CUSTOMER_FEATURES, [lake.path(CUSTOMER_FEATURES, day=NIGHT)])
        query = exp.select("customer_id", exp.alias_(found.chosen, "segment")).from_(found.relation).order_by("customer_id")
        segments: list[str] = engine.run(query, {}).read_all()["segment"].to_pylist()
        engine.close()
    return segments

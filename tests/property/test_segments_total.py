"""Laws 5 and 6: every customer has exactly one segment per scheme, and equal customers have equal ones."""

from __future__ import annotations

from collections import defaultdict
from datetime import date
from decimal import Decimal
from fractions import Fraction
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from sqlglot import exp
from support.builders import a_company, scored_features, write_rows

from pipeline.definitions.rules import Vocabulary, parse_rule, rule_value
from pipeline.definitions.schemes import Scheme, load_schemes, segments_statement
from pipeline.errors import ConfigError
from pipeline.lake import addresses
from pipeline.lake.engines.duckdb import DuckDBEngine
from pipeline.lake.lake import Lake
from pipeline.lake.tables import CUSTOMER_FEATURES

NIGHT = date(2024, 3, 31)
KINDS = {column.name: column.kind for column in CUSTOMER_FEATURES.columns}
QUICK = settings(max_examples=8, derandomize=True, deadline=None)

SCORES = st.one_of(st.none(), st.integers(1, 5))
DAYS = st.one_of(st.none(), st.sampled_from([0, 1, 29, 30, 31, 60, 61, 400]))
LIMITS = st.one_of(st.none(), st.sampled_from([0.5, 29.5, 30.0, 31.0, 60.0]))
SHARES = st.one_of(st.none(), st.sampled_from([0.0, 0.7999999999999999, 0.8, 0.95, 0.9500000000000001, 1.0]))
AMOUNTS = st.sampled_from([Decimal(text) for text in ("-0.0001", "0", "0.0001", "19.99", "99999999999999.9999")])
CATEGORIES = st.one_of(st.none(), st.sampled_from(["a", "A", "it's", "x\\", "ä"]))
CUSTOMER = st.fixed_dictionaries(
    {
        "is_prospect": st.booleans(),
        "r_score": SCORES,
        "f_score": SCORES,
        "m_score": SCORES,
        "fm_score": SCORES,
        "lifetime_order_day_count": st.integers(0, 3),
        "recency_days": DAYS,
        "last_gap_days": DAYS,
        "last_order_date": st.one_of(st.none(), st.dates(date(1, 1, 1), date(9999, 12, 31))),
        "rhythm_days": LIMITS,
        "new_limit_days": LIMITS,
        "active_limit_days": LIMITS,
        "dormant_limit_days": LIMITS,
        "spend_amount": AMOUNTS,
        "value_rank_share": SHARES,
        "favourite_category": CATEGORIES,
        "order_day_count": st.integers(0, 3),
        "is_refund_only": st.booleans(),
    }
)


def as_declared(customers: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return `customers` as the features promise them: with scores, by figures and limits that give them, exactly those who ordered."""
    declared = []
    for customer in customers:
        bought = scored_features(*(customer[f"{axis}_score"] or 1 for axis in "rfm"))
        scores = {name: None for name in bought if name.endswith("_score")} | {"order_day_count": 0, "lifetime_order_day_count": 0}
        value = {"value_score": 1} if not customer["is_prospect"] or customer["spend_amount"] > 0 else {"value_score": None}
        # Of those without an order, some gave something back all the same.
        is_refund_only = customer["is_prospect"] and customer["is_refund_only"]
        flags = {"is_prospect": customer["is_prospect"] and not is_refund_only, "is_refund_only": is_refund_only}
        declared.append({**customer, **(scores if customer["is_prospect"] else bought), **value, **flags})
    return declared


def numbered(customers: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{"customer_id": f"c{number:03}", **customer} for number, customer in enumerate(customers)]


def answers(customers: list[dict[str, Any]], statement: exp.Expression) -> list[dict[str, Any]]:
    """Run `statement` over a night with these features."""
    with TemporaryDirectory() as folder:
        lake = Lake(Path(folder))
        write_rows(lake, CUSTOMER_FEATURES, customers, day=NIGHT)
        engine = DuckDBEngine(lake.store, memory_limit="500MB", threads=1)
        engine.register(CUSTOMER_FEATURES, [addresses.partition(CUSTOMER_FEATURES, day=NIGHT)])
        rows: list[dict[str, Any]] = engine.run(statement, {}).read_all().to_pylist()
        engine.close()
        return rows


@cache
def schemes() -> tuple[Scheme, ...]:
    return load_schemes(a_company(Path("no-such-folder"))).schemes


@QUICK
@given(st.lists(CUSTOMER, min_size=20, max_size=40).map(as_declared).map(numbered))
def test_every_customer_has_exactly_one_segment_of_every_scheme(customers: list[dict[str, Any]]) -> None:
    found = answers(customers, segments_statement(schemes()))
    pairs = [(row["customer_id"], row["scheme"]) for row in found]
    assert len(pairs) == len(set(pairs)) == len(customers) * len(schemes())
    values = {customer["favourite_category"] for customer in customers} - {None}
    ids = {scheme.name: {s.id for s in scheme.segments} | (values if scheme.kind == "values" else set()) for scheme in schemes()}
    assert all(row["segment"] in ids[row["scheme"]] for row in found)
    assert all(row["evidence"] for row in found)


@QUICK
@given(st.lists(CUSTOMER, min_size=5, max_size=15).map(as_declared), st.integers(2, 4), st.randoms(use_true_random=False))
def test_equal_customers_have_equal_segments_and_evidence(customers: list[dict[str, Any]], copies: int, chance: Any) -> None:
    originals = [(number, customer) for number, customer in enumerate(customers) for _ in range(copies)]
    chance.shuffle(originals)
    rows = numbered([customer for _, customer in originals])
    found = answers(rows, segments_statement(schemes()))
    labels = defaultdict(set)
    for row in found:
        original = originals[int(row["customer_id"][1:])][0]
        labels[original, row["scheme"]].add((row["segment"], row["evidence"]))
    assert all(len(choices) == 1 for choices in labels.values())


@QUICK
@given(st.lists(CUSTOMER, min_size=20, max_size=40).map(as_declared).map(numbered))
def test_the_first_rule_that_holds_decides(customers: list[dict[str, Any]]) -> None:
    found = {(row["customer_id"], row["scheme"]): row["segment"] for row in answers(customers, segments_statement(schemes()))}
    for customer in customers:
        for scheme in (scheme for scheme in schemes() if scheme.kind == "rules" and scheme.decision == "first_match"):
            holding = (
                segment.id for segment in scheme.segments if segment.rule is None or rule_value(segment.rule, exact(customer)) is True
            )
            assert found[customer["customer_id"], scheme.name] == next(holding)


def exact(customer: dict[str, Any]) -> dict[str, Any]:
    return {name: Fraction(value) if isinstance(value, Decimal) else value for name, value in customer.items()}


USED = {"r_score", "f_score", "recency_days", "last_gap_days", "rhythm_days", "dormant_limit_days", "spend_amount", "value_rank_share"}
NUMBERS = st.one_of(st.sampled_from(sorted(USED)), st.sampled_from(["0", "1", "30", "0.5", "29.99995", "-1", "99999999999999", "0.800"]))
VALUES = st.recursive(NUMBERS, lambda inner: st.builds("({} {} {})".format, inner, st.sampled_from("+-*"), inner), max_leaves=3)
COMPARISONS = st.one_of(
    st.builds("{} {} {}".format, VALUES, st.sampled_from(["=", "<>", "<", "<=", ">", ">="]), VALUES),
    st.builds("{} BETWEEN {} AND {}".format, VALUES, VALUES, VALUES),
    st.builds("{} {} (1, 2.5, -30)".format, VALUES, st.sampled_from(["IN", "NOT IN"])),
    st.builds("{} IS {}".format, VALUES, st.sampled_from(["NULL", "NOT NULL"])),
    st.sampled_from(["is_prospect", "TRUE", "FALSE", "is_prospect = (r_score > 2)", "(f_score = 2) IS NULL"]),
    st.builds(
        "favourite_category {} '{}'".format, st.sampled_from(["=", "<>", "<", ">="]), st.sampled_from(["a", "A", "it''s", "x\\", "b"])
    ),
    st.builds("last_order_date {} DATE '{}'".format, st.sampled_from(["=", "<", ">="]), st.dates()),
)
RULES = st.recursive(
    COMPARISONS,
    lambda inner: st.one_of(
        st.builds("({} AND {})".format, inner, inner), st.builds("({} OR {})".format, inner, inner), st.builds("NOT ({})".format, inner)
    ),
    max_leaves=6,
)


@settings(max_examples=15, derandomize=True, deadline=None)
@given(st.lists(CUSTOMER, min_size=10, max_size=20).map(numbered), st.lists(RULES, min_size=15, max_size=25))
def test_an_engine_reads_a_rule_as_the_rules_say(customers: list[dict[str, Any]], texts: list[str]) -> None:
    rules = [rule for text in texts if (rule := parsed(text)) is not None]
    columns = [exp.alias_(rule, f"rule_{number}") for number, rule in enumerate(rules)]
    statement = exp.select("customer_id", *columns).from_(CUSTOMER_FEATURES.name).order_by("customer_id")
    found = answers(customers, statement)
    for row, customer in zip(found, customers, strict=True):
        for number, rule in enumerate(rules):
            assert row[f"rule_{number}"] is rule_value(rule, exact(customer)), rule.sql("duckdb")


def parsed(text: str) -> exp.Expression | None:
    try:
        return parse_rule(text, Vocabulary(KINDS), where="x")
    except ConfigError as error:
        if "38 digits" not in str(error):
            raise
        return None

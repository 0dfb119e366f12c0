"""The page of the rule language is true: every rule on it can be written, and holds of the customer that it is meant for."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from sqlglot import exp
from support.documentation import tables_of

from pipeline.definitions.company import PROJECT_ROOT
from pipeline.definitions.definition_files import Definition, read_definition
from pipeline.definitions.events import read_events
from pipeline.definitions.proofs import Domains, require_possible
from pipeline.definitions.rules import PREDICTIONS, Vocabulary, aggregates_of, parse_rule, parse_value, rule_value
from pipeline.definitions.rules.event_sources import event_sources
from pipeline.definitions.rules.functions import FUNCTIONS
from pipeline.definitions.schemes.references import segments_defined
from pipeline.lake.tables import CUSTOMER_FEATURES, VISITS, Kind

PAGE = (PROJECT_ROOT / "docs" / "reference" / "rule-language.md").read_text("utf-8")
FILES = sorted((PROJECT_ROOT / "segments").glob("*.toml"))
ATTRIBUTES = {
    **dict.fromkeys(("birth_date", "signup_date", "contract_end"), Kind.DATE),
    **dict.fromkeys(("city", "postcode", "email_domain", "first_channel", "tags"), Kind.TEXT),
    "is_subscribed": Kind.FLAG,
    "points": Kind.INTEGER,
    **dict.fromkeys(("latitude", "longitude"), Kind.NUMBER),
}
EVENTS = read_events(
    {
        "email": {"key": ["message_id"], "instant": "happened_at", "columns": dict.fromkeys(("message_id", "action", "campaign"), "text")},
        "cart_items": {"key": ["cart_id"], "instant": "added_at", "columns": {"cart_id": "text", "product_id": "text"}},
    },
    Definition(Path("company.toml"), ""),
)
FEATURES = {column.name: column.kind for column in CUSTOMER_FEATURES.columns}
SCHEMES = {file.stem: segments_defined(read_definition(file).toml()) for file in FILES}
WORDS = Vocabulary(
    {**FEATURES, **ATTRIBUTES, **PREDICTIONS, "rfm.segment": Kind.TEXT},
    segments={"rfm.segment": SCHEMES["rfm"] or {}},
    separators={"tags": ","},
    lists={"vip": "0123456789ab", "coast": "ba9876543210"},
    schemes=SCHEMES,
    sources=event_sources([VISITS, *(event.table for event in EVENTS)]),
)
# A customer of whom most examples are true, on a Monday.
MAY = date(2026, 5, 18)
ANN: dict[str, Any] = {
    **dict.fromkeys(FEATURES), **dict.fromkeys(PREDICTIONS, 0.9), "customer_id": "ann", "as_of_date": MAY, "is_prospect": False,
    "last_order_date": date(2026, 3, 1), "first_order_date": date(2025, 5, 18), "lifetime_order_count": 1, "lifetime_order_day_count": 1,
    "birth_date": date(2004, 5, 18), "signup_date": date(2026, 5, 2), "contract_end": date(2026, 6, 1), "city": "Berlin",
    "postcode": "10115", "email_domain": "shop.com", "first_channel": "Instagram", "tags": "press,summer 25,vip", "is_subscribed": None,
    "average_order_amount": 90.0, "spend_amount": Fraction(90), "order_count": 1, "rfm.segment": "hibernating",
    "m_score": 5, "spend_rank_share": 0.03,
    "value_rank_share": 0.3, "rhythm_days": 80.0, "recency_days": 78, "latitude": 52.4, "longitude": 13.1,
    "customer_id IN LIST vip@0123456789ab": True, "city IN LIST coast@ba9876543210": True, "expected_spend_amount": 120.0,
    "LAST_IN(rfm.champions)": date(2026, 5, 1), "ENTERED(lifecycle.active)": date(2026, 5, 15),
    "ENTERED(lifecycle.at_risk)": date(2026, 5, 9),
    "IN_SINCE(lifecycle.at_risk)": date(2026, 5, 9), "IN_SINCE(lifecycle.active)": date(2024, 5, 9),
}  # fmt: skip
[BOUGHT_AT_NIGHT] = aggregates_of(FUNCTIONS["HOUR"].example, WORDS, where="x")
ANN[BOUGHT_AT_NIGHT.name] = 2
NOT_OF_ANN = {
    "ordered within the last 30 days", "ordered between 30 and 60 days ago", "never ordered", "came back within 30 days of the first order",
    "birth date unknown", "city is anything else, or unknown", "not on it",
    "e-mail address of a university",
    "a tenth of all, at random, the same every night", "the other half of a test", "orders about once a month",
}  # fmt: skip


def recipes() -> Iterator[Any]:
    [table] = tables_of(PAGE.partition("## Say what you mean")[2].partition("\n## ")[0])
    for row in table:
        for text in re.findall(r"`([^`]+)`", row["write"]):
            yield pytest.param(row["whom you want"], text, id=text)


@pytest.mark.parametrize(("whom", "text"), [*recipes()])
def test_a_recipe_is_a_rule_that_can_hold_and_holds_of_whom_it_is_for(whom: str, text: str) -> None:
    rule = parse_rule(text, WORDS, where="rule-language.md")
    require_possible(rule, Domains(WORDS.names, {"rfm.segment": list(dict.fromkeys(WORDS.segments["rfm.segment"].values()))}), where="x")
    holds = rule_value(rule, ANN)
    assert holds is (whom not in NOT_OF_ANN) or "RANDOM" in text


def aggregate_recipes() -> Iterator[Any]:
    table, _parts = tables_of(PAGE.partition("## What customers did")[2].partition("\n## ")[0])
    for row in table:
        yield pytest.param(re.findall(r"`([^`]+)`", row["write"])[0], id=row["whom you want"])


@pytest.mark.parametrize("text", [*aggregate_recipes()])
def test_a_recipe_of_what_customers_did_is_a_rule_about_aggregates(text: str) -> None:
    rule, aggregates = parse_value(text, WORDS, where="rule-language.md")
    assert rule.kind is Kind.FLAG
    assert {each.name for each in aggregates} <= {column.name for column in rule.node.find_all(exp.Column)} | {"as_of_date"}
    assert aggregates
    # As explanations say it, an aggregate is the same one.
    assert [aggregates_of(each.call, WORDS, where="x") for each in aggregates] == [[each] for each in aggregates]


def test_the_recipes_say_whom_they_are_not_for() -> None:
    assert {param.values[0] for param in recipes()} >= NOT_OF_ANN
    assert len(list(recipes())) >= 40


@pytest.mark.parametrize("name", FUNCTIONS)
def test_the_example_of_a_function_is_a_rule(name: str) -> None:
    assert rule_value(parse_rule(FUNCTIONS[name].example, WORDS, where="x"), ANN) in (True, False)


@pytest.mark.parametrize("name", [name for name in FUNCTIONS if name not in ("RANDOM_SHARE", "WAS_IN", "COALESCE")])
def test_what_a_function_says_of_the_unknown_is_unknown(name: str) -> None:
    rule = parse_rule(FUNCTIONS[name].example, WORDS, where="x")
    nothing = {**dict.fromkeys(ANN), "as_of_date": MAY} if "TODAY)" not in FUNCTIONS[name].example.partition("=")[0] else dict.fromkeys(ANN)
    assert rule_value(rule, nothing) is None


def test_was_in_is_false_of_whoever_never_was() -> None:
    assert rule_value(parse_rule(FUNCTIONS["WAS_IN"].example, WORDS, where="x"), {**dict.fromkeys(ANN), "as_of_date": MAY}) is False


@pytest.mark.parametrize("mark", ["`LOWER(city) =\n'Berlin'`"])
def test_what_the_page_says_is_refused_is_refused(mark: str) -> None:
    from pipeline.errors import ConfigError

    assert mark in PAGE
    with pytest.raises(ConfigError, match="has no capital letters"):
        parse_rule(mark.strip("`"), WORDS, where="x")

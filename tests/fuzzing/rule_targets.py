"""Rules and scores: read or refused; and what is read says the same in memory as in SQL."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from decimal import Decimal
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
from sqlglot import exp
from support.rule_words import WORDS

from fuzzing.target import Fault, Outcome, Target, result_or_message
from pipeline.definitions.rules import joined_kind, parse_rule, parse_score, parse_value, rule_value
from pipeline.definitions.rules.functions import FUNCTIONS
from pipeline.lake.statements import duckdb_text
from pipeline.lake.tables import Kind

REPO = Path(__file__).resolve().parents[2]
VALUES: Mapping[Kind, Sequence[Any]] = {
    Kind.INTEGER: (None, 0, 1, 3, 5, -7, 400, 2**31),
    Kind.MONEY: (None, *(Decimal(text) for text in ("-0.0001", "0", "0.0001", "19.99", "99999999999999.9999", "1000"))),
    Kind.NUMBER: (None, 0.0, 0.1, 0.5, 0.7999999999999999, 1.0, 29.5, -3.25),
    Kind.TEXT: (None, "", "a", "A", "it's", "x\\", "ä", "champions", "Wine,Tea", " a ", "100%", "\u0131", "\u0130"),
    Kind.FLAG: (None, True, False),
    Kind.DATE: (None, date(1970, 1, 1), date(2024, 2, 29), date(2023, 12, 31), date(1, 1, 1), date(9999, 12, 31)),
}
ROW_COUNT = 13
# A line each, as they are put into a rule.
PHRASES = """AND
OR
NOT
IN
IS
IS NULL
BETWEEN
TRUE
FALSE
DATE '2024-01-31'
'champions'
'Champions'
@most
@least
@place
@since
@wanted
TODAY
INTERVAL '60 days'
60 DAYS
IN LIST vip
WAS IN rfm.champions WITHIN 30 DAYS
ENTERED(rfm.champions)
groups.cluster_1
DAYS_SINCE(born)
CONTAINS(city, 'a')
ANY(tags)
ALL(tags)
NONE(tags)
COALESCE(city, 'a')
RANDOM_SHARE('a')
COUNT(order_lines)
SUM(order_lines.net_amount)
FIRST(visits)
EXISTS(orders)
DISTINCT
order_lines
order_lines.net_amount
visits
WHERE
LAST 30 DAYS
BEFORE
AGO
category
net_amount
orders
FOLLOWED BY
PRECEDED BY FIRST
THIS MONTH
QUARTER
OF THE SAME
LATEST 2
LIST(order_lines.category)
IN AUDIENCE regulars
NULLIF(
CASE
LIKE
SELECT
CAST
::
HOUR(
WEEKDAY(born)
YEAR(born)
MONTH(born)
LOWER(city)
STARTS_WITH(city, 'a')
MOST_FREQUENT(order_lines.category)
""".splitlines()
LANGUAGE = (*WORDS.names, *FUNCTIONS, *PHRASES)


@cache
def _database() -> duckdb.DuckDBPyConnection:
    return duckdb.connect(config={"threads": 1})


def run_rule(data: bytes) -> Outcome:
    """Read a rule, and compare what it says of a few customers with what DuckDB says."""
    text, outcome = data.decode("utf-8", "replace"), Outcome()
    with result_or_message(outcome):
        tree = parse_rule(text, WORDS, where="segments/x.toml:7")
        value, aggregates = parse_value(text, WORDS, where="segments/x.toml:7")
    if outcome.is_accepted:
        _require_same_answers(text, tree, {each.name: each.kind for each in aggregates})
        if value.kind is not Kind.FLAG:
            raise Fault(f"a rule is read as a value that is {value.kind.words}: {text!r}")
    return outcome


def run_score(data: bytes) -> Outcome:
    """Read a score, which is a finite number or unknown in SQL, and the same in memory."""
    text, outcome = data.decode("utf-8", "replace"), Outcome()
    with result_or_message(outcome):
        tree = parse_score(text, WORDS, where="segments/x.toml:7")
        _, aggregates = parse_value(text, WORDS, where="segments/x.toml:7")
    if outcome.is_accepted:
        _require_same_answers(text, tree, {each.name: each.kind for each in aggregates})
    return outcome


def _require_same_answers(text: str, tree: exp.Expression, aggregates: Mapping[str, Kind]) -> None:
    kinds = {column.name: _kind(column.name, aggregates) for column in tree.find_all(exp.Column)}
    # Each column goes through its values at a pace of its own, so that they meet in many ways.
    choices = {name: VALUES[kind][name == "customer_id" :] for name, kind in kinds.items()}  # nobody is without an id
    rows = [
        {name: values[(row * (place + 1) + place) % len(values)] for place, (name, values) in enumerate(choices.items())}
        for row in range(ROW_COUNT)
    ]
    found = _in_sql(tree, kinds, rows)
    for row, answer in zip(rows, found, strict=True):
        known = rule_value(tree, {name: Fraction(value) if isinstance(value, Decimal) else value for name, value in row.items()})
        if answer != (float(known) if isinstance(known, Fraction) else known) or type(answer) is bool is not type(known):
            raise Fault(f"{text!r} is {answer!r} in SQL and {known!r} in memory of {row}")


def _in_sql(tree: exp.Expression, kinds: Mapping[str, Kind], rows: Sequence[Mapping[str, Any]]) -> list[Any]:
    columns = {"place": pa.array(range(len(rows)))}
    columns |= {name: pa.array([row[name] for row in rows], kind.arrow) for name, kind in kinds.items()}
    statement = exp.select(exp.alias_(tree.copy(), "answer")).from_("customers").order_by("place")
    connection = _database()
    connection.register("customers", pa.table(columns))
    return [answer for (answer,) in connection.execute(duckdb_text(statement)).fetchall()]


def _kind(name: str, aggregates: Mapping[str, Kind]) -> Kind:
    kind = WORDS.names.get(name) or aggregates.get(name) or joined_kind(name)
    if kind is None:
        raise Fault(f"a rule names the column {name}, of which nobody knows the kind")
    return kind


def score_seeds() -> list[bytes]:
    """Return scores beside the rules: numbers."""
    texts = (
        "spend_amount * 2 - share",
        "r_score + 0.5",
        "(1 - share) * r_score",
        "COUNT(order_lines LAST 30 DAYS) * 0.1",
        "spend_amount / r_score",
    )
    return [*(text.encode() for text in texts), *rule_seeds()]


def rule_seeds() -> list[bytes]:
    """Return the rules of the pages and of our schemes, in whatever words: most are refused here, and all are of the language."""
    import re

    files = [*REPO.glob("segments/*.toml"), *REPO.glob("docs/**/*.md")]
    found = {text for file in files for text in re.findall(r'(?:rule|score|where|value) = "([^"\n]+)"', file.read_text("utf-8"))}
    ours = {
        "r_score >= 4 AND NOT is_prospect", "city IN ('a', 'it''s') OR born < DATE '2024-01-31'", "spend_amount * 2 > 19.99 - share",
        "DAYS_SINCE(born) BETWEEN 1 AND 400", "ANY(tags) = 'Wine'", "NONE(tags) IN ('Wine', 'Tea')", "rfm.segment = 'Champions'",
        "city IN LIST vip", "WAS IN rfm.champions WITHIN 30 DAYS", "COALESCE(LOWER(city), 'x') = 'a'",
        "COUNT(order_lines WHERE category = 'wine' LAST 30 DAYS) >= 2", "SUM(order_lines.net_amount THIS MONTH) > 10",
        "born + INTERVAL '60 days' > as_of_date", "r_score = @most AND share > @least", "IN AUDIENCE regulars", "RANDOM_SHARE('a') < 0.5",
        "NULLIF(share, 0) IS NULL", "STARTS_WITH(city, 'a') AND YEAR(born) = 1970", "spend_amount / r_score > 1",
    }  # fmt: skip
    return [text.encode() for text in sorted(found | ours)]


RULE_TARGETS = (Target("rules", run_rule, rule_seeds, LANGUAGE), Target("scores", run_score, score_seeds, LANGUAGE))

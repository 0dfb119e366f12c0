"""A rule is data: whatever its text, it ends as a checked tree or a ConfigError, and touches nothing."""

from __future__ import annotations

import random
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlglot import exp
from support.rule_words import COLUMNS, WORDS

from pipeline.definitions.rules import ListColumn, StayColumn, joined_column, parse_rule
from pipeline.definitions.rules.functions import FUNCTIONS
from pipeline.errors import ConfigError

AGGREGATE = re.compile(r"[a-z0-9_]+_(order_lines|orders|visits)(_[a-z0-9_]+)?_[0-9a-f]{8}")
ALLOWED = (
    exp.And, exp.Or, exp.Not, exp.EQ, exp.NEQ, exp.LT, exp.LTE, exp.GT, exp.GTE, exp.In, exp.Is, exp.Null, exp.Add, exp.Sub, exp.Mul,
    exp.Neg, exp.Paren, exp.Cast, exp.DataType, exp.DataTypeParam, exp.Column, exp.Identifier, exp.Literal, exp.Boolean,
    # What functions are made of, whatever a person writes.
    exp.DateDiff, exp.Var, exp.Year, exp.Month, exp.Day, exp.DateFromParts, exp.Mod, exp.Case, exp.If, exp.Coalesce, exp.Div, exp.Nullif,
    exp.Contains, exp.StartsWith, exp.EndsWith, exp.Lower, exp.Replace, exp.DPipe, exp.MD5, exp.Substring, exp.StrPosition,
    exp.Extract, exp.AtTimeZone,
)  # fmt: skip

HOSTILE = [
    "r_score = 1; DROP TABLE customer_features",
    "r_score = 1 --",
    "r_score = 1 -- x\n OR is_prospect",
    "--",
    "/* x */ is_prospect",
    "is_prospect /*! OR TRUE */",
    "r_score = 1 UNION SELECT 2",
    "r_score = (SELECT 1)",
    "r_score IN (SELECT r_score FROM customer_features)",
    "EXISTS (SELECT 1)",
    "r_score = ANY (SELECT 1)",
    "(SELECT 1) = 1",
    "SELECT 1",
    "WITH x AS (SELECT 1) SELECT 1",
    "ATTACH 'x'",
    "COPY customer_features TO '/tmp/x'",
    "PRAGMA database_list",
    "INSTALL httpfs",
    "LOAD httpfs",
    "read_csv('/etc/passwd') = 1",
    "read_text('/etc/passwd') IS NULL",
    "'/etc/passwd' = city",
    "glob('*') IS NULL",
    "getenv('HOME') = city",
    "java_method('java.lang.Runtime', 'exec') = city",
    "reflect('java.lang.System', 'exit', 0) = city",
    "query('SELECT 1') = 1",
    "__import__('os').system('true')",
    "().__class__.__bases__",
    "city.__class__ = 'x'",
    "__class__ = 1",
    "@__import__('os').system('true')",
    "{{ 7 * 7 }}",
    "{% raw %}",
    "${jndi:ldap://x}",
    "city = $$x$$",
    "city = $tag$x$tag$",
    "r_score = $1",
    "r_score = ?",
    "r_score = :x",
    "r_score = @x",
    "`r_score` = 1",
    "[r_score] = 1",
    "r_score[1] = 1",
    "r_score::TEXT = '1'",
    "CAST(r_score AS TEXT) = '1'",
    "TRY_CAST(city AS INT) = 1",
    "r_score = 0x10",
    "r_score = 1e400",
    "r_score = 1" + "0" * 400,
    "r_score = " + "9" * 5_000,
    "city = E'\\x41'",
    "city = X'41'",
    "city = U&'\\0041'",
    "city = 'x\\'",
    "city = 'x\\' OR TRUE --'",
    "city = ''' OR TRUE'",
    "city = 'x'' OR TRUE --'",
    "city = 'a\x00b'",
    "city = 'a\u202eb'",
    "ci\u200bty = 'a'",
    "city = 'a\ud800'",
    "\x1b[2J",
    "\u0441ity = 'a'",
    "\uff43ity = 'a'",
    "\u0131s_prospect \u0131N (1)",
    "r_score = \u0661",
    "r_score = 1\u2028OR is_prospect",
    "city COLLATE nocase = 'A'",
    "city ~ 'a'",
    "city SIMILAR TO 'a'",
    "city LIKE '%'",
    "city || 'x' = 'y'",
    "r_score ** 2 = 4",
    "r_score ^ 2 = 4",
    "r_score & 1 = 1",
    "r_score << 70 = 1",
    "r_score // 0 = 1",
    "!is_prospect",
    "x -> x = 1",
    "list_transform([1], x -> x) = 1",
    "CASE WHEN is_prospect THEN TRUE END",
    "INTERVAL 1 DAY = 1",
    "CURRENT_DATE > born",
    "TODAY() > born",
    "DAYS_SINCE(read_text('/etc/passwd')) = 1",
    "CONTAINS(city, (SELECT 1))",
    "CONTAINS(city, city)",
    "CONTAINS(city, 'x') OVER ()",
    "CONTAINS(city, 'x') FILTER (WHERE TRUE)",
    "LOWER(city) WITHIN GROUP (ORDER BY 1) = 'a'",
    "LOWER(DISTINCT city) = 'a'",
    "LOWER(city ORDER BY 1) = 'a'",
    "COALESCE(*) = 1",
    "COALESCE(city, 'a' AS x) = 'a'",
    "COALESCE(city := 'a', 'b') = 'a'",
    "COALESCE(city, lambda x: x) = 'a'",
    "RANDOM_SHARE(city) < 0.5",
    "RANDOM_SHARE('a' || city) < 0.5",
    "RANDOM_SHARE('''; DROP TABLE x --') < 0.5",
    "city IN LIST ../../etc/passwd",
    "city IN LIST '/etc/passwd'",
    'city IN LIST "vip"',
    'city IN ("list:/etc/passwd")',
    '"call:LOWER"(city) = \'a\'',
    '"LAST_IN(rfm.champions)" = born',
    '"city IN LIST vip@00"',
    "WAS IN rfm.champions WITHIN 30 DAYS FROM x",
    "WAS IN (SELECT 1) WITHIN 30 DAYS",
    "ENTERED(rfm.segment) = born",
    "LAST_IN(groups.cluster_0) = born",
    "ANY(SELECT 1) = 'a'",
    "ANY(tags) = ANY(tags)",
    "born + INTERVAL '1 day; DROP TABLE x' > born",
    "born + INTERVAL 999999 DAYS > born",
    "DAYS_SINCE(" * 9 + "born" + ")" * 9 + " = 1",
    "LOWER(" * 9 + "city" + ")" * 9 + " = 'a'",
    "COALESCE(" + ", ".join(["city"] * 500) + ") = 'a'",
    "current_user = city",
    "now() > born",
    "random() < 0.5",
    "ROW_NUMBER() OVER () = 1",
    "is_prospect OVER ()",
    "is_prospect FILTER (WHERE TRUE)",
    "is_prospect LIMIT 1",
    "is_prospect GROUP BY 1",
    "is_prospect AS x",
    "*",
    "COLUMNS('.*')",
    "city IS JSON",
    "city AT TIME ZONE 'UTC' = city",
    "is_prospect ORDER BY 1",
    "{'a': 1}.a = 1",
    "MAP {1: 2}[1] = 1",
    "SELECT DISTINCT city FROM customers",
    "city IS DISTINCT",
    "city IS DISTINCT FROM",
    "DISTINCT city",
    "FROM customers",
    "city ISNULL",
    "(" * 1_000_000,
    "(" * 1_000 + "is_prospect" + ")" * 1_000,
    "(" * 13 + "is_prospect" + ")" * 13,
    "NOT " * 900 + "is_prospect",
    "- " * 1_900 + "1 = r_score",
    "+ " * 1_900 + "1 = r_score",
    "(NOT " * 12 + "(" + "- " * 3 + "1 = 1" + ")" * 13,
    "+".join(["r_score"] * 400) + " = 1",
    "=".join(["is_prospect"] * 300),
    "is_prospect" + " IS NULL" * 400,
    "is_prospect" + " NOT IN (TRUE)" * 200,
    "r_score IN (" + ",".join(["1"] * 1_900) + ")",
    "is_prospect " * 300,
    "'" * 3_999,
    '"' * 3_999,
    "a" * 4_000,
    "DATE " * 700,
    "DATE '" + "9" * 3_000 + "' = born",
]  # fmt: skip
HARMLESS = ["city = 'x\\'", "city = ''' OR TRUE'", "'/etc/passwd' = city", "city = 'x'' OR TRUE --'"]

RECORDED: list[str] = []
WATCHED = (
    "open",
    "exec",
    "compile",
    "import",
    "os.",
    "subprocess.",
    "socket.",
    "shutil.",
    "ctypes.",
    "pty.",
    "marshal.",
    "code.",
    "sqlite3.",
    "pickle.",
)
_watching = False


def _record(event: str, _arguments: object) -> None:
    if _watching and event.startswith(WATCHED):
        RECORDED.append(event)


sys.addaudithook(_record)


@contextmanager
def nothing_is_touched() -> Iterator[None]:
    global _watching  # noqa: PLW0603 - an audit hook can never be removed, only told to look away
    RECORDED.clear()
    _watching = True
    try:
        yield
    finally:
        _watching = False
    assert not RECORDED


def outcome(text: str) -> exp.Expression | ConfigError:
    """Parse `text` while nothing else may happen."""
    with nothing_is_touched():
        try:
            return parse_rule(text, WORDS, where="segments/x.toml:7")
        except ConfigError as error:
            return error


def assert_checked(tree: exp.Expression) -> None:
    for node in tree.walk():
        assert type(node) in ALLOWED
    for column in tree.find_all(exp.Column):
        joined = joined_column(column.name)
        assert column.name in WORDS.names or joined is not None or AGGREGATE.fullmatch(column.name)
        assert not isinstance(joined, ListColumn) or (joined.value in WORDS.names and WORDS.lists[joined.name] == joined.digest)
        assert not isinstance(joined, StayColumn) or joined.scheme in WORDS.schemes
    assert all(not column.table for column in tree.find_all(exp.Column))


def test_the_watch_sees_what_it_is_for() -> None:
    with pytest.raises(AssertionError), nothing_is_touched():
        compile("1", "x", "eval")


@pytest.mark.parametrize("text", HOSTILE, ids=lambda text: repr(text[:40]))
def test_a_hostile_text_is_refused_or_harmless(text: str) -> None:
    result = outcome(text)
    if isinstance(result, ConfigError):
        assert text not in HARMLESS
        assert str(result).isprintable() or all(character.isprintable() or character == "\n" for character in str(result))
        assert len(str(result)) < 5_000
    else:
        assert_checked(result)


@pytest.mark.parametrize("text", HARMLESS)
def test_text_within_quotes_stays_text(text: str) -> None:
    result = outcome(text)
    assert isinstance(result, exp.EQ)
    assert sum(isinstance(node, exp.Literal) for node in result.walk()) == 1
    assert "TRUE" not in {node.sql() for node in result.find_all(exp.Boolean)}


FRAGMENTS = [
    *COLUMNS,
    "AND", "OR", "NOT", "IN", "IS", "NULL", "BETWEEN", "TRUE", "DATE", "(", ")", ",", "=", "<>", "<", ">=", "+", "-", "*", "/", "%",
    "1", "0.5", "'a'", "'2024-01-31'", "''", '"city"', ";", "--", "/*", "*/", "@x", "$x", "SELECT", "FROM", "CAST", "AS", "::", ".", "`",
    "[", "]", "{", "}", "\\", "'", '"', "\n", "\x00", "é", "\u0131", "LIKE", "CASE", "WHEN", "EXISTS", "count", "SYMMETRIC", "ALL", "ANY",
    "rfm.segment", "rfm.", "champions", "'champions'", "@most", "@least", "@place", "@since", "@wanted", "@",
    *FUNCTIONS, "TODAY", "CURRENT_DATE", "INTERVAL", "INTERVAL '60 days'", "IN LIST", "LIST", "vip", "WAS IN", "WAS", "WITHIN", "30",
    "DAYS", "rfm.champions", "groups.cluster_1", "DAYS_SINCE(", "CONTAINS(", "ANY(tags)", "ANY(", "COALESCE(", "RANDOM_SHARE('a')",
    "list:vip", "COUNT(", "SUM(", "FIRST(", "EXISTS(", "DISTINCT", "order_lines", "order_lines.net_amount", "visits",
    "WHERE", "LAST", "BEFORE", "AGO", "category", "net_amount", "orders", "FOLLOWED BY", "PRECEDED BY FIRST", "THIS", "QUARTER",
    "OF THE SAME", "BY", "LATEST 2", "LIST(", "IN AUDIENCE", "AUDIENCE", "regulars", '"audience:regulars"', "audience:regulars", "NULLIF(",
]  # fmt: skip


@settings(max_examples=400, derandomize=True, deadline=None)
@given(st.lists(st.sampled_from(FRAGMENTS), max_size=14), st.sampled_from([" ", ""]))
def test_any_heap_of_fragments_is_refused_or_checked(fragments: list[str], glue: str) -> None:
    result = outcome(glue.join(fragments))
    if not isinstance(result, ConfigError):
        assert_checked(result)


@settings(max_examples=200, derandomize=True, deadline=None)
@given(st.text(max_size=60))
def test_any_text_is_refused_or_checked(text: str) -> None:
    result = outcome(text)
    if not isinstance(result, ConfigError):
        assert_checked(result)


def test_twenty_thousand_heaps_of_words_are_refused_or_checked() -> None:
    chance, checked = random.Random(20240229), 0
    for _ in range(20_000):
        words = chance.choices(FRAGMENTS, k=chance.randint(1, 12)) if chance.random() < 0.5 else a_likely_rule(chance)
        result = outcome((" " if chance.random() < 0.8 else "").join(words))
        if not isinstance(result, ConfigError):
            assert_checked(result)
            checked += 1
    assert checked > 200


AGGREGATES = [
    "COUNT(order_lines",
    "COUNT(DISTINCT order_lines.order_id WHERE category = 'a'",
    "SUM(order_lines.net_amount WHERE net_amount > 1 OR category IN ('a', ')')",
    "EXISTS(visits WHERE visit_id <> 'x'",
    "MAX(order_lines.order_day WHERE COUNT(visits) > 1",
    "FIRST(order_lines.category WHERE recency_days > 1",
    "COUNT(orders NOT FOLLOWED BY visits WITHIN 2 DAYS",
    "COUNT(visits PRECEDED BY FIRST order_lines WHERE category = ')' WITHIN 2 WEEKS",
    "EXISTS(orders WHERE net_amount > 1 FOLLOWED BY orders WHERE COUNT(visits) > 1",
    "COUNT(orders FOLLOWED BY order_lines OF THE SAME channel WHERE quantity > 1",
    "LIST(order_lines.category",
]


DAYS = ["", " LAST 9 DAYS", " LAST 9 DAYS BEFORE 2 DAYS AGO", " LAST x DAYS", " THIS YEAR"]


def a_likely_rule(chance: random.Random) -> list[str]:
    """Return words that may well be a rule, so that what lies behind the parser is reached too."""
    calls = [f"{name}({chance.choice([*COLUMNS, 'LOWER(city)', 'TODAY'])}{chance.choice(['', ', 1', ', NULL'])})" for name in FUNCTIONS]
    calls += [f"{name}({chance.choice(['city', 'ANY(tags)'])}, 'a')" for name in ("CONTAINS", "STARTS_WITH", "ENDS_WITH", "COALESCE")]
    sides = [
        *COLUMNS,
        chance.choice(calls),
        f"{chance.choice(AGGREGATES)}{chance.choice(DAYS)})",
        "TODAY - 3",
        "born + 1",
        "IN LIST vip",
        "WAS IN rfm.champions WITHIN 3 DAYS",
        "IN AUDIENCE regulars",
        "ANY(LIST(order_lines.category LAST 9 DAYS))",
        "rfm.segment",
        "@most",
        "@least",
        "@place",
        "@since",
        "@wanted",
        "1",
        "0.5",
        "'champions'",
        "NULL",
    ]
    operators = ["=", "<>", "<", ">=", "+", "*", "/", "IS", "IN", "IN LIST", "BETWEEN"]
    parts = [[chance.choice(sides), chance.choice(operators), chance.choice(sides)] for _ in range(chance.randint(1, 3))]
    return [word for part in parts for word in (chance.choice(["AND", "OR", "AND NOT"]), *part)][1:]

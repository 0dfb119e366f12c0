"""The text of a statement is kept for trees that are alike, and for no others."""

from __future__ import annotations

from typing import cast

import pytest
import sqlglot
from sqlglot import exp

from pipeline.lake.statements import PACKAGES, duckdb_text, statement, statement_digest
from pipeline.lake.tables import CUSTOMER_FEATURES


def tree_of(text: str) -> exp.Query:
    return cast("exp.Query", sqlglot.parse_one(text, read="duckdb"))


def test_a_tree_that_was_changed_deep_inside_is_written_anew() -> None:
    tree = tree_of("SELECT a FROM (SELECT a FROM t WHERE b = 'x' ORDER BY a) AS s")
    digest = statement_digest(tree)
    assert "'x'" in duckdb_text(tree)
    [literal] = tree.find_all(exp.Literal)
    literal.replace(exp.Literal.string("y"))
    assert duckdb_text(tree) == "SELECT a FROM (SELECT a FROM t WHERE b = 'y' ORDER BY a) AS s"
    assert statement_digest(tree) != digest


def test_what_a_copy_says_leaves_the_text_of_the_first_as_it_was() -> None:
    tree = statement(CUSTOMER_FEATURES.name)
    text = duckdb_text(tree)
    changed = tree.copy()
    for column in list(changed.find_all(exp.Column)):
        column.replace(exp.column(f"other_{column.name}"))
    assert duckdb_text(changed) == changed.sql("duckdb", comments=False) != text
    assert duckdb_text(tree) == tree.sql("duckdb", comments=False) == text


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("SELECT a FROM t WHERE b = 'Tea'", "SELECT a FROM t WHERE b = 'tea'"),
        ('SELECT "A" FROM t', 'SELECT "a" FROM t'),
        ("SELECT a FROM t WHERE b = $Day", "SELECT a FROM t WHERE b = $day"),
        ("SELECT a AS Total FROM t", "SELECT a AS total FROM t"),
        ("SELECT r.a FROM t AS r", "SELECT R.a FROM t AS R"),
        ("SELECT {'A': b} AS s FROM t", "SELECT {'a': b} AS s FROM t"),
        ("SELECT a FROM t WHERE REGEXP_MATCHES(b, 'x', 'c')", "SELECT a FROM t WHERE REGEXP_MATCHES(b, 'x', 'C')"),
        ("SELECT a FROM t WHERE b = 1", "SELECT a FROM t WHERE b = '1'"),
        ("SELECT a FROM t UNION ALL SELECT a FROM s", "SELECT a FROM t UNION SELECT a FROM s"),
        ("SELECT a FROM t ORDER BY a DESC", "SELECT a FROM t ORDER BY a"),
        ("SELECT a FROM t ORDER BY a NULLS FIRST", "SELECT a FROM t ORDER BY a"),
        ("SELECT (a - b) - c FROM t", "SELECT a - (b - c) FROM t"),
    ],
)
def test_trees_that_differ_have_texts_of_their_own(one: str, other: str) -> None:
    assert duckdb_text(tree_of(one)) == tree_of(one).sql("duckdb")
    assert duckdb_text(tree_of(other)) == tree_of(other).sql("duckdb") != duckdb_text(tree_of(one))


def test_only_words_of_sql_are_alike_in_any_case() -> None:
    """Sqlglot compares the texts of some nodes without their case: those that its parser writes in capitals, and no name or value."""
    words = {
        text
        for name in sorted(file.stem for file in PACKAGES.glob("*/sql/*.sql"))
        for node in statement(name).walk()
        if not node._hash_raw_args
        for value in node.args.values()
        for text in (value if isinstance(value, list) else [value])
        if isinstance(text, str)
    }
    assert "UNBOUNDED" in words
    assert [word for word in words if word != word.upper()] == []

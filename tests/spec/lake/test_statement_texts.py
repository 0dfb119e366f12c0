"""The text of a statement is kept for trees that are alike, and for no others."""

from __future__ import annotations

from typing import cast

import pytest
import sqlglot
from sqlglot import exp

from pipeline.lake.statements import duckdb_text, statement, statement_digest
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

"""A star that leaves out columns says the same as a list of the others, which every server understands."""

from __future__ import annotations

import pytest
from sqlglot import exp, parse_one

from pipeline.lake.engines.spark_stars import with_columns_listed

COLUMNS = {"t": ["a", "b", "c.d"], "u": ["e", "B2"]}


def listed(text: str) -> str:
    return with_columns_listed(parse_one(text, into=exp.Select, read="spark"), COLUMNS).sql("spark")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("SELECT * EXCEPT (B), 1 AS b FROM t", "SELECT `a`, `c.d`, 1 AS b FROM t"),
        ("SELECT x.* EXCEPT (a), u.e FROM t AS x CROSS JOIN u", "SELECT x.`b`, x.`c.d`, u.e FROM t AS x CROSS JOIN u"),
        ("SELECT * EXCEPT (a) FROM t CROSS JOIN u AS v", "SELECT `b`, `c.d`, `e`, `B2` FROM t CROSS JOIN u AS v"),
        (
            "SELECT * EXCEPT (n) FROM (SELECT *, 1 AS n FROM (SELECT * EXCEPT (a) FROM t) AS s) AS r",
            "SELECT `b`, `c.d` FROM (SELECT *, 1 AS n FROM (SELECT `b`, `c.d` FROM t) AS s) AS r",
        ),
        (
            "WITH t AS (SELECT *, 2 AS z FROM t) SELECT * EXCEPT (z) FROM t",
            "WITH t AS (SELECT *, 2 AS z FROM t) SELECT `a`, `b`, `c.d` FROM t",
        ),
        (
            "SELECT * EXCEPT (e) FROM (SELECT e, a AS x FROM u CROSS JOIN t UNION ALL SELECT b, a FROM t) AS s",
            "SELECT `x` FROM (SELECT e, a AS x FROM u CROSS JOIN t UNION ALL SELECT b, a FROM t) AS s",
        ),
        (
            "SELECT * EXCEPT (a) FROM t LEFT ANTI JOIN u ON a = e",
            "SELECT `b`, `c.d` FROM t LEFT ANTI JOIN u ON a = e",
        ),
        (
            "SELECT n FROM u WHERE e IN (SELECT b FROM (SELECT * EXCEPT (a) FROM t) AS s)",
            "SELECT n FROM u WHERE e IN (SELECT b FROM (SELECT `b`, `c.d` FROM t) AS s)",
        ),
    ],
)
def test_columns_that_are_known_are_listed(text: str, expected: str) -> None:
    assert listed(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "SELECT * FROM t",
        "SELECT COUNT(*), a FROM t",
        "SELECT * EXCEPT (a) FROM somewhere",
        "SELECT * EXCEPT (a) FROM (SELECT * FROM somewhere) AS s",
        "SELECT * EXCEPT (a) FROM t JOIN u USING (a)",
    ],
)
def test_other_stars_stay(text: str) -> None:
    assert listed(text) == text

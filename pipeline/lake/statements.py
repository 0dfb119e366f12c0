"""The SQL of computed tables: `<package>/sql/<table>.sql`, one statement each, read as a syntax tree."""

from __future__ import annotations

import json
from functools import cache, lru_cache
from hashlib import sha256
from pathlib import Path
from typing import cast

import sqlglot
from sqlglot import exp

from pipeline.lake.tables import Table

PACKAGES = Path(__file__).parents[1]


def has_statement(name: str) -> bool:
    """Return whether a package computes a table of that name."""
    return any(PACKAGES.glob(f"*/sql/{name}.sql"))


@cache
def statement(name: str) -> exp.Query:
    """Return the syntax tree of `<package>/sql/<name>.sql`; parameters are `$name`.

    A name alone is enough, as no two packages compute the same table.
    """
    [file] = PACKAGES.glob(f"*/sql/{name}.sql")
    tree = cast("exp.Query", sqlglot.parse_one(file.read_text("utf-8"), read="duckdb"))
    for node in tree.walk():
        # Positions in the file, which nobody needs and which cost a third of every copy, as would an empty dictionary in their place.
        node._meta = None  # noqa: SLF001 - there is no other way to be rid of it
    return tree


@lru_cache(maxsize=256)
def duckdb_text(tree: exp.Query) -> str:
    """Return `tree` as a statement of DuckDB without comments.

    Kept for trees that are alike: a night digests what it runs, and the next one in this process runs the same.
    """
    # Alike as sqlglot compares trees: by letter where a name, a parameter or a value is written, and in any case its own words alone.
    return tree.sql("duckdb", comments=False)


def statement_digest(tree: exp.Query) -> str:
    """Return a short digest of what `tree` means, which layout and comments do not change."""
    return sha256(duckdb_text(tree).encode()).hexdigest()[:16]


def short_digest(*facts: object) -> str:
    """Return a short digest of facts that JSON can hold."""
    return sha256(json.dumps(facts).encode()).hexdigest()[:16]


def with_attributes(features: exp.Query, base: Table, table: Table) -> exp.Query:
    """Return `features` joined with the attribute columns that `table` has beyond `base`.

    Customers whom the customers table lacks get null attributes. Sorted by the table's key.
    """
    extra = [column.name for column in table.columns if column.name not in base.column_names]
    columns = [exp.column(name, "features") for name in base.column_names]
    # Quoted: a company names its attributes as it likes, by words of SQL too.
    columns += [exp.column(name, "customers", quoted=True) for name in extra]
    joined = exp.select(*columns).from_(features.subquery("features"), copy=False)
    if extra:
        on = exp.column("customer_id", "customers").eq(exp.column("customer_id", "features"))
        joined = joined.join("customers", on=on, join_type="left")
    return joined.order_by(*(exp.column(name, "features") for name in table.key), copy=False)

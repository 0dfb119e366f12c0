"""A table with two columns of each kind, and the suite of a computed table as one statement counts it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import date
from typing import Any

from pipeline.definitions.company import Company
from pipeline.ingestion.validation import load_suite_definition, suite_parameters
from pipeline.ingestion.validation.expectation_sql import CHECKED_COUNT, suite_statement
from pipeline.lake import addresses
from pipeline.lake.engines import Engine
from pipeline.lake.tables import Column, Kind, Partition, Table

NIGHT = date(2024, 3, 31)
TABLE = Table(
    "checked_rows",
    "Two columns of each kind.",
    tuple(
        Column(name, kind, name)
        for kind, names in {
            Kind.TEXT: ("customer_id", "label"),
            Kind.INTEGER: ("whole", "other_whole"),
            Kind.NUMBER: ("number", "other_number"),
            Kind.MONEY: ("amount", "other_amount"),
            Kind.DATE: ("first_date", "last_date"),
            Kind.INSTANT: ("moment", "other_moment"),
            Kind.FLAG: ("is_flagged", "is_marked"),
        }.items()
        for name in names
    ),
    ("customer_id",),
    Partition.NIGHT,
)
OF_KIND = {kind: [column.name for column in TABLE.columns if column.kind is kind] for kind in Kind}


def kind_of(name: str) -> Kind:
    return next(column.kind for column in TABLE.columns if column.name == name)


def write_suite(company: Company, table: Table, entries: Iterable[Mapping[str, Any]]) -> None:
    """Write the company's own suite of `table`; rules are named by their position."""
    named = [
        {"severity": "critical", "meta": {"rule": f"rule_{position}", "rejects_rows": False}, **entry}
        for position, entry in enumerate(entries)
    ]
    folder = company.folder / "expectations"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{table.name}.json").write_text(json.dumps({"expectations": named}), "utf-8")


def counts_in_sql(company: Company, engine: Engine, table: Table, day: date) -> list[int]:
    """Return how many rows the night has, then what each rule of the table's suite counts."""
    suite = load_suite_definition(company, table)
    engine.register(table, [addresses.partition(table, day=day)])
    [counts] = engine.run(suite_statement(suite, suite_parameters(company, day)), {}).read_all().to_pylist()
    return [counts[CHECKED_COUNT], *(counts[f"failed_{position}"] for position in range(len(suite.rules)))]

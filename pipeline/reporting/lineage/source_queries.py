"""What the company's own queries give for the columns of its sources."""

from __future__ import annotations

from collections.abc import Mapping

from pipeline.definitions.company import Company
from pipeline.definitions.definition_files import read_definition
from pipeline.ingestion.sources.query_columns import column_expressions


def source_expressions(company: Company) -> dict[str, Mapping[str, str]]:
    """Read for every raw table whose query can be parsed the expression that gives each column, in the source's own words.

    Tables that are files, or whose query cannot be read, are left out: nothing is known of their columns.
    """
    expressions: dict[str, Mapping[str, str]] = {}
    dialect = company.source.dialect
    for source, table in company.source_tables.items():
        file = company.source_file(source)
        columns = column_expressions(read_definition(file).text, dialect) if file.is_file() else None
        if columns is not None:
            expressions[table.name] = {name: each.sql(dialect, comments=False) for name, each in columns.items()}
    return expressions

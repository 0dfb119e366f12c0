"""Queries, run against the catalogue of their source without a row being read: one statement, the columns, their types."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from datetime import date
from pathlib import Path

import pyarrow as pa

from pipeline.calendar import days_window
from pipeline.definitions.company import Company
from pipeline.errors import PipelineError, SchemaDrift
from pipeline.ingestion.reading import Extraction, open_source, table_for_query
from pipeline.ingestion.sources import SourceQuery, authored_query, sql_words
from pipeline.ingestion.sources.columns import check_columns, column_faults
from pipeline.ingestion.sources.query_columns import column_line
from pipeline.ingestion.sources.table_files import find_tables
from pipeline.lake.lake import Lake
from pipeline.lake.limits import MEMORY_LIMIT
from pipeline.lake.staging import temporary_folder
from pipeline.lake.tables import ERASURES, Table
from pipeline.operations.check.problems import ProblemList, line_of_word

Connections = Callable[[str], str]


def check_queries(company: Company, found: ProblemList) -> list[SourceQuery]:
    """Add what is wrong with the text of each query; return those that are one statement."""
    window = days_window(_any_day(company), _any_day(company), company.zone)
    queries = []
    for name in (*company.source_tables, ERASURES.name):
        file = company.source_file(name)
        if file.is_file():
            with found.collecting():
                queries.append(authored_query(name, file, company.source.dialect, window))
    return queries


def check_against_source(
    company: Company, queries: list[SourceQuery], connections: Connections, found: ProblemList
) -> dict[str, list[str]]:
    """Add where the source is out of reach, and where a query asks for what it does not have, or gives other columns than are declared.

    Return the columns of each query that can be run.
    """
    given: dict[str, list[str]] = {}
    with found.collecting(), ExitStack() as resources:
        scratch = resources.enter_context(temporary_folder())
        extraction = Extraction(company, Lake(scratch), _any_day(company), None, connections, MEMORY_LIMIT)
        snapshot = resources.enter_context(open_source(extraction, scratch, with_rows=False))
        for query in queries:
            with found.collecting():
                schema = snapshot.schema(query)
                given[query.name] = schema.names
                _check_columns(company, query, schema, found)
    return given


def _check_columns(company: Company, query: SourceQuery, given: pa.Schema, found: ProblemList) -> None:
    """Add each column of a query that is not as declared, with its line."""
    table = _table_of(company, query)
    faults = column_faults(table, given, query, company.zone) if len(set(given.names)) == len(given) else []
    for fault in faults:
        if fault.column:
            line = column_line(query.text, query.dialect, fault.column) or line_of_word(query.text, fault.column) or 1
            found.add(SchemaDrift(fault.what, where=f"{query.file}:{line}", todo=f"{fault.remedy[0].upper()}{fault.remedy[1:]}."))
    # What is lacking is told with what the query gives and what is declared.
    if not all(fault.column for fault in faults) or not faults:
        lacking = replace(table, columns=tuple(c for c in table.columns if c.name not in {fault.column for fault in faults}))
        check_columns(lacking, given, query, company.zone)


def unread_tables(company: Company, queries: list[SourceQuery]) -> list[Path]:
    """Return the files of the source that no query reads; none of a database or a folder elsewhere, which may have many other uses."""
    folder = company.source.folder
    if company.source.kind != "files" or folder is None or not folder.is_relative_to(company.folder):
        return []
    try:
        tables = find_tables(folder)
    except PipelineError:  # told of where the source is opened
        return []
    words = {word for query in queries for word in sql_words(query.text, query.dialect)}
    return sorted(table.paths[0] for name, table in tables.items() if name.lower() not in words)


def _table_of(company: Company, query: SourceQuery) -> Table:
    return ERASURES if query.name == ERASURES.name else table_for_query(company, query.name)


def _any_day(company: Company) -> date:
    """Return a day to put into the query: what is asked for it is what it would give, which no day changes."""
    return company.last_day or company.first_day

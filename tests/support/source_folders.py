"""A folder of files with one table, and what a query reads of it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from pipeline.calendar import BEGINNING, END, Window
from pipeline.definitions.company_sections import Source
from pipeline.definitions.source_formats import TableFormat
from pipeline.errors import DataError, PipelineError
from pipeline.ingestion.sources import SourceQuery
from pipeline.ingestion.sources.files import open_files

Rows = list[tuple[Any, ...]]


def read_table(
    folder: Path,
    content: bytes,
    query: str = "SELECT * FROM orders",
    *,
    name: str,
    types: Mapping[str, str] | None = None,
    **declared: Any,
) -> Rows:
    """Write a file of the table `orders` and return what a query gives that is run over it; `declared` is the table's format."""
    path = folder / "data" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    source = Source(
        kind="files", folder=folder / "data", column_types={"orders": types} if types else {}, formats={"orders": TableFormat(**declared)}
    )
    asked = SourceQuery("order_lines", folder / "order_lines.sql", "duckdb", query, Window(BEGINNING, END))
    with open_files(source, folder / "staging", memory_limit="200MB") as snapshot:
        snapshot.schema(asked)
        rows = [tuple(row.values()) for batch in snapshot.rows(asked) for row in batch.to_pylist()]
    path.unlink()
    return rows


def refused_table(folder: Path, content: bytes, kind: type[PipelineError] = DataError, **given: Any) -> PipelineError:
    """Return the error of the same."""
    with pytest.raises(kind) as refused:
        read_table(folder, content, **given)
    (folder / "data" / given["name"]).unlink()
    assert refused.value.todo
    return refused.value

"""What a statement reads of the tables that are registered with Spark: which of them, and which of their columns."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from sqlglot import exp

from pipeline.lake.executors.order import SortKey
from pipeline.lake.file_parts import FilePart
from pipeline.lake.tables import Table


@dataclass(slots=True)
class SparkView:
    """A registered table: files, or a statement, or rows that Spark holds already; and the columns that its view has so far."""

    table: Table
    parts: tuple[FilePart, ...] | None = None
    statement: exp.Query | None = None
    columns: set[str] = field(default_factory=set)


def table_names(statement: exp.Query) -> list[str]:
    """Return the names of the tables that `statement` reads, in a fixed order; those of its own WITH clauses are among them."""
    return sorted({table.name for table in statement.find_all(exp.Table)})


def order_of(statement: exp.Query) -> tuple[SortKey, ...]:
    """Return the columns that the rows of `statement` are sorted by."""
    order = statement.args.get("order")
    keys = order.expressions if order else ()
    return tuple(SortKey(key.this.name, bool(key.args.get("desc")), bool(key.args.get("nulls_first"))) for key in keys)


def needed_columns(table: Table, statements: Iterable[exp.Query]) -> frozenset[str]:
    """Return the columns of `table` that one of `statements` may read: those it names anywhere, all where it asks for every one."""
    statements = list(statements)
    stored = [column.name for column in table.stored_columns]
    if any(name == table.name for statement in statements for name in _tables_read_whole(statement)):
        return frozenset(stored)
    named = {identifier.name.lower() for statement in statements for identifier in statement.find_all(exp.Identifier)}
    # One at least: rows without columns cannot be counted.
    return frozenset(name for name in stored if name.lower() in named) or frozenset(stored[:1])


def _tables_read_whole(statement: exp.Query) -> Iterator[str]:
    """Yield the names of tables whose every column is selected by a star."""
    for star in statement.find_all(exp.Star):
        column = star.parent
        select, of = (column.parent, column.table) if isinstance(column, exp.Column) else (column, "")
        if isinstance(select, exp.Select):
            for source in [select.args.get("from_"), *(select.args.get("joins") or ())]:
                table = source.this if source else None
                if isinstance(table, exp.Table) and of in ("", table.alias_or_name):
                    yield table.name

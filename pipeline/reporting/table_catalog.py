"""The table catalogue in Markdown, from the declarations."""

from __future__ import annotations

from collections.abc import Iterable

from pipeline.lake.tables import ALL_TABLES, Column, Partition, Table

WRITTEN = {
    Partition.NIGHT: "one partition per night",
    Partition.EVENT_DAY: "one partition per event day and version",
    Partition.SNAPSHOT: "one partition per night that saw a difference",
}


def readme_tables() -> str:
    """Return README's catalogue: published tables in the open, the others folded."""
    published = [table for table in ALL_TABLES if table.is_published]
    inner = [table for table in ALL_TABLES if not table.is_published]
    fold = f"<details><summary>The tables behind them ({len(inner)})</summary>\n\n{catalogue(inner)}\n</details>\n"
    return f"\n{catalogue(published)}\n{fold}\n"


def catalogue(tables: Iterable[Table]) -> str:
    """Return a Markdown section per table: meaning, key, partition and columns."""
    return "\n\n".join(_section(table) for table in tables) + "\n"


def _section(table: Table) -> str:
    place = f"`lake/tables/{table.name}/{table.partition.value}/part-0.parquet`"
    published = f"; published as `lake/current/{table.name}.parquet`" if table.is_published else ""
    head = [
        f"#### `{table.name}`",
        table.description,
        f"Key: {', '.join(f'`{name}`' for name in table.key)}. Stored {WRITTEN[table.partition]}: {place}{published}.",
    ]
    return "\n\n".join([*head, _columns(table.columns)])


def _columns(columns: Iterable[Column]) -> str:
    rows = ["| column | type | meaning |", "|---|---|---|"]
    rows += [f"| `{column.name}` | {column.kind.words} | {column.description}{_marks(column)} |" for column in columns]
    return "\n".join(rows)


def _marks(column: Column) -> str:
    return " **Personal data.**" if column.pii else ""

"""The table catalogue in Markdown, from the declarations."""

from __future__ import annotations

from collections.abc import Iterable

from pipeline.lake.tables import ALL_TABLES, Partition, Table

WRITTEN = {
    Partition.NIGHT: "one partition per night",
    Partition.EVENT_DAY: "one file per month of event days and night that learned of them, `event_day` and `known_on` first "
    "(`known=all` holds the nights of a month long past)",
    Partition.SNAPSHOT: "one partition per night that saw a difference",
    Partition.CAMPAIGN: "one partition per campaign",
}


def table_catalog() -> str:
    """Describe every table in Markdown: those that are published first, then the others."""
    published = [table for table in ALL_TABLES if table.is_published]
    inner = [table for table in ALL_TABLES if not table.is_published]
    return f"## Published tables\n\n{_table_sections(published)}\n\n## Tables behind them\n\n{_table_sections(inner)}\n"


def _table_sections(tables: Iterable[Table]) -> str:
    return "\n\n".join(_table_section(table) for table in tables)


def _table_section(table: Table) -> str:
    """Describe a table: meaning, key, where it lies, and its columns with personal data marked."""
    columns = ["| column | type | meaning |", "|---|---|---|"]
    for column in table.columns:
        mark = " **Personal data.**" if column.pii else f" Unknown of everybody without `{column.needs}`." if column.needs else ""
        columns.append(f"| `{column.name}` | {column.kind.words} | {column.description}{mark} |")
    parts = [
        f"### `{table.name}`",
        table.description,
        f"Key: {', '.join(f'`{name}`' for name in table.key)}. {_place(table)}.",
        "\n".join(columns),
    ]
    return "\n\n".join(parts)


def _place(table: Table) -> str:
    """Say where a table lies, and where publications have it."""
    if table.partition is Partition.PUBLICATION:
        return f"In publications alone, where the company has a section `[crm]`: `lake/current/{table.name}.parquet`"
    stored = f"Stored {WRITTEN[table.partition]}: `lake/tables/{table.name}/{table.partition.value}/part-0.parquet`"
    published = f"; published as `lake/current/{table.name}.parquet`" if table.is_published else ""
    return f"{stored}{published}{', on nights of which there is something to say' if table.is_optional else ''}"

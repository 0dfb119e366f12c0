"""What each step of a night wrote, for programs that draw lineage: tables, their columns, what each is made of, how many rows.

A column is told by the columns of the tables it is computed from in one step. Whoever follows these steps back to the sources finds
what `segments catalog --lineage` tells of a feature.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import date

from pipeline.definitions.company import Company
from pipeline.lake import addresses
from pipeline.lake.lake import Lake
from pipeline.lake.statements import has_statement
from pipeline.lake.tables import (
    ALL_TABLES,
    CUSTOMER_FEATURES,
    CUSTOMER_SEGMENTS,
    Column,
    Partition,
    Table,
)
from pipeline.publication.current import current_publication
from pipeline.reporting.lineage.columns import column_graph, tables_behind
from pipeline.reporting.lineage.graph import ROWS, Field
from pipeline.reporting.lineage.lineage import CompanyLineage
from pipeline.segmentation import clusters_of_night, schemes_of_night

Inputs = Mapping[Field, bool]
"""Columns that something is made of, with whether each makes its value; else it only chooses rows."""


@dataclass(frozen=True, slots=True)
class StepOutput:
    """One table that a step wrote: where it lies, its columns, and how many rows were written, where that is known.

    `fields` tells what single columns are made of, `rows` what chooses the rows of all of them. `catalog` and `catalog_table` name the
    same rows in a catalogue of Iceberg tables, where they are registered in one.
    """

    address: str
    columns: tuple[Column, ...]
    row_count: int | None
    fields: Mapping[str, Inputs] = field(default_factory=dict)
    rows: tuple[Field, ...] = ()
    catalog: str = ""
    catalog_table: str = ""


def table_address(name: str) -> str:
    """Return the address that a table is told by: that of all of its partitions."""
    return f"{addresses.TABLES}{name}"


def step_outputs(company: Company, lake: Lake, step: str, day: date) -> list[StepOutput]:
    """Return what `step` wrote in the night of `day`; nothing for one that writes no table that others read."""
    kinds = {"extract": _raw_outputs, "validate": _clean_outputs, "features": _feature_outputs, "segment": _segment_outputs}
    if step == "publish":
        return list(_published_outputs(company, lake, day))
    return list(kinds[step](company, lake, day)) if step in kinds else []


def _raw_outputs(company: Company, lake: Lake, day: date) -> Iterator[StepOutput]:
    for table in company.source_tables.values():
        count = _row_count(lake, table, day)
        if count is not None:
            yield StepOutput(table_address(table.name), company.table(table).columns, count)


def _clean_outputs(company: Company, lake: Lake, day: date) -> Iterator[StepOutput]:
    return _traced_outputs(company, lake, [table for table in tables_behind(company) if not has_statement(table.name)], day)


def _feature_outputs(company: Company, lake: Lake, day: date) -> Iterator[StepOutput]:
    return _traced_outputs(company, lake, [table for table in tables_behind(company) if has_statement(table.name)], day)


def _traced_outputs(company: Company, lake: Lake, tables: list[Table], day: date) -> Iterator[StepOutput]:
    graph = column_graph(company)
    # Caches are none of them: they may be deleted at any time.
    stored = {table.name for table in ALL_TABLES} | {event.table.name for event in company.events.values()}
    stored |= {table.name for table in company.source_tables.values()}
    absent = _absent_tables(company, lake)
    for table in (company.table(each) for each in tables if each.name in stored):
        count = _row_count(lake, table, day)
        if count is None:
            continue
        found = {name: graph.inputs_of(Field(table.name, name), stored) for name in (ROWS, *table.column_names)}
        found = {name: {each: way for each, way in inputs.items() if each.table not in absent} for name, inputs in found.items()}
        rows = found.pop(ROWS)
        fields = {name: {each: way for each, way in inputs.items() if way or each not in rows} for name, inputs in found.items()}
        yield StepOutput(table_address(table.name), table.columns, count, fields, tuple(rows))


def _absent_tables(company: Company, lake: Lake) -> set[str]:
    """Return the tables of event days that no night has written, such as those behind orders where the company has no source of them."""
    tables = (*ALL_TABLES, *(table for event in company.declared_events for table in (event.table, event.raw_table)))
    stored = {table.name: lake.event_days(table) for table in tables if table.partition is Partition.EVENT_DAY}
    return {name for name, days in stored.items() if not (days.versions or days.damaged)}


def _segment_outputs(company: Company, lake: Lake, day: date) -> Iterator[StepOutput]:
    # Tables are declared in the order of a night: of those after the features, this step writes all that are of a night or of days.
    later = ALL_TABLES[ALL_TABLES.index(CUSTOMER_FEATURES) + 1 :]
    for table in (each for each in later if each.partition in (Partition.NIGHT, Partition.EVENT_DAY)):
        count = _row_count(lake, table, day)
        if count is not None:
            fields = _membership_inputs(company, lake, day) if table is CUSTOMER_SEGMENTS else {}
            yield StepOutput(table_address(table.name), table.columns, count, fields)


def _membership_inputs(company: Company, lake: Lake, day: date) -> dict[str, Inputs]:
    """Return what memberships are made of: any feature by which one of the night's schemes decides."""
    schemes, clusters = schemes_of_night(company, lake, day).schemes, clusters_of_night(company, lake, day)
    lineage = CompanyLineage(company, schemes, clusters)
    names = [*(scheme.name for scheme in schemes), *(scheme.name for scheme in clusters)]
    deciding = {feature for name in names for feature in lineage.trace_name(name).features}
    features = {Field(CUSTOMER_FEATURES.name, name): True for name in sorted(deciding)}
    return {"customer_id": {Field(CUSTOMER_FEATURES.name, "customer_id"): True}, "segment": features}


def _published_outputs(company: Company, lake: Lake, day: date) -> Iterator[StepOutput]:
    live = current_publication(lake)
    if live is None or live.day != day:
        return
    tables = {table.name: company.table(table) for table in ALL_TABLES}
    for name, count in sorted(live.row_counts.items()):
        if name in tables:
            columns = tables[name].columns
            # What is made for the publication alone is no copy of a table that a night stored.
            is_copied = tables[name].partition is not Partition.PUBLICATION
            copied = {column.name: {Field(name, column.name): True} for column in columns} if is_copied else {}
            output = StepOutput(f"{addresses.CURRENT}/{name}.parquet", columns, count, copied)
            settings = company.iceberg
            yield replace(output, catalog=settings.catalog, catalog_table=settings.table_name(name)) if settings else output


def _row_count(lake: Lake, table: Table, day: date) -> int | None:
    """Return how many rows the night stored of a table, None where it stored none of it anew."""
    if table.partition is Partition.EVENT_DAY:
        counts = [stored.row_count for version, stored in lake.event_days(table).versions.items() if version.known_on == day]
        return sum(counts) if counts else None
    place = {"day": day} if table.partition is Partition.NIGHT else {"known_on": day}
    if table.partition not in (Partition.NIGHT, Partition.SNAPSHOT) or not lake.has(table, **place):
        return None
    return lake.row_count(addresses.partition(table, **place))

"""The night's tables of campaigns, where there are any: a night of a company without campaigns loads nothing else of measuring."""

from __future__ import annotations

from datetime import date

from pipeline.definitions.company import Company
from pipeline.lake import addresses
from pipeline.lake.engines import Engine
from pipeline.lake.lake import Lake
from pipeline.lake.tables import CAMPAIGN_ASSIGNMENTS, CAMPAIGN_NIGHT_TABLES

SOURCES = ("campaigns", "campaign_members")


def write_campaign_tables(company: Company, lake: Lake, engine: Engine, day: date) -> None:
    """Write what a night whose features are stored says of campaigns; nothing where none was started, and the CRM lists none."""
    if not has_campaigns(company, lake):
        remove_campaign_tables(lake, day)
        return
    from pipeline.measurement.writing import write_campaigns

    write_campaigns(company, lake, engine, day)


def has_campaigns(company: Company, lake: Lake) -> bool:
    """Return whether any campaign was started in this lake, or the company's CRM lists some."""
    return lists_campaigns(company) or bool(lake.list_addresses(addresses.partitions(CAMPAIGN_ASSIGNMENTS)))


def lists_campaigns(company: Company) -> bool:
    """Return whether the company has the queries of its CRM's campaigns and their members."""
    return all(company.source_file(name).is_file() for name in SOURCES)


def remove_campaign_tables(lake: Lake, day: date) -> None:
    """Remove what an earlier run of the night wrote of campaigns."""
    for table in CAMPAIGN_NIGHT_TABLES:
        if lake.has(table, day=day):
            lake.delete(addresses.partition(table, day=day))

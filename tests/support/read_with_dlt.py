"""Run by the readers' own Python: load new rows of crm_profiles with dlt, and print them as JSON. Arguments: address, folder of state."""

from __future__ import annotations

import json
import sys
from typing import Any

import dlt
from dlt.sources.sql_database import sql_table

uri, folder = sys.argv[1:]
arrived: list[dict[str, Any]] = []


@dlt.destination(batch_size=100, name="arrivals")
def arrivals(rows: list[dict[str, Any]], table: dict[str, Any]) -> None:
    if table["name"] == "crm_profiles":
        arrived.extend({name: row.get(name) for name in ("customer_id", "is_member", "change_seq")} for row in rows)


profiles = sql_table(
    credentials=uri.replace("postgresql://", "postgresql+psycopg2://", 1),
    schema="segments",
    table="crm_profiles",
    incremental=dlt.sources.incremental("change_seq", range_start="open"),
)
dlt.pipeline("crm", pipelines_dir=folder, destination=arrivals).run(profiles)
print(json.dumps(arrived))  # noqa: T201

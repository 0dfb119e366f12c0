"""A shop whose customers also get e-mails: an event that is declared, with columns of every kind."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Any

from pipeline.definitions.company import Company, load_company
from pipeline.lake.lake import Lake, known_versions
from pipeline.lake.tables import Table
from support.nights import write_shop

EMAIL = """
[events.email]
title = "E-mails"
description = "E-mails sent, opened and clicked."
key = ["message_id", "action"]
instant = "happened_at"

[events.email.columns]
message_id = "text"
action = "text"
link_count = "integer"
score = "number"
cost = "money"
is_mobile = "flag"
send_date = "date"
"""
EMAIL_SQL = """
SELECT message AS message_id, what AS action, who AS customer_id, CAST(moment AS TIMESTAMP) AT TIME ZONE 'Europe/Berlin' AS happened_at,
  CAST(links AS BIGINT) AS link_count, CAST(score AS DOUBLE) AS score, CAST(cost AS DECIMAL(18, 4)) AS cost,
  CAST(mobile AS BOOLEAN) AS is_mobile, CAST(sent AS DATE) AS send_date
FROM email
"""
HEADER = "message,what,who,moment,links,score,cost,mobile,sent"
ORDERS = ["o1,1,ann,2024-03-26 12:00,1,10,tea"]
ANY_SHARE = "[gates]\nrejected_share_limit = 1.0\n"


def write_email_shop(folder: Path, rows: Sequence[str], *, declaration: str = EMAIL, settings: str = "") -> Path:
    """Write a shop of two customers, ann and bob, and their e-mails; the settings must end with a section, if any."""
    shop = write_shop(folder, ORDERS, customers=["ann", "bob"], settings=settings + declaration)
    write_event(shop, "email", EMAIL_SQL, [HEADER, *rows])
    return shop


def write_event(shop: Path, name: str, query: str, lines: Sequence[str]) -> None:
    """Write the query of an event and the CSV file that it reads."""
    (shop / "sources" / f"{name}.sql").write_text(query, "utf-8")
    (shop / "data" / f"{name}.csv").write_text("\n".join(lines) + "\n", "utf-8")


def event_rows(shop: Path | Company, lake: Lake, name: str = "email", *, known_on: date = date.max) -> list[dict[str, Any]]:
    """Return the clean rows of an event as night `known_on` knows them, with their days."""
    company = load_company(shop) if isinstance(shop, Path) else shop
    return rows_known(lake, company.events[name].table, known_on=known_on)


def rows_known(lake: Lake, table: Table, *, known_on: date = date.max) -> list[dict[str, Any]]:
    """Return the rows of a table of event days as night `known_on` knows them, in their order."""
    versions = known_versions(lake.versions(table), through=date.max, known_on=known_on)
    return [row for _, rows in lake.rows(table, versions) for row in rows.to_pylist()]

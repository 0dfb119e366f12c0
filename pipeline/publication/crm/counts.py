"""Counts of what the tables of the CRM tell, and of what they have to leave out: for the manifest and the log, never a value."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from sqlglot import exp, parse_one

from pipeline.lake.engines import Engine
from pipeline.lake.tables import CRM_PROFILES

log = logging.getLogger("pipeline.publication")
_SHOWN_CARDS = """
SELECT next_action, language, CAST(COUNT(*) AS BIGINT) AS customer_count FROM crm_profile_rows
WHERE next_action IS NOT NULL GROUP BY next_action, language ORDER BY next_action, language
"""
_MEMBERS = "SELECT CAST(COUNT(DISTINCT customer_id) AS BIGINT) AS member_count FROM crm_members WHERE list_kind = 'audience'"
_WITHOUT_CONTACTS = """
SELECT CAST(COUNT(*) AS BIGINT) AS customer_count FROM customer_features AS f
LEFT JOIN crm_contacts AS k ON k.customer_id = f.customer_id WHERE k.customer_id IS NULL
"""
_LACKING = {
    "customers_without_contacts": "have no row in customer_contacts",
    "unusable_emails": "have an e-mail address that is none",
    "unusable_phones": "have a phone number that is none, or lacks the code of its country",
    "customers_of_unwritten_languages": "speak a language that no card is written in",
}


def change_counts(changes: Path, last_at: datetime | None) -> dict[str, int]:
    """Count profiles by what the publication of the instant `last_at` did to them, from the file of crm_changes.

    That is the last one that did anything: a rerun that finds nothing new says the same of it.
    """
    rows = pq.read_table(changes, columns=["change", "list_kind", "changed_at"])
    is_counted = pc.and_(pc.is_null(rows["list_kind"]), pc.equal(rows["changed_at"], pa.scalar(last_at, rows["changed_at"].type)))
    counts = {each["values"]: each["counts"] for each in rows["change"].filter(is_counted).value_counts().to_pylist()}
    return {change: counts.get(change, 0) for change in ("added", "changed", "removed")}


def audience_member_count(engine: Engine) -> int:
    """Return how many customers are in any audience."""
    [count] = engine.run(parse_one(_MEMBERS, into=exp.Select, read="duckdb"), {}).read_all()["member_count"].to_pylist()
    return int(count)


def without_contacts_count(engine: Engine) -> int:
    """Return how many customers the contacts say nothing of: all of them, where their ids are spelled another way."""
    [count] = engine.run(parse_one(_WITHOUT_CONTACTS, into=exp.Select, read="duckdb"), {}).read_all()["customer_count"].to_pylist()
    return int(count)


def untranslated_count(engine: Engine, strategies: Path, own: str) -> int:
    """Return how many customers are shown a card in the company's `own` language, as it is not translated into theirs."""
    cards = pq.read_table(strategies, columns=["scheme", "segment", "language", "message"]).to_pylist()
    messages = {(f"{card['scheme']}.{card['segment']}", card["language"]): card["message"] for card in cards}
    shown = engine.run(parse_one(_SHOWN_CARDS, into=exp.Select, read="duckdb"), {}).read_all().to_pylist()
    return sum(
        row["customer_count"]
        for row in shown
        if row["language"] != own
        and (message := messages.get((row["next_action"], row["language"])))
        and message == messages.get((row["next_action"], own))
    )


def log_counts(facts: Mapping[str, Any]) -> None:
    """Log what changed, and warn of what could not be told."""
    log.info("%s: %s", CRM_PROFILES.name, ", ".join(f"{facts[change]:,} {change}" for change in ("added", "changed", "removed")))
    for name, words in _LACKING.items():
        if facts.get(name):
            log.warning("crm: %s customers %s", f"{facts[name]:,}", words)

"""Publish a night: an immutable folder, the database target, then the one pointer that readers follow.

    publications/<day>-<digest>/<table>.parquet + manifest.json    named by content, complete or not there
    current -> publications/<day>-<digest>                         swapped by one rename, never to an older day

After a swap only the current publication and its previous are kept.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from pipeline.definitions.command_options import command_options
from pipeline.definitions.company import Company
from pipeline.lake import addresses
from pipeline.lake.lake import Lake
from pipeline.lake.limits import MEMORY_LIMIT
from pipeline.lake.tables import (
    AUDIENCE_MEMBERS,
    CUSTOMER_FEATURES,
    CUSTOMER_SEGMENTS,
    GATE_RESULTS,
    PUBLISHED_TABLES,
    Table,
)
from pipeline.log_fields import Count
from pipeline.publication.crm.seen_tables import CRM_NOTE, SeenTables, last_shown, seen_tables, withdrawn_publication
from pipeline.publication.current import (
    Publication,
    current_publication,
    known_live_day,
    make_current,
    publication_from_manifest,
    publication_ids,
    remove_superseded,
)
from pipeline.publication.database_target import publish_to_target
from pipeline.publication.epoch import require_current_epoch
from pipeline.publication.gates import require_open
from pipeline.publication.gates.results import epoch_when_audited, gates_to_manifest, stored_gates
from pipeline.publication.left_out import LeftOutCustomers, left_out_customers
from pipeline.publication.manifests import content_based_id, manifest_text
from pipeline.publication.night_rows import TABLES_WITH_SINCE, dated_rows, rows_with_since, write_published_table
from pipeline.publication.optional_tables import figure_rows, hidden_value_count, optional_tables

log = logging.getLogger("pipeline.publication")

__all__ = ["Publication", "current_publication", "publish"]


@dataclass(frozen=True, slots=True)
class PublicationInputs:
    """The night to publish, the customers to leave out, what readers of the CRM's tables saw, and how much memory statements may take."""

    company: Company
    lake: Lake
    day: date
    left_out: LeftOutCustomers
    memory_limit: str
    seen: SeenTables


def publish(  # noqa: PLR0913
    company: Company,
    lake: Lake,
    day: date,
    *,
    tables: Sequence[Table] = PUBLISHED_TABLES,
    connections: Callable[[str], str],
    memory_limit: str = MEMORY_LIMIT,
) -> Publication:
    """Publish the night of `day` and return what is current then; a day older than the current one changes nothing.

    Readers keep the old publication until the last rename; after any failure the same call may be made again.
    Raises DataError where a partition is absent or damaged, TransientError where disk or database failed, GateClosed
    where a gate closed on the night, or a rollback came after its audit.
    """
    with lake.lock("publish"):
        current = current_publication(lake)
        if current is not None and day < current.day:
            remedy = f"segments withdraw --since {day + timedelta(days=1)}{command_options(company, lake)}"
            log.warning("%s stays published: %s is older. To start over from there: %s", current.publication_id, day, remedy)
            return current
        epoch = epoch_when_audited(lake, day)
        if epoch is not None:
            require_current_epoch(company, lake, day, epoch, since="audited")
        with lake.disk_errors("publish"):
            seen = seen_tables(lake, last_shown(lake))
            inputs = PublicationInputs(company, lake, day, left_out_customers(company, lake, day), memory_limit, seen)
            publication = _write_publication(inputs, tables, current)
        # The database takes the night before readers do. Where this process dies between the two and the night is refused after
        # all, this note is all that tells that the database must be brought back to what is live: see `restore_target`.
        lake.write_text(addresses.UNFINISHED, f"{publication.publication_id}\n")
        # After all was withdrawn, nights that the database may show are none that this one is older than.
        is_first_again = current is None and withdrawn_publication(lake) is not None
        publish_to_target(company, lake, publication, connections, is_way_back=is_first_again, memory_limit=memory_limit)
        with lake.disk_errors("publish"):
            make_current(lake, publication, current.publication_id if current else None)
            remove_superseded(lake, publication)
            lake.delete(addresses.UNFINISHED)
            lake.delete(addresses.WITHDRAWN)
        fields = {"publication": publication.publication_id, "rows": Count(sum(publication.row_counts.values()))}
        log.info("%(publication)s is published, %(rows)s rows", fields)
    return publication


def _write_publication(inputs: PublicationInputs, tables: Sequence[Table], current: Publication | None) -> Publication:
    """Write the folder of the night beside the others; nobody reads it yet, unless it is current and the same."""
    company, lake, day = inputs.company, inputs.lake, inputs.day
    with lake.private_folder() as private:
        staged = private / "publication"
        nights = dict.fromkeys(tables, day) | optional_tables(lake, day)
        written = {table.name: _write_table(inputs, company.table(table), night, staged) for table, night in nights.items()}
        crm_tables, crm_note = _write_crm_tables(inputs, staged)
        written |= crm_tables
        content = {
            "day": day.isoformat(),
            "tables": written,
            "policies": _policy_settings(company),
            **inputs.left_out.counts(lake, day, written[CUSTOMER_FEATURES.name]["rows"]),
        }
        publication_id = content_based_id(content)
        previous = _previous_id(lake, current, day, publication_id)
        notes = {**_manifest_notes(company, lake, day), **({CRM_NOTE: crm_note} if crm_note else {})}
        manifest = {**content, **notes, "publication_id": publication_id, "previous": previous}
        lake.store.install_folder(addresses.publication(publication_id), staged, manifest_text(manifest))
    return publication_from_manifest(manifest)


def _write_crm_tables(inputs: PublicationInputs, folder: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """Write the tables of the CRM beside the others, where the company asks for them; return what the manifest says of them."""
    if inputs.company.crm is None:
        return {}, inputs.seen.note()
    # What they need takes a while to load, and most companies never ask.
    from pipeline.publication.crm.crm_inputs import CrmInputs
    from pipeline.publication.crm.writing import write_crm_tables

    return write_crm_tables(CrmInputs(inputs.company, inputs.lake, inputs.day, folder, inputs.seen, inputs.memory_limit))


def _manifest_notes(company: Company, lake: Lake, day: date) -> dict[str, Any]:
    """Return what the manifest tells beside the content: what the gates said, and digests of what the schemes were then."""
    gates = stored_gates(lake, day)
    where, live_day = lake.where(addresses.partition(GATE_RESULTS, day=day)), known_live_day(lake)
    require_open(day, gates.results if gates else [], where=where, options=command_options(company, lake), live_day=live_day)
    segments = lake.manifest(addresses.partition(CUSTOMER_SEGMENTS, day=day))
    notes = {"gates": gates_to_manifest(gates), "schemes": segments.get("schemes", {})}
    if lake.has(AUDIENCE_MEMBERS, day=day):
        notes["audiences"] = lake.manifest(addresses.partition(AUDIENCE_MEMBERS, day=day))["audiences"]
    return notes


def _policy_settings(company: Company) -> dict[str, Any]:
    return {
        "company": company.name,
        "time_zone": company.zone.key,
        "currency": company.currency,
        "first_day": company.first_day.isoformat(),
        "window_days": company.window_days,
        "lookback_days": company.lookback_days,
        "rejected_share_limit": company.rejected_share_limit,
    }


def _previous_id(lake: Lake, current: Publication | None, day: date, publication_id: str) -> str | None:
    """Return where a rollback leads: the last publication of an earlier day, so that no rerun of a day hides it.

    A rerun that has none leads to the publication it replaces; never to itself, though a retry finds itself current.
    """
    if current is None:
        return None
    ways_back = (current.publication_id,) if current.day < day else (current.previous, current.publication_id)
    kept = publication_ids(lake)
    return next((way for way in ways_back if way and way != publication_id and way in kept), None)


def _write_table(inputs: PublicationInputs, table: Table, night: date, folder: Path) -> dict[str, Any]:
    """Write what `night` has stored of a table, and return what the manifest says of it."""
    lake, day = inputs.lake, inputs.day
    if table.name in TABLES_WITH_SINCE:
        kept = rows_with_since(table, lake, day, inputs.left_out.ids, memory_limit=inputs.memory_limit)
    elif table.people_counts or table.hidden_counts or table.published_columns:
        kept = figure_rows(lake, table, day, night)
    else:
        kept = dated_rows(lake, addresses.partition(table, day=day), table, day, inputs.left_out.ids)
    entry = write_published_table(lake, table, day, kept, folder)
    if table.people_counts:
        entry["withheld_rows"] = lake.row_count(addresses.partition(table, day=night)) - entry["rows"]
    if table.hidden_counts:
        published = folder / f"{table.name}.parquet"
        entry["withheld_values"] = hidden_value_count(table, lake.local(addresses.partition(table, day=night)), published)
    return entry

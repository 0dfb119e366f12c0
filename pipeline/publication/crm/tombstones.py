"""What stays in a publication of who was erased: the id with a new number, so that readers of the tables learn whom to erase.

Nothing else about them stays, and the id goes with the first publication 31 days later. Whoever is in a CRM by our doing can only be
removed there by an id.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipeline.lake.lake import Lake, sorted_by
from pipeline.lake.parquet import read_manifest
from pipeline.lake.tables import CRM_CHANGES, CRM_PROFILES, Table
from pipeline.publication.crm.row_hash import with_row_hashes
from pipeline.publication.crm.seen_tables import SeenTables, numbering_note

ERASURE: Final = "erasure"
REASONS: Final[Mapping[str, str]] = {CRM_PROFILES.name: "removal_reason", CRM_CHANGES.name: "reason"}
"""The column in which a table of the CRM says that a row is all that stays of who was erased."""


def without_tombstones(rows: pa.RecordBatch, table_name: str) -> pa.RecordBatch:
    """Return the rows of a table that are no tombstones of erased customers; those of most tables are none."""
    reason = REASONS.get(table_name)
    return rows.filter(pc.fill_null(pc.not_equal(rows[reason], ERASURE), fill_value=True)) if reason else rows


def write_tombstones(lake: Lake, folder: Path, erased: pa.Array, note: Mapping[str, Any]) -> dict[str, Any]:
    """Add tombstones of the customers `erased` to the tables of the CRM in `folder`, which hold none of them any more.

    Returns what the manifest says of the numbering afterwards, in place of `note`.
    """
    last_at = note.get("last_changed_at")
    seen = SeenTables(last_seq=int(note.get("last_change_seq", 0)), last_changed_at=datetime.fromisoformat(last_at) if last_at else None)
    ids = sorted(erased.to_pylist())
    # Right after what was told last: an erasure belongs to no business day.
    told_at = seen.next_instant(seen.last_changed_at or datetime.fromisoformat("1970-01-01T00:00:00+00:00"))
    facts = [{"customer_id": name, "change_seq": seen.last_seq + place} for place, name in enumerate(ids, 1)]
    profiles = [{**each, "is_member": False, "removal_reason": ERASURE, "updated_at": told_at} for each in facts]
    changes = [{**each, "change": "removed", "reason": ERASURE, "changed_at": told_at} for each in facts]
    _add(lake, folder, CRM_PROFILES, with_row_hashes(_as_table(CRM_PROFILES, profiles)))
    _add(lake, folder, CRM_CHANGES, _as_table(CRM_CHANGES, changes))
    return {**note, **numbering_note(seen.last_seq + len(ids), told_at)}


def _as_table(table: Table, rows: list[dict[str, Any]]) -> pa.Table:
    return pa.Table.from_pylist([{name: row.get(name) for name in table.column_names} for row in rows], schema=table.schema)


def _add(lake: Lake, folder: Path, table: Table, rows: pa.Table) -> None:
    path = folder / f"{table.name}.parquet"
    manifest = {key: value for key, value in read_manifest(path).items() if key != "row_count"}
    held = pq.ParquetFile(path, page_checksum_verification=True).read().cast(table.schema)
    lake.write_private_file(table.schema, sorted_by(pa.concat_tables([held, rows]), table.key).to_batches(), path, manifest)

"""Live publications of the tables that a CRM reads, written as a night writes them, without the night."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

import pyarrow as pa

from pipeline.lake import addresses
from pipeline.lake.lake import Lake
from pipeline.lake.tables import CRM_AUDIENCES, CRM_CHANGES, CRM_MEMBERS, CRM_PROFILES, RAW_CUSTOMER_CONTACTS, SEGMENT_PROFILES, Table
from pipeline.publication.current import current_publication, make_current, publication_from_manifest

DAY = date(2024, 3, 1)
COMPANY_TOML = 'name = "Small"\ntime_zone = "Europe/Berlin"\ncurrency = "EUR"\nfirst_day = 2024-01-01\n[source]\npath = "data"\n[crm]\n'


@dataclass(frozen=True, slots=True)
class Person:
    """One customer as published: segment by scheme, audiences, and a next action where `action` names one."""

    customer_id: str
    segments: dict[str, str] = field(default_factory=lambda: {"lifecycle": "active"})
    audiences: tuple[str, ...] = ()
    action: str | None = None
    is_consenting: bool | None = True
    is_member: bool = True
    arm: str | None = None
    name: str | None = None
    email: str | None = None

    @property
    def profile(self) -> dict[str, Any]:
        """The row of `crm_profiles`."""
        row: dict[str, Any] = {
            "customer_id": self.customer_id,
            "segments": json.dumps(self.segments, sort_keys=True, separators=(",", ":")),
            "audiences": json.dumps(sorted(self.audiences)),
            "is_consenting": self.is_consenting,
            "is_member": self.is_member,
            "arm": self.arm,
        }
        if self.action:
            row |= {"next_action": "lifecycle.active", "next_action_title": self.action, "next_action_reason": "buys every week"}
        row["row_hash"] = sha256(json.dumps(row, sort_keys=True).encode()).hexdigest()
        return row | {"updated_at": datetime(2024, 3, 2, tzinfo=UTC), "change_seq": 1}

    @property
    def lists(self) -> list[tuple[str, str]]:
        """The kinds and names of the lists that the customer is on."""
        if not self.is_member or self.is_consenting is False:
            return []
        return [
            *(("segment", f"{scheme}.{segment}") for scheme, segment in self.segments.items()),
            *(("audience", a) for a in self.audiences),
        ]


def write_crm_company(folder: Path, **sinks: str) -> Path:
    """Write a company with the given sinks, TOML by name, and return its folder."""
    (folder / "sources").mkdir(parents=True, exist_ok=True)
    (folder / "data").mkdir(exist_ok=True)
    (folder / "sinks").mkdir(exist_ok=True)
    (folder / "company.toml").write_text(COMPANY_TOML)
    for name in ("customers", "order_lines"):
        (folder / "sources" / f"{name}.sql").write_text(f"SELECT * FROM {name}\n")
    for name, text in sinks.items():
        (folder / "sinks" / f"{name}.toml").write_text(text)
    return folder


def publish_people(lake: Lake, people: Iterable[Person], *, day: date = DAY) -> None:
    """Make a publication of these customers live, and their names and addresses known."""
    ordered = sorted(people, key=lambda each: each.customer_id)
    members = [
        {"customer_id": each.customer_id, "list_kind": kind, "list_name": name} for each in ordered for kind, name in sorted(each.lists)
    ]
    segments = sorted({item for each in ordered for item in each.segments.items()})
    profiles = [
        {
            "scheme": scheme,
            "segment": segment,
            "title": segment.replace("_", " ").capitalize(),
            "position": place,
            "customer_count": 1,
            "spend_amount": 0,
        }
        for place, (scheme, segment) in enumerate(segments, 1)
    ]
    audiences = sorted({name for each in ordered for name in each.audiences})
    publish_tables(
        lake,
        day,
        {
            CRM_PROFILES.name: _table(CRM_PROFILES, [each.profile for each in ordered]),
            CRM_MEMBERS.name: _table(CRM_MEMBERS, members),
            **{table.name: _table(table, []) for table in (CRM_CHANGES, CRM_AUDIENCES)},
            SEGMENT_PROFILES.name: _table(SEGMENT_PROFILES, profiles),
            "audiences": pa.table(
                {"audience": pa.array(audiences, pa.string()), "title": pa.array([name.capitalize() for name in audiences], pa.string())}
            ),
        },
    )
    contacts = [{"customer_id": each.customer_id, "name": each.name, "email": each.email} for each in ordered]
    lake.write(RAW_CUSTOMER_CONTACTS, _table(RAW_CUSTOMER_CONTACTS, contacts).to_batches(), known_on=day)


def publish_tables(lake: Lake, day: date, tables: dict[str, pa.Table]) -> None:
    """Make a publication of these tables live."""
    with lake.private_folder() as private:
        staged = private / "publication"
        staged.mkdir()
        for name, table in tables.items():
            lake.write_private_file(table.schema, table.to_batches(), staged / f"{name}.parquet", {"table": name, "day": day})
        content = {
            name: {"rows": table.num_rows, "sha256": sha256((staged / f"{name}.parquet").read_bytes()).hexdigest()}
            for name, table in tables.items()
        }
        publication_id = f"{day}-{sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:12]}"
        current = current_publication(lake)
        manifest = {"day": day.isoformat(), "publication_id": publication_id, "previous": None, "tables": content}
        lake.store.install_folder(addresses.publication(publication_id), staged, json.dumps(manifest))
    make_current(lake, publication_from_manifest(manifest), current.publication_id if current else None)


def _table(table: Table, rows: Sequence[dict[str, Any]]) -> pa.Table:
    columns = {column.name: pa.array([row.get(column.name) for row in rows], column.kind.arrow) for column in table.columns}
    return pa.table(columns)

"""What readers saw last: the publication that the tables of the CRM go on from, and its numbers."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from pipeline.errors import DataError
from pipeline.lake import addresses
from pipeline.lake.lake import Lake
from pipeline.lake.tables import CRM_CHANGES, CRM_MEMBERS, CRM_PROFILES, Table
from pipeline.publication.current import Publication, publication_from_manifest, publication_ids, read_published_manifest

log = logging.getLogger("pipeline.publication")
CRM_NOTE = "crm"  # of a manifest: the last number given, and counts
_COMPARED = (CRM_PROFILES, CRM_MEMBERS, CRM_CHANGES)
_INSTANT = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class SeenTables:
    """The tables of the CRM in the publication that readers saw last, as far as it has any, and the last number that was ever given."""

    day: date | None = None
    prefix: str | None = None
    last_seq: int = 0
    last_changed_at: datetime | None = None

    @property
    def is_first(self) -> bool:
        """Whether readers saw no profiles yet."""
        return self.prefix is None

    def files(self, table: Table) -> list[str]:
        """Return the address of the file of `table`, as engines register it; none where there is none."""
        return [f"{self.prefix}{table.name}.parquet"] if self.prefix else []

    def next_instant(self, end_of_day: datetime) -> datetime:
        """Return when the next change is told: at the end of its day, but after all that was told before."""
        return end_of_day if self.last_changed_at is None else max(end_of_day, self.last_changed_at + _INSTANT)

    def note(self) -> dict[str, Any]:
        """Return what the manifest of a publication without such tables keeps, so that later numbers go on from here."""
        return numbering_note(self.last_seq, self.last_changed_at) if self.last_seq else {}


def numbering_note(last_seq: int, last_changed_at: datetime | None) -> dict[str, Any]:
    """Return what a manifest says of the numbers given so far."""
    return {"last_change_seq": last_seq, "last_changed_at": last_changed_at.isoformat() if last_changed_at else None}


def seen_tables(lake: Lake, publication: Publication | None) -> SeenTables:
    """Return what `publication` shows of the tables of the CRM; raises OSError or ValueError where its manifest cannot be read."""
    if publication is None:
        return SeenTables()
    manifest = read_published_manifest(lake, publication.publication_id)
    note: Mapping[str, Any] = manifest.get(CRM_NOTE, {})
    last_at = note.get("last_changed_at")
    has_tables = CRM_PROFILES.name in manifest["tables"]
    # A damaged one must not keep all later nights from readers.
    if has_tables and not all(_is_whole(lake, publication, table) for table in _COMPARED):
        has_tables = False
        log.warning("crm: %s is damaged: every row gets a new number, and who left since is not told", publication.publication_id)
    return SeenTables(
        publication.day,
        publication.prefix if has_tables else None,
        int(note.get("last_change_seq", 0)),
        datetime.fromisoformat(last_at) if last_at else None,
    )


def _is_whole(lake: Lake, publication: Publication, table: Table) -> bool:
    try:
        with lake.reading(table.name, publication.file(table.name)):
            return True
    except DataError:
        return False


def last_shown(lake: Lake, current: Publication | None) -> Publication | None:
    """Return the publication that any reader saw last: the one that may have reached the database before its run died, else `current`.

    Where nothing is live since all was withdrawn, that is the empty one that was written then.
    """
    with suppress(OSError, ValueError, KeyError):
        shown = lake.read_text(addresses.UNFINISHED).strip()
        if shown in publication_ids(lake):
            return publication_from_manifest(read_published_manifest(lake, shown))
    return current or withdrawn_publication(lake)


def withdrawn_publication(lake: Lake) -> Publication | None:
    """Return the empty publication that the database shows since all was withdrawn; None where something was published since."""
    with suppress(OSError, ValueError, KeyError):
        return publication_from_manifest(read_published_manifest(lake, lake.read_text(addresses.WITHDRAWN).strip()))
    return None

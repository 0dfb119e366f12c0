"""What readers saw last: the publication that the tables of the CRM go on from, and its numbers."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipeline.errors import DataError
from pipeline.lake import addresses
from pipeline.lake.lake import Lake
from pipeline.lake.tables import CRM_CHANGES, CRM_MEMBERS, CRM_PROFILES, Table
from pipeline.publication.current import (
    Publication,
    day_of_publication,
    live_publication_id,
    publication_from_manifest,
    publication_ids,
    read_published_manifest,
)

log = logging.getLogger("pipeline.publication")
CRM_NOTE = "crm"  # of a manifest: the last number given, and counts
_COMPARED = (CRM_PROFILES, CRM_MEMBERS, CRM_CHANGES)
_NUMBERED = ((CRM_PROFILES, "updated_at"), (CRM_CHANGES, "changed_at"))
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
    """Return what `publication` shows of the tables of the CRM, whether or not its manifest can be read."""
    if publication is None:
        return SeenTables()
    last_seq, last_at = _last_numbers(lake, publication.publication_id)
    listed = publication.row_counts  # none where the manifest cannot be read
    has_tables = CRM_PROFILES.name in listed if listed else lake.exists(publication.file(CRM_PROFILES.name))
    # A damaged one must not keep all later nights from readers.
    if has_tables and not all(_is_whole(lake, publication, table) for table in _COMPARED):
        has_tables = False
        by_number = "every row gets a new number, and who left since is not told"
        lost = by_number if listed else "whoever reads changes by their number has to read everything anew"
        log.warning("crm: %s is damaged: %s", publication.publication_id, lost)
    return SeenTables(publication.day, publication.prefix if has_tables else None, last_seq, last_at)


def _is_whole(lake: Lake, publication: Publication, table: Table) -> bool:
    try:
        with lake.reading(table.name, publication.file(table.name)):
            return True
    except DataError:
        return False


def last_shown(lake: Lake) -> Publication | None:
    """Return the publication that any reader saw last: the one that may have reached the database before its run died, else the live one.

    Where nothing is live since all was withdrawn, that is the empty one that was written then. Where somebody removed the pointer, it is
    the one with the largest number: were numbers given again, whoever has read them would miss what they stand for then.
    """
    kept = publication_ids(lake)
    named = (_noted_id(lake, addresses.UNFINISHED), live_publication_id(lake), _noted_id(lake, addresses.WITHDRAWN))
    shown = next((each for each in named if each in kept), None)
    if shown is None:
        numbers = {each: _last_numbers(lake, each)[0] for each in kept}
        shown = max((each for each in kept if numbers[each]), key=numbers.__getitem__, default=None)
    return _publication(lake, shown) if shown else None


def withdrawn_publication(lake: Lake) -> Publication | None:
    """Return the empty publication that the database shows since all was withdrawn; None where something was published since."""
    withdrawn = _noted_id(lake, addresses.WITHDRAWN)
    manifest = _readable_manifest(lake, withdrawn) if withdrawn else None
    return publication_from_manifest(manifest) if manifest else None


def _noted_id(lake: Lake, address: str) -> str:
    with suppress(OSError, ValueError):
        return lake.read_text(address).strip()
    return ""


def _publication(lake: Lake, publication_id: str) -> Publication:
    """Return a publication that is kept; of one whose manifest cannot be read, what its id says."""
    manifest = _readable_manifest(lake, publication_id)
    return publication_from_manifest(manifest) if manifest else Publication(day_of_publication(publication_id), publication_id, None, {})


def _readable_manifest(lake: Lake, publication_id: str) -> dict[str, Any] | None:
    with suppress(OSError, ValueError, KeyError, TypeError):
        manifest = read_published_manifest(lake, publication_id)
        publication_from_manifest(manifest)
        return manifest
    return None


def _last_numbers(lake: Lake, publication_id: str) -> tuple[int, datetime | None]:
    """Return the last number that was given up to a publication, and its instant.

    Where the manifest cannot be read, rows tell: those of the last 31 days are all there, and what came before them the manifests of
    others say.
    """
    manifest = _readable_manifest(lake, publication_id)
    if manifest is not None:
        return _noted_numbers(manifest)
    others = [found for each in publication_ids(lake) if (found := _readable_manifest(lake, each)) is not None]
    numbers = [*map(_noted_numbers, others), *(_numbers_in_rows(lake, publication_id, *each) for each in _NUMBERED)]
    return max(seq for seq, _ in numbers), max((at for _, at in numbers if at), default=None)


def _noted_numbers(manifest: Mapping[str, Any]) -> tuple[int, datetime | None]:
    note: Mapping[str, Any] = manifest.get(CRM_NOTE, {})
    last_at = note.get("last_changed_at")
    return int(note.get("last_change_seq", 0)), datetime.fromisoformat(last_at) if last_at else None


def _numbers_in_rows(lake: Lake, publication_id: str, table: Table, instant: str) -> tuple[int, datetime | None]:
    """Return the largest number and the latest instant in a table of a publication; 0 and None where none is whole."""
    columns = ["change_seq", instant]
    with suppress(DataError), lake.reading(table.name, addresses.published_file(publication_id, table.name), columns=columns) as path:
        rows = pq.read_table(path, columns=columns)
        return pc.max(rows["change_seq"]).as_py() or 0, pc.max(rows[instant]).as_py()
    return 0, None

"""What is live, in one plain folder: for readers that cannot follow a pointer, and for lakes that are no folder."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from pipeline.errors import ConfigError, DataError, TransientError
from pipeline.lake import addresses
from pipeline.lake.addresses import CURRENT, PUBLICATION_MANIFEST
from pipeline.lake.lake import Lake
from pipeline.lake.parquet import file_sha256
from pipeline.lake.plain_folders import FolderWriter, replaced_folder
from pipeline.publication.current import Publication, current_publication, read_published_manifest

MARK = "export.json"
# A publication is removed once two newer ones were made: then the newest is looked for again.
TRIES = 3


@dataclass(frozen=True, slots=True)
class Export:
    """What was written: the publication and its day, its tables, and how many pages."""

    publication_id: str
    day: date
    tables: tuple[str, ...]
    pages: int


def export_live(lake: Lake, folder: Path) -> Export:
    """Write the live publication to `folder`/current, and the pages to `folder`/reports; the whole folder is replaced at once.

    Raises ConfigError where nothing is live or `folder` holds something else, DataError where a file is damaged, TransientError where a
    disk or store refuses.
    """
    for _ in range(TRIES):
        live = current_publication(lake)
        if live is None:
            raise ConfigError("nothing is published yet", where=lake.where(), todo="Run a night: segments run --day YYYY-MM-DD.")
        try:
            return _export(lake, live, folder)
        except FileNotFoundError:
            continue
    raise TransientError("what is live changed again and again", where=lake.where(CURRENT), todo="Run that again.")


def _export(lake: Lake, live: Publication, folder: Path) -> Export:
    manifest = read_published_manifest(lake, live.publication_id)
    tables = tuple(sorted(manifest["tables"]))
    with replaced_folder(folder.absolute(), mark=MARK) as new:
        lake.store.fetch([live.file(table) for table in tables])
        for table in tables:
            _copy_table(lake, live, table, manifest["tables"][table]["sha256"], new)
        new.add_text(f"{CURRENT}/{PUBLICATION_MANIFEST}", lake.read_text(addresses.published_manifest(live.publication_id)))
        pages = lake.list_addresses(addresses.REPORTS, suffix=".html")
        for page in pages:
            new.add_text(page, lake.read_text(page))
        said = {"publication_id": live.publication_id, "day": live.day.isoformat(), "tables": tables, "pages": len(pages)}
        new.add_text(MARK, json.dumps(said, indent=2) + "\n")
    return Export(live.publication_id, live.day, tables, len(pages))


def _copy_table(lake: Lake, live: Publication, table: str, sha256: str, folder: FolderWriter) -> None:
    address = live.file(table)
    stored = lake.local(address)
    if not stored.is_file():
        raise FileNotFoundError(address)
    if file_sha256(folder.add_file(stored, f"{CURRENT}/{table}.parquet")) != sha256:
        todo = f"Publish the night again: segments run --day {live.day}."
        raise DataError(f"{table} is damaged: it is not what was published", where=lake.where(address), todo=todo)

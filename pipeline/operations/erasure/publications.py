"""Publications are immutable: one that holds an erased customer is replaced by another of the same night without them.

A publication is named by its content, so the new one has another id. Later publications name it as their predecessor, which is the
way a rollback takes: their manifests are written anew too.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.lake import addresses
from pipeline.lake.lake import Lake
from pipeline.lake.parquet import read_manifest
from pipeline.lake.tables import CRM_PROFILES
from pipeline.operations.erasure.rows import CustomerIds, customer_ids, open_checked, row_batches, row_count, rows_of_others
from pipeline.publication.crm.seen_tables import CRM_NOTE
from pipeline.publication.crm.tombstones import REASONS, without_tombstones, write_tombstones
from pipeline.publication.current import (
    current_publication,
    make_current,
    publication_from_manifest,
    publication_ids,
    read_published_manifest,
    remove_publications,
)
from pipeline.publication.manifests import content_based_id, manifest_text, table_entry

Manifest = dict[str, Any]
STORE_NAME = "publications"


class Publications:
    """The publications that a lake keeps."""

    def __init__(self, lake: Lake) -> None:
        self._lake = lake

    def customer_ids(self) -> Iterator[pa.Array]:
        """Yield the ids that the publications hold, with repetitions."""
        for name in publication_ids(self._lake):
            for table, address in self._files(name).items():
                with self._lake.reading(table, address, piece="publication") as path:
                    yield from customer_ids(open_checked(path))

    def count(self, ids: CustomerIds) -> dict[str, dict[str, int]]:
        """Count files and rows to remove."""
        rows = [count for name in publication_ids(self._lake) for count in self._row_counts(name, ids).values() if count]
        return {STORE_NAME: {"files": len(rows), "rows": sum(rows)}} if rows else {}

    def remove(self, ids: CustomerIds) -> None:
        """Replace each publication that holds rows of `ids`; readers see whole ones throughout.

        The new ones are laid beside the old ones, then the pointer moves, then the old ones go: the same call completes an
        interrupted one.
        """
        # A night that is published meanwhile would name a predecessor that is about to go.
        with self._lake.lock("publish"), self._lake.disk_errors("publish"):
            names = publication_ids(self._lake)
            touched = [name for name in names if any(self._row_counts(name, ids).values())]
            renamed = self._replace(touched, ids)
            self._update_predecessors(renamed, [name for name in names if name not in touched])
            remove_publications(self._lake, touched)

    def _replace(self, names: list[str], ids: CustomerIds) -> dict[str, str]:
        """Write the replacements of the publications `names`, move the pointer, and return new ids by old ones."""
        with self._lake.private_folder() as private:
            manifests = {name: self._write_replacement(name, private / name, ids) for name in names}
            renamed = {name: str(manifest["publication_id"]) for name, manifest in manifests.items()}
            for name, manifest in manifests.items():
                manifest["previous"] = renamed.get(manifest["previous"], manifest["previous"])
                if renamed[name] not in publication_ids(self._lake):
                    self._lake.store.install_folder(addresses.publication(renamed[name]), private / name, manifest_text(manifest))
        current = current_publication(self._lake)
        if current is not None and current.publication_id in renamed:
            make_current(self._lake, publication_from_manifest(manifests[current.publication_id]), current.publication_id)
        for note in (addresses.UNFINISHED, addresses.WITHDRAWN):  # else the numbers of changes would begin anew
            if self._lake.exists(note) and (name := self._lake.read_text(note).strip()) in renamed:
                self._lake.write_text(note, f"{renamed[name]}\n")
        return renamed

    def _write_replacement(self, name: str, folder: Path, ids: CustomerIds) -> Manifest:
        """Write the tables of a publication without the rows of `ids` into `folder`, and return the manifest they need."""
        manifest = read_published_manifest(self._lake, name)
        written = {table: self._write_table(table, address, folder, ids) for table, address in self._files(name).items()}
        # What else a manifest says of a table, as how many rows are withheld, stays as true as it was.
        tables = {table: {**manifest["tables"].get(table, {}), **said} for table, said in written.items()}
        manifest["tables"] = tables
        if CRM_PROFILES.name in tables:
            manifest[CRM_NOTE] = write_tombstones(self._lake, folder, self._known_to_readers(name, ids), manifest.get(CRM_NOTE, {}))
            manifest["tables"] |= {table: table_entry(folder / f"{table}.parquet") for table in REASONS}
        return {**manifest, "publication_id": content_based_id(manifest)}

    def _known_to_readers(self, name: str, ids: CustomerIds) -> pa.Array:
        """Return the ids of `ids` that readers of a publication's profiles have seen, as they are written there."""
        address = addresses.published_file(name, CRM_PROFILES.name)
        with self._lake.reading(CRM_PROFILES.name, address, piece="publication") as path:
            seen = [rows["customer_id"].filter(ids.owned_rows(rows)) for rows in row_batches(open_checked(path), ["customer_id"])]
        return pa.concat_arrays(seen) if seen else pa.array([], pa.string())

    def _write_table(self, table: str, address: str, folder: Path, ids: CustomerIds) -> Manifest:
        copy = folder / f"{table}.parquet"
        with self._lake.reading(table, address, piece="publication") as path:
            file = open_checked(path)
            facts = {key: value for key, value in read_manifest(path).items() if key != "row_count"}
            # The schema that Arrow reads carries the old footer's keys, its checksum among them, and would write them again.
            self._lake.write_private_file(file.schema_arrow.remove_metadata(), rows_of_others(file, ids), copy, facts)
        return table_entry(copy)

    def _update_predecessors(self, renamed: dict[str, str], names: list[str]) -> None:
        """Make the publications `names`, which stay, name the new ids as their predecessors."""
        for name in names:
            manifest = read_published_manifest(self._lake, name)
            if manifest["previous"] in renamed:
                manifest["previous"] = renamed[manifest["previous"]]
                self._lake.write_text(addresses.published_manifest(name), manifest_text(manifest))

    def _row_counts(self, name: str, ids: CustomerIds) -> dict[str, int]:
        counts = {}
        for table, address in self._files(name).items():
            with self._lake.reading(table, address, piece="publication") as path:
                counts[table] = _personal_row_count(open_checked(path), table, ids)
        return counts

    def _files(self, name: str) -> dict[str, str]:
        """Return the addresses of the files of a publication, by table."""
        return {addresses.stem(each): each for each in self._lake.list_addresses(addresses.publication(name), suffix=".parquet")}


def _personal_row_count(file: pq.ParquetFile, table: str, ids: CustomerIds) -> int:
    """Return how many rows of a table are about `ids` or name them, apart from tombstones that tell of an erasure."""
    if table not in REASONS:
        return row_count(file, ids)
    batches = row_batches(file, ["customer_id", REASONS[table]])
    return sum(ids.owned_rows(without_tombstones(rows, table)).true_count for rows in batches)

"""Versions of event days as engines read them: the files that hold them are pinned, so that what other runs write goes unseen."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from pipeline.lake.disk import disk_errors
from pipeline.lake.event_days import MonthFile, StoredVersion, Version
from pipeline.lake.file_parts import FilePart, file_conditions
from pipeline.lake.month_files import FileGoneError, find_versions, gone_error, versions_in
from pipeline.lake.store import Store
from pipeline.lake.tables import Table


@dataclass(frozen=True, slots=True)
class VersionParts:
    """The parts of files in which versions lie. Files are looked for when they are pinned, and not before."""

    store: Store
    table: Table
    versions: tuple[Version, ...]

    def pin(self, folder: Path) -> list[FilePart]:
        """Return the parts of links below `folder` in which the versions lie; nothing that happens in the lake changes them.

        Raises DataError for a version that is not stored, TransientError where the disk refuses.
        """
        while True:
            with suppress(FileGoneError):
                stored = find_versions(self.store, self.table, self.versions)
                links = self._link_files({each.file for each in stored}, folder)
                # What was found is compared with the files that are held now: others may have taken their places in between.
                held = {file: versions_in(self.store, self.table, file, link=link) for file, link in links.items()}
                if all(each.version in held[each.file] for each in stored):
                    conditions = file_conditions(held, _by_file(stored))
                    return [FilePart(links[file], file.address, condition) for file, condition in conditions.items()]

    def _link_files(self, files: Iterable[MonthFile], folder: Path) -> dict[MonthFile, Path]:
        """Return a link of our own to each file; raises FileGoneError."""
        with disk_errors(folder):
            place = Path(tempfile.mkdtemp(dir=folder))
            links = {file: place / f"part-{number}.parquet" for number, file in enumerate(sorted(files, key=lambda each: each.address))}
            self.store.fetch([file.address for file in links])
            for file, link in links.items():
                try:
                    self.store.link_to(file.address, link)
                except FileNotFoundError:
                    raise gone_error(self.store, self.table, file) from None
        return links


def _by_file(versions: Iterable[StoredVersion]) -> Mapping[MonthFile, set[Version]]:
    found: dict[MonthFile, set[Version]] = {}
    for each in versions:
        found.setdefault(each.file, set()).add(each.version)
    return found

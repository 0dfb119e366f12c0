"""The part of the lake that holds event days: versions of days, in files by month and night."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from datetime import date
from pathlib import Path

import pyarrow as pa

from pipeline.errors import DataError
from pipeline.lake import addresses
from pipeline.lake.checksums import is_whole
from pipeline.lake.disk import disk_errors
from pipeline.lake.event_days import EventDays, MonthFile, StoredVersion, Version, known_versions, month_of
from pipeline.lake.later_columns import lacking_columns
from pipeline.lake.month_files import event_days, month_file_at, month_files, stored_versions, versions_in
from pipeline.lake.month_writer import Facts, MonthWriter, nights_by_month, open_month_writer, version_runs
from pipeline.lake.remote_rows import MonthFilePlan, RemoteRows
from pipeline.lake.staging import replaced_file
from pipeline.lake.store import Store
from pipeline.lake.tables import Table
from pipeline.lake.version_parts import VersionParts
from pipeline.lake.version_rows import RowReader, read_versions


class EventDayStore:
    """Finds, reads and writes versions of event days in a store."""

    def __init__(self, store: Store, lock_seconds: float) -> None:
        self.store = store
        self._lock_seconds = lock_seconds

    def stored_versions(self, table: Table) -> Mapping[Version, StoredVersion]:
        """Return every stored version of an EVENT_DAY table, in order; raises DataError where a footer is damaged."""
        return stored_versions(self.store, table)

    def event_days(self, table: Table, *, verified: Collection[MonthFile] = ()) -> EventDays:
        """Return the same, with damaged files told apart. Only `verified` files are read to the end; of others the footer must do."""
        return event_days(self.store, table, verified=verified)

    def month_file(self, table: Table, version: Version) -> MonthFile:
        """Return the file in which the night of `version` writes that day."""
        return month_file_at(addresses.partition(table, day=version.day, known_on=version.known_on))

    def require_declared_types(self, table: Table) -> None:
        """Raise ConfigError where a file of event days has a column of `table` in another type than declared; damaged ones are passed."""
        for file in month_files(self.store, table) if table.later_columns else ():
            with suppress(DataError, OSError, pa.ArrowException):
                lacking_columns(table, self.store.local(file.address), where=self.store.where(file.address))

    def versions(self, table: Table) -> list[Version]:
        """Return every stored version of an EVENT_DAY table, in order."""
        return list(self.stored_versions(table))

    def versions_known(self, table: Table, *, through: date, known_on: date) -> list[Version]:
        """Return, per event day up to `through`, the version that night `known_on` goes by.

        That is the newest known by then; a day first learned of later counts as first learned.
        """
        return known_versions(self.versions(table), through=through, known_on=known_on)

    def parts(self, table: Table, versions: Iterable[Version]) -> VersionParts:
        """Return the parts of files that hold `versions`, as engines read them; they are looked for once an engine registers them."""
        return VersionParts(self.store, table, tuple(versions))

    def rows(self, table: Table, versions: Iterable[Version], *, dictionaries: Sequence[str] = ()) -> Iterator[tuple[Version, pa.Table]]:
        """Yield the rows of `versions` in that order, with event day and night; each version comes in one piece or more.

        Columns named in `dictionaries` come as dictionaries, which saves time where values repeat.
        Checksums are verified; raises DataError naming table and file where one is absent or damaged.
        """
        return read_versions(self.store, table, list(versions), dictionaries=dictionaries)

    def write_event_days(
        self, table: Table, batches: Iterable[pa.RecordBatch], facts: Mapping[Version, Facts], *, folder: Path | None = None
    ) -> dict[Version, int]:
        """Write the versions in `facts`, empty where no row came, and what the manifest says of each; return row counts.

        The batches have the stored columns of `table` and are sorted by event day, night and key. Each file appears by one
        rename, with the other versions that it had; a damaged one is replaced. A transaction's `folder` takes the place of the lake.
        """
        if isinstance(batches, RemoteRows):
            return self._write_remote_days(table, batches, facts, folder)
        # All files of a month are open together: rows are sorted by day, and neighbouring days may be of different nights.
        runs, counts = version_runs(table, batches), dict.fromkeys(facts, 0)
        run = next(runs, None)
        with self.lock_event_days(table):
            for month, nights in nights_by_month(facts).items():
                with ExitStack() as opened:
                    writers = {known: self._month_writer(opened, table, month, known, facts, folder) for known in nights}
                    while run and month_of(run.version.day) == month:
                        writers[run.version.known_on].add(run)
                        counts[run.version] += run.row_count
                        run = next(runs, None)
        return counts

    def lock_event_days(self, table: Table) -> AbstractContextManager[None]:
        """Hold off all others who write files of the event days of `table`: what is read of one is still there when it is replaced.

        Raises LockTimeout where another run keeps them for longer than the lake waits.
        """
        return self.store.lock(f"table={table.name}", timeout_seconds=self._lock_seconds)

    def stored_in(self, table: Table, address: str) -> list[StoredVersion]:
        """Return the versions that the file of event days at `address` holds, in order."""
        return list(versions_in(self.store, table, month_file_at(address)).values())

    def write_month_file(
        self,
        table: Table,
        address: str,
        batches: Iterable[pa.RecordBatch],
        facts: Mapping[Version, Facts],
        *,
        staying: Mapping[Version, StoredVersion] | None = None,
    ) -> None:
        """Write the file of event days at `address` anew, with the versions in `facts`, those `staying` as they are stored, and no others.

        The caller holds the lock of the event days of `table`.
        """
        file, reader = month_file_at(address), RowReader(self.store, table)
        with self.store.stage(address) as new, open_month_writer(new, table, file, facts, staying or {}, reader) as writer:
            for run in version_runs(table, batches):
                writer.add(run)

    def _write_remote_days(self, table: Table, rows: RemoteRows, facts: Mapping[Version, Facts], folder: Path | None) -> dict[Version, int]:
        """Have a cluster write the versions in `facts`; its files appear here, once all of them are written."""
        counts = dict.fromkeys(facts, 0)
        with self.lock_event_days(table), disk_errors(folder or Path()), self.store.private_folder() as private:
            versions = [Version(month, known) for month, nights in nights_by_month(facts).items() for known in sorted(nights)]
            files = {self.month_file(table, version): version for version in versions}
            places = {file: folder / file.address if folder else None for file in files}
            written = rows.write_month_files(table, [self._plan(table, file, facts, places[file]) for file in files], private)
            for file, (month, known) in files.items():
                if file in written:
                    counts |= written[file].counts
                    place = places[file]
                    with _file_of_transaction(place) if place else self.store.stage(file.address) as new:
                        written[file].path.replace(new)
                else:
                    with ExitStack() as opened:
                        self._month_writer(opened, table, month, known, facts, folder)
        return counts

    def _month_writer(  # noqa: PLR0913, PLR0917
        self, opened: ExitStack, table: Table, month: date, known_on: date, facts: Mapping[Version, Facts], folder: Path | None
    ) -> MonthWriter:
        """Open the writer of one file; the file appears once `opened` ends well, and keeps the versions that it has beside `facts`."""
        file = self.month_file(table, Version(month, known_on))
        place = folder / file.address if folder else None
        plan = self._plan(table, file, facts, place)
        new = opened.enter_context(_file_of_transaction(place) if place else self.store.stage(file.address))
        reader = RowReader(self.store, table, links=plan.links)
        return opened.enter_context(open_month_writer(new, table, file, plan.facts, plan.staying, reader))

    def _plan(self, table: Table, file: MonthFile, facts: Mapping[Version, Facts], place: Path | None) -> MonthFilePlan:
        """Return what of `facts` is written into `file`, and which versions stay that it has; `place` is where it is in a transaction."""
        month, known_on = file.month, file.known_on
        own = {version: each for version, each in facts.items() if month_of(version.day) == month and version.known_on == known_on}
        staying: Mapping[Version, StoredVersion] = {}
        # Nothing stays of a file that is missing or damaged: its night writes it again.
        # A transaction may write days of one night one by one: the first is in `folder`, not yet in the lake, when the second comes.
        links = {file: place} if place and place.exists() else {}
        with suppress(DataError):
            staying = versions_in(self.store, table, file, link=links.get(file))
        return MonthFilePlan(file, own, staying, links)

    def discard_damaged_file(self, table: Table, file: MonthFile) -> None:
        """Remove a damaged file with all that it holds; one that another run has replaced meanwhile stays."""
        with self.lock_event_days(table), suppress(FileNotFoundError):
            if not is_whole(self.store.local(file.address)):
                self.store.delete(file.address)


@contextmanager
def _file_of_transaction(place: Path) -> Iterator[Path]:
    """Yield a private path that takes the place of `place` in a transaction's folder; raises TransientError where the disk refuses."""
    with disk_errors(place.parent, path=place), replaced_file(place) as new:
        yield new

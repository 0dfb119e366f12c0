"""Every Parquet file of a lake, publications apart: tables, restatements, and whatever table comes next.

Files are found by walking the lake, not by a list of tables, so that none is forgotten.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from itertools import groupby

import pyarrow as pa

from pipeline.errors import DataError
from pipeline.features import forget_caches
from pipeline.lake.addresses import CACHES, ERASURES, EXCHANGE, LOCKS, PUBLICATIONS, STAGING
from pipeline.lake.lake import Lake
from pipeline.lake.workers import OWN_PROCESS, Workers
from pipeline.operations.erasure.file_rewriting import UNREADABLE, FileRewriting, event_table, table_folder
from pipeline.operations.erasure.rows import CustomerIds, customer_ids, open_checked

BYTES_WORTH_WORKERS = 256 << 20  # below, the start of a process takes longer than it saves
# Publications have a way of their own and caches are dropped; the rest holds no rows of customers that last.
ELSEWHERE = (PUBLICATIONS, STAGING, EXCHANGE, ERASURES, LOCKS, CACHES)


class TableFiles:
    """The files of all tables."""

    def __init__(self, lake: Lake, *, memory_limit: str, workers: Workers) -> None:
        self._lake, self._memory_limit, self._workers = lake, memory_limit, workers
        self._unreadable: list[str] = []
        self._affected: list[str] = []

    def customer_ids(self) -> Iterator[pa.Array]:
        """Yield the ids that the files hold, with repetitions."""
        for address in self._addresses():
            # One damaged file must not keep an id in all the others.
            with suppress(*UNREADABLE):
                yield from customer_ids(open_checked(self._lake.local(address)))

    def count(self, ids: CustomerIds) -> dict[str, dict[str, int]]:
        """Count files and rows to remove, by table."""
        files, rows = Counter[str](), Counter[str]()
        self._affected, self._unreadable = [], []
        listed = list(self._addresses())
        for address, count in zip(listed, self._workers_for(listed).map(self._rewriting(ids).count, listed), strict=True):
            if count is None:
                self._unreadable.append(address)
            elif count:
                self._affected.append(address)
                files[table_folder(address)] += 1
                rows[table_folder(address)] += count
        return {folder: {"files": files[folder], "rows": rows[folder]} for folder in files}

    def remove(self, ids: CustomerIds) -> None:
        """Write each of the counted files anew without the rows of `ids`, and drop the caches that were made of them.

        Raises DataError at the end where files cannot be read: nobody knows what they hold.
        """
        # Caches first: an interruption must not leave one that still holds what its files have lost.
        forget_caches(self._lake)
        # What a killed night left there holds customers, too; none runs now.
        self._lake.store.delete_all(EXCHANGE)
        workers = self._workers_for(self._affected)
        for _, of_table in groupby(self._affected, key=table_folder):
            affected = list(of_table)
            # Held here for all of them: workers that each waited for it would take turns.
            with self._holding_event_days(affected):
                are_readable = list(workers.map(self._rewriting(ids).rewrite, affected))
            self._unreadable += [address for address, is_readable in zip(affected, are_readable, strict=True) if not is_readable]
        if self._unreadable:
            raise DataError(
                f"files that may hold erased customers cannot be read: {len(self._unreadable)}",
                where=self._lake.where(self._unreadable[0]),
                todo="Remove them and run those days again with --reread; then run: segments erase --resume",
            )

    @contextmanager
    def _holding_event_days(self, addresses: Sequence[str]) -> Iterator[None]:
        """Where these files of one table are of event days, hold off all others who write them for the time of the block."""
        with ExitStack() as held:
            for address in addresses:
                with suppress(*UNREADABLE):
                    manifest = self._lake.manifest(address)
                    if "versions" in manifest:
                        schema = open_checked(self._lake.local(address)).schema_arrow
                        held.enter_context(self._lake.lock_event_days(event_table(manifest["table"], schema)))
                    break  # a table is of event days in all of its files
            yield

    def _rewriting(self, ids: CustomerIds) -> FileRewriting:
        return FileRewriting(self._lake, ids, self._memory_limit)

    def _workers_for(self, listed: Iterable[str]) -> Workers:
        """Return who works on these files: where there is little in them, starting other processes takes longer."""
        return self._workers if sum(map(self._lake.store.size, listed)) >= BYTES_WORTH_WORKERS else OWN_PROCESS

    def _addresses(self) -> Iterator[str]:
        yield from (each for each in self._lake.list_addresses("", suffix=".parquet") if not each.startswith(ELSEWHERE))

"""Compaction: the files that nights wrote for a month long past become one file, and no version is lost.

While a month is young each night writes its own file, so that no night rewrites what another one wrote. That leaves dozens of
small files per month, which add up over the years. The compacted file holds every version as it was, so what each night knows
stays the same. Killed anywhere, either the nights' files or the new one hold everything, or both do, and then each version is
read once.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Sequence
from datetime import date
from itertools import groupby

from pipeline.errors import ConfigError, DataError
from pipeline.lake.addresses import PART
from pipeline.lake.event_days import MonthFile, StoredVersion, Version, month_of
from pipeline.lake.lake import Lake
from pipeline.lake.month_files import compacted_file, month_files, versions_in
from pipeline.lake.tables import Table

log = logging.getLogger("pipeline.lake.compaction")
# So many late files are worth rewriting a month that was compacted before; a stray late line is not.
FILES_WORTH_REWRITING = 8


def compact_months(lake: Lake, tables: Iterable[Table], *, before: date) -> int:
    """Compact the files of each month that ended before the month of `before`; return how many months were written.

    Whoever reads the lake meanwhile finds every version, and whoever writes waits. A month with a damaged file, or with files
    of different declarations, is left as it is.
    """
    counts = {table: _compact_table(lake, table, before) for table in tables if any(_old_months(lake, table, before))}
    is_synced = False
    for table in counts:
        with lake.lock_event_days(table):
            for files in _old_months(lake, table, before):
                superseded = _superseded_files(lake, table, files)
                if superseded and not is_synced:
                    # The compacted files, be they of a run that was killed, must survive a power cut before the nights' files go.
                    lake.store.flush()
                    is_synced = True
                for file in superseded:
                    lake.store.delete_all(file.address.removesuffix(PART))
    return sum(counts.values())


def _compact_table(lake: Lake, table: Table, before: date) -> int:
    count = 0
    with lake.lock_event_days(table):
        for files in _old_months(lake, table, before):
            superseded = _superseded_files(lake, table, files)
            left = [file for file in files if file not in superseded]
            nights = [file for file in left if file.known_on is not None]
            # Two files without a compacted one are worth it; beside one, only many are.
            if len(nights) >= (2 if len(nights) == len(left) else FILES_WORTH_REWRITING):
                count += _compact_month(lake, table, left)
    return count


def _old_months(lake: Lake, table: Table, before: date) -> Iterator[list[MonthFile]]:
    for month, files in groupby(month_files(lake.store, table), key=lambda file: file.month):
        if month < month_of(before):
            yield list(files)


def _compact_month(lake: Lake, table: Table, files: Sequence[MonthFile]) -> bool:
    """Write the compacted file of a month; return False, and leave all as it is, where one of its files is damaged."""
    month, versions = files[0].month, dict[Version, StoredVersion]()
    try:
        for file in files:  # the compacted one first, so that a night's own file prevails over it
            versions |= versions_in(lake.store, table, file)
        lake.write_month_file(table, compacted_file(table, month).address, [], {}, staying=versions)
    except (ConfigError, DataError) as error:
        log.warning("%s of %s are not compacted: %s", table.name, month.isoformat()[:7], error.what)
        return False
    fields = {"table": table.name, "month": month.isoformat()[:7], "files": len(files)}
    log.info("%(table)s of %(month)s: %(files)s files became one", fields)
    return True


def _superseded_files(lake: Lake, table: Table, files: Sequence[MonthFile]) -> list[MonthFile]:
    """Return the nights' files of which every version is in the compacted file with the same facts; none where one is damaged."""
    superseded: list[MonthFile] = []
    try:
        compacted = next((versions_in(lake.store, table, file) for file in files if file.known_on is None), {})
        for file in files if compacted else ():
            versions = versions_in(lake.store, table, file)
            if file.known_on and all(version in compacted and compacted[version].facts == each.facts for version, each in versions.items()):
                superseded.append(file)
    except DataError as error:
        log.warning("%s of %s are left as they are: %s", table.name, files[0].month.isoformat()[:7], error.what)
        return []
    return superseded

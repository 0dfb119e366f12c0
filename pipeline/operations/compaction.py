"""Months that no night looks at any more are compacted: before the newest night reads, and while nobody else works on the lake."""

from __future__ import annotations

import logging
from datetime import timedelta

from pipeline.errors import LockTimeout
from pipeline.lake.compaction import compact_months
from pipeline.lake.tables import ALL_TABLES, EXTRACTIONS, Partition
from pipeline.operations.erasure.erase import holding_off_nights
from pipeline.operations.night import Night

log = logging.getLogger("pipeline.operations.compaction")


def compact_old_months(night: Night) -> None:
    """Compact the months before the days that `night` reads from the source, or compares with it; only for the newest night.

    Compacting removes files that another run may be reading: beside one, this is left to a later night.
    """
    company, lake = night.deployment.company, night.lake
    if night.day < max(lake.nights(EXTRACTIONS), default=night.day):
        return
    before = night.day - timedelta(days=company.lookback_days + company.late_check_days)
    try:
        with holding_off_nights(lake, wait_seconds=0):
            events = (table for event in company.declared_events for table in (event.raw_table, event.table))
            compact_months(lake, [*(table for table in ALL_TABLES if table.partition is Partition.EVENT_DAY), *events], before=before)
    except LockTimeout:
        log.info("another run is under way: old months are compacted by a later night")

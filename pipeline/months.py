"""The rollups of a window made readable: a month of many small files is kept as one, as opening a file costs more than its rows."""

from __future__ import annotations

from datetime import date
from pathlib import Path

from pipeline.caches import Desk, cache_path, keep, take
from pipeline.recompute import (
    ROLLUPS,
    Basis,
    Horizon,
    basis_of_months,
    by_month_statement,
    month_name,
    paths_of,
    paths_since,
    recent,
    whole_statement,
)
from pipeline.tables import CUSTOMER_DAY_CATEGORIES_BY_MONTH, CUSTOMER_DAYS_BY_MONTH, Table

BY_MONTH = (CUSTOMER_DAYS_BY_MONTH, CUSTOMER_DAY_CATEGORIES_BY_MONTH)
MERGED_BYTES = 8 << 20  # a month's rollups beyond it cost more to write again than their files to open


def register_rollups(at: Desk, basis: Basis, *, since: date) -> None:
    """Make the rollups of event days from `since` on readable."""
    for table in ROLLUPS:
        at.engine.register(table, [at.lake.root / path for path in paths_of(paths_since(basis, since), table)])


def register_months(at: Desk, basis: Basis, horizon: Horizon) -> None:
    """Make the rollups that the archive leaves readable; the months before the night's own are merged, and kept so."""
    for table, by_month in zip(ROLLUPS, BY_MONTH, strict=True):
        own = horizon.day.replace(day=1)
        days = paths_of(paths_since(basis, own), table)
        merged = []
        for month, part in basis_of_months(basis, table, since=horizon.archived_before, before=own).items():
            path = _merged(at, table, by_month, month_name(month, part, by_month), part)
            if path is None:
                days += part
            else:
                merged.append(path)
        at.engine.register(by_month, merged)
        at.engine.register(recent(table), [at.lake.root / path for path in days])
        at.engine.define(table, whole_statement(table, by_month))


def _merged(at: Desk, table: Table, by_month: Table, name: str, part: Basis) -> Path | None:
    """Return the file of a month, written where there is none; None for a month that is large."""
    path = take(at, cache_path(at.lake, by_month, name))
    files = [at.lake.root / each for each in part]
    if path is None and sum(file.stat().st_size for file in files) <= MERGED_BYTES:
        at.engine.register(table, files)
        path = keep(at, by_month, at.engine.run(by_month_statement(table), {}), name, {})
    return path

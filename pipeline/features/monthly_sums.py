"""The rollups of a window made readable: its whole months added up per customer once, and kept for every later night.

What the days of a month add up to is the same for every night whose window has all of them. Only the window's first days and the night's
own month are read day by day; where the former are few they are kept as one file, as opening a file costs more than its rows.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta
from pathlib import Path

from pipeline.features.cache import Desk, cache_path, keep, stored, take
from pipeline.features.rollup_set import (
    ROLLUPS,
    SUMMARIES,
    Basis,
    Horizon,
    basis_of_months,
    by_month_statement,
    month_name,
    paths_of,
    paths_since,
    recent,
    summary_name,
    whole_statement,
)
from pipeline.lake.statements import statement
from pipeline.lake.tables import CUSTOMER_DAY_CATEGORIES, CUSTOMER_DAY_CATEGORIES_BY_MONTH, CUSTOMER_DAYS, CUSTOMER_DAYS_BY_MONTH, Table

BY_MONTH = {CUSTOMER_DAYS: CUSTOMER_DAYS_BY_MONTH, CUSTOMER_DAY_CATEGORIES: CUSTOMER_DAY_CATEGORIES_BY_MONTH}
LARGE_BYTES = 8 << 20  # a month's rollups beyond it cost more to write again than their files to open
LARGE_PER_NIGHT = 1  # so that no night pays for a year
SETTLED_AFTER = timedelta(7)  # a large month waits for its late versions, as each would have it added up anew
PAST_KEPT = timedelta(366)  # for a backfill of older nights, beside tonight's
Summaries = Mapping[str, list[Path]]


def register_rollups(at: Desk, basis: Basis, *, since: date) -> None:
    """Make the rollups of event days from `since` on readable."""
    for table in ROLLUPS:
        at.engine.register(table, [at.lake.root / path for path in paths_of(paths_since(basis, since), table)])


def register_months(at: Desk, basis: Basis, horizon: Horizon, *, is_adding_up: bool = False) -> tuple[list[Path], list[Path]]:
    """Make the rollups that the archive leaves readable, and return the files of the largest of them: of days, and of months.

    Months that are kept added up are read so. Others are added up only where asked, and of large ones few a night.
    """
    files: tuple[list[Path], list[Path]] = ([], [])
    for table in ROLLUPS:
        summed = _summed(at, table, basis, horizon, large=LARGE_PER_NIGHT if is_adding_up else None)
        for number, summary in enumerate(SUMMARIES[table]):
            at.engine.register(summary, [paths[number] for paths in summed.values()])
        months = basis_of_months(basis, table, since=horizon.archived_before, before=horizon.own_month)
        others = {month: part for month, part in months.items() if month not in summed}
        own = paths_of(paths_since(basis, horizon.own_month), table)
        days = _register_days(at, table, others, own, is_merging=is_adding_up)
        files = days, [paths[0] for paths in summed.values()]
        if is_adding_up:
            _drop_past(at, table, horizon)
    return files


def _drop_past(at: Desk, table: Table, horizon: Horizon) -> None:
    """Drop what is kept of months that left the window long ago: the archive has them."""
    oldest = f"{horizon.archived_before - PAST_KEPT:%Y-%m}"
    for kept in (BY_MONTH[table], *SUMMARIES[table]):
        for path in stored(at.lake, kept):
            if path.name[:7] < oldest:
                path.unlink(missing_ok=True)


def add_up_months(at: Desk, basis: Basis, horizon: Horizon) -> None:
    """Add up every settled month of the horizon's window that is not kept so, however large."""
    for table in ROLLUPS:
        _summed(at, table, basis, horizon, large=len(basis))


def _summed(at: Desk, table: Table, basis: Basis, horizon: Horizon, *, large: int | None) -> Summaries:
    """Return the files of the window's whole months that are kept; with `large`, also of those added up now, that many large ones."""
    months = basis_of_months(basis, table, since=horizon.first_whole_month, before=horizon.own_month)
    found = {month: paths for month, part in months.items() if (paths := _taken(at, table, month, part))}
    if large is not None:
        missing = {month: part for month, part in months.items() if month not in found}
        for month in _due(at, missing, horizon, large):
            found[month] = _added_up(at, table, month, months[month])
    return found


def _taken(at: Desk, table: Table, month: str, part: Basis) -> list[Path] | None:
    """Return the files of a month that is kept added up; None where one is not."""
    taken = [take(at, cache_path(at.lake, summary, summary_name(month, part, summary))) for summary in SUMMARIES[table]]
    paths = [path for path in taken if path]
    return paths if len(paths) == len(taken) else None


def _due(at: Desk, months: Mapping[str, Basis], horizon: Horizon, large: int) -> list[str]:
    """Return which months to add up: all small ones, and the first of the large ones that have settled."""
    is_large = {month: _size(at, part) > LARGE_BYTES for month, part in months.items()}
    settled = [month for month in months if is_large[month] and _end(month) + SETTLED_AFTER <= horizon.day]
    return [month for month in months if not is_large[month]] + settled[:large]


def _added_up(at: Desk, table: Table, month: str, part: Basis) -> list[Path]:
    at.engine.register(table, [at.lake.root / path for path in part])
    first = {"month_first_day": date.fromisoformat(f"{month}-01")}
    return [
        keep(at, summary, at.engine.run(statement(summary.name), first), summary_name(month, part, summary), {})
        for summary in SUMMARIES[table]
    ]


def _register_days(at: Desk, table: Table, months: Mapping[str, Basis], own: list[str], *, is_merging: bool) -> list[Path]:
    """Make the event days of the night's own month and of `months` readable, and return their files."""
    days, merged = [*own], []
    for month, part in months.items():
        path = _merged(at, table, month, part, is_merging=is_merging)
        if path is None:
            days += part
        else:
            merged.append(path)
    files = [at.lake.root / path for path in days]
    at.engine.register(BY_MONTH[table], merged)
    at.engine.register(recent(table), files)
    at.engine.define(table, whole_statement(table, BY_MONTH[table]))
    return [*files, *merged]


def _merged(at: Desk, table: Table, month: str, part: Basis, *, is_merging: bool) -> Path | None:
    """Return the one file of a month's days, written where there is none and that is asked; None for a month that is large."""
    by_month = BY_MONTH[table]
    name = month_name(month, part, by_month)
    path = take(at, cache_path(at.lake, by_month, name))
    if path is None and is_merging and _size(at, part) <= LARGE_BYTES:
        at.engine.register(table, [at.lake.root / each for each in part])
        path = keep(at, by_month, at.engine.run(by_month_statement(table), {}), name, {})
    return path


def _size(at: Desk, part: Basis) -> int:
    return sum((at.lake.root / path).stat().st_size for path in part)


def _end(month: str) -> date:
    """Return the first day after a month."""
    return (date.fromisoformat(f"{month}-01") + timedelta(31)).replace(day=1)

"""Departed customers: those whom the source listed once, and lists no more.

They keep their history, but what is published need not go on about them. A buyer whom no list ever named has not departed.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import date

from sqlglot import exp, parse_one

from pipeline.lake import addresses
from pipeline.lake.engines import Engine
from pipeline.lake.lake import Lake
from pipeline.lake.tables import DEPARTED_CUSTOMERS, RAW_CUSTOMERS, RAW_PROSPECTS

_LISTS = (RAW_CUSTOMERS, RAW_PROSPECTS)
# White space around an id makes nobody another person.
_DEPARTED = parse_one(
    """SELECT DISTINCT TRIM(listed_before.customer_id) AS customer_id FROM listed_before
    WHERE TRIM(listed_before.customer_id) <> ''
      AND NOT EXISTS (SELECT 1 FROM listed WHERE TRIM(listed.customer_id) = TRIM(listed_before.customer_id))
    ORDER BY customer_id""",
    into=exp.Select,
    read="duckdb",
)


def store_departed(lake: Lake, engine: Engine, night: date) -> None:
    """Store who has departed by `night`, where it has new lists of customers or prospects and earlier nights had others.

    Of a source that appends nobody departs, since its lists are what it gave so far.
    """
    snapshots = {table: lake.snapshots(table) for table in _LISTS}
    is_listed_anew = any(night in nights for nights in snapshots.values())
    has_earlier = any(known < night for known in snapshots[RAW_CUSTOMERS])
    if not (is_listed_anew and has_earlier):
        return
    base = departed_known(lake, night, before=True)
    newest = {table: max((each for each in snapshots[table] if each <= night), default=None) for table in _LISTS}
    listed = [addresses.partition(table, known_on=known) for table, known in newest.items() if known]
    before = [addresses.partition(table, known_on=known) for table in _LISTS for known in _lists_since(snapshots[table], base, night)]
    before += [addresses.partition(DEPARTED_CUSTOMERS, known_on=base)] if base else []
    for name, files in (("listed", listed), ("listed_before", before)):
        engine.register(replace(DEPARTED_CUSTOMERS, name=name), files)
    lake.write(DEPARTED_CUSTOMERS, engine.run(_DEPARTED, {}), known_on=night)


def departed_known(lake: Lake, night: date, *, before: bool = False) -> date | None:
    """Return the night that knew last who had departed, by `night` or before it; None where nobody had."""
    return max((known for known in lake.snapshots(DEPARTED_CUSTOMERS) if known < night or (known == night and not before)), default=None)


def departed_files(lake: Lake, night: date) -> list[str]:
    """Return the address of the file, if any, that lists who has departed by `night`."""
    known = departed_known(lake, night)
    return [addresses.partition(DEPARTED_CUSTOMERS, known_on=known)] if known else []


def _lists_since(snapshots: Iterable[date], base: date | None, night: date) -> list[date]:
    """Return the nights whose lists may name somebody that the departed of night `base` do not: its own, and later ones before `night`."""
    earlier = [known for known in snapshots if known < night]
    newest_of_base = max((known for known in earlier if base and known <= base), default=None)
    return [known for known in earlier if newest_of_base is None or known >= newest_of_base]

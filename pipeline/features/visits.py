"""What visitors did in the last 90 days. It is read anew each night, as 90 days cost the same however long the history is."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta

from pipeline.features.cache import CacheSession
from pipeline.features.rollup_set import FeatureWindow, RollupSet
from pipeline.features.united_rows import register_event_days
from pipeline.lake.lake import Lake, known_versions
from pipeline.lake.statements import statement
from pipeline.lake.tables import CUSTOMER_DAYS, CUSTOMER_VISITS, VISITS

VISIT_DAYS = 90


def known_visits(lake: Lake, window: FeatureWindow) -> RollupSet:
    """Return the event days of visits that a night goes by; none for a company without visits."""
    stored = lake.stored_versions(VISITS)
    known = known_versions(stored, through=window.day, known_on=window.known_on)
    return RollupSet.of(VISITS, (stored[version] for version in known if version.day >= first_visit_day(window)))


def register_visits(
    session: CacheSession, window: FeatureWindow, rollups: RollupSet, visits: RollupSet, *, name: str = CUSTOMER_VISITS.name
) -> None:
    """Register, as `name`, what each visitor did up to the window's day; an empty table where there are no visits."""
    table = replace(CUSTOMER_VISITS, name=name)
    if not visits:
        session.engine.register(table, [])
        return
    recent = rollups.since(first_visit_day(window))
    for event_table, versions in ((VISITS, visits), (CUSTOMER_DAYS, recent)):
        register_event_days(session, event_table, versions.of_table(event_table), session.survivors(window))
    rows = session.engine.run(statement(CUSTOMER_VISITS.name), {"visits_first_day": first_visit_day(window), "day": window.day})
    path = session.folder / name / f"{window.day}.parquet"
    session.lake.write_private_file(table.schema, rows, path, {})
    session.engine.register(table, [path])


def first_visit_day(window: FeatureWindow) -> date:
    """Return the first day whose visits count on the window's day."""
    return window.day - timedelta(days=VISIT_DAYS - 1)

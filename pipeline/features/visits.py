"""What visitors did of late, read each night from the last 90 days: so it costs the same however long the history is."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta

from pipeline.features.cache import Desk
from pipeline.features.rollup_set import Horizon, RollupSet
from pipeline.lake.lake import Lake, known_versions
from pipeline.lake.statements import statement
from pipeline.lake.tables import CUSTOMER_DAYS, CUSTOMER_VISITS, VISITS

VISIT_DAYS = 90


def visits_of(lake: Lake, horizon: Horizon) -> RollupSet:
    """Return the days of visits that a night goes by; none for a company without them."""
    stored = lake.stored_versions(VISITS)
    known = known_versions(stored, through=horizon.day, known=horizon.known)
    return RollupSet.of(VISITS, (stored[version] for version in known if version.day >= _first_day(horizon)))


def register_visits(at: Desk, horizon: Horizon, rollups: RollupSet, visits: RollupSet, *, name: str = CUSTOMER_VISITS.name) -> None:
    """Make what each visitor did until the horizon's day readable as `name`; without visits there is nobody."""
    table = replace(CUSTOMER_VISITS, name=name)
    if not visits:
        at.engine.register(table, [])
        return
    recent = rollups.since(_first_day(horizon))
    at.engine.register(VISITS, at.lake.parts(VISITS, visits.of_table(VISITS)))
    at.engine.register(CUSTOMER_DAYS, at.lake.parts(CUSTOMER_DAYS, recent.of_table(CUSTOMER_DAYS)))
    rows = at.engine.run(statement(CUSTOMER_VISITS.name), {"visits_first_day": _first_day(horizon), "day": horizon.day})
    path = at.folder / name / f"{horizon.day}.parquet"
    at.lake.write_file(table.schema, rows, path, {})
    at.engine.register(table, [path])


def _first_day(horizon: Horizon) -> date:
    return horizon.day - timedelta(days=VISIT_DAYS - 1)

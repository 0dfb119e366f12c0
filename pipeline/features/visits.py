"""What visitors did of late, read each night from the last 90 days: so it costs the same however long the history is."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

from pipeline.features.cache import Desk, digests
from pipeline.features.rollup_set import Basis, Horizon, paths_of, paths_since
from pipeline.lake.lake import Lake, event_names
from pipeline.lake.statements import statement
from pipeline.lake.tables import CUSTOMER_DAYS, CUSTOMER_VISITS, VISITS

VISIT_DAYS = 90


def visits_basis(lake: Lake, horizon: Horizon) -> Basis:
    """Return the digests of the visits that a night goes by; none for a company without them."""
    paths = event_names(VISITS, lake.versions_known(VISITS, through=horizon.day, known=horizon.known))
    return digests(lake, paths_since(dict.fromkeys(paths, ""), _first_day(horizon)))


def register_visits(at: Desk, horizon: Horizon, rollups: Basis, visits: Basis, *, name: str = CUSTOMER_VISITS.name) -> None:
    """Make what each visitor did until the horizon's day readable as `name`; without visits there is nobody."""
    table = replace(CUSTOMER_VISITS, name=name)
    if not visits:
        at.engine.register(table, [])
        return
    recent = paths_of(paths_since(rollups, _first_day(horizon)), CUSTOMER_DAYS)
    at.engine.register(VISITS, _files(at, list(visits)))
    at.engine.register(CUSTOMER_DAYS, _files(at, recent))
    rows = at.engine.run(statement(CUSTOMER_VISITS.name), {"visits_first_day": _first_day(horizon), "day": horizon.day})
    path = at.folder / name / f"{horizon.day}.parquet"
    at.lake.write_file(table.schema, rows, path, {})
    at.engine.register(table, [path])


def _first_day(horizon: Horizon) -> date:
    return horizon.day - timedelta(days=VISIT_DAYS - 1)


def _files(at: Desk, paths: list[str]) -> list[Path]:
    return [at.lake.root / path for path in paths]

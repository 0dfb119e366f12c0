"""Rollups and features of a night, computed by an engine from the lake into the lake."""

from __future__ import annotations

import logging
from datetime import date

from pipeline.calendar import days_window
from pipeline.definitions.company import Company
from pipeline.features.baselines import baseline_rows
from pipeline.features.cache import Desk, desk
from pipeline.features.customer_states import register_states, rhythm_rows, rollup_bases
from pipeline.features.rollup_set import Basis, Horizon, frozen_night, states_recipe
from pipeline.features.visits import register_visits, visits_basis
from pipeline.lake.engines import Engine
from pipeline.lake.lake import Lake, Version, known_versions
from pipeline.lake.statements import digest, statement, with_attributes
from pipeline.lake.tables import (
    CUSTOMER_DAY_CATEGORIES,
    CUSTOMER_DAYS,
    CUSTOMER_FEATURES,
    CUSTOMERS,
    ORDER_LINES,
    POPULATION_BASELINES,
    POPULATION_RHYTHM,
    Table,
)

log = logging.getLogger("pipeline.features.features")


def compute_rollups(lake: Lake, engine: Engine, day: date, *, known: date | None = None) -> None:
    """Write the rollups of every event day that this night learned of; `known` is the night whose knowledge counts, else `day`.

    A restatement adds those that are missing or older than their lines, so that it does not redo what the night `known` did.
    """
    learned = known or day
    stored = lake.versions(ORDER_LINES)
    frozen_day, frozen_known = frozen_night(day, learned)
    # Also what the month's first night went by, though tonight knows better: its own features may never have been computed.
    visible = dict.fromkeys(
        version
        for through, by in ((day, learned), (frozen_day, frozen_known))
        for version in known_versions(stored, through=through, known=by)
    )
    for table in (CUSTOMER_DAYS, CUSTOMER_DAY_CATEGORIES):
        done = set(lake.versions(table))
        todo = [v for v in visible if v not in done or (v.known == learned and (learned == day or _is_older(lake, table, v)))]
        engine.register(ORDER_LINES, [lake.path(ORDER_LINES, day=v.day, known=v.known) for v in todo])
        query = statement(table.name)
        counts = lake.write_event_days(table, engine.run(query, {}), wanted=todo, manifest={"statement": digest(query)})
        log.info("%s: %s rows in %s event days", table.name, f"{sum(counts.values()):,}", f"{len(todo):,}")


def _is_older(lake: Lake, rollup: Table, version: Version) -> bool:
    """Return whether the lines of `version` were written after its rollup, as when their night was read again."""
    ours, lines = (lake.path(table, day=version.day, known=version.known) for table in (rollup, ORDER_LINES))
    return ours.stat().st_mtime_ns < lines.stat().st_mtime_ns


def compute_features(company: Company, lake: Lake, engine: Engine, day: date, *, known: date | None = None) -> None:
    """Write the population's rhythm and baselines, and the features of every customer as of the end of `day`.

    `known` is the night whose knowledge counts; a later one than `day` writes a restatement.
    """
    horizon = Horizon(day, known or day, company.window_days)
    with desk(lake, engine) as at:
        basis, frozen = rollup_bases(lake, [horizon, horizon.frozen])
        inputs = lake.digest(frozen)
        _write_rhythm(at, horizon, frozen, inputs)
        register_states(at, horizon, basis)
        visits = visits_basis(lake, horizon)
        register_visits(at, horizon, basis, visits)
        _write_baselines(at, horizon, frozen, inputs)
        _write_features(company, at, horizon, basis, visits)


def _write_rhythm(at: Desk, horizon: Horizon, basis: Basis, inputs: str) -> None:
    """Freeze the rhythm on the month's first day, whose rollups are `basis`, so that nobody moves because others did."""
    manifest = {"statement": digest(statement(POPULATION_RHYTHM.name)), "inputs": inputs}
    at.lake.write(POPULATION_RHYTHM, rhythm_rows(at, horizon.frozen, basis), day=horizon.day, known=horizon.known, manifest=manifest)


def _write_baselines(at: Desk, horizon: Horizon, basis: Basis, inputs: str) -> None:
    """Freeze what is usual on the month's first day likewise."""
    manifest = {"statement": digest(statement(POPULATION_BASELINES.name)), "states": states_recipe(horizon.frozen), "inputs": inputs}
    at.lake.write(POPULATION_BASELINES, baseline_rows(at, horizon, basis), day=horizon.day, known=horizon.known, manifest=manifest)


def _write_features(company: Company, at: Desk, horizon: Horizon, rollups: Basis, visits: Basis) -> None:
    lake, day, known, first = at.lake, horizon.day, horizon.known, horizon.frozen.day
    frozen = [lake.path(table, day=day, known=known) for table in (POPULATION_RHYTHM, POPULATION_BASELINES)]
    for table, path in zip((POPULATION_RHYTHM, POPULATION_BASELINES), frozen, strict=True):
        at.engine.register(table, [path])
    snapshot = lake.snapshot_known(CUSTOMERS, known)
    customers = [] if snapshot is None else [lake.path(CUSTOMERS, known=snapshot)]
    at.engine.register(company.table(CUSTOMERS), customers)
    table = company.table(CUSTOMER_FEATURES)
    query = with_attributes(statement(table.name), CUSTOMER_FEATURES, table)
    manifest = {
        "statement": digest(query),
        "states": states_recipe(horizon),
        "inputs": lake.digest([*rollups, *visits, *(str(path.relative_to(lake.root)) for path in (*frozen, *customers))]),
        "time_zone": company.zone.key,
        "currency": company.currency,
        "window_days": company.window_days,
    }
    ends = {"day_end": days_window(day, day, company.zone).end, "frozen_day_end": days_window(first, first, company.zone).end}
    rows = at.engine.run(query, {"day": day, **ends})
    count = lake.write(table, rows, day=day, known=known, manifest=manifest)
    log.info("%s: %s customers from %s event days", table.name, f"{count:,}", f"{len(rollups) // 2:,}")

"""Rollups and features of a night, computed by an engine from the lake into the lake."""

from __future__ import annotations

import logging
from datetime import date, timedelta
from pathlib import Path

from pipeline.calendar import days_window
from pipeline.company import Company
from pipeline.engines import Engine
from pipeline.lake import Lake
from pipeline.statements import digest, statement, with_attributes
from pipeline.tables import (
    CUSTOMER_DAY_CATEGORIES,
    CUSTOMER_DAYS,
    CUSTOMER_FEATURES,
    CUSTOMERS,
    ORDER_LINES,
    POPULATION_RHYTHM,
)

log = logging.getLogger("pipeline.features")


def compute_rollups(lake: Lake, engine: Engine, day: date, *, known: date | None = None) -> None:
    """Write the rollups of every event day that this night learned of; `known` is the night whose knowledge counts, else `day`."""
    learned = known or day
    for table in (CUSTOMER_DAYS, CUSTOMER_DAY_CATEGORIES):
        done = set(lake.versions(table))
        visible = lake.versions_known(ORDER_LINES, through=day, known=learned)
        todo = [version for version in visible if version not in done or version.known == learned]
        engine.register(ORDER_LINES, [lake.path(ORDER_LINES, day=v.day, known=v.known) for v in todo])
        query = statement(table.name)
        counts = lake.write_event_days(table, engine.run(query, {}), wanted=todo, manifest={"statement": digest(query)})
        log.info("%s: %s rows in %s event days", table.name, f"{sum(counts.values()):,}", f"{len(todo):,}")


def compute_features(company: Company, lake: Lake, engine: Engine, day: date, *, known: date | None = None) -> None:
    """Write the population's rhythm and the features of every customer as of the end of `day`.

    `known` is the night whose knowledge counts; a later one than `day` writes a restatement.
    """
    learned = known or day
    _compute_rhythm(lake, engine, day, learned)
    rhythm = lake.path(POPULATION_RHYTHM, day=day, known=learned)
    inputs = [*_register_rollups(lake, engine, through=day, known=learned), rhythm]
    engine.register(POPULATION_RHYTHM, [rhythm])
    snapshot = lake.snapshot_known(CUSTOMERS, learned)
    customers = [] if snapshot is None else [lake.path(CUSTOMERS, known=snapshot)]
    engine.register(company.table(CUSTOMERS), customers)
    table = company.table(CUSTOMER_FEATURES)
    query = with_attributes(statement(table.name), CUSTOMER_FEATURES, table)
    parameters = {
        "day": day,
        "day_end": days_window(day, day, company.zone).end,
        "window_first_day": day - timedelta(days=company.window_days - 1),
    }
    manifest = {
        "statement": digest(query),
        "inputs": lake.digest([*inputs, *customers]),
        "time_zone": company.zone.key,
        "currency": company.currency,
        "window_days": company.window_days,
    }
    rows = lake.write(table, engine.run(query, parameters), day=day, known=learned, manifest=manifest)
    log.info("%s: %s customers from %s event days", table.name, f"{rows:,}", f"{(len(inputs) - 1) // 2:,}")


def _compute_rhythm(lake: Lake, engine: Engine, day: date, learned: date) -> None:
    """Freeze the rhythm on the month's first day, so that nobody moves because others did."""
    frozen_day = day.replace(day=1)
    inputs = _register_rollups(lake, engine, through=frozen_day, known=frozen_day if learned == day else learned)
    query = statement(POPULATION_RHYTHM.name)
    manifest = {"statement": digest(query), "inputs": lake.digest(inputs)}
    lake.write(POPULATION_RHYTHM, engine.run(query, {"frozen_day": frozen_day}), day=day, known=learned, manifest=manifest)


def _register_rollups(lake: Lake, engine: Engine, *, through: date, known: date) -> list[Path]:
    paths = []
    for table in (CUSTOMER_DAYS, CUSTOMER_DAY_CATEGORIES):
        found = lake.event_paths(table, through=through, known=known)
        engine.register(table, found)
        paths += found
    return paths

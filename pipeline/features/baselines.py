"""What is usual among customers, frozen on the month's first day: the limits that the store itself sets for its segments."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import pyarrow as pa
import pyarrow.parquet as pq
from sqlglot import exp

from pipeline.features.cache import CacheKey, Desk, keep, take
from pipeline.features.customer_states import computed_in_slices, register_archive
from pipeline.features.rollup_set import Horizon, RollupSet
from pipeline.features.state_sql import recipe, states_recipe
from pipeline.features.visits import register_visits, visits_of
from pipeline.lake.statements import short_digest, statement
from pipeline.lake.tables import CUSTOMER_STATES, CUSTOMER_VISITS, POPULATION_BASELINES, Table

FROZEN = {CUSTOMER_STATES.name: "frozen_states", CUSTOMER_VISITS.name: "frozen_visits"}


def baseline_rows(at: Desk, horizon: Horizon, rollups: RollupSet) -> Iterable[pa.RecordBatch]:
    """Return what is usual on the horizon's frozen day, whose rollups are given; tonight's states and visits must be readable.

    The same for every night that knows the same rollups: on the month's first one it goes by the night's own states, on
    another that finds none kept it computes them aside.
    """
    frozen = horizon.frozen
    visits = visits_of(at.lake, frozen)
    key = CacheKey(frozen.day, short_digest((rollups | visits).facts, recipe(POPULATION_BASELINES), states_recipe(frozen)))
    path = take(at, POPULATION_BASELINES, key)
    if path is None:
        query = statement(POPULATION_BASELINES.name)
        if frozen != horizon:
            query = _reading_frozen(query)
            _register_frozen(at, frozen, rollups, _looked_at(query))
            register_visits(at, frozen, rollups, visits, name=FROZEN[CUSTOMER_VISITS.name])
        path = keep(at, POPULATION_BASELINES, at.engine.run(query, {"frozen_day": frozen.day}), key, {"frozen_day": frozen.day})
    batches: list[pa.RecordBatch] = pq.ParquetFile(path).read().to_batches()
    return batches


def _reading_frozen(query: exp.Query) -> exp.Query:
    renamed = query.copy()
    for table in renamed.find_all(exp.Table):
        if table.name in FROZEN:
            table.set("this", exp.to_identifier(FROZEN[table.name]))
    return renamed


def _looked_at(query: exp.Query) -> Table:
    """Return the states with those columns that `query` names."""
    names = {column.name for column in query.find_all(exp.Column)}
    columns = tuple(column for column in CUSTOMER_STATES.columns if column.name in names or column.name in CUSTOMER_STATES.key)
    return replace(CUSTOMER_STATES, name=FROZEN[CUSTOMER_STATES.name], columns=columns)


def _register_frozen(at: Desk, frozen: Horizon, rollups: RollupSet, table: Table) -> None:
    """Make everyone's state of the frozen day readable as `table`, computed from the rollups in slices that fit into memory."""
    register_archive(at, rollups, frozen.archived_before)
    rows = computed_in_slices(at, frozen, rollups, _states_statement(table))
    path = at.folder / table.name / f"{frozen.day}.parquet"
    at.lake.write_file(table.schema, rows, path, {})
    at.engine.register(table, [path])


def _states_statement(table: Table) -> exp.Query:
    """Return the columns of `table` of all customers' states computed anew, in no order, without what only others need."""
    query = statement(CUSTOMER_STATES.name).copy()
    query.set("expressions", [column for column in query.selects if column.alias_or_name in table.column_names])
    used = {column.table for selected in query.selects for column in selected.find_all(exp.Column)}
    # Each joins one row at most to a customer: without it there are as many.
    query.set("joins", [join for join in query.args["joins"] if join.alias_or_name in used])
    return query

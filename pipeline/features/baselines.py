"""What is usual among the store's customers: the share of discounted lines that most stay below, what it takes to score 5.

It is frozen on the first day of each month, so that within a month nobody changes segment because others changed.

Limits of scores need something to be frozen. In a shop that opened a month before, nobody has waited longer or ordered more often
than a month allows: a month later everybody would be "lost", or have ordered more than anybody then. So until the frozen day has
buyers enough and a quarter of orders behind it, limits are tonight's.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import date
from functools import cache

import pyarrow as pa
import pyarrow.parquet as pq
from sqlglot import exp

from pipeline.definitions.schemes.score_methods_sql import SCORE_LIMITS_STATEMENT, score_limits_statement
from pipeline.features.cache import CacheKey, CacheSession, cached, write_cache
from pipeline.features.frozen_states import KnownStates, register_frozen_states
from pipeline.features.rollup_set import FeatureWindow, RollupSet
from pipeline.features.state_sql import states_recipe, table_recipe
from pipeline.features.visits import known_visits, register_visits
from pipeline.lake.engines import Engine
from pipeline.lake.statements import short_digest, statement, statement_digest
from pipeline.lake.tables import CUSTOMER_STATES, CUSTOMER_VISITS, POPULATION_BASELINES, SCORE_LIMITS, Table

FEWEST_BUYERS = 5  # fewer do not fall into fifths
DAYS_OF_ORDERS = 90
FROZEN_NAMES = {CUSTOMER_STATES.name: "frozen_states", CUSTOMER_VISITS.name: "frozen_visits"}


def baseline_rows(session: CacheSession, tonight: KnownStates, rollups: RollupSet) -> Iterable[pa.RecordBatch]:
    """Return the row of baselines as of the frozen day of `tonight`, the first of the month, from the `rollups` known of it.

    Every night that knows the same rollups gets the same row. Tonight's states must be registered: the first night of a month
    computes the row from them, and a later one that finds no cache works out of them what they were on that first day.
    """
    window = tonight.window
    frozen = window.frozen
    visits = known_visits(session.lake, frozen)
    query = baselines_statement()
    recipe = [statement_digest(query), *table_recipe(POPULATION_BASELINES)]
    key = CacheKey(frozen.day, short_digest((rollups | visits).identity, recipe, states_recipe(frozen), session.survivors(frozen).digest))
    path = cached(session, POPULATION_BASELINES, key)
    if path is None:
        # On the first night of the month tonight's states are the frozen ones, and the statement reads them as they are.
        if frozen != window:
            query = _over_frozen_tables(query)
            # Only the columns that are read, so that what leads to the others is not computed.
            needed = CUSTOMER_STATES.only({*CUSTOMER_STATES.key, *(column.name for column in query.find_all(exp.Column))})
            register_frozen_states(session, tonight, rollups, replace(needed, name=FROZEN_NAMES[CUSTOMER_STATES.name]))
            register_visits(session, frozen, rollups, visits, name=FROZEN_NAMES[CUSTOMER_VISITS.name])
        path = write_cache(
            session, POPULATION_BASELINES, session.engine.run(query, {"frozen_day": frozen.day}), key, {"frozen_day": frozen.day}
        )
    row = pq.ParquetFile(path).read()
    if frozen != window and not _has_limits(row, frozen):
        row = _with_limits_of(row, session.engine.run(baselines_statement(), {"frozen_day": window.day}).read_all())
    batches: list[pa.RecordBatch] = row.to_batches()
    return batches


def buyers_statement() -> exp.Select:
    """Return from states what limits of scores are made of."""
    spend = exp.cast(exp.column("order_amount") - exp.column("refund_amount"), "decimal(18, 4)", dialect="duckdb")
    return exp.select("last_order_date", "order_day_count", exp.alias_(spend, "spend_amount")).from_(CUSTOMER_STATES.name)


@cache
def baselines_statement() -> exp.Query:
    """Return the statement of population_baselines, with that of the limits of scores in its place; it is not to be changed."""
    return _baselines_statement(buyers_statement())


def baselines_with_limits_among(row: pa.Table, engine: Engine, buyers: Table, day: date) -> pa.Table:
    """Return the row of baselines with the limits of scores that the registered `buyers` make on `day`."""
    query = exp.select("last_order_date", "order_day_count", "spend_amount").from_(buyers.name)
    return _with_limits_of(row, engine.run(_baselines_statement(query), {"frozen_day": day}).read_all())


def _baselines_statement(buyers: exp.Select) -> exp.Query:
    query = statement(POPULATION_BASELINES.name).copy()
    [place] = (table for table in query.find_all(exp.Table) if table.name == SCORE_LIMITS_STATEMENT)
    place.replace(exp.alias_(score_limits_statement(buyers).subquery(copy=False), place.alias, table=True))
    return query


def _has_limits(row: pa.Table, frozen: FeatureWindow) -> bool:
    """Whether the frozen day had buyers enough, and orders for long enough, to tell what is usual; somebody has to have spent, too."""
    [known] = row.to_pylist()
    first: date | None = known["first_order_date"]
    is_settled = first is not None and (frozen.day - first).days + 1 >= min(DAYS_OF_ORDERS, frozen.window_days)
    return is_settled and known["buyer_count"] >= FEWEST_BUYERS and known["value_3_limit_amount"] is not None


def _with_limits_of(row: pa.Table, other: pa.Table) -> pa.Table:
    """Return `row` with the limits of scores that `other` has."""
    for column in ("limits_day", *(limit.name for limit in SCORE_LIMITS)):
        place = row.schema.get_field_index(column)
        row = row.set_column(place, row.schema.field(place), other.column(column).cast(row.schema.field(place).type))
    return row


def _over_frozen_tables(query: exp.Query) -> exp.Query:
    """Return `query` over the frozen day's states and visits, which are registered beside tonight's under other names."""
    renamed = query.copy()
    for table in renamed.find_all(exp.Table):
        if table.name in FROZEN_NAMES:
            table.set("this", exp.to_identifier(FROZEN_NAMES[table.name]))
    return renamed

"""What movers did themselves since the night before, and their features without it."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

import pyarrow.compute as pc
import pyarrow.parquet as pq
from sqlglot import exp

from pipeline.features import EVENTS, Counterfactual, buyers_beside, event_tables, gather_rows, register_changes, write_counterfactual
from pipeline.lake.tables import CUSTOMER_FEATURES, Table
from pipeline.segmentation.moves.move_comparison import MoveComparison
from pipeline.segmentation.moves.moved_features import (
    DOERS,
    EVENT_FLAGS,
    NOW,
    OWN_EVENTS,
    WITHOUT_EVENTS,
    doers_statement,
    own_events_statement,
    without_events_statement,
)


def register_left_out(comparison: MoveComparison, table: Table, joined: Collection[str]) -> dict[int, str]:
    """Make readable what movers did themselves, and their features without it; `joined` are columns that are no features.

    Returns the names of tables of features by how many of the first ones of EVENTS they keep.
    """
    engine = comparison.engine
    register_changes(comparison.company, comparison.session, comparison.before, comparison.day)
    events = comparison.store_table(OWN_EVENTS, engine.run(own_events_statement(event_tables(comparison.company)), {}))
    done = pq.read_table(events)
    if not done.num_rows:
        engine.define(replace(table, name=WITHOUT_EVENTS), exp.select("*").from_(NOW))
        return {}
    everybody = replace(table, name=NOW)
    case = Counterfactual(
        comparison.company,
        comparison.session,
        comparison.before,
        comparison.day,
        customers=DOERS,
        everybody=everybody,
        is_single=done.num_rows == 1,
    )
    engine.define(DOERS, doers_statement())
    gather_rows(case)
    names = {0: _joined_name(comparison, write_counterfactual(case, EVENTS[0]), joined)}
    engine.define(replace(table, name=WITHOUT_EVENTS), without_events_statement(table, names[0]))
    # Whoever did one kind of thing did it or did not; of several kinds it must be told which one.
    engine.define(DOERS, doers_statement(of_several=True))
    several = engine.run(doers_statement(of_several=True), {}).read_all()
    kept = [place for place, flag in enumerate(EVENT_FLAGS[:-1], start=1) if pc.any(several[flag]).as_py()]
    return names | {place: _joined_name(comparison, write_counterfactual(case, EVENTS[place]), joined) for place in kept}


def _joined_name(comparison: MoveComparison, name: str, joined: Collection[str]) -> str:
    """Return the table of the features in table `name` with what rules look at beside them; who ranks with them stays the same."""
    if not joined:
        return name
    whole = replace(comparison.company.table(CUSTOMER_FEATURES), name=f"{name}_joined")
    comparison.joined_columns(comparison.day).define(whole, name, joined)
    buyers = exp.select("*").from_(buyers_beside(name))
    comparison.engine.define(replace(whole, name=buyers_beside(whole.name)), buyers)
    return whole.name

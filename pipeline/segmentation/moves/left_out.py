"""What movers did themselves since the night before, and their features without it."""

from __future__ import annotations

from dataclasses import replace

import pyarrow.compute as pc
import pyarrow.parquet as pq
from sqlglot import exp

from pipeline.features import EVENTS, Counterfactual, gather_rows, register_changes, write_counterfactual
from pipeline.lake.statements import statement
from pipeline.lake.tables import Table
from pipeline.segmentation.moves.move_comparison import MoveComparison
from pipeline.segmentation.moves.moved_features import (
    DOERS,
    EVENT_FLAGS,
    NOW,
    OWN_EVENTS,
    WITHOUT_EVENTS,
    doers_statement,
    without_events_statement,
)


def register_left_out(comparison: MoveComparison, table: Table) -> dict[int, str]:
    """Make readable what movers did themselves, and their features without it.

    Returns the names of tables of features by how many of the first ones of EVENTS they keep.
    """
    engine = comparison.engine
    register_changes(comparison.session, comparison.before, comparison.day)
    events = comparison.store_table(OWN_EVENTS, engine.run(statement(OWN_EVENTS.name), {}))
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
    names = {0: write_counterfactual(case, EVENTS[0])}
    engine.define(replace(table, name=WITHOUT_EVENTS), without_events_statement(table, names[0]))
    # Whoever did one kind of thing did it or did not; of several kinds it must be told which one.
    engine.define(DOERS, doers_statement(of_several=True))
    several = engine.run(doers_statement(of_several=True), {}).read_all()
    kept = [place for place, flag in enumerate(EVENT_FLAGS[:-1], start=1) if pc.any(several[flag]).as_py()]
    return names | {place: write_counterfactual(case, EVENTS[place]) for place in kept}

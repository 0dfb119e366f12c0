"""Who moved since the previous night, for every stored night.

A night is compared with the newest stored night before it. Once a night's memberships are written, its own moves and those of the
night after it are computed anew, so that the table says the same in whatever order nights came, and however often: a night that is
added between Monday and Wednesday takes over a part of Wednesday's moves.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from datetime import date

import pyarrow.parquet as pq
from sqlglot import exp

from pipeline.definitions.company import Company
from pipeline.definitions.history import company_on
from pipeline.definitions.schemes import decisions_statement
from pipeline.errors import DataError
from pipeline.lake import addresses
from pipeline.lake.engines import Engine
from pipeline.lake.lake import Lake
from pipeline.lake.statements import statement, statement_digest
from pipeline.lake.tables import (
    AUDIENCE_MEMBERS,
    AUDIENCE_MOVES,
    CUSTOMER_FEATURES,
    CUSTOMER_SEGMENTS,
    SEGMENT_MOVES,
    Table,
)
from pipeline.log_fields import Count
from pipeline.models.clusters import assignment_statement
from pipeline.models.refits.model_store import models_of_night
from pipeline.segmentation.history import reading_intervals, register_memberships
from pipeline.segmentation.intervals import register_changed_memberships
from pipeline.segmentation.joined_columns import joined_columns_in
from pipeline.segmentation.moves.audience_moves import (
    audience_decisions,
    remove_audience_moves,
    tells_of_audiences,
    write_moves_apart,
)
from pipeline.segmentation.moves.left_out import register_left_out
from pipeline.segmentation.moves.move_comparison import MoveComparison
from pipeline.segmentation.moves.moved_features import (
    BEFORE,
    COMPARED_MOVERS,
    MOVERS,
    NOW,
    PAIRS,
    compared_movers_statement,
    movers_statement,
    pair_columns,
    pairs_statement,
)
from pipeline.segmentation.moves.reasons import (
    SchemeChange,
    TriedDecision,
    changed_schemes,
    moved_statement,
    moves_statement,
    schemes_moved_statement,
)
from pipeline.segmentation.moves.scheme_changes import reason_of_limits, scheme_changes, schemes_with_clusters_of
from pipeline.segmentation.moves.trials import TRIED, compared_columns, table_looked_at, tried_statement
from pipeline.segmentation.night_schemes import audiences_of_night, schemes_of_night

log = logging.getLogger("pipeline.segmentation.moves")
MOVED = replace(SEGMENT_MOVES, name="moved", columns=tuple(column for column in SEGMENT_MOVES.columns if column.name != "reason"))


def write_moves(company: Company, lake: Lake, engine: Engine, day: date) -> None:
    """Write who moved on night `day`, and on the stored night after it, each with one reason.

    The first night of all has no moves. Raises DataError where the night before cannot be read. Where the night after cannot be,
    its moves are left as they are: it has to be run again anyway.
    """
    # Two neighbouring nights at once would each write the moves of the later one, from different nights before it.
    with lake.lock("history"):
        nights = lake.nights(CUSTOMER_SEGMENTS)
        _write_moves_of_night(company, lake, engine, day, nights)
        for later in [night for night in nights if night > day][:1]:
            try:
                _write_moves_of_night(company_on(lake, company, later), lake, engine, later, nights)
            except DataError as error:
                log.warning("%s of %s are not told anew: %s", SEGMENT_MOVES.name, later, error)


def _write_moves_of_night(company: Company, lake: Lake, engine: Engine, day: date, nights: Sequence[date]) -> None:
    before = max((night for night in nights if night < day), default=None)
    if before is None:
        remove_audience_moves(lake, day)
        for table in (SEGMENT_MOVES, AUDIENCE_MOVES) if lake.has(AUDIENCE_MEMBERS, day=day) else (SEGMENT_MOVES,):
            lake.write(table, [], day=day, manifest={"previous": None})
        return
    with lake.private_folder() as folder:
        schemes, audiences = schemes_of_night(company, lake, day).schemes, audiences_of_night(company, lake, day).schemes
        comparison = MoveComparison(company, lake, engine, before, day, folder, schemes, audiences)
        query = _prepare_moves(comparison)
        manifest = {"previous": before, "statement": statement_digest(statement(SEGMENT_MOVES.name))}
        if tells_of_audiences(comparison):
            count = write_moves_apart(comparison, query, manifest)
        else:
            count = lake.write(SEGMENT_MOVES, engine.run(query, {}), day=day, manifest=manifest)
            remove_audience_moves(lake, day)
    log.info("%(table)s: %(rows)s since %(before)s", {"table": SEGMENT_MOVES.name, "rows": Count(count), "before": before})


def _prepare_moves(comparison: MoveComparison) -> exp.Query:
    """Make readable what the statement of the night's moves reads, and return that statement.

    Those who moved are found first and stored, because they are few: everything after reads their features alone.
    """
    _register_memberships(comparison)
    comparison.engine.materialize(MOVED, moved_statement())
    changes = list(scheme_changes(comparison))
    names = _schemes_with_moves(comparison, changes)
    memberships = dict(_decision_statements(comparison, names, changed_schemes(changes)))
    features = comparison.company.table(CUSTOMER_FEATURES)
    plain = table_looked_at(features, memberships.values())
    joined = joined_columns_in(memberships.values(), features)
    _register_features(comparison, plain, BEFORE, comparison.before, joined)
    table = _register_features(comparison, plain, NOW, comparison.day, joined)
    comparison.engine.materialize(MOVERS, movers_statement(names))
    left_out = register_left_out(comparison, table, joined)
    limits_aged = (comparison.day - comparison.before).days if reason_of_limits(comparison) == "population_shift" else 0
    decisions = [
        TriedDecision.of(scheme_names, query, changes, table, are_limits_aged=limits_aged > 0)
        for scheme_names, query in memberships.items()
    ]
    tried_schemes = [name for each in decisions if not each.only_ages for name in each.names]
    compared = compared_movers_statement(compared_columns(table), tried_schemes)
    comparison.engine.materialize(COMPARED_MOVERS, compared)
    # Each scheme reads all trials, and each trial the pairs: they are worked out once.
    pairs = replace(table, name=PAIRS, columns=pair_columns(table))
    comparison.store_table(pairs, comparison.engine.run(pairs_statement(table), {}))
    tried = tried_statement(table, left_out, limits_aged=limits_aged)
    comparison.store_table(replace(table, name=TRIED), comparison.engine.run(tried, {}))
    return moves_statement(decisions, changes, table, left_out)


def _register_memberships(comparison: MoveComparison) -> None:
    """Make both nights' memberships readable, or only what ended and what began where the intervals tell that already."""
    lake, engine = comparison.lake, comparison.engine
    with reading_intervals(lake):
        if register_changed_memberships(lake, engine, comparison.before, comparison.day):
            return
    for name, night in (("memberships_before", comparison.before), ("memberships_now", comparison.day)):
        register_memberships(lake, engine, night, name=name)


def _schemes_with_moves(comparison: MoveComparison, changes: Sequence[SchemeChange]) -> set[str]:
    """Return the schemes in which somebody went from one segment to another, or to or from no segment while being there on both nights.

    Only a scheme that does not apply to everybody, or did not, lets those who stay go to or come from none. In all others whoever has
    no segment on one side is new or gone, which needs no rule to explain it.
    """
    rows = comparison.engine.run(schemes_moved_statement(), {}).read_all().to_pylist()
    within = {row["scheme"] for row in rows if row["is_within"]}
    partial = {scheme.name for scheme in (*comparison.schemes, *comparison.audiences) if scheme.applies_to is not None}
    # An audience that only one night has needs no rule to explain who is in it.
    partial -= {change.scheme for change in changes if not change.is_on_both}
    changed = {change.scheme for change in changes if change.is_on_both and change.reason != "erasure"}
    return within | ({row["scheme"] for row in rows} & (partial | changed))


def _register_features(comparison: MoveComparison, table: Table, name: str, night: date, joined: Collection[str]) -> Table:
    """Make a night's features readable with all columns that `table` has: one declared since is empty.

    The columns `joined` are added to them; returns the table with these.
    """
    address = addresses.partition(CUSTOMER_FEATURES, day=night)
    with comparison.lake.reading(CUSTOMER_FEATURES.name, address) as path:
        stored = pq.read_schema(path)
    types = dict(zip(stored.names, stored.types, strict=True))
    held = {column.name for column in table.columns if types.get(column.name) == column.kind.arrow}
    comparison.engine.register(replace(table, name=f"stored_{name}", columns=tuple(c for c in table.columns if c.name in held)), [address])
    columns = [
        exp.column(column.name, quoted=True)
        if column.name in held
        else exp.alias_(exp.cast(exp.null(), column.kind.sql, dialect="duckdb"), column.name, quoted=True)
        for column in table.columns
    ]
    if not joined:
        comparison.engine.define(replace(table, name=name), exp.select(*columns).from_(f"stored_{name}"))
        return table
    comparison.engine.define(replace(table, name=f"plain_{name}"), exp.select(*columns).from_(f"stored_{name}"))
    return replace(comparison.joined_columns(night).define(replace(table, name=name), f"plain_{name}", joined), name=table.name)


def _decision_statements(
    comparison: MoveComparison, names: set[str], changed: Collection[str]
) -> Iterator[tuple[tuple[str, ...], exp.Query]]:
    """Yield the names of these schemes, or of audiences that are decided together, with tonight's statement of what they say."""
    by_name = schemes_with_clusters_of(comparison, comparison.day)
    yield from (((name,), decisions_statement(scheme, by_name)) for name, scheme in by_name.items() if name in names)
    models = models_of_night(comparison.lake, comparison.company, comparison.day, names)
    yield from (((scheme.name,), assignment_statement(scheme, model)) for scheme, model in models)
    yield from audience_decisions(comparison, names, changed, moved=MOVED.name)

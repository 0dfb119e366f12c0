"""Who moved since the previous night, for every stored night.

A night is compared with the newest stored night before it. Once a night's memberships are written, its own moves and those of the
night after it are computed anew, so that the table says the same in whatever order nights came, and however often: a night that is
added between Monday and Wednesday takes over a part of Wednesday's moves.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow.compute as pc
import pyarrow.parquet as pq
from sqlglot import exp

from pipeline.definitions.company import Company
from pipeline.definitions.history import company_on
from pipeline.definitions.schemes import Scheme, decisions_statement, quantiles_of, scheme_digest
from pipeline.errors import DataError
from pipeline.features import DECLARED
from pipeline.lake.engines import Engine
from pipeline.lake.lake import Lake, reading
from pipeline.lake.statements import statement, statement_digest
from pipeline.lake.tables import (
    AUDIENCE_MEMBERS,
    AUDIENCE_MOVES,
    CUSTOMER_FEATURES,
    CUSTOMER_SEGMENTS,
    POPULATION_BASELINES,
    SEGMENT_MOVES,
    Table,
)
from pipeline.models.clusters import assignment_statement
from pipeline.models.refits.model_store import models_of_night, with_clusters_of
from pipeline.segmentation.history import register_memberships
from pipeline.segmentation.joined_columns import joined_columns_in
from pipeline.segmentation.moves.audience_moves import (
    audience_decisions,
    audience_facts,
    expired_audiences,
    refitted_audiences,
    remove_audience_moves,
    tells_of_audiences,
    write_moves_apart,
)
from pipeline.segmentation.moves.left_out import register_left_out
from pipeline.segmentation.moves.move_comparison import MoveComparison
from pipeline.segmentation.moves.moved_features import BEFORE, MOVERS, NOW, PAIRS, movers_statement, pair_columns, pairs_statement
from pipeline.segmentation.moves.reasons import (
    TRIED,
    SchemeChange,
    moved_statement,
    moves_statement,
    table_looked_at,
    tried_statement,
)
from pipeline.segmentation.night_schemes import audiences_of_night, schemes_of_night

log = logging.getLogger("pipeline.segmentation.moves")
# A company that counts otherwise than yesterday, such as over another window, moves customers who did nothing.
COUNTING_SETTINGS = ("states", "time_zone", "currency", "window_days", "counts_as_order")
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
    log.info("%s: %s since %s", SEGMENT_MOVES.name, f"{count:,}", before)


def _prepare_moves(comparison: MoveComparison) -> exp.Query:
    """Make readable what the statement of the night's moves reads, and return that statement.

    Those who moved are found first and stored, because they are few: everything after reads their features alone.
    """
    for name, night in (("memberships_before", comparison.before), ("memberships_now", comparison.day)):
        register_memberships(comparison.lake, comparison.engine, night, name=name)
    moved = comparison.store_table(MOVED, comparison.engine.run(moved_statement(), {}))
    changes = list(_scheme_changes(comparison))
    names = _schemes_with_moves(comparison, moved, changes)
    memberships = dict(_decision_statements(comparison, names))
    features = comparison.company.table(CUSTOMER_FEATURES)
    plain = table_looked_at(features, memberships.values())
    joined = joined_columns_in(memberships.values(), features)
    _register_features(comparison, plain, BEFORE, comparison.before, joined)
    table = _register_features(comparison, plain, NOW, comparison.day, joined)
    comparison.store_table(MOVERS, comparison.engine.run(movers_statement(names), {}))
    left_out = register_left_out(comparison, table, joined)
    # Each scheme reads all trials, and each trial the pairs: they are worked out once.
    pairs = replace(table, name=PAIRS, columns=pair_columns(table))
    comparison.store_table(pairs, comparison.engine.run(pairs_statement(table), {}))
    limits_aged = (comparison.day - comparison.before).days if _reason_of_limits(comparison) == "population_shift" else 0
    tried = tried_statement(table, left_out, limits_aged=limits_aged)
    comparison.store_table(replace(table, name=TRIED), comparison.engine.run(tried, {}))
    return moves_statement(memberships, changes, table, left_out)


def _schemes_with_moves(comparison: MoveComparison, moved: Path, changes: Sequence[SchemeChange]) -> set[str]:
    """Return the schemes in which somebody went from one segment to another, or to or from no segment while being there on both nights.

    Only a scheme that does not apply to everybody, or did not, lets those who stay go to or come from none. In all others whoever has
    no segment on one side is new or gone, which needs no rule to explain it.
    """
    rows = pq.read_table(moved, columns=["scheme", "from_segment", "to_segment"])
    within = rows.filter(pc.and_(rows["from_segment"].is_valid(), rows["to_segment"].is_valid()))
    partial = {scheme.name for scheme in (*comparison.schemes, *comparison.audiences) if scheme.applies_to is not None}
    # An audience that only one night has needs no rule to explain who is in it.
    partial -= {change.scheme for change in changes if not change.is_on_both}
    changed = {change.scheme for change in changes if change.is_on_both and change.reason != "erasure"}
    entered = set(rows["scheme"].unique().to_pylist()) & (partial | changed)
    return set(within["scheme"].unique().to_pylist()) | entered


def _register_features(comparison: MoveComparison, table: Table, name: str, night: date, joined: Collection[str]) -> Table:
    """Make a night's features readable with all columns that `table` has: one declared since is empty.

    The columns `joined` are added to them; returns the table with these.
    """
    path = comparison.lake.path(CUSTOMER_FEATURES, day=night)
    with reading(CUSTOMER_FEATURES.name, path):
        stored = pq.read_schema(path)
    held = {column.name for column in table.columns if column.name in stored.names and stored.field(column.name).type == column.kind.arrow}
    comparison.engine.register(replace(table, name=f"stored_{name}", columns=tuple(c for c in table.columns if c.name in held)), [path])
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


def _decision_statements(comparison: MoveComparison, names: set[str]) -> Iterator[tuple[tuple[str, ...], exp.Query]]:
    """Yield the names of these schemes, or of audiences that are decided together, with tonight's statement of what they say."""
    by_name = _schemes_with_clusters_of(comparison, comparison.day)
    yield from (((name,), decisions_statement(scheme, by_name)) for name, scheme in by_name.items() if name in names)
    models = models_of_night(comparison.lake, comparison.company, comparison.day, names)
    yield from (((scheme.name,), assignment_statement(scheme, model)) for scheme, model in models)
    yield from audience_decisions(comparison, names, moved=MOVED.name)


def _schemes_with_clusters_of(comparison: MoveComparison, night: date) -> Mapping[str, Scheme]:
    """Return tonight's schemes by name, with the clusters that they look at as the models of `night` assign them."""
    return {scheme.name: scheme for scheme in with_clusters_of(comparison.lake, comparison.company, night, comparison.schemes)}


def _scheme_changes(comparison: MoveComparison) -> Iterator[SchemeChange]:
    """Tell what became of each scheme that either night has."""
    before, now = _facts_of_nights(comparison)
    digests = before.get("schemes", {}), now.get("schemes", {})
    refitted = {*before.get("models", {}), *now.get("models", {}), *_refitted_schemes(comparison, digests[0])}
    refitted |= {*refitted_audiences(comparison, refitted, *digests)}
    expired = expired_audiences(comparison)
    features_before, features_now = (_manifest_of(comparison, CUSTOMER_FEATURES, night) for night in (comparison.before, comparison.day))
    is_resettled = any(features_before.get(name) != features_now.get(name) for name in COUNTING_SETTINGS)
    declared_before, declared_now = (facts.get(DECLARED, {}) for facts in (features_before, features_now))
    redeclared = _schemes_of_features(comparison, {name for name, digest in declared_now.items() if declared_before.get(name) != digest})
    is_new_month = comparison.is_new_month
    by_name = {scheme.name: scheme for scheme in (*comparison.schemes, *comparison.audiences)}
    monthly = {name for name, scheme in by_name.items() if quantiles_of(by_name[each] for each in (name, *scheme.references))}
    limits = _reason_of_limits(comparison)
    for name in sorted(set(digests[0]) | set(digests[1])):
        is_on_both = name in digests[0] and name in digests[1]
        is_same = is_on_both and digests[0][name] == digests[1][name]
        rules = "model_refit" if name in refitted and is_on_both else _rules_reason(name, before, now)
        rules = "expiry" if name in expired else rules
        # What a month sets anew stands in the rules as numbers.
        if (
            name in monthly
            and is_new_month
            and is_on_both
            and rules == "rule_change"
            and before.get("definitions") == now.get("definitions")
        ):
            rules = "threshold_refreeze"
        # The same rules say something else of the night before only if its features hold fewer customers now than they did then:
        # somebody was erased, which moves others where ranks or cut points depend on everybody.
        is_counted_otherwise = is_resettled or name in redeclared
        yield SchemeChange(name, is_on_both, "erasure" if is_same else rules, is_counted_otherwise, is_new_month, limits)


def _schemes_of_features(comparison: MoveComparison, features: set[str]) -> set[str]:
    """Return the names of tonight's schemes and audiences that look at one of the features, themselves or through another scheme."""
    if not features:  # on nearly every night: then no statement is built
        return set()
    by_name = _schemes_with_clusters_of(comparison, comparison.day)
    trees = {name: decisions_statement(scheme, by_name) for name, scheme in by_name.items()}
    found = {name for name, tree in trees.items() if any(column.name in features for column in tree.find_all(exp.Column))}
    audiences = comparison.audiences
    return found | {each.name for each in audiences if features.intersection(each.declared) or found.intersection(each.references)}


def _facts_of_nights(comparison: MoveComparison) -> list[dict[str, Any]]:
    """Return what the footers of the memberships of both nights say, audiences among the schemes."""
    facts = [_manifest_of(comparison, CUSTOMER_SEGMENTS, night) for night in (comparison.before, comparison.day)]
    return [
        {
            **of_schemes,
            "schemes": {**of_schemes.get("schemes", {}), **of_audiences.get("audiences", {})},
            "not_computed": {**of_schemes.get("not_computed", {}), **of_audiences.get("not_computed", {})},
        }
        for of_schemes, of_audiences in zip(facts, audience_facts(comparison), strict=True)
    ]


def _reason_of_limits(comparison: MoveComparison) -> str:
    """Tell why limits may be others than the night before: a new month; not frozen yet; or somebody was erased who had made them."""
    if comparison.is_new_month:
        return "threshold_refreeze"
    [row] = comparison.lake.read(POPULATION_BASELINES, day=comparison.day).to_pylist()
    return "population_shift" if row["limits_day"] == comparison.day else "erasure"


def _rules_reason(name: str, before: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    """Tell a scheme that people changed from one that is computed otherwise as the source began, or ceased, to give a column."""
    lacking = [
        {each: needs for each, needs in facts.get("not_computed", {}).items() if each.partition(".")[0] == name} for facts in (before, now)
    ]
    is_source = before.get("definitions") == now.get("definitions") and lacking[0] != lacking[1]
    return "source_change" if is_source else "rule_change"


def _refitted_schemes(comparison: MoveComparison, before: Mapping[str, str]) -> Iterator[str]:
    """Yield the schemes that look at clusters and whose own rules did not change.

    With the clusters as the night before assigned them, these have the statement that they had then.
    """
    by_name = _schemes_with_clusters_of(comparison, comparison.before)
    with_clusters = (scheme for scheme in by_name.values() if scheme.clusters)
    yield from (scheme.name for scheme in with_clusters if before.get(scheme.name) == scheme_digest(scheme, by_name))


def _manifest_of(comparison: MoveComparison, table: Table, night: date) -> dict[str, Any]:
    return comparison.lake.manifest(comparison.lake.path(table, day=night))

"""Rollups and features of a night, computed by an engine from the lake into the lake."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

import pyarrow as pa
from sqlglot import exp

from pipeline.calendar import days_window
from pipeline.definitions.company import Company
from pipeline.definitions.company_sections import CountsAsOrder
from pipeline.definitions.features import feature_digests
from pipeline.definitions.schemes.score_methods import COMBINED_OF, COMBINED_SCORE, FROZEN, ScoreMethods, company_score_methods
from pipeline.definitions.schemes.score_methods_sql import with_scores
from pipeline.features.baselines import baseline_rows, baselines_statement
from pipeline.features.cache import CacheSession, cache_session
from pipeline.features.customer_states import known_rollups, register_states, rhythm_rows
from pipeline.features.declared import (
    aggregates_by_source,
    known_events,
    register_aggregates,
    unknown_declared_features,
    with_declared_columns,
)
from pipeline.features.frozen_states import KnownStates
from pipeline.features.known_columns import (
    DECLARED,
    FROZEN_LINES,
    KNOWN_LINES,
    UNKNOWN_DECLARED,
    absent_sources,
    features_without_columns,
    frozen_lines,
    known_lines,
    lacks_orders,
    reads_orders,
)
from pipeline.features.rollup_set import ROLLUPS, FeatureWindow, RollupSet, frozen_night
from pipeline.features.state_sql import states_recipe
from pipeline.features.united_rows import register_survivors, rows_not_merged, table_by_source_id
from pipeline.features.visits import known_visits, register_visits
from pipeline.lake import addresses
from pipeline.lake.engines import Engine, Parameter
from pipeline.lake.lake import Lake, StoredVersion, Version, known_versions
from pipeline.lake.statements import short_digest, statement, statement_digest, with_attributes
from pipeline.lake.tables import (
    CUSTOMER_DAYS,
    CUSTOMER_FEATURES,
    CUSTOMERS,
    ORDER_LINES,
    ORDERS_SOURCE,
    POPULATION_BASELINES,
    POPULATION_RHYTHM,
    Table,
)
from pipeline.log_fields import Count

log = logging.getLogger("pipeline.features.features")


def compute_rollups(lake: Lake, engine: Engine, day: date, *, known_on: date | None = None, counts_as_order: CountsAsOrder = "all") -> None:
    """Write the rollups of every event day that this night learned of.

    `known_on` is the night whose knowledge counts, by default `day` itself. A restatement adds only rollups that are missing or
    made of other lines, so that it does not redo what night `known_on` did. What may lie in a damaged file of another night is
    left for that night to mend. Days that were rolled up by another statement, or another setting of what `counts_as_order`, are
    rolled up again.
    """
    learned = known_on or day
    lines = lake.stored_versions(ORDER_LINES)
    frozen_day, frozen_known = frozen_night(day, learned)
    # Baselines are frozen on the month's first night. That night may never have run, so its event days are rolled up as well.
    visible = dict.fromkeys(
        version
        for through, by in ((day, learned), (frozen_day, frozen_known))
        for version in known_versions(lines, through=through, known_on=by)
    )
    for table in ROLLUPS:
        query = statement(table.name)
        made_by = short_digest(statement_digest(query), counts_as_order)
        night = RollingNight(learned, made_by, is_restatement=learned != day)
        todo = list(_versions_to_roll_up(lake, table, [lines[version] for version in visible], night))
        engine.register(ORDER_LINES, lake.parts(ORDER_LINES, todo))
        facts = {version: {"statement": made_by, "lines": lines[version].digest} for version in todo}
        counts = lake.write_event_days(table, engine.run(query, {"free_orders": int(counts_as_order == "all")}), facts)
        fields = {"table": table.name, "rows": Count(sum(counts.values())), "event_days": Count(len(todo))}
        log.info("%(table)s: %(rows)s rows in %(event_days)s event days", fields)


@dataclass(frozen=True, slots=True)
class RollingNight:
    """The night that rolls up, by a statement and settings that `made_by` digests."""

    known_on: date
    made_by: str
    is_restatement: bool

    def is_done(self, lines: StoredVersion, rollup: StoredVersion) -> bool:
        """Return whether the `rollup` of these lines may stay: the night always makes its own anew, unless it restates another."""
        is_own = lines.version.known_on == self.known_on
        is_same = rollup.facts["lines"] == lines.digest
        return rollup.facts["statement"] == self.made_by and (not is_own or (self.is_restatement and is_same))


def _versions_to_roll_up(lake: Lake, table: Table, visible: Sequence[StoredVersion], night: RollingNight) -> Iterator[Version]:
    """Yield the versions of lines that have no rollup, or not one as the night makes it."""
    # Only tonight's own files are verified to the last byte: a damaged file of another night is for that night to write again.
    own = {lake.month_file(table, lines.version) for lines in visible if lines.version.known_on == night.known_on}
    rollups = lake.event_days(table, verified=own)
    for lines in visible:
        version, done = lines.version, rollups.versions.get(lines.version)
        if done is None:
            if version.known_on == night.known_on or not rollups.may_hold(version):
                yield version
        elif not night.is_done(lines, done):
            yield version


def compute_features(company: Company, lake: Lake, engine: Engine, day: date, *, known_on: date | None = None) -> None:
    """Write the population's rhythm and baselines, and the features of every customer as of the end of `day`.

    `known_on` is the night whose knowledge counts; a later one than `day` writes a restatement. Rhythm and baselines are those of
    the month's first day, so that nobody changes segment in mid-month because others did.
    """
    window = FeatureWindow(day, known_on or day, company.window_days)
    with cache_session(lake, engine, company.zone) as session:
        rollups, frozen = known_rollups(lake, window), known_rollups(lake, window.frozen)
        if not reads_orders(lake, window.known_on):
            # Those that a later night has read: this one computes the same as before there were any.
            rollups = frozen = RollupSet(())
        rhythm, baselines = POPULATION_RHYTHM, POPULATION_BASELINES
        manifest = {"statement": statement_digest(statement(rhythm.name)), "inputs": lake.digest([], frozen.contents)}
        lake.write(rhythm, rhythm_rows(session, window.frozen, frozen), day=day, known_on=window.known_on, manifest=manifest)
        register_states(session, window, rollups)
        visits = known_visits(lake, window)
        register_visits(session, window, rollups, visits)
        events = known_events(company, lake, window)
        for wanted in aggregates_by_source(company):
            register_aggregates(session, window, wanted, events)
        # After the states, from which the baselines are computed.
        manifest |= {"statement": statement_digest(baselines_statement()), "states": states_recipe(window.frozen)}
        usual = list(baseline_rows(session, KnownStates(window, rollups), frozen))
        lake.write(baselines, usual, day=day, known_on=window.known_on, manifest=manifest)
        [row] = pa.Table.from_batches(usual).to_pylist()
        _write_features(company, session, window, rollups | visits | events, row)


def features_statement(company: Company, unknown: Mapping[str, str]) -> exp.Query:
    """Return the statement of CUSTOMER_FEATURES with scores by the methods that schemes name, attributes and declared features.

    Declared features that are `unknown`, as the source does not give what they count, are empty. Where no order lines are read, counts of
    orders are 0, and whatever looks at one is not computed.
    """
    query = _with_score_methods(statement(CUSTOMER_FEATURES.name), company_score_methods(company.definitions("segments", ".toml")))
    table = replace(company, features=()).table(CUSTOMER_FEATURES)
    query = with_attributes(query, CUSTOMER_FEATURES, table)
    if lacks_orders(unknown):
        query = _with_listed_prospects(query, table)
    return with_declared_columns(query, company, company.table(CUSTOMER_FEATURES), unknown)


def _with_listed_prospects(query: exp.Query, table: Table) -> exp.Query:
    """Return `query` with those as prospects who are listed as such: without order lines nobody knows who ever ordered."""
    columns: list[exp.Expr] = [exp.column(name, "features", quoted=True) for name in table.column_names if name != "is_prospect"]
    columns.insert(table.column_names.index("is_prospect"), exp.alias_(exp.column("is_prospect", "customers"), "is_prospect"))
    on = exp.column("customer_id", "customers").eq(exp.column("customer_id", "features"))
    joined = exp.select(*columns).from_(query.subquery("features"), copy=False).join("customers", on=on)
    return joined.order_by(exp.column("customer_id", "features"), copy=False)


def _with_score_methods(query: exp.Query, methods: ScoreMethods) -> exp.Query:
    others = [score for score, method in methods.items() if method != FROZEN]
    if not others:
        return query
    names = [*others, *([COMBINED_SCORE] if {*COMBINED_OF}.intersection(others) else [])]
    scored = with_scores(exp.to_table("computed"), names, methods, everybody="computed")
    columns = [exp.column(name) for name in CUSTOMER_FEATURES.column_names]
    return exp.select(*columns).from_(scored, copy=False).with_("computed", as_=query)


def feature_parameters(company: Company, window: FeatureWindow, known: Mapping[str, int]) -> Mapping[str, Parameter]:
    """Return the parameters of that statement as of the window's day; `known` are the lines that say something, by optional column."""
    ends = {"day_end": window.day, "frozen_day_end": window.frozen.day}
    given: dict[str, Parameter] = {"day": window.day}
    given |= {name: days_window(day, day, company.zone).end for name, day in ends.items()}
    given |= {"is_discount_known": int(known["discount_amount"] > 0), "is_category_known": int(known["category"] > 0)}
    return given


def register_frozen(session: CacheSession, window: FeatureWindow) -> list[str]:
    """Make the night's rhythm and baselines readable, and return where they are."""
    tables = (POPULATION_RHYTHM, POPULATION_BASELINES)
    places = [addresses.partition(table, day=window.day, known_on=window.known_on) for table in tables]
    for table, place in zip(tables, places, strict=True):
        session.engine.register(table, [place])
    return places


def register_customers(company: Company, session: CacheSession, window: FeatureWindow) -> list[str]:
    """Make the customers that the night goes by readable, without those who are somebody else; return where they are, if anywhere."""
    snapshot = session.lake.snapshot_known(CUSTOMERS, window.known_on)
    places = [] if snapshot is None else [addresses.partition(CUSTOMERS, known_on=snapshot)]
    table, survivors = company.table(CUSTOMERS), session.survivors(window)
    session.engine.register(table_by_source_id(table) if survivors else table, places)
    if survivors:
        register_survivors(session, survivors)
        session.engine.define(table, rows_not_merged(table))
    return places


def _write_features(
    company: Company, session: CacheSession, window: FeatureWindow, event_days: RollupSet, baselines: Mapping[str, Any]
) -> None:
    known = known_lines(session)
    absent = absent_sources(session.lake, window.known_on, event_days)
    if ORDERS_SOURCE in absent:
        known |= {ORDERS_SOURCE: 0}
    inputs = [*register_frozen(session, window), *register_customers(company, session, window)]
    frozen = frozen_lines(baselines)
    unknown = unknown_declared_features(company, session.engine, absent) if company.features else {}
    query = features_statement(company, {**features_without_columns(known, frozen), **unknown})
    manifest = {
        "statement": statement_digest(query),
        "states": states_recipe(window),
        "inputs": session.lake.digest(inputs, event_days.contents),
        "merges": session.survivors(window).digest,
        "time_zone": company.zone.key,
        "currency": company.currency,
        "window_days": company.window_days,
        "counts_as_order": company.counts_as_order,
        KNOWN_LINES: known,
        FROZEN_LINES: frozen,
    }
    if company.features:
        manifest |= {UNKNOWN_DECLARED: unknown, DECLARED: feature_digests(company.features)}
    table = company.table(CUSTOMER_FEATURES)
    rows = session.engine.run(query, feature_parameters(company, window, known))
    count = session.lake.write(table, rows, day=window.day, known_on=window.known_on, manifest=manifest)
    fields = {"table": table.name, "rows": Count(count), "event_days": Count(len(event_days.of_table(CUSTOMER_DAYS)))}
    log.info("%(table)s: %(rows)s customers from %(event_days)s event days", fields)

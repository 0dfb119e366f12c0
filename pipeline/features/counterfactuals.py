"""Features that customers would have tonight, had they done less since an earlier night.

Who asks what a purchase changed needs the customer without it: a day older, and without what left the window, but without the order
too. The rollups of these customers are put together without what is left out, and go through the statements of every night. So a
counterfactual figure is defined as the figure itself is, and a new figure needs nothing here.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date

import pyarrow as pa
import pyarrow.compute as pc
from sqlglot import exp

from pipeline.definitions.company import Company
from pipeline.features.baselines import baselines_with_limits_among, buyers_statement
from pipeline.features.cache import CacheSession
from pipeline.features.customer_archives import register_archive
from pipeline.features.customer_states import known_rollups
from pipeline.features.declared import aggregates_by_source, aggregates_statement, first_days
from pipeline.features.features import feature_parameters, features_statement, register_customers, register_frozen
from pipeline.features.known_columns import stored_known_lines, unknown_features
from pipeline.features.merges import Survivors
from pipeline.features.rollup_set import FeatureWindow, RollupSet
from pipeline.features.state_sql import all_states_statement
from pipeline.features.united_rows import register_ids, register_survivors, table_by_source_id, unite
from pipeline.features.visits import first_visit_day
from pipeline.lake.engines import Parameter
from pipeline.lake.expressions import union_all
from pipeline.lake.lake import Version
from pipeline.lake.statements import statement
from pipeline.lake.tables import (
    CUSTOMER_ARCHIVES,
    CUSTOMER_DAY_CATEGORIES,
    CUSTOMER_DAYS,
    CUSTOMER_FEATURES,
    CUSTOMER_STATES,
    CUSTOMER_VISITS,
    CUSTOMERS,
    MERGED_CUSTOMERS,
    ORDER_LINES,
    POPULATION_BASELINES,
    REGROUPED_CUSTOMERS,
    VISITS,
    Table,
)

# What customers do, in the order in which it is added up: a counterfactual leaves out one of these and all after it.
EVENTS = ("identity_merge", "own_event", "late_data", "refund", "own_purchase")
EVENT_TABLES = (CUSTOMER_DAYS, CUSTOMER_DAY_CATEGORIES, VISITS)
REFUND_COLUMNS = ("customer_id", "order_day", "refund_amount", "event_day", "known_on")
# Parts of what two nights know: alike on both; as the earlier one knew it; as the later one does; of event days since.
SAME, BEFORE, NOW, NEW = "same", "before", "now", "new"
RANKED = ("value_rank_share", "spend_rank_share")
_KEY, _SPEND, _RANKS = (
    [each for each in CUSTOMER_FEATURES.columns if each.name in names] for names in (("customer_id",), ("spend_amount",), RANKED)
)
SPENDS = replace(CUSTOMER_FEATURES, name="counterfactual_spends", columns=(*_KEY, *_SPEND))
SOURCE_IDS = replace(CUSTOMER_FEATURES, name="source_ids", columns=tuple(_KEY))
_BUYING = ("customer_id", "last_order_date", "order_day_count", "spend_amount")
BUYERS = replace(SPENDS, name="counterfactual_buyers", columns=tuple(each for each in CUSTOMER_FEATURES.columns if each.name in _BUYING))
EVERYBODY = replace(SPENDS, name="everybody")
RANKS = replace(CUSTOMER_FEATURES, name="counterfactual_ranks", columns=(*_KEY, *_RANKS))


@dataclass(frozen=True, slots=True)
class Counterfactual:
    """Some customers on night `day`, to be seen without a part of what they did since night `before`.

    `customers` is the registered table of who they are, `everybody` that of all customers' features tonight, among whom they rank.
    `is_single`: there is one customer only.
    """

    company: Company
    session: CacheSession
    before: date
    day: date
    customers: Table
    everybody: Table
    is_single: bool

    @property
    def window(self) -> FeatureWindow:
        return FeatureWindow(self.day, self.day, self.company.window_days)

    @property
    def archived_before(self) -> date:
        """The first of a month; no window reads an earlier day, and no event day since lies before it."""
        return min(self.window.window_first_day, first_visit_day(self.window), self.before).replace(day=1)

    @property
    def survivors(self) -> Survivors:
        return self.session.merges.survivors(self.day, self.day)

    @property
    def survivors_before(self) -> Survivors:
        return self.session.merges.survivors(self.before, self.before)

    def rollups(self, *, knows_late: bool) -> RollupSet:
        """Return the rollups up to the night before, as known then or as known now."""
        known = self.day if knows_late else self.before
        return known_rollups(self.session.lake, FeatureWindow(self.before, known, self.company.window_days))


def part_name(table: Table, part: str) -> str:
    """Name the table of a part of what two nights know."""
    return f"{table.name}_{part}"


def event_tables(company: Company) -> tuple[Table, ...]:
    """Return the tables in which a customer's doings are looked for: rollups, visits, and what declared features add up."""
    added_up = {table.name: table for wanted in aggregates_by_source(company) for table in wanted.stored}
    return (*EVENT_TABLES, *(table for table in added_up.values() if table not in EVENT_TABLES))


def register_changes(company: Company, session: CacheSession, before: date, day: date) -> None:
    """Make readable what night `day` learned since `before`.

    That is event days since, and earlier ones that are known otherwise, both ways; and who is whose now, and who was not.
    """
    survivors, survivors_before = (session.merges.survivors(night, night) for night in (day, before))
    register_survivors(session, survivors)
    register_ids(session, REGROUPED_CUSTOMERS, survivors.changed_since(survivors_before))
    register_ids(session, MERGED_CUSTOMERS, survivors.merged_since(survivors_before))
    for table in event_tables(company):
        for part, versions in _versions_by_part(session, table, before, day).items():
            if part != SAME:
                session.engine.register(replace(table, name=part_name(table, part)), session.lake.parts(table, versions))


def _versions_by_part(session: CacheSession, table: Table, before: date, day: date) -> Mapping[str, Sequence[Version]]:
    known, now = (set(session.lake.versions_known(table, through=night, known_on=night)) for night in (before, day))
    new = {version for version in now if version.day > before}
    parts = {SAME: known & now, BEFORE: known - now, NOW: now - known - new, NEW: new}
    return {part: sorted(versions) for part, versions in parts.items()}


def gather_rows(case: Counterfactual) -> None:
    """Store those rows of the customers that are alike on both nights; `register_changes` registered what changed."""
    engine = case.session.engine
    ids = engine.run(exp.select("customer_id").from_(case.customers.name), {}).read_all()["customer_id"].combine_chunks()
    all_ids = pc.unique(pa.concat_arrays([ids, *(each.ids_merged_into(ids) for each in (case.survivors_before, case.survivors))]))
    _store_rows(case, SOURCE_IDS, pa.table([all_ids], SOURCE_IDS.schema).sort_by("customer_id").to_batches())
    firsts = first_days(case.company, case.day)
    for table in event_tables(case.company):
        versions = _versions_by_part(case.session, table, case.before, case.day)[SAME]
        read = replace(table, name=part_name(table, "read"))
        first = min(firsts.get(table.name, date.max), case.archived_before if table in EVENT_TABLES else date.max)
        recent = [version for version in versions if version.day >= first]
        engine.register(read, case.session.lake.parts(table, recent))
        _store(case, replace(table, name=part_name(table, SAME)), _rows_of(read, SOURCE_IDS))
    people = case.company.table(CUSTOMERS)
    register_customers(case.company, case.session, case.window)
    _store(case, replace(people, name=part_name(people, SAME)), _rows_of(people, case.customers))


def write_counterfactual(case: Counterfactual, left_out: str) -> str:
    """Write and register the features of the customers without event `left_out` and all after it in EVENTS; return the table's name."""
    engine, known = case.session.engine, EVENTS[: EVENTS.index(left_out)]
    survivors = case.survivors if "identity_merge" in known else case.survivors_before
    register_archive(case.session, case.rollups(knows_late="late_data" in known), case.archived_before, survivors)
    _store(case, CUSTOMER_ARCHIVES, _rows_of(CUSTOMER_ARCHIVES, case.customers))
    for table in event_tables(case.company):
        engine.define(table_by_source_id(table), union_all(_known_rows(table, known)))
        unite(case.session, table, survivors)
        _store(case, table, _rows_of(table, case.customers))
    _store(case, CUSTOMER_STATES, all_states_statement(), **{**case.window.parameters, "archived_before": case.archived_before})
    for wanted in aggregates_by_source(case.company):
        _store(case, wanted.table, aggregates_statement(wanted, case.day))
    _store(case, CUSTOMER_VISITS, statement(CUSTOMER_VISITS.name), visits_first_day=first_visit_day(case.window), day=case.day)
    register_frozen(case.session, case.window)
    _register_tonights_limits(case)
    people = case.company.table(CUSTOMERS)
    engine.define(people, _rows_of(replace(people, name=part_name(people, SAME)), case.customers))
    ranked_together = replace(case.company.table(CUSTOMER_FEATURES), name="counterfactual_features")
    # Whether anybody's line has a discount or a category is tonight's knowledge, which no event of these few takes back.
    lines = stored_known_lines(case.session.lake, case.day)
    query = features_statement(case.company, unknown_features(case.session.lake, case.day))
    _store(case, ranked_together, query, **feature_parameters(case.company, case.window, lines))
    name = _rank_alone(case, ranked_together, f"features_without_{left_out}")
    own = exp.select(*BUYERS.column_names).from_(name)
    # By the table's own ids: `customers` may be defined anew, as fewer, before this is read.
    engine.define(replace(BUYERS, name=buyers_beside(name)), _everybody_but(case, replace(BUYERS, name=name), own))
    return name


def buyers_beside(name: str) -> str:
    """Name the table of everybody among whom the customers in table `name` of features rank, they themselves as they are there."""
    return f"buyers_beside_{name}"


def _everybody_but(case: Counterfactual, customers: Table, own: exp.Select) -> exp.Query:
    """Return those who make ranks: a single customer as in `own`, the rows of `customers`, all others as they are tonight.

    Several customers count as they are tonight: each is to be seen without the own act alone, and not without those of the others.
    """
    everybody = exp.select(*BUYERS.column_names).from_(case.everybody.name)
    return union_all([everybody.where(exp.not_(_is_one_of(customers))), own]) if case.is_single else everybody


def _register_tonights_limits(case: Counterfactual) -> None:
    """Register limits that the customers make as they would be, where limits are tonight's and not frozen before."""
    row = case.session.lake.read(POPULATION_BASELINES, day=case.day)
    if case.is_single and row["limits_day"].to_pylist() == [case.day]:
        own = buyers_statement().select("customer_id")
        buyers = _everybody_but(case, case.customers, exp.select(*BUYERS.column_names).from_(own.subquery("own")))
        case.session.engine.define(BUYERS, buyers)
        limited = baselines_with_limits_among(row, case.session.engine, BUYERS, case.day)
        _store_rows(case, POPULATION_BASELINES, limited.to_batches())


def _rank_alone(case: Counterfactual, features: Table, name: str) -> str:
    """Make `features` readable as `name` with the value ranks that each customer would have if all others did as they did."""
    spends = "customer_id", "spend_amount"
    for table, source in ((EVERYBODY, case.everybody), (SPENDS, features)):
        case.session.engine.define(table, exp.select(*spends).from_(source.name))
    _store(case, RANKS, statement(RANKS.name))
    columns = [exp.column(column.name, "ranks" if column.name in RANKED else "features", quoted=True) for column in features.columns]
    query = exp.select(*columns).from_(exp.to_table(features.name).as_("features"))
    on = exp.column("customer_id", "ranks").eq(exp.column("customer_id", "features"))
    _store(case, replace(features, name=name), query.join(exp.to_table(RANKS.name).as_("ranks"), on=on).order_by("features.customer_id"))
    return name


def _known_rows(table: Table, known: Sequence[str]) -> Iterator[exp.Query]:
    """Yield the rows, by source ids, that are known of customers who did only what is in `known`."""
    learns = "late_data" if table in (CUSTOMER_DAYS, CUSTOMER_DAY_CATEGORIES, ORDER_LINES) else "own_event"
    parts = [SAME, NOW if learns in known else BEFORE]
    if learns == "own_event" and learns in known:
        parts.append(NEW)
    for part in parts:
        yield _rows_of(replace(table, name=part_name(table, part)), SOURCE_IDS)
    if table is ORDER_LINES and "refund" in known:
        yield _rows_of(replace(table, name=part_name(table, NEW)), SOURCE_IDS).where("line_kind = 'refund'")
    if table is CUSTOMER_DAYS and "refund" in known:
        nothing = [exp.alias_(exp.cast(exp.Literal.number(0), column.kind.sql, dialect="duckdb"), column.name) for column in table.columns]
        by_name = {column.alias: column for column in nothing} | {name: exp.column(name) for name in REFUND_COLUMNS}
        given_back = [by_name[column.name] for column in table.stored_columns]
        yield _rows_of(replace(table, name=part_name(table, NEW)), SOURCE_IDS).select(*given_back, append=False)


def _rows_of(table: Table, customers: Table) -> exp.Select:
    """Select the rows of `table` that are about customers in table `customers`."""
    columns = [exp.column(column.name, quoted=True) for column in table.stored_columns]
    return exp.select(*columns).from_(table.name).where(_is_one_of(customers))


def _is_one_of(customers: Table) -> exp.In:
    return exp.column("customer_id").isin(query=exp.select("customer_id").from_(customers.name))


def _store(case: Counterfactual, table: Table, query: exp.Query, **parameters: Parameter) -> None:
    """Write the rows of `query` to the session's folder, and make them readable as `table`."""
    _store_rows(case, table, case.session.engine.run(query, parameters))


def _store_rows(case: Counterfactual, table: Table, rows: Iterable[pa.RecordBatch]) -> None:
    path = case.session.folder / "counterfactuals" / f"{table.name}.parquet"
    case.session.lake.write_private_file(table.stored_schema, rows, path, {})
    case.session.engine.register(table, [path])

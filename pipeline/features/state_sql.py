"""Statements for states, derived from the one in `sql/customer_states.sql`: for everyone, or only for affected customers.

There is one definition of a state. What is computed for few customers is the same tree with its inputs cut to those customers,
so both ways cannot drift apart.
"""

from __future__ import annotations

from functools import cache

from sqlglot import exp

from pipeline.features.rollup_set import ROLLUPS, FeatureWindow
from pipeline.lake.statements import short_digest, statement, statement_digest
from pipeline.lake.tables import (
    AFFECTED_CUSTOMERS,
    BASE_STATES,
    CHANGED_STATES,
    CUSTOMER_ARCHIVES,
    CUSTOMER_DAYS,
    CUSTOMER_STATES,
    REGROUPED_CUSTOMERS,
    Table,
)

# What states are computed from; each has a `customer_id`.
STATE_INPUTS = (*ROLLUPS, CUSTOMER_ARCHIVES)


def states_recipe(window: FeatureWindow) -> str:
    """Return a digest of what states depend on besides rollups and day: statements, declared columns, length of the window."""
    return short_digest(table_recipe(CUSTOMER_STATES), table_recipe(CUSTOMER_ARCHIVES), window.window_days)


@cache
def table_recipe(table: Table) -> list[str]:
    """Return what the rows of a computed table depend on besides its inputs: its statement and declared columns."""
    return [statement_digest(statement(table.name)), *(f"{column.name} {column.kind.sql}" for column in table.columns)]


@cache
def affected_statement() -> exp.Query:
    """Return the ids of customers whose state may differ from the registered one.

    They are in the registered rollups, which are those that changed, or their state counts days before $window_first_day, or a merge made
    them somebody else.
    """
    customer = exp.column("customer_id")
    changed = [exp.select(customer).from_(table.name) for table in ROLLUPS]
    has_aged = exp.column("window_first_order_date") < exp.Placeholder(this="window_first_day")
    aged = exp.select(customer).from_(CUSTOMER_STATES.name).where(has_aged)
    regrouped = exp.select(customer).from_(REGROUPED_CUSTOMERS.name)
    everyone = exp.union(exp.union(exp.union(*changed), aged), regrouped)
    return exp.select(customer).from_(everyone.subquery("affected")).order_by("customer_id")


@cache
def outlived_statement() -> exp.Query:
    """Return the ids of customers with order-days before $window_end, where another window ends that began on $window_first_day."""
    order_day = exp.column("order_day")
    is_outlived = exp.and_(order_day >= exp.Placeholder(this="window_first_day"), order_day < exp.Placeholder(this="window_end"))
    return exp.select("customer_id").distinct().from_(CUSTOMER_DAYS.name).where(is_outlived)


@cache
def rolled_forward_statement() -> exp.Query:
    """Return the states of affected customers computed anew and the stored ones of all others, in order of ids."""
    carried = exp.select(*_state_columns()).from_(CUSTOMER_STATES.name).where(exp.not_(_is_customer_in(AFFECTED_CUSTOMERS)))
    return _states_in_order(exp.select(*_state_columns()).from_(_affected_states(statement(CUSTOMER_STATES.name).copy())), carried)


@cache
def changes_statement() -> exp.Query:
    """Return the states that differ from the base: affected customers' computed anew, and earlier changes of others.

    A customer of whom nothing is left has a row with an id alone; without it, the base's state would seem to hold still.
    """
    on = exp.column("customer_id", "computed").eq(exp.column("customer_id", AFFECTED_CUSTOMERS.name))
    columns = [exp.column("customer_id", AFFECTED_CUSTOMERS.name), *_state_columns("computed")[1:]]
    computed = _affected_states(statement(CUSTOMER_STATES.name).copy())
    anew = exp.select(*columns).from_(AFFECTED_CUSTOMERS.name).join(computed, on=on, join_type="left")
    carried = exp.select(*_state_columns()).from_(CHANGED_STATES.name).where(exp.not_(_is_customer_in(AFFECTED_CUSTOMERS)))
    return _states_in_order(anew, carried)


@cache
def current_states_statement() -> exp.Query:
    """Return everyone's states: the base's for customers who did not change since, and the changed ones."""
    same = exp.select(*_state_columns()).from_(BASE_STATES.name).where(exp.not_(_is_customer_in(CHANGED_STATES)))
    changed = exp.select(*_state_columns()).from_(CHANGED_STATES.name).where("lifetime_order_count IS NOT NULL")
    return exp.union(same, changed, distinct=False)


@cache
def all_states_statement() -> exp.Query:
    """Return the states of all customers computed anew, in order."""
    return exp.select("*").from_(statement(CUSTOMER_STATES.name).subquery("states"), copy=False).order_by("customer_id", copy=False)


def states_where_affected_statement(table: Table) -> exp.Query:
    """Return the columns of `table` of all states, in no order: of affected customers computed anew, of others as registered."""
    columns = [exp.column(name) for name in table.column_names]
    anew = exp.select(*columns).from_(_affected_states(_needed_for(table)))
    carried = exp.select(*columns).from_(CUSTOMER_STATES.name).where(exp.not_(_is_customer_in(AFFECTED_CUSTOMERS)))
    return exp.union(anew, carried, distinct=False)


@cache
def row_count_statement(table: Table) -> exp.Query:
    """Return the number of rows of a registered table."""
    return exp.select(exp.alias_(exp.Count(this=exp.Star()), "row_count")).from_(table.name)


def _needed_for(table: Table) -> exp.Query:
    """Return the statement of states with the columns of `table` alone, without what only others need."""
    query = statement(CUSTOMER_STATES.name).copy()
    query.set("expressions", [column for column in query.selects if column.alias_or_name in table.column_names])
    used = {column.table for selected in query.selects for column in selected.find_all(exp.Column)}
    # A join adds at most one row to a customer, so dropping it changes no count.
    query.set("joins", [join for join in query.args["joins"] if join.alias_or_name in used])
    return query


def _affected_states(query: exp.Query) -> exp.Subquery:
    """Return what `query`, which computes states, gives for the affected customers alone."""
    for table in STATE_INPUTS:
        _restrict_to_affected(query, table.name)
    return query.subquery("computed", copy=False)


def _state_columns(table: str | None = None) -> list[exp.Column]:
    return [exp.column(name, table) for name in CUSTOMER_STATES.column_names]


def _states_in_order(*parts: exp.Query) -> exp.Query:
    rows = exp.union(*parts, distinct=False, copy=False)
    return exp.select(*_state_columns()).from_(rows.subquery("states", copy=False), copy=False).order_by("customer_id", copy=False)


def _restrict_to_affected(query: exp.Query, name: str) -> None:
    """Let `query` read only the affected customers' rows of table `name`, filtered once however often it reads them."""
    restricted = f"affected_{name}"
    for table in query.find_all(exp.Table):
        if table.name == name:
            table.set("this", exp.to_identifier(restricted))
    rows = exp.select("*").from_(name).where(_is_customer_in(AFFECTED_CUSTOMERS))
    # First of all, as the query's own parts read it.
    query.args["with_"].expressions.insert(0, exp.CTE(this=rows, alias=exp.TableAlias(this=exp.to_identifier(restricted))))


def _is_customer_in(table: Table) -> exp.In:
    return exp.column("customer_id").isin(query=exp.select("customer_id").from_(table.name))

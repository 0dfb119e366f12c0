"""What a night need not compute again: which rollups changed since a stored state, and the statements that redo only that.

A basis maps the path of each rollup partition that a night goes by, below the lake, to a digest of its bytes.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import date, timedelta
from functools import cache
from hashlib import sha256

from sqlglot import exp

from pipeline.lake.statements import digest, statement
from pipeline.lake.tables import (
    AFFECTED_CUSTOMERS,
    BASE_STATES,
    CHANGED_STATES,
    CUSTOMER_ARCHIVES,
    CUSTOMER_DAY_CATEGORIES,
    CUSTOMER_DAYS,
    CUSTOMER_MONTH_CATEGORIES,
    CUSTOMER_MONTH_CHANNELS,
    CUSTOMER_MONTHS,
    CUSTOMER_STATES,
    POPULATION_BASELINES,
    POPULATION_RHYTHM,
    Table,
)

Basis = Mapping[str, str]
ROLLUPS = (CUSTOMER_DAYS, CUSTOMER_DAY_CATEGORIES)
SUMMARIES = {CUSTOMER_DAYS: (CUSTOMER_MONTHS,), CUSTOMER_DAY_CATEGORIES: (CUSTOMER_MONTH_CATEGORIES, CUSTOMER_MONTH_CHANNELS)}
CONDENSED = (CUSTOMER_MONTHS, CUSTOMER_MONTH_CATEGORIES, CUSTOMER_MONTH_CHANNELS, CUSTOMER_ARCHIVES)
BY_CUSTOMER = (*ROLLUPS, *CONDENSED)  # what states are computed from


@dataclass(frozen=True, slots=True)
class Horizon:
    """How far the states of one night look: to the end of `day`, as night `known` knows it, over a window of days."""

    day: date
    known: date
    window_days: int

    @property
    def window_first_day(self) -> date:
        return self.day - timedelta(days=self.window_days - 1)

    @property
    def frozen(self) -> Horizon:
        """The horizon of the night on which the population's rhythm was frozen."""
        return Horizon(*frozen_night(self.day, self.known), self.window_days)

    @property
    def archived_before(self) -> date:
        """The first event day that the archive leaves to the rollups: a month's first, so that the archive grows once a month."""
        return self.window_first_day.replace(day=1)

    @property
    def first_whole_month(self) -> date:
        """The first day of the first month that lies in the window with all its days."""
        first = self.window_first_day
        return first if first.day == 1 else (self.archived_before + timedelta(31)).replace(day=1)

    @property
    def own_month(self) -> date:
        """The first day of the night's own month."""
        return self.day.replace(day=1)

    @property
    def parameters(self) -> Mapping[str, date]:
        return {"day": self.day, "window_first_day": self.window_first_day, "archived_before": self.archived_before}


def frozen_night(day: date, known: date) -> tuple[date, date]:
    """Return the month's first night and the one whose knowledge it goes by; one that is restated knows what the restatement knows."""
    first = day.replace(day=1)
    return first, first if known == day else known


def paths_of(paths: Iterable[str], table: Table) -> list[str]:
    """Return those of the paths that hold partitions of `table`."""
    return [path for path in paths if path.split("/")[1] == table.name]


def paths_since(basis: Basis, first: date) -> list[str]:
    """Return the paths of event days from `first` on."""
    return [path for path in basis if _event_day(path) >= first.isoformat()]


def basis_of_months(basis: Basis, table: Table, *, since: date, before: date) -> dict[str, Basis]:
    """Return the part of `basis` in `table` with event days from `since` to before `before`, by month (YYYY-MM)."""
    months: dict[str, dict[str, str]] = {}
    for path in paths_of(basis, table):
        if since.isoformat() <= _event_day(path) < before.isoformat():
            months.setdefault(_event_day(path)[:7], {})[path] = basis[path]
    return dict(months)


def first_day(basis: Basis) -> date:
    """Return the first event day of a basis that has any."""
    return date.fromisoformat(min(_event_day(path) for path in basis))


def basis_before(basis: Basis, end: date) -> Basis:
    """Return the part of `basis` with event days before `end`."""
    return {path: content for path, content in basis.items() if _event_day(path) < end.isoformat()}


def changed_paths(before: Basis, there: Basis, left: Iterable[str]) -> list[str] | None:
    """Return the rollups that entered or left between a basis and now; None where one was rewritten, as its old rows are gone.

    `there` has the digests of what can be read now: today's basis and the partitions that `left`.
    """
    if any(there[path] != content for path, content in before.items()):
        return None
    return [*left, *(path for path in there if path not in before)]


def archive_name(basis: Basis, before: date) -> str:
    """Return the name of the archive of `basis`, which ends before a month's first day."""
    return f"{before}_{_short(sorted(basis.items()), _recipe(CUSTOMER_ARCHIVES))}"


def rhythm_name(basis: Basis, horizon: Horizon) -> str:
    """Return the name of the rhythm that the rollups of `basis` have at the horizon's day."""
    return f"{horizon.day}_{_short(sorted(basis.items()), _recipe(POPULATION_RHYTHM), *map(_recipe, CONDENSED))}"


def baselines_name(basis: Basis, horizon: Horizon) -> str:
    """Return the name of what is usual among customers, as the rollups of `basis` tell it at the horizon's day."""
    return f"{horizon.day}_{_short(sorted(basis.items()), _recipe(POPULATION_BASELINES), states_recipe(horizon))}"


def month_name(month: str, part: Basis, table: Table) -> str:
    """Return the name of a merged month of rollups, `part` of a basis."""
    return f"{month}_{_short(sorted(part.items()), table.column_names)}"


def summary_name(month: str, part: Basis, table: Table) -> str:
    """Return the name of what a month of rollups, `part` of a basis, adds up to in `table`."""
    return f"{month}_{_short(sorted(part.items()), _recipe(table))}"


def states_name(basis: Basis, horizon: Horizon) -> str:
    """Return the name of the states that the rollups of `basis` make at the horizon's day."""
    return f"{horizon.day}_{horizon.known}_{_short(sorted(basis.items()), states_recipe(horizon))}"


def changes_name(horizon: Horizon, base: str) -> str:
    """Return the name of the states that differ at the horizon's day from the base of that name."""
    return f"{horizon.day}_{horizon.known}.{base}"


def base_of(name: str) -> str | None:
    """Return the name of the base that changes of that name belong to; None for a base."""
    return name.partition(".")[2] or None


def states_recipe(horizon: Horizon) -> str:
    """Return a digest of what states depend on beside rollups and day: the statements, the declared columns, the window."""
    return _short(_recipe(CUSTOMER_STATES), *map(_recipe, CONDENSED), horizon.window_days)


@cache
def affected_statement() -> exp.Query:
    """Return who is in the registered rollups, which are those that changed, or whose state counts days before $window_first_day."""
    customer = exp.column("customer_id")
    changed = [exp.select(customer).from_(table.name) for table in ROLLUPS]
    has_aged = exp.column("window_first_order_date") < exp.Placeholder(this="window_first_day")
    aged = exp.select(customer).from_(CUSTOMER_STATES.name).where(has_aged)
    everyone = exp.union(exp.union(*changed), aged)
    return exp.select(customer).from_(everyone.subquery("affected")).order_by("customer_id")


@cache
def rolled_forward_statement() -> exp.Query:
    """Return the states of affected customers computed anew beside the stored ones of all others, in order."""
    carried = exp.select(*_state_columns()).from_(CUSTOMER_STATES.name).where(exp.not_(_is_in(AFFECTED_CUSTOMERS)))
    return _in_order(exp.select(*_state_columns()).from_(_computed()), carried)


@cache
def changes_statement() -> exp.Query:
    """Return the states that differ from the base's: those of affected customers computed anew, and earlier changes of others.

    Who has nothing left stands there with an id alone.
    """
    on = exp.column("customer_id", "computed").eq(exp.column("customer_id", AFFECTED_CUSTOMERS.name))
    columns = [exp.column("customer_id", AFFECTED_CUSTOMERS.name), *_state_columns("computed")[1:]]
    anew = exp.select(*columns).from_(AFFECTED_CUSTOMERS.name).join(_computed(), on=on, join_type="left")
    carried = exp.select(*_state_columns()).from_(CHANGED_STATES.name).where(exp.not_(_is_in(AFFECTED_CUSTOMERS)))
    return _in_order(anew, carried)


@cache
def current_states_statement() -> exp.Query:
    """Return the base's states of customers who did not change since, and the changed ones."""
    same = exp.select(*_state_columns()).from_(BASE_STATES.name).where(exp.not_(_is_in(CHANGED_STATES)))
    changed = exp.select(*_state_columns()).from_(CHANGED_STATES.name).where("lifetime_order_count IS NOT NULL")
    return exp.union(same, changed, distinct=False)


@cache
def all_states_statement() -> exp.Query:
    """Return the states of all customers computed anew, in order."""
    return exp.select("*").from_(statement(CUSTOMER_STATES.name).subquery("states"), copy=False).order_by("customer_id", copy=False)


@cache
def row_count_statement(table: Table) -> exp.Query:
    """Return the number of rows of a registered table."""
    return exp.select(exp.alias_(exp.Count(this=exp.Star()), "row_count")).from_(table.name)


@cache
def by_month_statement(table: Table) -> exp.Query:
    """Return the rows of a registered rollup, each with its event day."""
    return exp.select("day", *table.column_names).from_(table.name)


@cache
def whole_statement(table: Table, by_month: Table) -> exp.Query:
    """Return the rows of a rollup that lie in merged months, and of the event days registered as recent."""
    columns = by_month.column_names
    days = exp.select(*columns).from_(recent(table).name)
    return exp.union(exp.select(*columns).from_(by_month.name), days, distinct=False)


@cache
def recent(table: Table) -> Table:
    """Return the declaration of a rollup's event days that are not merged."""
    return replace(table, name=f"recent_{table.name}")


def _computed() -> exp.Subquery:
    """Return the states of the affected customers alone, computed anew."""
    query = statement(CUSTOMER_STATES.name).copy()
    for table in BY_CUSTOMER:
        _restrict(query, table.name)
    return query.subquery("computed", copy=False)


def _state_columns(table: str | None = None) -> list[exp.Column]:
    return [exp.column(name, table) for name in CUSTOMER_STATES.column_names]


def _in_order(*parts: exp.Query) -> exp.Query:
    rows = exp.union(*parts, distinct=False, copy=False)
    return exp.select(*_state_columns()).from_(rows.subquery("states", copy=False), copy=False).order_by("customer_id", copy=False)


def _restrict(query: exp.Query, name: str) -> None:
    """Make `query` read the affected customers' rows of the table `name`, once however often it names it."""
    restricted = f"affected_{name}"
    for table in query.find_all(exp.Table):
        if table.name == name:
            table.set("this", exp.to_identifier(restricted))
    rows = exp.select("*").from_(name).where(_is_in(AFFECTED_CUSTOMERS))
    query.args["with_"].expressions.insert(0, exp.CTE(this=rows, alias=exp.TableAlias(this=exp.to_identifier(restricted))))


def _is_in(table: Table) -> exp.In:
    return exp.column("customer_id").isin(query=exp.select("customer_id").from_(table.name))


@cache
def _recipe(table: Table) -> list[str]:
    return [digest(statement(table.name)), *(f"{column.name} {column.kind.sql}" for column in table.columns)]


def _short(*facts: object) -> str:
    return sha256(json.dumps(facts).encode()).hexdigest()[:16]


def _event_day(path: str) -> str:
    return path.split("/")[2].partition("=")[2]

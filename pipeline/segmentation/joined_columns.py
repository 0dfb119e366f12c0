"""What rules look at beside features: lists, earlier stays in segments, predictions; joined to the features only where a rule names it.

city IN LIST coast@3f2a91c04b77     the company's `lists/coast.csv`, or the copy of it that an old night went by
LAST_IN(rfm.champions)              CUSTOMER_SEGMENT_INTERVALS, as known and up to the night before: never what a later night says
expected_spend_amount               CUSTOMER_PREDICTIONS of the night itself; empty where nothing is predicted
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import date
from pathlib import Path

import pyarrow as pa
from sqlglot import exp

from pipeline.definitions.company import Company
from pipeline.definitions.rules import ListColumn, StayColumn, joined_column, joined_kind
from pipeline.definitions.schemes import Scheme, joined_columns_of
from pipeline.definitions.value_lists import list_digests, list_values
from pipeline.errors import DataError
from pipeline.features import FeaturesSince
from pipeline.lake import addresses
from pipeline.lake.engines import Engine
from pipeline.lake.lake import Lake
from pipeline.lake.tables import CUSTOMER_FEATURES, CUSTOMER_PREDICTIONS, CUSTOMER_SEGMENT_INTERVALS, Column, Kind, Partition, Table
from pipeline.segmentation.history import reading_intervals


@dataclass(frozen=True, slots=True)
class JoinedColumns:
    """Reads what rules look at beside features on night `day`, as night `known_on` knows it, into a private `folder`.

    The lists are those of any of the `companies`: one before an edit of its definitions, one after.
    """

    companies: Sequence[Company]
    lake: Lake
    engine: Engine
    day: date
    known_on: date
    folder: Path
    registered: set[str] = field(default_factory=set)

    def define(self, table: Table, source: str, names: Iterable[str]) -> Table:
        """Make the rows of `source`, which has the columns of `table`, readable as `table.name` with the columns `names`; return its table.

        A column that the table has already is not joined.
        """
        wanted = sorted(set(names).difference(table.column_names))
        columns = [exp.column(name, "features", quoted=True) for name in table.column_names]
        query = exp.select(*columns).from_(exp.to_table(source).as_("features"))
        for place, name in enumerate(wanted):
            query = self._with_column(query, name, f"joined_{place}")
        kinds = [Column(name, _required_kind(name), "") for name in wanted]
        whole = table.with_columns(kinds)
        self.engine.define(whole, query)
        return whole

    def _with_column(self, query: exp.Select, name: str, alias: str) -> exp.Select:
        column = joined_column(name)
        if isinstance(column, ListColumn):
            return self._with_list(query, column, alias)
        if isinstance(column, StayColumn):
            return self._with_stay(query, column, alias)
        return self._with_prediction(query, name, alias)

    def _with_list(self, query: exp.Select, column: ListColumn, alias: str) -> exp.Select:
        listed, value = f"list_{column.digest}", exp.column(column.value, "features", quoted=True)
        if listed not in self.registered:
            rows = pa.table([self._values_of(column)], pa.schema([("value", pa.string())]))
            self._store(Table(listed, "", (Column("value", Kind.TEXT, ""),), ("value",), Partition.NIGHT), rows)
        is_listed = exp.not_(exp.column("value", alias).is_(exp.null()))
        # Whether an unknown value is on a list is unknown.
        known = exp.Case().when(exp.not_(value.copy().is_(exp.null())), is_listed)
        joined = query.join(exp.to_table(listed).as_(alias), on=exp.column("value", alias).eq(value), join_type="left")
        return joined.select(exp.alias_(known, column.column, quoted=True))

    def _with_stay(self, query: exp.Select, column: StayColumn, alias: str) -> exp.Select:
        stays = "segment_stays"
        if stays not in self.registered:
            with reading_intervals(self.lake):
                # What the nights said themselves: a night that was restated since says nothing else to later ones.
                versions = [each for each in self.lake.versions(CUSTOMER_SEGMENT_INTERVALS) if each.day == each.known_on]
                self.engine.register(CUSTOMER_SEGMENT_INTERVALS, self.lake.parts(CUSTOMER_SEGMENT_INTERVALS, versions))
            self.registered.add(stays)
        rows = _stays_statement(column, self.day).subquery(alias)
        is_same = exp.column("customer_id", alias).eq(exp.column("customer_id", "features"))
        return query.join(rows, on=is_same, join_type="left").select(exp.alias_(exp.column("stay_day", alias), column.column, quoted=True))

    def _with_prediction(self, query: exp.Select, name: str, alias: str) -> exp.Select:
        known_on = None if self.known_on == self.day else self.known_on
        if not self.lake.has(CUSTOMER_PREDICTIONS, day=self.day, known_on=known_on):
            return query.select(exp.alias_(exp.cast(exp.null(), "double"), name, quoted=True))
        predicted = f"{CUSTOMER_PREDICTIONS.name}_{self.day.isoformat().replace('-', '_')}"
        if predicted not in self.registered:
            path = addresses.partition(CUSTOMER_PREDICTIONS, day=self.day, known_on=known_on)
            self.engine.register(replace(CUSTOMER_PREDICTIONS, name=predicted), [path])
            self.registered.add(predicted)
        is_same = exp.column("customer_id", alias).eq(exp.column("customer_id", "features"))
        joined = query.join(exp.to_table(predicted).as_(alias), on=is_same, join_type="left")
        return joined.select(exp.alias_(exp.column(name, alias), name, quoted=True))

    def _values_of(self, column: ListColumn) -> pa.Array:
        for company in self.companies:
            if list_digests(company).get(column.name) == column.digest:
                return list_values(company.list_files()[column.name])
        todo = f"Put lists/{column.name}.csv back as it was."
        raise DataError(f"the list {column.name} that this night went by is gone", where=str(self.companies[0].folder), todo=todo)

    def _store(self, table: Table, rows: pa.Table) -> None:
        path = self.folder / f"{table.name}.parquet"
        self.lake.write_private_file(table.schema, rows.to_batches(), path, {})
        self.engine.register(table, [path])
        self.registered.add(table.name)


@dataclass(frozen=True, slots=True)
class NightFeatures:
    """The features of night `day`, as night `known_on` knows it, and what rules of the `companies` look at beside them.

    `since` works out those that the stored night lacks, where there are any.
    """

    companies: Sequence[Company]
    lake: Lake
    engine: Engine
    day: date
    known_on: date | None = None
    since: FeaturesSince | None = None

    @contextmanager
    def registered(self, schemes: Iterable[Scheme], table: Table) -> Iterator[Table]:
        """Make the features readable as `table.name` for the time of the block, with all columns that rules of the schemes look at.

        Yields the table as it is then. Without columns to join that is the stored partition, and costs nothing.
        """
        schemes = list(schemes)
        if not joined_columns_of(schemes).difference(table.column_names):
            self._make_readable(table)
            yield table
            return
        with self.lake.private_folder() as folder, self.defined(schemes, replace(table, name=f"joined_{table.name}")) as joined:
            # Once for all schemes, each of which would join anew.
            query = exp.select(*(exp.column(name, quoted=True) for name in joined.column_names)).from_(joined.name)
            place = folder / f"{table.name}.parquet"
            self.lake.write_private_file(joined.schema, self.engine.run(query, {}), place, {})
            whole = replace(joined, name=table.name)
            self.engine.register(whole, [place])
            yield whole

    @contextmanager
    def defined(self, schemes: Iterable[Scheme], table: Table) -> Iterator[Table]:
        """Make the same readable, but joined anew by each statement that reads it: for one statement, which looks at a few columns."""
        names = joined_columns_of(schemes).difference(table.column_names)
        if not names:
            self._make_readable(table)
            yield table
            return
        with self.lake.private_folder() as folder:
            stored = replace(table, name=f"stored_{table.name}")
            self._make_readable(stored)
            beside = JoinedColumns(self.companies, self.lake, self.engine, self.day, self.known_on or self.day, folder)
            yield beside.define(table, stored.name, names)

    def _make_readable(self, table: Table) -> None:
        if self.since:
            self.since.define(table)
        else:
            self.engine.register(table, [addresses.partition(CUSTOMER_FEATURES, day=self.day, known_on=self.known_on)])


def columns_named(statements: Iterable[exp.Query]) -> set[str]:
    """Return the columns that customer_features needs for `statements`: those that they name, be it to leave them out.

    Of a list that is the column whose value may be on it, too.
    """
    nodes = [node for query in statements for node in query.find_all(exp.Column, exp.Star)]
    named = {node.name for node in nodes if isinstance(node, exp.Column)}
    # What a statement leaves out has to be there as well, such as a score that a scheme counts anew.
    named |= {left_out.name for node in nodes for left_out in node.args.get("except_") or ()}
    return named | {column.value for name in named if isinstance(column := joined_column(name), ListColumn)}


def joined_columns_in(statements: Iterable[exp.Query], table: Table) -> set[str]:
    """Return the columns of statements that must be joined to `table`."""
    named = {column.name for query in statements for column in query.find_all(exp.Column)}
    return {name for name in named.difference(table.column_names) if joined_kind(name) is not None}


def has_stays(schemes: Iterable[Scheme]) -> bool:
    """Return whether rules of the schemes look at earlier nights, so that these have to come first."""
    return any(isinstance(joined_column(name), StayColumn) for name in joined_columns_of(schemes))


def _required_kind(name: str) -> Kind:
    kind = joined_kind(name)
    if kind is None:
        raise KeyError(name)
    return kind


def _stays_statement(column: StayColumn, day: date) -> exp.Select:
    """Build the rows `customer_id, stay_day` of those who were in a segment before `day`.

    An interval that is open, or ended on a later day, lasted to the day before `day` as far as that night can know.
    """
    night = exp.cast(exp.Literal.string(day.isoformat()), "date")
    valid_to = exp.column("valid_to")
    ended = exp.Case().when(exp.LT(this=valid_to.copy(), expression=night.copy()), valid_to).else_(night.copy())
    last = exp.Sub(this=ended, expression=exp.Literal.number(1))
    rows = (
        exp.select("customer_id", "valid_from", exp.alias_(last, "last_day"))
        .from_(CUSTOMER_SEGMENT_INTERVALS.name)
        .where(
            exp.column("scheme").eq(exp.Literal.string(column.scheme)),
            exp.column("segment").eq(exp.Literal.string(column.segment)),
            exp.LT(this=exp.column("valid_from"), expression=night.copy()),
        )
    )
    stay_day: exp.Expression = exp.Max(this=exp.column("last_day" if column.what == "LAST_IN" else "valid_from"))
    query = exp.select("customer_id", exp.alias_(stay_day, "stay_day")).from_(rows.subquery("stays"))
    if column.what == "IN_SINCE":
        query = query.where(exp.column("last_day").eq(exp.Paren(this=exp.Sub(this=night.copy(), expression=exp.Literal.number(1)))))
    return query.group_by("customer_id")

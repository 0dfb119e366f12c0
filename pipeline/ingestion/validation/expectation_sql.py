"""A suite as SQL: how many rows break each of its rules, in one pass over the columns, and which rows these are.

Great Expectations says what an expectation means; a property test holds each of these expressions to it. The library itself
takes a hundred times as long, and is asked for what SQL does not know.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlglot import exp

from pipeline.errors import ConfigError
from pipeline.ingestion.validation.expectation_arguments import Arguments, Bounds
from pipeline.ingestion.validation.expectation_values import as_compared, as_double, column_value, constant_literal, within_bounds
from pipeline.ingestion.validation.suites import SuiteDefinition
from pipeline.lake.tables import Column, Kind
from pipeline.spelling import did_you_mean

CHECKED_COUNT = "checked_count"
ROW_POSITION = "row position"  # no column of a table: their names have no spaces
NUMERIC = (Kind.INTEGER, Kind.NUMBER, Kind.MONEY)
BOUNDED_KINDS = (*NUMERIC, Kind.DATE, Kind.INSTANT)
ORDERED_KINDS = (*BOUNDED_KINDS, Kind.TEXT)
LISTED_KINDS = (*NUMERIC, Kind.FLAG, Kind.TEXT)


@dataclass(frozen=True, slots=True)
class RepeatedKeys:
    """A rule that no two rows share the values of `columns`, among the rows for which `condition` holds; nulls equal each other.

    The condition is about the same columns, so that it holds for all rows that share their values, or for none.
    """

    columns: Sequence[exp.Expr]
    condition: exp.Expr

    def failed_count(self, table: exp.Table) -> exp.Expr:
        """Return how many rows share their values with another row, as a query of its own."""
        count = exp.Count(this=exp.Star())
        groups = exp.select(exp.alias_(count, "row_count")).from_(table.copy()).where(self.condition).group_by(*self.columns)
        groups = groups.having(exp.GT(this=count.copy(), expression=exp.convert(1)))
        total = exp.func("COALESCE", exp.Sum(this=exp.column("row_count")), exp.convert(0))
        return exp.select(exp.cast(total, Kind.INTEGER.sql, dialect="duckdb")).from_(groups.subquery("repeated")).subquery()

    def fails(self) -> exp.Expr:
        """Return whether a row shares its values with another one."""
        sharing = exp.Window(this=exp.Count(this=exp.Star()), partition_by=[column.copy() for column in self.columns])
        return exp.and_(self.condition, exp.GT(this=sharing, expression=exp.convert(1)))


def suite_statement(suite: SuiteDefinition, parameters: Mapping[str, Any]) -> exp.Select:
    """Return the statement with one row: CHECKED_COUNT, and `failed_<n>` for the rule of position n, from 0.

    A count of failures is the number of rows that break the rule, or 1 where a rule about the whole table is broken.
    Raises ConfigError naming file and rule where SQL cannot check an expectation or one of its arguments.
    """
    table = exp.to_table(suite.table.name)
    failures = [
        exp.alias_(_failed_count(Arguments(suite, rule, entry, parameters), table), f"failed_{position}")
        for position, (rule, entry) in enumerate(zip(suite.rules, suite.entries, strict=True))
    ]
    return exp.select(exp.alias_(exp.Count(this=exp.Star()), CHECKED_COUNT), *failures).from_(table)


def broken_rows_statement(suite: SuiteDefinition, parameters: Mapping[str, Any], places: Sequence[int]) -> exp.Select:
    """Return the statement with the rows that break one of the rules in these `places`: ROW_POSITION, and `breaks_<n>` for each place.

    The rules are about rows; the table must have the column ROW_POSITION. Raises ConfigError as `suite_statement` does.
    """
    position = exp.column(ROW_POSITION, quoted=True)
    marks = {f"breaks_{place}": _fails(Arguments(suite, suite.rules[place], suite.entries[place], parameters)) for place in places}
    marked = [exp.alias_(exp.func("COALESCE", fails, exp.false()), name) for name, fails in marks.items()]
    rows = exp.select(position.copy(), *marked).from_(exp.to_table(suite.table.name))
    return exp.select(position, *marks).from_(rows.subquery("marked")).where(exp.or_(*(exp.column(name) for name in marks)))


def require_countable(arguments: Arguments) -> None:
    """Raise ConfigError naming file and rule where SQL cannot count the expectation with these arguments."""
    _failed_count(arguments, exp.to_table(arguments.suite.table.name))


def _failed_count(arguments: Arguments, table: exp.Table) -> exp.Expr:
    kind = str(arguments.entry.get("type"))
    if kind not in EXPECTATIONS:
        raise ConfigError(
            f"the rule `{arguments.rule.name}` of {table.name} is `{kind}`, which is not checked on computed tables"
            f"{did_you_mean(kind, EXPECTATIONS)}",
            where=str(arguments.suite.file),
            todo=f"Use one of {', '.join(EXPECTATIONS)}.",
        )
    check, names = EXPECTATIONS[kind]
    arguments.require_known(names)
    found = check(arguments)
    if isinstance(found, RepeatedKeys):
        return found.failed_count(table)
    return found if is_about_table(arguments.entry) else _count_where(found)


def _fails(arguments: Arguments) -> exp.Expr:
    """Return whether a row breaks a rule about rows; null counts as no."""
    check, _ = EXPECTATIONS[str(arguments.entry.get("type"))]
    found = check(arguments)
    return found.fails() if isinstance(found, RepeatedKeys) else found


def row_count_bounds(arguments: Arguments) -> Bounds | None:
    """Return what the number of rows must lie between; None for a rule that is about something else."""
    match arguments.entry.get("type"):
        case "expect_table_row_count_to_be_between":
            bounds = arguments.bounds(Column("rows", Kind.INTEGER, "Number of rows."))
            if not all(isinstance(value, int) for value in bounds.values):
                raise arguments.refused("a number of rows is a whole number")
            return bounds
        case "expect_table_row_count_to_equal":
            count = arguments.row_count("value")
            return Bounds(count, count)
    return None


def _check_row_count(arguments: Arguments) -> exp.Expr:
    return _zero_where(within_bounds(exp.Count(this=exp.Star()), row_count_bounds(arguments) or Bounds()))


def _check_column_set(arguments: Arguments) -> exp.Expr:
    given, found = set(arguments.texts("column_set")), {column.name for column in arguments.suite.table.columns}
    is_met = given == found if arguments.flag("exact_match", default=True) else given <= found
    return exp.convert(0 if is_met else 1)


def _is_null(arguments: Arguments) -> exp.Expr:
    return column_value(arguments.column("column")).is_(exp.null())


def _is_not_null(arguments: Arguments) -> exp.Expr:
    return exp.not_(_is_null(arguments))


def _is_out_of_bounds(arguments: Arguments) -> exp.Expr:
    column = arguments.column("column", BOUNDED_KINDS)
    bounds = arguments.bounds(column)
    return exp.not_(within_bounds(as_compared(column, bounds.values), bounds))


def _is_listed(arguments: Arguments) -> exp.Expr:
    column = arguments.column("column", LISTED_KINDS)
    values = arguments.values("value_set", column)
    return exp.In(this=as_compared(column, values), expressions=[constant_literal(value) for value in values])


def _is_not_listed(arguments: Arguments) -> exp.Expr:
    return exp.not_(_is_listed(arguments))


def _repeated_values(arguments: Arguments) -> RepeatedKeys:
    column = column_value(arguments.column("column"))
    return RepeatedKeys([column], exp.not_(column.copy().is_(exp.null())))


def _repeated_keys(arguments: Arguments) -> RepeatedKeys:
    columns = [column_value(column) for column in arguments.columns("column_list")]
    are_null = [column.copy().is_(exp.null()) for column in columns]
    match arguments.choice("ignore_row_if", ("all_values_are_missing", "any_value_is_missing", "never")):
        case "all_values_are_missing":
            return RepeatedKeys(columns, exp.not_(exp.and_(*are_null)))
        case "any_value_is_missing":
            return RepeatedKeys(columns, exp.not_(exp.or_(*are_null)))
    return RepeatedKeys(columns, exp.true())


def _is_pair_not_greater(arguments: Arguments) -> exp.Expr:
    return _is_pair_wrong(arguments, exp.GTE if arguments.flag("or_equal") else exp.GT)


def _is_pair_not_equal(arguments: Arguments) -> exp.Expr:
    return _is_pair_wrong(arguments, exp.EQ)


def _is_pair_wrong(arguments: Arguments, comparison: type[exp.Binary]) -> exp.Expr:
    """Return whether a pair fails; one that lacks a value and is not ignored fails whatever the comparison."""
    columns = arguments.column("column_A", ORDERED_KINDS), arguments.column("column_B", ORDERED_KINDS)
    is_numeric = all(column.kind in NUMERIC for column in columns)
    if columns[0].kind is not columns[1].kind and not is_numeric:
        raise arguments.refused(f"`{columns[0].name}` and `{columns[1].name}` are not of one kind")
    is_exact = columns[0].kind is columns[1].kind is not Kind.MONEY
    first, second = (column_value(column) if is_exact else as_double(column) for column in columns)
    fails = exp.not_(comparison(this=first, expression=second))
    lacks_first, lacks_second = (value.copy().is_(exp.null()) for value in (first, second))
    match arguments.choice("ignore_row_if", ("both_values_are_missing", "either_value_is_missing", "neither")):
        case "either_value_is_missing":
            return fails
        case "both_values_are_missing":
            return exp.or_(fails, exp.NEQ(this=exp.paren(lacks_first), expression=exp.paren(lacks_second)))
    return exp.or_(fails, lacks_first, lacks_second)


PAIR = ("column_A", "column_B", "ignore_row_if", "mostly")
RANGE = ("min_value", "max_value", "strict_min", "strict_max")
Check = Callable[[Arguments], "exp.Expr | RepeatedKeys"]
EXPECTATIONS: Mapping[str, tuple[Check, tuple[str, ...]]] = {
    "expect_column_pair_values_a_to_be_greater_than_b": (_is_pair_not_greater, (*PAIR, "or_equal")),
    "expect_column_pair_values_to_be_equal": (_is_pair_not_equal, PAIR),
    "expect_column_values_to_be_between": (_is_out_of_bounds, ("column", *RANGE, "mostly")),
    "expect_column_values_to_be_in_set": (_is_not_listed, ("column", "value_set", "mostly")),
    "expect_column_values_to_be_null": (_is_not_null, ("column", "mostly")),
    "expect_column_values_to_be_unique": (_repeated_values, ("column", "mostly")),
    "expect_column_values_to_not_be_in_set": (_is_listed, ("column", "value_set", "mostly")),
    "expect_column_values_to_not_be_null": (_is_null, ("column", "mostly")),
    "expect_compound_columns_to_be_unique": (_repeated_keys, ("column_list", "ignore_row_if", "mostly")),
    "expect_table_columns_to_match_set": (_check_column_set, ("column_set", "exact_match")),
    "expect_table_row_count_to_be_between": (_check_row_count, RANGE),
    "expect_table_row_count_to_equal": (_check_row_count, ("value",)),
}
"""What SQL can check: whether a row fails or, of the whole table, the count of failures; and the names of its arguments."""


def is_about_table(entry: Mapping[str, Any]) -> bool:
    """Whether an expectation is about the table as a whole, so that no row breaks it."""
    return str(entry.get("type")).startswith("expect_table_")


def is_known_to_sql(entry: Mapping[str, Any]) -> bool:
    """Whether SQL can count an expectation with arguments of these names; their values are looked at when it does."""
    _, names = EXPECTATIONS.get(str(entry.get("type")), (None, None))
    return names is not None and set(entry.get("kwargs") or {}) <= set(names)


def _count_where(condition: exp.Expr) -> exp.Expr:
    return exp.Count(this=exp.case().when(condition, exp.convert(1)))


def _zero_where(holds: exp.Expr) -> exp.Expr:
    return exp.case().when(holds, exp.convert(0)).else_(exp.convert(1))

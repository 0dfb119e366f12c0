"""A suite as one SQL statement: how many rows break each of its rules.

Great Expectations says what an expectation means; a property test holds each of these expressions to it. The library
itself says which raw rows to set aside. Where there are none, and for tables that we computed ourselves, counts are all
that is needed, and SQL counts many rules in one pass over the columns.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sqlglot import exp

from pipeline.errors import ConfigError
from pipeline.ingestion.validation.expectation_arguments import Arguments, Bounds
from pipeline.ingestion.validation.suites import SuiteDefinition
from pipeline.lake.tables import Column, Kind
from pipeline.spelling import did_you_mean

CHECKED_COUNT = "checked_count"
NUMERIC = (Kind.INTEGER, Kind.NUMBER, Kind.MONEY)
BOUNDED_KINDS = (*NUMERIC, Kind.DATE, Kind.INSTANT)
ORDERED_KINDS = (*BOUNDED_KINDS, Kind.TEXT)
LISTED_KINDS = (*NUMERIC, Kind.FLAG, Kind.TEXT)
IDS = ("customer_id", "order_id", "visit_id")
WHITE_SPACE = "".join(character for character in map(chr, range(0x3001)) if character.isspace())


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
    failed_count, names = EXPECTATIONS[kind]
    arguments.require_known(names)
    return failed_count(arguments, table)


def _check_row_count_between(arguments: Arguments, _: exp.Table) -> exp.Expr:
    bounds = arguments.bounds(Column("rows", Kind.INTEGER, "Number of rows."))
    if not all(isinstance(value, int) for value in bounds.values):
        raise arguments.refused("a number of rows is a whole number")
    return _zero_where(_within_bounds(exp.Count(this=exp.Star()), bounds))


def _check_row_count_equal(arguments: Arguments, _: exp.Table) -> exp.Expr:
    return _zero_where(exp.EQ(this=exp.Count(this=exp.Star()), expression=exp.convert(arguments.row_count("value"))))


def _check_column_set(arguments: Arguments, _: exp.Table) -> exp.Expr:
    given, found = set(arguments.texts("column_set")), {column.name for column in arguments.suite.table.columns}
    is_met = given == found if arguments.flag("exact_match", default=True) else given <= found
    return exp.convert(0 if is_met else 1)


def _count_not_null_failures(arguments: Arguments, _: exp.Table) -> exp.Expr:
    return _count_where(_column_value(arguments.column("column")).is_(exp.null()))


def _count_null_failures(arguments: Arguments, _: exp.Table) -> exp.Expr:
    return exp.Count(this=_column_value(arguments.column("column")))


def _count_between_failures(arguments: Arguments, _: exp.Table) -> exp.Expr:
    column = arguments.column("column", BOUNDED_KINDS)
    bounds = arguments.bounds(column)
    return _count_where(exp.not_(_within_bounds(_as_compared(column, bounds.values), bounds)))


def _count_in_set_failures(arguments: Arguments, _: exp.Table) -> exp.Expr:
    return _count_where(exp.not_(_is_listed(arguments)))


def _count_not_in_set_failures(arguments: Arguments, _: exp.Table) -> exp.Expr:
    return _count_where(_is_listed(arguments))


def _count_unique_failures(arguments: Arguments, table: exp.Table) -> exp.Expr:
    column = _column_value(arguments.column("column"))
    return _count_repeated_rows([column], table.copy(), column.copy().is_(exp.null()).not_())


def _count_compound_unique_failures(arguments: Arguments, table: exp.Table) -> exp.Expr:
    columns = [_column_value(column) for column in arguments.columns("column_list")]
    are_null = [column.copy().is_(exp.null()) for column in columns]
    match arguments.choice("ignore_row_if", ("all_values_are_missing", "any_value_is_missing", "never")):
        case "all_values_are_missing":
            return _count_repeated_rows(columns, table.copy(), exp.not_(exp.and_(*are_null)))
        case "any_value_is_missing":
            return _count_repeated_rows(columns, table.copy(), exp.not_(exp.or_(*are_null)))
    return _count_repeated_rows(columns, table.copy(), exp.true())


def _count_pair_greater_failures(arguments: Arguments, _: exp.Table) -> exp.Expr:
    comparison = exp.GTE if arguments.flag("or_equal") else exp.GT
    return _count_pair_failures(arguments, comparison)


def _count_pair_equal_failures(arguments: Arguments, _: exp.Table) -> exp.Expr:
    return _count_pair_failures(arguments, exp.EQ)


def _count_pair_failures(arguments: Arguments, comparison: type[exp.Binary]) -> exp.Expr:
    """Return how many pairs fail; a pair that lacks a value and is not ignored fails whatever the comparison."""
    columns = arguments.column("column_A", ORDERED_KINDS), arguments.column("column_B", ORDERED_KINDS)
    is_numeric = all(column.kind in NUMERIC for column in columns)
    if columns[0].kind is not columns[1].kind and not is_numeric:
        raise arguments.refused(f"`{columns[0].name}` and `{columns[1].name}` are not of one kind")
    is_exact = columns[0].kind is columns[1].kind is not Kind.MONEY
    first, second = (_column_value(column) if is_exact else _as_double(column) for column in columns)
    fails = exp.not_(comparison(this=first, expression=second))
    lacks_first, lacks_second = (value.copy().is_(exp.null()) for value in (first, second))
    match arguments.choice("ignore_row_if", ("both_values_are_missing", "either_value_is_missing", "neither")):
        case "either_value_is_missing":
            return _count_where(fails)
        case "both_values_are_missing":
            return _count_where(exp.or_(fails, exp.NEQ(this=exp.paren(lacks_first), expression=exp.paren(lacks_second))))
    return _count_where(exp.or_(fails, lacks_first, lacks_second))


PAIR = ("column_A", "column_B", "ignore_row_if", "mostly")
RANGE = ("min_value", "max_value", "strict_min", "strict_max")
EXPECTATIONS: Mapping[str, tuple[Callable[[Arguments, exp.Table], exp.Expr], tuple[str, ...]]] = {
    "expect_column_pair_values_a_to_be_greater_than_b": (_count_pair_greater_failures, (*PAIR, "or_equal")),
    "expect_column_pair_values_to_be_equal": (_count_pair_equal_failures, PAIR),
    "expect_column_values_to_be_between": (_count_between_failures, ("column", *RANGE, "mostly")),
    "expect_column_values_to_be_in_set": (_count_in_set_failures, ("column", "value_set", "mostly")),
    "expect_column_values_to_be_null": (_count_null_failures, ("column", "mostly")),
    "expect_column_values_to_be_unique": (_count_unique_failures, ("column", "mostly")),
    "expect_column_values_to_not_be_in_set": (_count_not_in_set_failures, ("column", "value_set", "mostly")),
    "expect_column_values_to_not_be_null": (_count_not_null_failures, ("column", "mostly")),
    "expect_compound_columns_to_be_unique": (_count_compound_unique_failures, ("column_list", "ignore_row_if", "mostly")),
    "expect_table_columns_to_match_set": (_check_column_set, ("column_set", "exact_match")),
    "expect_table_row_count_to_be_between": (_check_row_count_between, RANGE),
    "expect_table_row_count_to_equal": (_check_row_count_equal, ("value",)),
}
"""What can be checked on computed tables: how it is counted, and its arguments."""


def is_known_to_sql(entry: Mapping[str, Any]) -> bool:
    """Whether SQL can count an expectation with arguments of these names; their values are looked at when it does."""
    _, names = EXPECTATIONS.get(str(entry.get("type")), (None, None))
    return names is not None and set(entry.get("kwargs") or {}) <= set(names)


def _column_value(column: Column) -> exp.Expr:
    """Return a column as rules see it: what is not a number or a blank id counts as no value, an amount is the float next to it."""
    value = exp.column(column.name, quoted=True)
    if column.kind is Kind.NUMBER:
        # Not NULLIF(x, NaN): writers leave NaN out of a file's statistics, by which DuckDB then takes no value to be equal to it.
        return exp.case().when(exp.not_(exp.IsNan(this=value)), value.copy())
    if column.kind is Kind.MONEY:
        return exp.cast(value, Kind.NUMBER.sql, dialect="duckdb")
    if column.kind is Kind.TEXT and column.name in IDS:
        # Trimming three million ids took more time than all else; most begin with a visible character and need none.
        is_visible = exp.Between(this=value, low=exp.Literal.string("!"), high=exp.Literal.string("~"))
        trimmed = exp.Trim(this=value.copy(), expression=exp.Literal.string(WHITE_SPACE))
        is_given = exp.NEQ(this=trimmed, expression=exp.Literal.string(""))
        return exp.case().when(is_visible, value.copy()).when(is_given, value.copy())
    return value


def _as_double(column: Column) -> exp.Expr:
    return exp.cast(_column_value(column), Kind.NUMBER.sql, dialect="duckdb")


def _as_compared(column: Column, constants: Sequence[object]) -> exp.Expr:
    """Return the column in the type in which it is compared with `constants`: whole numbers exactly, others as floats."""
    is_whole = column.kind is Kind.INTEGER and all(isinstance(value, int) for value in constants)
    return _as_double(column) if column.kind is Kind.INTEGER and not is_whole else _column_value(column)


def _constant_literal(value: object) -> exp.Expr:
    if isinstance(value, float):
        # As text: engines read a decimal literal as an exact decimal, and each rounds it in its own way.
        return exp.cast(exp.Literal.string(repr(value)), Kind.NUMBER.sql, dialect="duckdb")
    return exp.convert(value)


def _within_bounds(value: exp.Expr, bounds: Bounds) -> exp.Expr:
    conditions: list[exp.Expr] = []
    if bounds.min_value is not None:
        at_least = exp.GT if bounds.strict_min else exp.GTE
        conditions.append(at_least(this=value.copy(), expression=_constant_literal(bounds.min_value)))
    if bounds.max_value is not None:
        at_most = exp.LT if bounds.strict_max else exp.LTE
        conditions.append(at_most(this=value.copy(), expression=_constant_literal(bounds.max_value)))
    return exp.and_(*conditions)


def _is_listed(arguments: Arguments) -> exp.Expr:
    column = arguments.column("column", LISTED_KINDS)
    values = arguments.values("value_set", column)
    return exp.In(this=_as_compared(column, values), expressions=[_constant_literal(value) for value in values])


def _count_where(condition: exp.Expr) -> exp.Expr:
    return exp.Count(this=exp.case().when(condition, exp.convert(1)))


def _zero_where(holds: exp.Expr) -> exp.Expr:
    return exp.case().when(holds, exp.convert(0)).else_(exp.convert(1))


def _count_repeated_rows(columns: Sequence[exp.Expr], table: exp.Table, condition: exp.Expr) -> exp.Expr:
    """Return how many rows share the values of `columns` with another row, as a query of its own; nulls equal each other."""
    count = exp.Count(this=exp.Star())
    groups = exp.select(exp.alias_(count, "row_count")).from_(table).where(condition).group_by(*columns)
    groups = groups.having(exp.GT(this=count.copy(), expression=exp.convert(1)))
    total = exp.func("COALESCE", exp.Sum(this=exp.column("row_count")), exp.convert(0))
    return exp.select(exp.cast(total, Kind.INTEGER.sql, dialect="duckdb")).from_(groups.subquery("repeated")).subquery()

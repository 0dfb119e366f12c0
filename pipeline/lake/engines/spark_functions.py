"""Functions in another form than the one which they are usually translated to, with the same results: cheaper, or alike on every server."""

from __future__ import annotations

from collections.abc import Sequence

from sqlglot import exp


def with_cheap_functions(statement: exp.Query) -> exp.Query:
    """Return `statement` with days counted as days, and medians taken from sorted lists."""
    if not statement.find(exp.DateDiff, exp.Median):
        return statement
    cheap = statement.copy()
    for difference in list(cheap.find_all(exp.DateDiff)):
        if difference.text("unit").upper() == "DAY":
            days = _call("DATEDIFF", difference.this, difference.expression)
            difference.replace(exp.cast(days, "bigint"))  # as DuckDB has it: a square of days must not overflow
    for median in list(cheap.find_all(exp.Median)):
        median.replace(_median(median.this))
    return cheap


def with_plain_zeros(statement: exp.Query) -> exp.Query:
    """Return `statement` with 0.0 for -0.0 where it is looked for among others, or as divisor: Sail takes them for two numbers there."""
    zero = exp.cast(exp.Literal.number(0), "double")
    if not any(zero in _compared_with(each) for each in statement.find_all(exp.Nullif, exp.In)):
        return statement
    plain = statement.copy()
    for each in reversed(list(plain.find_all(exp.Nullif, exp.In))):
        if zero in _compared_with(each):
            each.set("this", exp.paren(each.this) + zero.copy())
    return plain


def _compared_with(test: exp.Expr) -> Sequence[exp.Expr]:
    return test.expressions if isinstance(test, exp.In) else [test.expression]


def with_casts_by_text(statement: exp.Query) -> exp.Query:
    """Return `statement` with doubles read from texts: a server that misses the nearest one to a decimal finds the one to its digits."""
    cast = statement.copy()
    for each in reversed(list(cast.find_all(exp.Cast))):  # the innermost first, as what is put into another is copied
        if each.to.is_type("double"):
            each.set("this", exp.cast(each.this, "varchar"))
    return cast


def _median(values: exp.Expr) -> exp.Expr:
    """Return the median of whole numbers: Spark's own makes a table of values for each group, which costs more than sorting few of them."""
    listed = _call("SORT_ARRAY", _call("COLLECT_LIST", values))
    found, size = exp.column("found"), _call("SIZE", exp.column("found"))
    places = (exp.IntDiv(this=each, expression=exp.Literal.number(2)) for each in (exp.paren(size - 1), size.copy()))
    first, last = (_call("GET", found.copy(), place) for place in places)
    middle = exp.paren(first + last) / exp.Literal.number("2.0D")
    chosen = exp.Case(ifs=[exp.If(this=size.copy() > 0, true=middle)])
    # Within a function of the list, which would else be gathered once for each time that it is named.
    function = exp.Lambda(this=chosen, expressions=[exp.to_identifier("found")])
    return _call("GET", _call("TRANSFORM", _call("ARRAY", listed), function), exp.Literal.number(0))


def _call(name: str, *arguments: exp.Expr) -> exp.Anonymous:
    return exp.Anonymous(this=name, expressions=[*arguments])

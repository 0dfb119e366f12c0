"""The functions of the rule language, each with what it takes, what it is, and what it says of the unknown.

A function that is not listed here does not exist: its name never reaches a parser of SQL.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import md5
from typing import Any

from sqlglot import exp

from pipeline.definitions.rules.calls import Call, Row, call_node
from pipeline.definitions.rules.cluster_ids import TODO, is_cluster_id
from pipeline.definitions.rules.dates import DATE_PARTS, TODAY, date_part, day_count, plain_date
from pipeline.definitions.rules.joined_columns import STAYS, StayColumn
from pipeline.definitions.rules.list_tests import QUANTIFIERS, values_text_test
from pipeline.definitions.rules.phrases import CALL_MARK
from pipeline.definitions.rules.texts import lower_text, lowered, text_test
from pipeline.definitions.rules.types import TypedNode, cast_to_one_type, common_kind, operator_chain, typed_column
from pipeline.definitions.rules.values import rule_value
from pipeline.definitions.rules.vocabulary import RuleContext
from pipeline.definitions.rules.words import column_names, rule_words
from pipeline.lake.tables import Kind
from pipeline.spelling import did_you_mean

Check = Callable[[RuleContext, exp.Expr], TypedNode]
CUSTOMER_ID = "customer_id"
# Six hexadecimal digits tell sixteen million shares apart, and fit every engine's exact numbers.
_HASH_DIGITS = 6
_HASH_VALUES = 16**_HASH_DIGITS
_ORDER_TODO = "Write one of {names}."


@dataclass(frozen=True, slots=True)
class Function:
    """A function as people read of it, and what makes a call of it; `signature` without its name is what stands between the brackets."""

    signature: str
    result: str
    meaning: str
    unknown: str
    example: str
    build: Callable[[RuleContext, exp.Expr, Sequence[exp.Expr], Check], TypedNode]
    arguments: tuple[int, int]


def is_call(node: exp.Expr, *names: str) -> bool:
    """Return whether `node` is a call as it was parsed, of one of these functions where any is named."""
    return isinstance(node, exp.Anonymous) and (not names or function_name(node) in names)


def function_name(node: exp.Expr) -> str:
    """Return the name of the function that a parsed call names."""
    return str(node.name).removeprefix(CALL_MARK)


def check_call(rule: RuleContext, node: exp.Expr, check: Check) -> TypedNode:
    """Build a call anew; raises ConfigError for a function that is unknown here, or takes other arguments."""
    function = FUNCTIONS[function_name(node)]
    low, high = function.arguments
    if not low <= len(node.expressions) <= high:
        raise rule.error_at(node, f"{function_name(node)} does not take {len(node.expressions)} values", f"Write {function.signature}.")
    return function.build(rule, node, node.expressions, check)


def list_column(rule: RuleContext, node: exp.Expr) -> tuple[exp.Expression, str]:
    """Return the list that a call of ANY, ALL or NONE asks about, and what separates its values."""
    [inner] = node.expressions if len(node.expressions) == 1 else [node]
    column = inner.expressions[0] if is_call(inner, "LOWER") and len(inner.expressions) == 1 else inner
    separators = rule.vocabulary.separators
    if not isinstance(column, exp.Column) or column.name not in separators:
        suggestion = did_you_mean(column.name, separators) if isinstance(column, exp.Column) else ""
        what = f"{function_name(node)} takes an attribute that holds a list{suggestion}"
        raise rule.error_at(node, what, 'Declare it in company.toml: kind = "list" under [attributes.<name>].')
    item = typed_column(column.name, Kind.TEXT)
    return (item if column is inner else lowered(item, rule.vocabulary.language)).node, separators[column.name]


def constant_text(rule: RuleContext, node: exp.Expr, what: str, separator: str = "") -> str:
    """Return the text that a literal is; raises ConfigError for anything else, for an empty one, and for one with the `separator`."""
    if not isinstance(node, exp.Literal) or not node.is_string:
        raise rule.error_at(node, f"{what} must be a text in single quotes", "Write it as 'text'.")
    if not node.name:
        raise rule.error_at(node, f"{what} is empty", "Write at least one character.")
    if separator and separator in node.name:
        raise rule.error_at(node, f"`{separator}` separates the values of this list, so that none of them has it", "Write one value.")
    return node.name


def _typed(rule: RuleContext, node: exp.Expr, check: Check, kind: Kind, name: str) -> TypedNode:
    item = check(rule, node)
    if item.kind is not kind:
        raise rule.error_at(node, f"{name} takes a {kind.words}, but this is: {item.kind.words}", f"Write {FUNCTIONS[name].signature}.")
    return item


def _build_day_count(name: str) -> Callable[..., TypedNode]:
    def build(rule: RuleContext, node: exp.Expr, given: Sequence[exp.Expr], check: Check) -> TypedNode:
        day, today = plain_date(_typed(rule, given[0], check, Kind.DATE, name)), _today(rule, node)
        return day_count(today, day) if name == "DAYS_SINCE" else day_count(day, today)

    return build


def _build_date_part(name: str) -> Callable[..., TypedNode]:
    def build(rule: RuleContext, node: exp.Expr, given: Sequence[exp.Expr], check: Check) -> TypedNode:
        day = _typed(rule, given[0], check, Kind.DATE, name)
        part = DATE_PARTS[name]
        return date_part(name, part, day, _today(rule, node).node if part.needs_today else None)

    return build


def _today(rule: RuleContext, node: exp.Expr) -> TypedNode:
    if TODAY not in rule.vocabulary.names:
        raise rule.error_at(node, "the night's day is not known here", "Compare with a date.")
    return typed_column(TODAY, Kind.DATE)


def _build_text_test(name: str) -> Callable[..., TypedNode]:
    def build(rule: RuleContext, _node: exp.Expr, given: Sequence[exp.Expr], check: Check) -> TypedNode:
        if is_call(given[0], *QUANTIFIERS):
            quantifier = function_name(given[0])
            if quantifier == "ALL":
                raise rule.error_at(given[0], f"{name} takes ANY or NONE of a list", "Write ANY(tags) or NONE(tags).")
            column, separator = list_column(rule, given[0])
            return values_text_test(quantifier, name, column, separator, constant_text(rule, given[1], f"what {name} looks for", separator))
        item = _typed(rule, given[0], check, Kind.TEXT, name)
        part = constant_text(rule, given[1], f"what {name} looks for")
        if is_call(given[0], "LOWER"):
            require_lower(rule, given[1])
        return text_test(name, item, part)

    return build


def require_lower(rule: RuleContext, node: exp.Expr) -> None:
    """Raise ConfigError for a text with capitals that small letters are compared with."""
    lower = lower_text(node.name, rule.vocabulary.language)
    if node.name != lower:
        raise rule.error_at(
            node, "LOWER(...) has no capital letters, so that it never is this", f"Write {exp.Literal.string(lower).sql()}."
        )


def _build_lower(rule: RuleContext, _node: exp.Expr, given: Sequence[exp.Expr], check: Check) -> TypedNode:
    return lowered(_typed(rule, given[0], check, Kind.TEXT, "LOWER"), rule.vocabulary.language)


def _build_coalesce(rule: RuleContext, node: exp.Expr, given: Sequence[exp.Expr], check: Check) -> TypedNode:
    items = [plain_date(check(rule, each)) for each in given]
    kind = common_kind(items)
    if kind is None:
        words = " and ".join(dict.fromkeys(item.kind.words for item in items))
        raise rule.error_at(node, f"COALESCE takes values of one kind, but these are: {words}", "Write COALESCE(spend_amount, 0).")
    try:
        nodes = cast_to_one_type(items)
    except OverflowError:
        raise rule.error_at(node, "the result may need more than 38 digits", "Use fewer or shorter factors.") from None

    def value_of(row: Row) -> Any:  # noqa: ANN401 - a value of any kind
        return next((value for value in (rule_value(each, row) for each in nodes) if value is not None), None)

    names = frozenset[str]().union(*map(column_names, nodes))
    is_always_known = any(not column_names(each) for each in nodes)
    text = f"COALESCE({', '.join(map(rule_words, nodes))})"
    call = Call(text, kind, value_of, names, frozenset() if is_always_known else None)
    sql = exp.Coalesce(this=nodes[0], expressions=nodes[1:])
    digits, decimals = max(item.digits - item.decimals for item in items), max(item.decimals for item in items)
    return TypedNode(call_node(call, sql), kind, digits + decimals, decimals)


def _build_random_share(rule: RuleContext, _node: exp.Expr, given: Sequence[exp.Expr], _check: Check) -> TypedNode:
    prefix = f"{constant_text(rule, given[0], 'the salt')}:"
    hashed = exp.MD5(this=exp.DPipe(this=exp.Literal.string(prefix), expression=exp.column(CUSTOMER_ID, quoted=True)))
    digits = (_hex_digit_sql(hashed, place) for place in range(_HASH_DIGITS))
    weighed = [
        exp.Mul(this=exp.paren(digit), expression=exp.Literal.number(16 ** (_HASH_DIGITS - 1 - place)))
        for place, digit in enumerate(digits)
    ]
    number = exp.cast(operator_chain(exp.Add, *weighed), "double")

    def value_of(row: Row) -> float:
        # No secret is kept by it: every engine has MD5, and computes it alike.
        digest = md5(f"{prefix}{row[CUSTOMER_ID]}".encode(), usedforsecurity=False).hexdigest()
        return float(int(digest[:_HASH_DIGITS], 16) / _HASH_VALUES)

    call = Call(
        text=f"RANDOM_SHARE({given[0].sql('duckdb')})",
        kind=Kind.NUMBER,
        value_of=value_of,
        bases=frozenset({CUSTOMER_ID}),
        unknown_with=frozenset(),
        low=0,
        high=(_HASH_VALUES - 1) / _HASH_VALUES,
        is_surjective=True,
        is_free=True,
    )
    return TypedNode(call_node(call, exp.Div(this=number, expression=exp.cast(exp.Literal.number(_HASH_VALUES), "double"))), Kind.NUMBER)


def _hex_digit_sql(hashed: exp.Expression, place: int) -> exp.Expression:
    digit = exp.Substring(this=hashed.copy(), start=exp.Literal.number(place + 1), length=exp.Literal.number(1))
    return exp.Sub(this=exp.StrPosition(this=exp.Literal.string("0123456789abcdef"), substr=digit), expression=exp.Literal.number(1))


def _build_stay(name: str) -> Callable[..., TypedNode]:
    def build(rule: RuleContext, _node: exp.Expr, given: Sequence[exp.Expr], _check: Check) -> TypedNode:
        return typed_column(_stay_column(rule, name, given[0]).column, Kind.DATE)

    return build


def _build_was_in(rule: RuleContext, node: exp.Expr, given: Sequence[exp.Expr], check: Check) -> TypedNode:
    last = typed_column(_stay_column(rule, "LAST_IN", given[0]).column, Kind.DATE)
    since = day_count(_today(rule, node), last).node
    days = check(rule, given[1])
    is_known = exp.Not(this=exp.Paren(this=exp.Is(this=since.copy(), expression=exp.null())))
    return TypedNode(operator_chain(exp.And, is_known, operator_chain(exp.LTE, since, days.node)), Kind.FLAG)


def _stay_column(rule: RuleContext, name: str, node: exp.Expr) -> StayColumn:
    scheme, point, segment = node.name.partition(".") if isinstance(node, exp.Column) else ("", "", "")
    known = rule.vocabulary.schemes
    if not point:
        raise rule.error_at(node, f"{name} takes a segment", f"Write {FUNCTIONS[name].signature}.")
    if scheme not in known:
        raise rule.error_at(
            node, f"no such scheme: `{scheme}`{did_you_mean(scheme, known)}", "Write it as scheme.segment, such as rfm.champions."
        )
    ids = known[scheme]
    if ids is None and not is_cluster_id(segment):
        raise rule.error_at(node, f"no such cluster: `{segment}`", TODO)
    if ids and segment not in ids:
        todo = _ORDER_TODO.format(names=", ".join(f"{scheme}.{each}" for each in dict.fromkeys(ids.values())))
        raise rule.error_at(node, f"no such segment: `{segment}`{did_you_mean(segment, ids)}", todo)
    return StayColumn(name, scheme, (ids or {}).get(segment, segment))


def _build_quantifier(rule: RuleContext, node: exp.Expr, _given: Sequence[exp.Expr], _check: Check) -> TypedNode:
    name = function_name(node)
    raise rule.error_at(
        node, f"{name}(...) stands on the left of = or <>, before IN, or in CONTAINS", f"Write {FUNCTIONS[name].signature} = 'vip'."
    )


def _of_date(name: str, meaning: str, example: str, build: Callable[..., TypedNode]) -> Function:
    return Function(f"{name}(date)", "whole number", meaning, "unknown for an unknown date", example, build, (1, 1))


FUNCTIONS: Mapping[str, Function] = {
    "DAYS_SINCE": _of_date(
        "DAYS_SINCE",
        "days from the date to the night's day: 0 on the day itself, negative for a later date",
        "DAYS_SINCE(last_order_date) > 60",
        _build_day_count("DAYS_SINCE"),
    ),
    "DAYS_UNTIL": _of_date(
        "DAYS_UNTIL",
        "days from the night's day to the date: 0 on the day itself, negative once it is over",
        "DAYS_UNTIL(contract_end) BETWEEN 0 AND 30",
        _build_day_count("DAYS_UNTIL"),
    ),
    "DAYS_UNTIL_ANNIVERSARY": _of_date(
        "DAYS_UNTIL_ANNIVERSARY",
        "days to the next day with the month and day of the date, whatever its year: 0 on the day itself, at most 365; "
        "29 February falls on the 28th in years without one",
        "DAYS_UNTIL_ANNIVERSARY(birth_date) <= 14",
        _build_date_part("DAYS_UNTIL_ANNIVERSARY"),
    ),
    "YEARS_SINCE": _of_date(
        "YEARS_SINCE",
        "whole years from the date to the night's day, one more from each anniversary on: of a date of birth the age",
        "YEARS_SINCE(birth_date) BETWEEN 18 AND 25",
        _build_date_part("YEARS_SINCE"),
    ),
    "YEAR": _of_date("YEAR", "the year", "YEAR(first_order_date) = YEAR(TODAY) - 1", _build_date_part("YEAR")),
    "MONTH": _of_date("MONTH", "the month, 1 for January to 12", "MONTH(birth_date) = MONTH(TODAY)", _build_date_part("MONTH")),
    "DAY": _of_date("DAY", "the day of the month, 1 to 31", "DAY(birth_date) = 29", _build_date_part("DAY")),
    "WEEKDAY": _of_date("WEEKDAY", "the day of the week, 1 for Monday to 7 for Sunday", "WEEKDAY(TODAY) = 1", _build_date_part("WEEKDAY")),
    **{
        name: Function(
            f"{name}(text, 'part')",
            "true or false",
            meaning,
            "unknown for an unknown text",
            example,
            _build_text_test(name),
            (2, 2),
        )
        for name, meaning, example in (
            ("CONTAINS", "whether the part stands anywhere in the text, letter for letter", "CONTAINS(LOWER(city), 'burg')"),
            ("STARTS_WITH", "whether the text begins with the part", "STARTS_WITH(postcode, '10')"),
            ("ENDS_WITH", "whether the text ends with the part", "ENDS_WITH(email_domain, '.de')"),
        )
    },
    "LOWER": Function(
        "LOWER(text)",
        "text",
        "the text in small letters, one by one; `I` becomes `\u0131` where the company's `language` is Turkish or Azerbaijani, else `i`",
        "unknown for an unknown text",
        "LOWER(city) = 'istanbul'",
        _build_lower,
        (1, 1),
    ),
    "COALESCE": Function(
        "COALESCE(value, other, ...)",
        "as its values",
        "the first of the values that is known",
        "unknown where all of them are",
        "COALESCE(average_order_amount, 0) < 50",
        _build_coalesce,
        (2, 20),
    ),
    "RANDOM_SHARE": Function(
        "RANDOM_SHARE('salt')",
        "number",
        "a number from 0 to under 1, spread evenly over customers and the same every night; another salt gives other numbers",
        "never unknown",
        "RANDOM_SHARE('spring test') < 0.1",
        _build_random_share,
        (1, 1),
    ),
    **{
        name: Function(f"{name}(list)", "a test of its values", meaning, "unknown for an unknown list", example, _build_quantifier, (1, 1))
        for name, meaning, example in (
            ("ANY", "whether one value of the list at least is so; false of an empty one", "ANY(tags) = 'vip'"),
            ("ALL", "whether every value of the list is so; true of an empty one", "ALL(tags) IN ('vip', 'press')"),
            ("NONE", "whether no value of the list is so; true of an empty one", "NONE(tags) = 'staff'"),
        )
    },
    **{
        name: Function(f"{name}(scheme.segment)", "date", meaning, "unknown for whoever was not", example, _build_stay(name), (1, 1))
        for name, meaning, example in zip(
            STAYS,
            (
                "the last day before tonight on which the customer was in the segment",
                "the day on which the customer last entered the segment, before tonight",
                "the day since which the customer has been in the segment, up to the night before",
            ),
            (
                "DAYS_SINCE(LAST_IN(rfm.champions)) <= 30",
                "DAYS_SINCE(ENTERED(lifecycle.at_risk)) BETWEEN 7 AND 14",
                "DAYS_SINCE(IN_SINCE(lifecycle.active)) >= 365",
            ),
            strict=True,
        )
    },
    "WAS_IN": Function(
        "WAS IN scheme.segment WITHIN 30 DAYS",
        "true or false",
        "whether the customer was in the segment on any of so many days before tonight",
        "never unknown",
        "WAS IN rfm.champions WITHIN 30 DAYS",
        _build_was_in,
        (2, 2),
    ),
}
"""Every function by its name."""

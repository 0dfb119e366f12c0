"""What makes a call of each function of the rule language: its arguments checked, and the SQL that an engine runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import md5
from typing import Any

from sqlglot import exp

from pipeline.definitions.rules.arithmetic import overflow_error
from pipeline.definitions.rules.calls import Call, Row, call_node
from pipeline.definitions.rules.cluster_ids import TODO, is_cluster_id
from pipeline.definitions.rules.dates import DATE_PARTS, TODAY, date_part, day_count, plain_date
from pipeline.definitions.rules.instants import INSTANT_PARTS, instant_part
from pipeline.definitions.rules.joined_columns import StayColumn
from pipeline.definitions.rules.list_tests import QUANTIFIERS, values_text_test
from pipeline.definitions.rules.parsed_calls import Check, constant_text, function_name, is_call, list_column, require_lower
from pipeline.definitions.rules.texts import lowered, text_test
from pipeline.definitions.rules.types import TypedNode, cast_to_one_type, common_kind, operator_chain, typed_column
from pipeline.definitions.rules.values import rule_value
from pipeline.definitions.rules.vocabulary import RuleContext
from pipeline.definitions.rules.words import column_names, rule_words
from pipeline.lake.tables import Kind
from pipeline.spelling import did_you_mean

CUSTOMER_ID = "customer_id"
# Six hexadecimal digits tell sixteen million shares apart, and fit every engine's exact numbers.
_HASH_DIGITS = 6
_HASH_VALUES = 16**_HASH_DIGITS


@dataclass(frozen=True, slots=True)
class GivenCall:
    """A call as it was parsed, what checks its arguments, and the `signature` that errors show."""

    rule: RuleContext
    node: exp.Expr
    check: Check
    signature: str

    @property
    def name(self) -> str:
        """The name of the function."""
        return function_name(self.node)

    @property
    def given(self) -> Sequence[exp.Expr]:
        """The arguments."""
        return list(self.node.expressions)

    @property
    def today(self) -> TypedNode:
        """The night's day; raises ConfigError where rules do not know it."""
        if TODAY not in self.rule.vocabulary.names:
            raise self.rule.error_at(self.node, "the night's day is not known here", "Compare with a date.")
        return typed_column(TODAY, Kind.DATE)

    def first_of_kind(self, kind: Kind) -> TypedNode:
        """Return the first argument; raises ConfigError where it is of another kind."""
        item = self.check(self.rule, self.given[0])
        if item.kind is not kind:
            what = f"{self.name} takes a {kind.words}, but this is: {item.kind.words}"
            raise self.rule.error_at(self.given[0], what, f"Write {self.signature}.")
        return item

    def part_of_instant(self) -> TypedNode | None:
        """Return what the function says of the instant that the first argument is; None where it is none, or the function takes none."""
        node, instants = self.given[0], self.rule.vocabulary.instants
        is_instant = isinstance(node, exp.Column) and node.name in instants
        return instant_part(self.name, node.name, instants[node.name]) if is_instant and self.name in INSTANT_PARTS else None

    def stay_column(self, name: str) -> StayColumn:
        """Return the column with what `name` says of the segment that the first argument names."""
        node, known = self.given[0], self.rule.vocabulary.schemes
        scheme, point, segment = node.name.partition(".") if isinstance(node, exp.Column) else ("", "", "")
        if not point:
            raise self.rule.error_at(node, f"{self.name} takes a segment", f"Write {self.signature}.")
        if scheme not in known:
            what = f"no such scheme: `{scheme}`{did_you_mean(scheme, known)}"
            raise self.rule.error_at(node, what, "Write it as scheme.segment, such as rfm.champions.")
        ids = known[scheme]
        if ids is None and not is_cluster_id(segment):
            raise self.rule.error_at(node, f"no such cluster: `{segment}`", TODO)
        if ids and segment not in ids:
            todo = f"Write one of {', '.join(f'{scheme}.{each}' for each in dict.fromkeys(ids.values()))}."
            raise self.rule.error_at(node, f"no such segment: `{segment}`{did_you_mean(segment, ids)}", todo)
        return StayColumn(name, scheme, (ids or {}).get(segment, segment))


def build_day_count(call: GivenCall) -> TypedNode:
    """Build DAYS_SINCE or DAYS_UNTIL."""
    day, today = plain_date(call.first_of_kind(Kind.DATE)), call.today
    return day_count(today, day) if call.name == "DAYS_SINCE" else day_count(day, today)


def build_date_part(call: GivenCall) -> TypedNode:
    """Build what a calendar says of a date, such as MONTH."""
    if (found := call.part_of_instant()) is not None:
        return found
    part = DATE_PARTS[call.name]
    return date_part(call.name, part, call.first_of_kind(Kind.DATE), call.today.node if part.needs_today else None)


def build_hour(call: GivenCall) -> TypedNode:
    """Build HOUR, of an instant of an event."""
    if (found := call.part_of_instant()) is not None:
        return found
    [node], instants = call.given, call.rule.vocabulary.instants
    item = call.check(call.rule, node)
    todo = f"Write HOUR({next(iter(instants))})." if instants else "Ask for it among events: EXISTS(orders WHERE HOUR(ordered_at) >= 18)."
    raise call.rule.error_at(node, f"HOUR takes an instant, but this is: {item.kind.words}", todo)


def build_text_test(call: GivenCall) -> TypedNode:
    """Build CONTAINS, STARTS_WITH or ENDS_WITH, of a text or of the values of a list."""
    rule, name, (text, sought) = call.rule, call.name, call.given
    if is_call(text, *QUANTIFIERS):
        quantifier = function_name(text)
        if quantifier == "ALL":
            raise rule.error_at(text, f"{name} takes ANY or NONE of a list", "Write ANY(tags) or NONE(tags).")
        column, separator = list_column(rule, text)
        return values_text_test(quantifier, name, column, separator, constant_text(rule, sought, f"what {name} looks for", separator))
    item = call.first_of_kind(Kind.TEXT)
    part = constant_text(rule, sought, f"what {name} looks for")
    if is_call(text, "LOWER"):
        require_lower(rule, sought)
    return text_test(name, item, part)


def build_lower(call: GivenCall) -> TypedNode:
    """Build LOWER."""
    return lowered(call.first_of_kind(Kind.TEXT), call.rule.vocabulary.language)


def build_coalesce(call: GivenCall) -> TypedNode:
    """Build COALESCE."""
    kind, items, nodes = _of_one_kind(call)

    def value_of(row: Row) -> Any:  # noqa: ANN401 - a value of any kind
        return next((value for value in (rule_value(each, row) for each in nodes) if value is not None), None)

    names = frozenset[str]().union(*map(column_names, nodes))
    is_always_known = any(not column_names(each) for each in nodes)
    text = f"COALESCE({', '.join(map(rule_words, nodes))})"
    made = Call(text, kind, value_of, names, frozenset() if is_always_known else None)
    sql = exp.Coalesce(this=nodes[0], expressions=nodes[1:])
    digits, decimals = max(item.digits - item.decimals for item in items), max(item.decimals for item in items)
    return TypedNode(call_node(made, sql), kind, digits + decimals, decimals)


def build_nullif(call: GivenCall) -> TypedNode:
    """Build NULLIF: unknown where both values are the same, else the first."""
    kind, items, [value, other] = _of_one_kind(call)

    def value_of(row: Row) -> Any:  # noqa: ANN401 - a value of any kind
        found = rule_value(value, row)
        return None if found == rule_value(other, row) else found

    names = column_names(value) | column_names(other)
    made = Call(f"NULLIF({rule_words(value)}, {rule_words(other)})", kind, value_of, names, None)
    digits, decimals = max(item.digits - item.decimals for item in items), max(item.decimals for item in items)
    return TypedNode(call_node(made, exp.Nullif(this=value, expression=other)), kind, digits + decimals, decimals)


def _of_one_kind(call: GivenCall) -> tuple[Kind, list[TypedNode], list[exp.Expression]]:
    """Return the kind that all arguments are brought to, the arguments, and their nodes of that kind; raises ConfigError without one."""
    items = [plain_date(call.check(call.rule, each)) for each in call.given]
    kind = common_kind(items)
    if kind is None:
        words = " and ".join(dict.fromkeys(item.kind.words for item in items))
        what = f"{call.name} takes values of one kind, but these are: {words}"
        raise call.rule.error_at(call.node, what, f"Write {call.name}(spend_amount, 0).")
    try:
        return kind, items, cast_to_one_type(items)
    except OverflowError:
        raise overflow_error(call.rule, call.node) from None


def build_random_share(call: GivenCall) -> TypedNode:
    """Build RANDOM_SHARE: the first digits of a hash of salt and id, as a share of the largest number that they can be."""
    prefix = f"{constant_text(call.rule, call.given[0], 'the salt')}:"
    hashed = exp.MD5(this=exp.DPipe(this=exp.Literal.string(prefix), expression=exp.column(CUSTOMER_ID, quoted=True)))
    # Digit by digit, as engines read hexadecimal numbers each in its own way, or not at all.
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

    made = Call(
        text=f"RANDOM_SHARE({call.given[0].sql('duckdb')})",
        kind=Kind.NUMBER,
        value_of=value_of,
        bases=frozenset({CUSTOMER_ID}),
        unknown_with=frozenset(),
        low=0,
        high=(_HASH_VALUES - 1) / _HASH_VALUES,
        is_surjective=True,
        is_free=True,
    )
    return TypedNode(call_node(made, exp.Div(this=number, expression=exp.cast(exp.Literal.number(_HASH_VALUES), "double"))), Kind.NUMBER)


def _hex_digit_sql(hashed: exp.Expression, place: int) -> exp.Expression:
    digit = exp.Substring(this=hashed.copy(), start=exp.Literal.number(place + 1), length=exp.Literal.number(1))
    return exp.Sub(this=exp.StrPosition(this=exp.Literal.string("0123456789abcdef"), substr=digit), expression=exp.Literal.number(1))


def build_stay(call: GivenCall) -> TypedNode:
    """Build LAST_IN, ENTERED or IN_SINCE: a column that whoever decides joins to the features."""
    return typed_column(call.stay_column(call.name).column, Kind.DATE)


def build_was_in(call: GivenCall) -> TypedNode:
    """Build WAS IN ... WITHIN ... DAYS: false of whoever was never in the segment, not unknown."""
    last = typed_column(call.stay_column("LAST_IN").column, Kind.DATE)
    since = day_count(call.today, last).node
    days = call.check(call.rule, call.given[1])
    # Else AND would leave it unknown of whoever never was there.
    is_known = exp.Not(this=exp.Paren(this=exp.Is(this=since.copy(), expression=exp.null())))
    return TypedNode(operator_chain(exp.And, is_known, operator_chain(exp.LTE, since, days.node)), Kind.FLAG)


def refuse_bare_quantifier(call: GivenCall) -> TypedNode:
    """Refuse ANY, ALL or NONE where it is not compared: raises ConfigError."""
    what = f"{call.name}(...) stands on the left of = or <>, before IN, or in CONTAINS"
    raise call.rule.error_at(call.node, what, f"Write {call.signature} = 'vip'.")

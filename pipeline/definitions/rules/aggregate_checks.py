"""What an aggregate adds up, checked in the words of its events."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlglot import exp
from sqlglot.tokenizer_core import Token

from pipeline.definitions.rules.aggregate_calls import SYNTAX, AggregateCall
from pipeline.definitions.rules.aggregates import Aggregate, AggregateFunction, SequenceCondition
from pipeline.definitions.rules.day_windows import DayWindow
from pipeline.definitions.rules.event_sources import EventSource
from pipeline.definitions.rules.parsed_calls import Check
from pipeline.definitions.rules.text import RuleText, parse_tokens
from pipeline.definitions.rules.types import TypedNode
from pipeline.definitions.rules.vocabulary import RuleContext, Vocabulary
from pipeline.lake.tables import Kind
from pipeline.spelling import did_you_mean


@dataclass(frozen=True, slots=True)
class OwnRows:
    """The rows that a declared feature is about: of `source`, within `window`, for which `where` holds."""

    source: EventSource
    where: exp.Expression | None
    window: DayWindow


def check_aggregate(text: RuleText, vocabulary: Vocabulary, call: AggregateCall, check: Check, own: OwnRows | None = None) -> Aggregate:
    """Return what `call` adds up; `own` are the rows of a call that names none, as one of a file does.

    Raises ConfigError that points into the text where a name is none of the source's, or the types do not fit.
    """
    rule = _words_of(text, vocabulary, call.source)
    argument = check(rule, parse_tokens(text, list(call.argument))) if call.argument else None
    kind, value = _kind_of(rule, call, argument), None if argument is None else argument.node
    if call.clauses is None:
        return Aggregate(call.source.name, call.function, value, own.where if own else None, own.window if own else DayWindow(), kind)
    where, sequence = _condition(rule, call.clauses.where, check), _sequence(rule, vocabulary, call, check)
    return Aggregate(call.source.name, call.function, value, where, call.clauses.window, kind, sequence, call.clauses.latest)


def _words_of(text: RuleText, vocabulary: Vocabulary, source: EventSource) -> RuleContext:
    """Return the context of a condition about the columns of `source`."""
    words = Vocabulary(
        source.names,
        vocabulary.parameters,
        separators=source.separators,
        language=vocabulary.language,
        instants=source.instants,
        hint=source.hint,
    )
    return RuleContext(text, words)


def _sequence(rule: RuleContext, vocabulary: Vocabulary, call: AggregateCall, check: Check) -> SequenceCondition | None:
    given = call.clauses.sequence if call.clauses else None
    if given is None:
        return None
    other = _words_of(rule.text, vocabulary, given.source)
    same = "" if given.same is None else _column_of_both(rule, other, given.same, call.source, given.source)
    where = _condition(other, given.where, check)
    return SequenceCondition(given.source.name, where, given.days, given.is_before, given.is_first, given.is_negated, same)


def _column_of_both(rule: RuleContext, other: RuleContext, name: Token, own: EventSource, source: EventSource) -> str:
    """Return the name of a column that both events have, of one kind; raises ConfigError where it is none."""
    kinds = [words.vocabulary.names.get(name.text) for words in (rule, other)]
    if None in kinds or kinds[0] is not kinds[1]:
        both = [column for column, kind in own.names.items() if source.names.get(column) is kind]
        what = f"`{name.text}` is no column of one kind of both {own.name} and {source.name}{did_you_mean(name.text, both)}"
        raise rule.text.error_at(name.start, what, f"Name one of {', '.join(both)}." if both else "They have no column in common.")
    return name.text


def _condition(rule: RuleContext, tokens: Sequence[Token], check: Check) -> exp.Expression | None:
    if not tokens:
        return None
    checked = check(rule, parse_tokens(rule.text, list(tokens)))
    if checked.kind is not Kind.FLAG:
        what = f"WHERE takes what is true or false, but this is: {checked.kind.words}"
        raise rule.text.error_at(tokens[0].start, what, "Compare it with something.")
    return checked.node


def _kind_of(rule: RuleContext, call: AggregateCall, argument: TypedNode | None) -> Kind:
    if argument is None:
        if call.function is AggregateFunction.COUNT:
            return Kind.INTEGER
        raise rule.text.error_at(call.first.start, f"{call.function.value} takes a column", SYNTAX)
    if call.function.is_count:
        return Kind.INTEGER
    if call.function in (AggregateFunction.SUM, AggregateFunction.AVG):
        # Doubles add up to another number in another order; every night must give the same.
        if argument.kind not in (Kind.INTEGER, Kind.MONEY):
            what = f"{call.function.value} takes exact numbers, but this is: {argument.kind.words}"
            todo = 'Declare the column as "money" or "integer".' if argument.kind is Kind.NUMBER else SYNTAX
            raise rule.text.error_at(call.argument[0].start, what, todo)
        return Kind.NUMBER if call.function is AggregateFunction.AVG else argument.kind
    if call.function is AggregateFunction.LIST and argument.kind is not Kind.TEXT:
        raise rule.text.error_at(call.argument[0].start, f"LIST takes a text, but this is: {argument.kind.words}", SYNTAX)
    return argument.kind

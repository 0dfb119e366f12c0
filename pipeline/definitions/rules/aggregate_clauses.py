"""What stands behind the events in an aggregate: which rows, what came after or before them, and in which days.

    [WHERE condition] [[NOT] FOLLOWED BY events [OF THE SAME column] [WHERE condition] [WITHIN n DAYS]]
    [LATEST n] [LAST n DAYS] [BEFORE n DAYS AGO]

PRECEDED BY, or PRECEDED BY FIRST, may stand for FOLLOWED BY, and THIS or LAST with WEEK, MONTH, QUARTER or YEAR for both parts of the days.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from sqlglot.tokenizer_core import Token, TokenType

from pipeline.definitions.rules.day_windows import DayWindow, Period
from pipeline.definitions.rules.event_sources import EventSource
from pipeline.definitions.rules.phrases import CALL_MARK
from pipeline.definitions.rules.text import RuleText
from pipeline.definitions.settings import MOST_DAYS
from pipeline.spelling import did_you_mean

MOST_LATEST = 10_000
_DAYS_TODO = "Write LAST 90 DAYS, LAST 90 DAYS BEFORE 90 DAYS AGO, BEFORE 90 DAYS AGO, THIS QUARTER or LAST MONTH."
_SEQUENCE_TODO = "Write FOLLOWED BY orders WITHIN 7 DAYS, NOT FOLLOWED BY orders, or PRECEDED BY FIRST orders WITHIN 30 DAYS."
_CLAUSES_TODO = "Write COUNT(order_lines WHERE category = 'Wine' FOLLOWED BY visits WITHIN 7 DAYS LAST 90 DAYS), each part where needed."
_PERIODS = {period.value.upper(): period for period in Period}
_DAYS_IN = {"DAY": 1, "DAYS": 1, "WEEK": 7, "WEEKS": 7}
_SEQUENCES = ("FOLLOWED", "PRECEDED")


@dataclass(frozen=True, slots=True)
class SequenceCall:
    """What must come after or before a row, as it is written: the fields are those of a `SequenceCondition`."""

    source: EventSource
    where: tuple[Token, ...]
    days: int | None
    is_before: bool
    is_first: bool
    is_negated: bool
    same: Token | None


@dataclass(frozen=True, slots=True)
class Clauses:
    """The parts of an aggregate behind its events; `window` has no undecided days left where rows wait for what follows."""

    where: tuple[Token, ...]
    sequence: SequenceCall | None
    window: DayWindow
    latest: int = 0


@dataclass(frozen=True, slots=True)
class _Clause:
    """One part: the word that it begins with, its tokens behind that word."""

    word: str
    first: Token
    rest: tuple[Token, ...]


def read_clauses(rule: RuleText, tokens: Sequence[Token], sources: Mapping[str, EventSource]) -> Clauses:
    """Read the parts in their order; raises ConfigError, with a caret, for what is none, or stands in another order."""
    parts = list(_clauses(tokens))
    where = _take(parts, "WHERE")
    condition = _condition(rule, where)
    sequence = _read_sequence(rule, parts, sources)
    latest = _read_latest(rule, _take(parts, "LATEST"))
    window = _read_days(rule, parts)
    if parts:
        raise rule.error_at(parts[0].first.start, f"`{parts[0].first.text}` does not fit here", _CLAUSES_TODO)
    if sequence is not None and sequence.is_negated and not sequence.is_before and sequence.days:
        # Until its days are over, nobody knows that nothing follows.
        decided = window.decided_after(sequence.days)
        if decided is None:
            what = f"whether nothing follows within {sequence.days} days is known of no row of these days"
            raise rule.error_at(tokens[0].start, what, f"Look at more than the last {sequence.days} days.")
        window = decided
    return Clauses(condition, sequence, window, latest)


def _clauses(tokens: Sequence[Token]) -> Iterator[_Clause]:
    """Yield the parts that `tokens` are made of; what stands before the first of them is a part without a word."""
    begin, opened = 0, 0
    for index, token in enumerate(tokens):
        opened += {TokenType.L_PAREN: 1, TokenType.R_PAREN: -1}.get(token.token_type, 0)
        is_negated = index > 0 and tokens[index - 1].token_type is TokenType.NOT
        if not opened and index > begin and _begins_clause(tokens, index) and not (is_negated and index - 1 == begin):
            end = index - 1 if is_negated and _word(tokens, index) in _SEQUENCES else index
            yield _clause(tokens[begin:end])
            begin = end
    if tokens:
        yield _clause(tokens[begin:])


def _clause(tokens: Sequence[Token]) -> _Clause:
    if tokens[0].token_type is TokenType.NOT and _word(tokens, 1) in _SEQUENCES:
        return _Clause(f"NOT {_word(tokens, 1)}", tokens[0], tuple(tokens[2:]))
    if _begins_clause(tokens, 0):
        return _Clause(_word(tokens, 0), tokens[0], tuple(tokens[1:]))
    return _Clause("", tokens[0], tuple(tokens))


def _begins_clause(tokens: Sequence[Token], index: int) -> bool:
    word, following = _word(tokens, index), _word(tokens, index + 1)
    is_number = index + 1 < len(tokens) and tokens[index + 1].token_type is TokenType.NUMBER
    match word:
        case "WHERE":
            return True
        case "FOLLOWED" | "PRECEDED":
            return following == "BY"
        case "OF":
            return following == "THE"
        case "LAST" | "THIS":
            return following in _PERIODS or is_number
        case "BEFORE" | "WITHIN" | "LATEST":
            return is_number
    return False


def _word(tokens: Sequence[Token], index: int) -> str:
    """Return a bare word in capitals; empty for anything else."""
    word = tokens[index].text.upper() if index < len(tokens) and tokens[index].token_type is TokenType.IDENTIFIER else ""
    # Before a bracket every word looks like a function's name.
    return "WHERE" if word == f"{CALL_MARK}WHERE".upper() else word


def _take(parts: list[_Clause], *words: str) -> _Clause | None:
    return parts.pop(0) if parts and parts[0].word in words else None


def _condition(rule: RuleText, clause: _Clause | None) -> tuple[Token, ...]:
    if clause is not None and not clause.rest:
        raise rule.error_at(clause.first.start, "the condition after WHERE is missing", _CLAUSES_TODO)
    return () if clause is None else clause.rest


def _read_sequence(rule: RuleText, parts: list[_Clause], sources: Mapping[str, EventSource]) -> SequenceCall | None:
    clause = _take(parts, *_SEQUENCES, *(f"NOT {word}" for word in _SEQUENCES))
    if clause is None:
        return None
    is_before, names = clause.word.endswith("PRECEDED"), clause.rest[1:]
    is_first = is_before and _word(names, 0) == "FIRST"
    name = names[int(is_first)] if len(names) == 1 + is_first else None
    if name is None or name.text not in sources:
        what = "the events after BY are missing" if name is None else f"unknown source of events `{name.text}`"
        suggestion = did_you_mean(name.text, sources) if name else ""
        raise rule.error_at((name or clause.first).start, f"{what}{suggestion}", _SEQUENCE_TODO)
    same = _read_same(rule, _take(parts, "OF"))
    where, within = _condition(rule, _take(parts, "WHERE")), _take(parts, "WITHIN")
    days = None if within is None else _days(rule, within, within.rest, _SEQUENCE_TODO)
    return SequenceCall(sources[name.text], where, days, is_before, is_first, clause.word.startswith("NOT"), same)


def _read_same(rule: RuleText, clause: _Clause | None) -> Token | None:
    """Read `OF THE SAME product_id`, and return the name of the column."""
    if clause is None:
        return None
    if [_word(clause.rest, place) for place in range(2)] != ["THE", "SAME"] or len(clause.rest) != len(("THE", "SAME", "product_id")):
        raise rule.error_at(clause.first.start, "the column is missing", "Write FOLLOWED BY order_lines OF THE SAME product_id.")
    return clause.rest[2]


def _read_latest(rule: RuleText, clause: _Clause | None) -> int:
    """Read `LATEST 5`; 0 where nothing says so."""
    if clause is None:
        return 0
    number = clause.rest[0]
    count = int(number.text) if number.text.isdigit() and len(clause.rest) == 1 else 0
    if not 0 < count <= MOST_LATEST:
        what = "this is no number of rows"
        raise rule.error_at(
            number.start, what, f"Write LATEST 5, a whole number up to {MOST_LATEST:,}; days stand behind LAST: LAST 30 DAYS."
        )
    return count


def _read_days(rule: RuleText, parts: list[_Clause]) -> DayWindow:
    last, before = _take(parts, "LAST", "THIS"), _take(parts, "BEFORE")
    ago = 0
    if before is not None:
        if _word(before.rest, len(before.rest) - 1) != "AGO":
            raise rule.error_at(before.first.start, "these days cannot be read", _DAYS_TODO)
        ago = _days(rule, before, before.rest[:-1], _DAYS_TODO)
    if last is None:
        return DayWindow(before=ago)
    period = _PERIODS.get(_word(last.rest, 0)) if len(last.rest) == 1 else None
    if period is not None and before is not None:
        what = f"BEFORE does not stand beside {last.word} {period.value.upper()}"
        raise rule.error_at(before.first.start, what, _DAYS_TODO)
    if period is not None:
        return DayWindow(period=period, is_past=last.word == "LAST")
    if last.word == "THIS":
        raise rule.error_at(last.first.start, "these days cannot be read", _DAYS_TODO)
    return DayWindow(_days(rule, last, last.rest, _DAYS_TODO), ago)


def _days(rule: RuleText, clause: _Clause, tokens: Sequence[Token], todo: str) -> int:
    """Read `90 DAYS` or `2 WEEKS`."""
    number, unit = tokens[0] if tokens else clause.first, _word(tokens, 1)
    if unit in ("MONTH", "MONTHS", "YEAR", "YEARS"):
        raise rule.error_at(tokens[1].start, "months and years have no fixed length", "Write days or weeks, THIS MONTH or LAST YEAR.")
    if len(tokens) != len(("90", "DAYS")) or unit not in _DAYS_IN:
        raise rule.error_at(clause.first.start, "these days cannot be read", todo)
    days = int(number.text) * _DAYS_IN[unit] if number.text.isdigit() else 0
    if not 0 < days <= MOST_DAYS:
        raise rule.error_at(number.start, f"`{number.text}` is no number of days", f"Write a whole number from 1 to {MOST_DAYS}.")
    return days

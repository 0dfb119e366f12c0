"""Which columns say who may be written to, by their names and values, and what an answer in them means. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Container, Sequence
from dataclasses import dataclass

from pipeline.onboarding.column_names import (
    answer_of,
    answers,
    has_consent_word,
    is_consent_name,
    is_refusal,
    is_subscription,
    small_letters,
    sum_labels,
)
from pipeline.onboarding.date_formats import date_format
from pipeline.onboarding.layouts.layout import TableReading, quoted_text
from pipeline.onboarding.layouts.order_columns import NONE, named_column
from pipeline.onboarding.questions import Choice
from pipeline.onboarding.roles import plain_name
from pipeline.onboarding.table_sample import ColumnSample

_MOST_ANSWERS = 8
_CHOICES = (Choice("no", "they are not published"), Choice("yes", "they may be written to"))


@dataclass(frozen=True, slots=True)
class MarketingConsent:
    """The SQL of whether somebody agreed to be written to, NULL where nobody knows, and the columns that it is of; empty without any.

    Where `is_silence_no`, whoever says nothing in any row did not agree.
    """

    sql: str = ""
    columns: tuple[str, ...] = ()
    is_silence_no: bool = False


def find_consent(reading: TableReading, used: Container[str], known_by: Sequence[str]) -> MarketingConsent:
    """Return what a table says of who may be written to; asks for what an answer means that is neither yes nor no, or is missing.

    `known_by` are the columns that say who somebody is. Raises ConfigError where somebody named a column that the table has not.
    """
    given = reading.settings.get(f"{reading.table}.consent")
    if given == NONE:
        return MarketingConsent()
    if given:
        named = [reading.column(named_column(reading, given, "consent"))]
    else:
        named = [each for each in reading.sample.columns() if each.name not in used and _is_consent(each)]
    refusing = [each for each in named if each.counts and _is_refusing(each)]
    # Whether e-mails may be sent says more than whether short messages may.
    agreeing = sorted(
        (each for each in named if each.counts and each not in refusing),
        key=lambda each: "sms" in plain_name(each.name) or "whatsapp" in plain_name(each.name),
    )[:1]
    columns = tuple(each.name for each in (*agreeing, *refusing))
    is_silence_no = bool(agreeing) and _is_silence_no(reading, agreeing[0], known_by)
    agreed = [_meaning(reading, each, is_yes_agreeing=True, is_silence_no=is_silence_no) for each in agreeing]
    refused = [_meaning(reading, each, is_yes_agreeing=False) for each in refusing]
    if len(columns) <= 1:
        return MarketingConsent("".join((*agreed, *refused)), columns, is_silence_no)
    conditions = " ".join(f"WHEN NOT ({sql}) THEN FALSE" for sql in refused)
    return MarketingConsent(f"CASE {conditions} ELSE {(*agreed, *refused)[0]} END", columns, is_silence_no)


def _is_refusing(column: ColumnSample) -> bool:
    """Return whether yes means no in a column; never where its values say for themselves who may be written to: `Opt-in/Opt-out`."""
    return is_refusal(plain_name(column.name)) and not all(is_subscription(plain_name(value)) for value in column.counts)


def _is_consent(column: ColumnSample) -> bool:
    plain, values = plain_name(column.name), column.counts
    if not values:
        return False
    if all(is_subscription(plain_name(value)) for value in values):
        return True
    known = [value for value in values if answer_of(value)]
    if not has_consent_word(plain):
        return False
    if len(known) == len(values):
        return True
    if is_consent_name(plain):
        return len(values) <= _MOST_ANSWERS
    return ((is_refusal(plain) or "opt in" in plain or "optin" in plain) and date_format(values) is not None) or (
        bool(known) and len(values) <= _MOST_ANSWERS and 2 * len(known) >= len(values)
    )


def _is_silence_no(reading: TableReading, column: ColumnSample, known_by: Sequence[str]) -> bool:
    """Return whether who left a cell empty did not agree, where other cells say yes and no; asks if that is somebody's only answer.

    Days of agreement say no in no other way.
    """
    if _is_of_days(column):
        return reading.option(f"{reading.table}.consent.empty", "no", ["yes"]) != "yes"
    if {"yes", "no"} - {answer_of(value) for value in column.counts}:
        return False
    is_answered: dict[str, bool] = defaultdict(bool)
    labels = {"", *(label for name in known_by for label in sum_labels(reading.column(name).counts))}
    for *names, cell in reading.sample.records((*known_by, column.name)):
        if person := next((name.casefold() for name in names if name not in labels), ""):
            is_answered[person] |= bool(cell)
    silent = sum(not given for given in is_answered.values())
    if not silent:
        return False
    who = "1 customer has" if silent == 1 else f"{silent:,} customers have"
    text = f"{reading.table}: {who} an empty `{column.name}`, others a yes or a no. Did they agree to be written to?"
    return reading.choose(f"{reading.table}.consent.empty", text, _CHOICES) != "yes"


def _meaning(reading: TableReading, column: ColumnSample, *, is_yes_agreeing: bool, is_silence_no: bool = False) -> str:
    """Return the SQL of whether the cells of a column agree, and say how many do."""
    text = reading.text(column.name)
    if _is_of_days(column):
        _say(reading, column, column.given_count if is_yes_agreeing else 0, silence="not published" if is_silence_no else "published")
        return f"CASE WHEN {text} IS NOT NULL THEN {'TRUE' if is_yes_agreeing else 'FALSE'} END"
    # `blocked` in a column of who is blocked is a no, whatever a no means there.
    agreeing = answers("yes") if is_yes_agreeing else [answer for answer in answers("no") if not is_refusal(plain_name(answer))]
    for value in column.values:
        if not answer_of(value):
            rows = f"{reading.table}: `{column.name}` is `{value}` in {column.counts[value]:,} rows."
            question = f"{rows} Did these people agree to be written to?"
            if reading.choose(reading.value_key("consent", value), question, _CHOICES) == "yes":
                agreeing.append(small_letters(value))
    agreed = sum(count for value, count in column.counts.items() if small_letters(value) in agreeing)
    _say(reading, column, agreed, silence="not published" if is_silence_no else "published")
    # Whatever else a later file has is no agreement.
    return f"lower({text}) IN ({', '.join(map(quoted_text, dict.fromkeys(agreeing)))})"


def _is_of_days(column: ColumnSample) -> bool:
    return date_format(column.counts) is not None and not all(answer_of(value) for value in column.counts)


def _say(reading: TableReading, column: ColumnSample, agreeing: int, *, silence: str = "published") -> None:
    blank = column.row_count - column.given_count
    silent = f"; {blank:,} say nothing and are {silence}" if blank else ""
    refused = column.given_count - agreeing
    said = f"{agreeing:,} rows agree, {refused:,} do not and are not published{silent}"
    reading.assume(f"{reading.table}: `{column.name}` says who may be written to: {said}.")

"""An aggregate, told as a rule says it, is the same aggregate: explanations show rules that can be copied."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.definitions.definition_files import Definition
from pipeline.definitions.events import read_events
from pipeline.definitions.rules import Vocabulary, aggregates_of
from pipeline.definitions.rules.event_sources import event_sources

# Some columns are called like words of the language.
KINDS = {
    "text": ("category", "list", "was", "between", "last", "message_id"),
    "money": ("price", "this"),
    "integer": ("pieces", "within"),
    "number": ("weight", "before"),
    "date": ("due", "date", "today"),
    "flag": ("is_paid", "followed"),
}
COLUMNS = {column: kind for kind, columns in KINDS.items() for column in columns}
[EVENT] = read_events({"mails": {"key": ["message_id"], "instant": "sent_at", "columns": COLUMNS}}, Definition(Path("company.toml"), ""))
WORDS = Vocabulary({}, sources=event_sources([EVENT.table]))

texts = st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cf", "Cs", "Zl", "Zp")), min_size=1, max_size=8)
texts |= st.sampled_from(['W"ine', '"', "L'Aquila", "a\\b", "\\'", '"in"', "WHERE x", "IN LIST vip"])
literals = texts.map(lambda text: "'" + text.replace("'", "''") + "'")
comparisons = st.sampled_from(["=", "<>", "<", ">="])
exact_numbers = st.sampled_from(["0", "7", "0.50", "12.3456", "-3", "-0.5"])


def named(*kinds: str) -> st.SearchStrategy[str]:
    return st.sampled_from([f'"{column}"' for kind in kinds for column in KINDS[kind]])


numbers = named("money", "integer", "number") | exact_numbers
numbers |= st.builds("({} {} {})".format, numbers, st.sampled_from("+-*/"), named("integer", "number"))
conditions = st.one_of(
    named("flag"),
    st.builds("{} {} {}".format, named("text"), comparisons, literals | named("text")),
    st.builds("{} {} ({}, {})".format, named("text"), st.sampled_from(["IN", "NOT IN"]), literals, literals),
    st.builds("{} {} {}".format, named("text"), st.sampled_from(["IS", "IS NOT", "IS DISTINCT FROM"]), literals | st.just("NULL")),
    st.builds("{}({}, {})".format, st.sampled_from(["CONTAINS", "STARTS_WITH", "ENDS_WITH"]), named("text"), literals),
    st.builds("LOWER({}) {} LOWER({})".format, named("text"), comparisons, named("text")),
    st.builds("COALESCE({}, {}) = {}".format, named("text"), literals, literals),
    st.builds("{} {} {}".format, numbers, comparisons, named("money", "number", "integer")),
    st.builds("{} BETWEEN {} AND {}".format, named("money", "number"), exact_numbers, exact_numbers),
    st.builds("{} {} DATE '2026-01-31'".format, named("date"), comparisons),
    st.builds("{} - {} > 3".format, named("date"), named("date")),
    st.builds("{} + 3 < {}".format, named("date"), named("date")),
    st.builds("{}({}) = 2".format, st.sampled_from(["MONTH", "YEAR", "WEEKDAY"]), named("date") | st.just("sent_at")),
    st.builds("HOUR(sent_at) BETWEEN {} AND 22".format, st.integers(0, 23)),
)
conditions |= st.builds("({}) {} NOT ({})".format, conditions, st.sampled_from(["AND", "OR"]), conditions)
wheres = st.just("") | st.builds(" WHERE {}".format, conditions)
sequences = st.just("") | st.builds(
    " {} BY {}{}{}{}".format,
    st.sampled_from(["FOLLOWED", "NOT FOLLOWED", "PRECEDED", "NOT PRECEDED"]),
    st.just("mails"),
    st.just("") | st.builds(" OF THE SAME {}".format, named("text")),
    wheres,
    st.sampled_from(["", " WITHIN 1 DAY", " WITHIN 5 DAYS"]),
)
days = st.sampled_from(
    [
        "",
        " LAST 30 DAYS",
        " LAST 2 WEEKS BEFORE 9 DAYS AGO",
        " BEFORE 90 DAYS AGO",
        " THIS WEEK",
        " LAST MONTH",
        " THIS QUARTER",
        " LAST YEAR",
    ]
)
counted = st.one_of(
    st.just("COUNT(mails"),
    st.builds("COUNT(DISTINCT mails.{}".format, named("text", "date")),
    st.builds("{}(mails.{}".format, st.sampled_from(["SUM", "AVG"]), named("money", "integer")),
    st.builds("{}(mails.{}".format, st.sampled_from(["LIST", "FIRST", "MOST_FREQUENT", "MAX"]), named("text")),
)
aggregates = st.builds("{}{}{}{}{})".format, counted, wheres, sequences, st.sampled_from(["", " LATEST 5"]), days)


@settings(deadline=None)
@given(aggregates)
def test_an_aggregate_as_it_is_told_is_the_same_aggregate(text: str) -> None:
    [aggregate] = aggregates_of(text, WORDS, where="x")
    assert aggregates_of(aggregate.call, WORDS, where="x") == [aggregate]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("COUNT(mails WHERE category = 'W\"ine')", "Count of rows of mails where category = 'W\"ine'."),
        ("COUNT(mails WHERE \"category\" = 'Wine' AND price > 0.5)", "Count of rows of mails where (category = 'Wine') AND (price > 0.5)."),
        (
            'COUNT(mails WHERE "was" = "last" AND MONTH("today") = 1)',
            'Count of rows of mails where ("was" = last) AND (MONTH("today") = 1).',
        ),
        ("COUNT(mails WHERE price > weight)", "Count of rows of mails where price > weight."),
        ("COUNT(mails WHERE LOWER(category) = 'wine')", "Count of rows of mails where LOWER(category) = 'wine'."),
    ],
)
def test_quotes_are_those_that_a_person_would_write(text: str, words: str) -> None:
    [aggregate] = aggregates_of(text, WORDS, where="x")
    assert aggregate.words == words

"""What people answered in surveys: shares of all respondents, and in which segments an answer is clearly more common."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from pipeline.lake.tables import FEWEST_PUBLISHED
from pipeline.reporting.pages.morning.night_tables import NightTables, Row

ALL = "all"
SHOWN_QUESTIONS, SHOWN_ANSWERS = 6, 6


@dataclass(frozen=True, slots=True)
class AnswerShare:
    """The share of an answer with its interval, and the segments whose whole interval lies above it; without a text, all rare answers."""

    answer: str
    share: float
    low: float
    high: float
    segments: Sequence[str]


@dataclass(frozen=True, slots=True)
class SurveyQuestion:
    """A question, how many answered it, and the most common answers."""

    question: str
    respondent_count: int
    answers: Sequence[AnswerShare]


def survey_questions(tables: NightTables) -> list[SurveyQuestion]:
    """Return the questions that most people answered; of a few respondents nothing is told."""
    shown = [row for row in tables.surveys if row["respondent_count"] >= FEWEST_PUBLISHED and row["answer_count"] >= FEWEST_PUBLISHED]
    questions: dict[tuple[str, str], list[Row]] = defaultdict(list)
    for row in shown:
        questions[row["survey"], row["question"]].append(row)
    found = [_question(tables, question, rows) for (_, question), rows in sorted(questions.items())]
    known = [each for each in found if each.answers]
    return sorted(known, key=lambda each: (-each.respondent_count, each.question))[:SHOWN_QUESTIONS]


def _question(tables: NightTables, question: str, rows: Sequence[Row]) -> SurveyQuestion:
    everybody = sorted((row for row in rows if row["scheme"] == ALL), key=lambda row: (-row["share"], row["answer"] or ""))
    answers = [
        AnswerShare(row["answer"] or "", row["share"], row["low"], row["high"], _more_common_in(tables, row, rows))
        for row in everybody[:SHOWN_ANSWERS]
    ]
    return SurveyQuestion(question, max((row["respondent_count"] for row in everybody), default=0), answers)


def _more_common_in(tables: NightTables, answer: Row, rows: Sequence[Row]) -> list[str]:
    above = [
        row
        for row in rows
        if row["scheme"] == tables.main_scheme and answer["answer"] and row["answer"] == answer["answer"] and row["low"] > answer["high"]
    ]
    return [tables.title_of(row["scheme"], row["segment"]) for row in sorted(above, key=lambda row: (-row["low"], row["segment"]))]

"""What respondents answered, by question and segment: shares with Wilson intervals, weighted where the survey has weights."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from typing import Any

import pyarrow as pa
from sqlglot import exp

from pipeline.definitions.surveys import Survey
from pipeline.lake import addresses
from pipeline.lake.engines import Engine
from pipeline.lake.lake import Lake
from pipeline.lake.rounding import rounded
from pipeline.lake.statements import statement
from pipeline.lake.tables import CUSTOMER_SEGMENTS, SURVEY_SHARES
from pipeline.models.signals import SurvivorsOf, registered_days
from pipeline.segmentation.insights.wilson import wilson_interval

RESPONSES = replace(SURVEY_SHARES, name="survey_responses")


def effective_count(weight_sum: float, square_sum: float) -> float:
    """Return how many respondents of equal weight say as much: the squared sum of weights by the sum of their squares (Kish 1965)."""
    return weight_sum**2 / square_sum


def survey_share_rows(survey: str, counts: pa.Table) -> Iterator[dict[str, Any]]:
    """Yield the rows of SURVEY_SHARES of one survey from those of `sql/survey_counts.sql`."""
    for row in counts.to_pylist():
        share, count = row["answer_weight"] / row["weight_sum"], effective_count(row["weight_sum"], row["square_sum"])
        low, high = wilson_interval(min(share, 1.0), count)
        yield {
            **{name: row[name] for name in ("question", "answer", "scheme", "segment", "answer_count", "respondent_count")},
            "survey": survey,
            "effective_count": rounded(count),
            "share": rounded(share),
            "low": rounded(low),
            "high": rounded(high),
        }


def read_survey_shares(surveys: tuple[Survey, ...], lake: Lake, engine: Engine, day: date, *, survivors_of: SurvivorsOf) -> pa.Table:
    """Return the rows of SURVEY_SHARES as night `day` knows the answers; none for a company without surveys."""
    rows: list[dict[str, Any]] = []
    for survey in sorted(surveys, key=lambda each: each.event.name):
        table = survey.event.table
        engine.register(table, lake.parts(table, lake.versions_known(table, through=day, known_on=day)))
        engine.register(CUSTOMER_SEGMENTS, [addresses.partition(CUSTOMER_SEGMENTS, day=day)])
        engine.define(RESPONSES, _responses(survey))
        with registered_days(lake, engine, [], survivors_of(day, day)):
            rows += survey_share_rows(survey.event.name, engine.run(statement("survey_counts"), {}).read_all())
    return pa.Table.from_pylist(rows, schema=SURVEY_SHARES.schema)


def _responses(survey: Survey) -> exp.Query:
    """Select the answers of a survey under the names that the statement reads."""
    weight = exp.column(survey.weight, quoted=True) if survey.weight else exp.Literal.number(1)
    return exp.select(
        exp.alias_(exp.column("customer_id"), "respondent_id"),
        exp.alias_(exp.column(survey.question, quoted=True), "question"),
        exp.alias_(exp.cast(exp.column(survey.answer, quoted=True), "varchar"), "answer"),
        exp.alias_(weight, "weight"),
        exp.alias_(exp.column(survey.event.instant.name, quoted=True), "answered_at"),
    ).from_(survey.event.table.name)

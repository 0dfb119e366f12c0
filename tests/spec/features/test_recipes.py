"""Aggregates of an earlier night are carried over only while they would become the same SQL: whatever may stand in one is an example."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from itertools import product

import pytest

from pipeline.definitions.rules.aggregates import AggregateFunction, SequenceCondition
from pipeline.definitions.rules.day_windows import Period
from pipeline.definitions.rules.event_sources import event_sources
from pipeline.features.declared import counted_rows, recipes
from pipeline.features.declared.aggregate_sets import AggregateSet
from pipeline.features.declared.recipes import example_aggregates, recipe_of
from pipeline.lake.tables import VISITS

SOURCES = event_sources([VISITS])
LINES, VISITED = SOURCES["order_lines"], SOURCES["visits"]


def digest() -> str:
    recipes.recipe_of_sources.cache_clear()
    return recipe_of(AggregateSet(LINES, (), VISITED))


@pytest.mark.parametrize("other", [None, LINES, VISITED])
def test_each_function_period_and_sequence_is_among_the_examples(other: object) -> None:
    found = example_aggregates(LINES, other if other in (LINES, VISITED) else None)
    assert {each.function for each in found} == {*AggregateFunction}
    assert {(each.window.period, each.window.is_past) for each in found if each.window.period} == {*product(Period, (False, True))}
    assert {bool(each.latest) for each in found} == {bool(each.where) for each in found} == {False, True}
    sides = ((False, False), (True, False), (True, True))
    sequences = {
        (each.is_before, each.is_first, each.is_negated, bool(each.same), each.days is None)
        for each in (example.sequence for example in found)
        if each is not None
    }
    wanted = {(*side, *rest) for side, rest in product(sides, product((False, True), repeat=3))}
    assert sequences == (wanted if other else set())
    assert not other or {each.sequence.where is None for each in found if each.sequence is not None} == {False, True}


@pytest.mark.parametrize("period", Period)
def test_another_calendar_is_another_recipe(monkeypatch: pytest.MonkeyPatch, period: Period) -> None:
    before, first_day = digest(), Period.first_day

    def moved(each: Period, day: date) -> date:
        return first_day(each, day) - timedelta(each is period)

    monkeypatch.setattr(Period, "first_day", moved)
    assert digest() != before


@pytest.mark.parametrize(
    "other",
    [
        lambda sequence: replace(sequence, is_negated=False),
        lambda sequence: replace(sequence, days=None),
        lambda sequence: replace(sequence, same=""),
    ],
    ids=["negated", "days", "same"],
)
def test_another_sql_of_a_sequence_is_another_recipe(monkeypatch: pytest.MonkeyPatch, other: object) -> None:
    before, flag = digest(), counted_rows._flag

    def changed(sequence: SequenceCondition, nearest: str) -> object:
        return flag(other(sequence), nearest)  # type: ignore[operator]

    monkeypatch.setattr(counted_rows, "_flag", changed)
    assert digest() != before
    monkeypatch.undo()
    assert digest() == before

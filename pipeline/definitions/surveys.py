"""Surveys and panels: `[surveys.<event>]` in `company.toml` says of a declared event which column is the question, and which the answer."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from pipeline.definitions.fields import IDENTIFIER, Fields
from pipeline.errors import ConfigError
from pipeline.lake.tables import Column, EventType, Kind
from pipeline.spelling import did_you_mean

ANSWER_KINDS = (Kind.TEXT, Kind.INTEGER, Kind.FLAG)
WEIGHT_KINDS = (Kind.NUMBER, Kind.INTEGER, Kind.MONEY)


@dataclass(frozen=True, slots=True)
class Survey:
    """An event whose rows are answers; `question`, `answer` and `weight` are columns of it, `weight` is empty where all count alike.

    Respondents of a panel need not be customers: their ids are those of the panel.
    """

    event: EventType
    question: str
    answer: str
    weight: str
    is_panel: bool


def read_surveys(sections: Fields, events: Sequence[EventType]) -> tuple[Survey, ...]:
    """Return the surveys that `[surveys.<event>]` declare; raises ConfigError where one names no declared event, or no column of it."""
    declared = {event.name: event for event in events}
    return tuple(_read_surveys(sections, declared))


def _read_surveys(sections: Fields, declared: Mapping[str, EventType]) -> Iterator[Survey]:
    for name, section in sections.sections(IDENTIFIER):
        event = declared.get(name)
        columns = {"question": section.text("question", default="question"), "answer": section.text("answer", default="answer")}
        weight, is_panel = section.take("weight", str, default=""), section.take("panel", bool, default=False)
        section.refuse_unknown()
        if event is None:
            raise ConfigError(
                f"`surveys.{name}` is no declared event{did_you_mean(name, declared)}",
                where=sections.where,
                todo=f"Declare [events.{name}] with a column for the question and one for the answer.",
            )
        _require_column(section, event, "question", columns["question"], (Kind.TEXT,))
        _require_column(section, event, "answer", columns["answer"], ANSWER_KINDS)
        if weight:
            _require_column(section, event, "weight", weight, WEIGHT_KINDS)
        yield Survey(event, columns["question"], columns["answer"], weight, is_panel)


def _require_column(section: Fields, event: EventType, key: str, name: str, kinds: Sequence[Kind]) -> None:
    columns: dict[str, Column] = {column.name: column for column in event.columns}
    if name not in columns:
        raise section.refusal(
            key, f"names `{name}`, which is no column of {event.name}{did_you_mean(name, columns)}", "Name one of its columns."
        )
    if columns[name].kind not in kinds:
        allowed = " or ".join(kind.words for kind in kinds)
        raise section.refusal(key, f"names `{name}`, which is {columns[name].kind.words}", f"Name a column that is {allowed}.")

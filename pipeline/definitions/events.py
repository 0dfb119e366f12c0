"""Events that a company declares: `[events.<name>]` in `company.toml` beside the query `sources/<name>.sql`."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast, get_args

from pipeline.definitions.definition_files import Definition, definition_files
from pipeline.definitions.field_records import TableKeys
from pipeline.definitions.fields import IDENTIFIER, Document, Fields, require_identifier
from pipeline.definitions.settings import MOST_DAYS
from pipeline.errors import ConfigError, ErrorCollector
from pipeline.lake.tables import (
    ALL_TABLES,
    BUILT_IN_EVENTS,
    CACHE_TABLES,
    CUSTOMER_ID,
    ERASURES,
    RAW_PREFIX,
    SOURCE_TABLES,
    VERSION_COLUMNS,
    Column,
    EventType,
    Kind,
    Spelling,
)
from pipeline.spelling import did_you_mean

LONGEST_NAME = 50  # it names folders and tables
COLUMN_KINDS = tuple(kind.name.lower() for kind in Kind if not kind.is_list)
KEY_KINDS = (Kind.TEXT, Kind.INTEGER, Kind.DATE, Kind.FLAG)
# Reserved in DuckDB, Spark or PostgreSQL.
_SQL_WORDS = """
all analyse analyze and any array as asc asymmetric both by case cast check collate column constraint create cross current_date
current_timestamp default deferrable desc describe distinct do drop else end except exists false fetch filter for foreign from full group
having in initially inner insert intersect into is join lambda lateral leading left like limit natural not null offset on only or order
outer partition pivot placing primary qualify references returning right select some symmetric table then to trailing true union unique
unpivot using variadic view when where window with
"""
_RULE_WORDS = "date days first last list today"  # which rules read as their own beside the name of a table
SQL_WORDS, RULE_WORDS = frozenset(_SQL_WORDS.split()), frozenset(_RULE_WORDS.split())
_TABLE_NAMES = frozenset({table.name for table in (*ALL_TABLES, *CACHE_TABLES)} | {*SOURCE_TABLES, ERASURES.name})
# Names of what other columns of the same row say: its day, and what checks find out about it.
_COLUMN_NAMES = frozenset(
    {
        CUSTOMER_ID.name,
        *(column.name for column in VERSION_COLUMNS),
        "day",
        "merged_into",
        "survivor_id",
        "is_text_readable",
        "is_customer_id_trimmed",
        "are_ids_trimmed",
        "are_numbers_finite",
        "are_dates_in_calendar",
        "is_customer_known",
        "row_text",
        "segments_day",
    }
)


@dataclass(frozen=True, slots=True)
class _EventPlaces:
    """Finds the line of an event, or of one of its columns, in the text of `company.toml`: the TOML reader tells none."""

    definition: Definition

    def of_event(self, name: str) -> str:
        return self._place(self._line_of_event(name))

    def of_column(self, event: str, name: str) -> str:
        quoted, start = _quoted(name), self._line_of_event(event)
        is_column = re.compile(rf"\s*({quoted}\s*=|\[\s*{_section(event)}\.\s*columns\s*\.\s*{quoted}\s*\])")
        is_elsewhere = re.compile(rf"\s*\[(?!\s*{_section(event)})")
        for number, line in enumerate(self.definition.text.splitlines()[start:], start + 1):
            if is_column.match(line):
                return self._place(number)
            if is_elsewhere.match(line):
                break
        return self._place(start)

    def _line_of_event(self, name: str) -> int:
        is_event = re.compile(rf"\s*(\[\s*{_section(name)}[].]|{_section(name)}[.=])")
        return next((number for number, line in enumerate(self.definition.text.splitlines(), 1) if is_event.match(line)), 0)

    def _place(self, number: int) -> str:
        return f"{self.definition.file}:{number}" if number else str(self.definition.file)


def _section(event: str) -> str:
    return rf"events\s*\.\s*{_quoted(event)}\s*"


def _quoted(name: str) -> str:
    return rf"[\"']?{re.escape(name)}[\"']?"


def read_events(sections: Mapping[str, Any], definition: Definition) -> tuple[EventType, ...]:
    """Return the events that `[events.<name>]` of `company.toml` declare, in order of their names.

    Raises ConfigError naming file and line where a name is taken, a setting is missing or unknown, or a key has no columns.
    """
    places = _EventPlaces(definition)
    return tuple(_read_event(name, sections[name], places) for name in sorted(sections))


def require_queries(events: Sequence[EventType], folder: Path, definition: Definition) -> None:
    """Raise ConfigError for a declared event whose query is not there; `folder` is that of the queries."""
    missing = ErrorCollector()
    for event in events:
        if not (folder / f"{event.name}.sql").is_file():
            found = [path.stem for path in definition_files(folder, ".sql")]
            others = [name for name in found if name not in {*SOURCE_TABLES, ERASURES.name, *(each.name for each in events)}]
            error = ConfigError(
                f"`[events.{event.name}]` has no query: sources/{event.name}.sql is missing{did_you_mean(event.name, others)}",
                where=_EventPlaces(definition).of_event(event.name),
                todo=f"Write it; its columns are {', '.join(event.raw_table.column_names)}. Or delete the declaration.",
            )
            missing.errors.append(error)
    missing.raise_first()


def _read_event(name: str, values: object, places: _EventPlaces) -> EventType:
    where = places.of_event(name)
    _require_free_name(name, where)
    content = Fields(values, Document(where), f"events.{name}.")
    columns = dict(_read_columns(name, content.section("columns"), places))
    title = content.text("title", default=name.replace("_", " ").capitalize())
    description = content.text("description", default=f"{title}.")
    instant = _read_instant(name, content, columns)
    key = _read_key(content, columns, instant)
    late_check_days = content.integer("late_check_days", 0, MOST_DAYS) if content.has("late_check_days") else None
    content.refuse_unknown()
    declared = (replace(each, required=each.required or each.name in key) for each in columns.values())
    return EventType(
        name, title, description, key, Column(instant, Kind.INSTANT, "When it happened.", required=True), tuple(declared), late_check_days
    )


def _require_free_name(name: str, where: str) -> None:
    require_identifier(name, "the name of the event", where)
    if len(name) > LONGEST_NAME:
        raise ConfigError(f"the name of the event is longer than {LONGEST_NAME} characters", where=where, todo="Choose a shorter one.")
    todo = f"Choose another name, here and for the query: {name}_events."
    if name in {event.name for event in BUILT_IN_EVENTS}:
        raise ConfigError(f"the event `{name}` is built in", where=where, todo=f"Delete the declaration; sources/{name}.sql is enough.")
    if name in _TABLE_NAMES or name.startswith(RAW_PREFIX) or name.endswith("_by_source_id"):
        raise ConfigError(f"the event `{name}` has the name of a table of ours", where=where, todo=todo)
    if name in SQL_WORDS | RULE_WORDS:
        raise ConfigError(f"the event `{name}` has the name of a word of SQL or of rules", where=where, todo=todo)


def _read_columns(event: str, section: Fields, places: _EventPlaces) -> Iterator[tuple[str, Column]]:
    """Yield each declared column: `opened = "flag"`, or a table with `kind` and more."""
    section.note("", holds=TableKeys.NAMED, pattern=IDENTIFIER)
    for name in section.names:
        section.note(name, kinds=frozenset({str, dict}), choices=COLUMN_KINDS, holds=TableKeys.FIXED)
        where = places.of_column(event, name)
        require_identifier(name, "the name of the column", where)
        if name in _COLUMN_NAMES or name in SQL_WORDS:
            what = "every event has it" if name == CUSTOMER_ID.name else "that name is taken"
            todo = "Delete it." if name == CUSTOMER_ID.name else f"Rename it, here and in the query: {name}_given."
            raise ConfigError(f"`{name}` cannot be declared as a column of `{event}`: {what}", where=where, todo=todo)
        value = section.take(name)
        content = Fields(value if isinstance(value, dict) else {"kind": value}, Document(where), f"events.{event}.columns.{name}.")
        yield name, _read_column(name, content)


def _read_column(name: str, content: Fields) -> Column:
    column = Column(
        name,
        Kind[content.choice("kind", COLUMN_KINDS).upper()],
        content.take("description", str, default=""),
        required=content.take("required", bool, default=False),
        pii=content.take("pii", bool, default=False),
        spelling=cast("Spelling", content.choice("spelling", get_args(Spelling), default="")),
    )
    content.refuse_unknown()
    if column.spelling and column.kind is not Kind.TEXT:
        raise content.refusal("spelling", "is for texts alone", "Delete it, or declare a text.")
    return column


def _read_instant(event: str, content: Fields, columns: Mapping[str, Column]) -> str:
    name: str = content.take("instant", str)
    require_identifier(name, f"`events.{event}.instant`", content.where)
    if name in _COLUMN_NAMES or name in SQL_WORDS:
        raise content.refusal("instant", f"is `{name}`, a name that is taken", f"Rename it, here and in the query: {name}_at.")
    if name in columns:
        what = f"is `{name}`, which is declared under [events.{event}.columns] as well"
        raise content.refusal("instant", what, "Delete it there: an instant needs no kind.")
    return name


def _read_key(content: Fields, columns: Mapping[str, Column], instant: str) -> tuple[str, ...]:
    key = content.texts("key")
    if not key:
        raise content.refusal("key", "is empty", "Name the columns that tell one event from all others of its day.")
    for name in key:
        known = [*columns, CUSTOMER_ID.name, instant]
        if name not in known:
            raise content.refusal("key", f"names `{name}`, which is no column{did_you_mean(name, known)}", "Declare it under columns.")
        if key.count(name) > 1:
            raise content.refusal("key", f"names `{name}` twice", "Name it once.")
        if name in columns and columns[name].kind not in KEY_KINDS:
            what = f"names `{name}`, whose kind is {columns[name].kind.words}"
            raise content.refusal("key", what, "A key is made of texts, whole numbers, dates, flags, the instant and customer_id.")
        if name in columns and columns[name].spelling:
            raise content.refusal("key", f"names `{name}`, which has a `spelling`", "Delete the spelling: ids stay as the source has them.")
        # An erasure empties it where it names who was erased.
        if name != CUSTOMER_ID.name and name.endswith(CUSTOMER_ID.name):
            raise content.refusal("key", f"names `{name}`, which may name another customer", "Rename the column, or leave it out.")
    return key

"""One strict reader of what people and programs write: definitions in TOML, models in JSON.

Fields are taken one by one, so that what is left over is unknown; every error names the file and the field.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, NoReturn

from pipeline.definitions.field_records import ANY_NAME, ENTRY, TableKeys, note_field
from pipeline.errors import ConfigError, ErrorCollector, PipelineError
from pipeline.spelling import did_you_mean

LARGEST_NUMBER = 1e15
LONGEST_TEXT = 200
LONGEST_SHOWN = 40
MOST_UNKNOWN = 20  # that are told of together: a file of another kind has nothing but unknown settings
REQUIRED = object()
IDENTIFIER = "[a-z][a-z0-9_]*"


@dataclass(frozen=True, slots=True)
class Document:
    """What fields are read from, and how errors speak of it: `todo` takes the place of any other next step.

    An error without one says what would be right, which then is the next step.
    """

    where: str
    kind: type[PipelineError] = ConfigError
    preface: str = ""
    todo: str = ""
    noun: str = "setting"

    def error(self, what: str, todo: str = "") -> PipelineError:
        """Return the error to be raised."""
        return self.kind(f"{self.preface}{what}", where=self.where, todo=self.todo or todo or "Correct that place.")


class Fields:
    """Named values of a document, or of a part of it; `prefix` stands before their names in messages."""

    def __init__(self, values: object, document: Document, prefix: str = "") -> None:
        self.document, self._prefix = document, prefix
        if not isinstance(values, dict):
            raise document.error(f"{prefix.rstrip('.: ') or 'the document'} must be an object with named fields")
        self._values: dict[str, Any] = dict(values)
        self._known: list[str] = []

    @property
    def where(self) -> str:
        """What messages name as the place of the fields."""
        return self.document.where

    @property
    def is_empty(self) -> bool:
        """Whether nothing is left to take."""
        return not self._values

    @property
    def names(self) -> list[str]:
        """The keys that nobody took, in the order of the file."""
        return list(self._values)

    def name_of(self, key: str) -> str:
        """Return how messages call the field."""
        return f"{self._prefix}{key}"

    def error(self, what: str, todo: str = "") -> PipelineError:
        """Return an error about several fields, to be raised."""
        return self.document.error(what, todo)

    def refusal(self, key: str, what: str, todo: str = "") -> PipelineError:
        """Return the error for the field, to be raised."""
        error = self.document.error(f"`{self.name_of(key)}` {what}", todo)
        error.setting = self.name_of(key)
        return error

    def note(self, key: str, **facts: Any) -> None:
        """Write down for the schemas of editors what a reader requires of the field beyond what taking it says; see FieldRecord."""
        note_field(self.where, self._prefix, key, **facts)

    def note_entries(self, key: str, **facts: Any) -> None:
        """Write down what each entry of the list `key` must be."""
        note_field(self.where, f"{self.name_of(key)}.", ENTRY, **facts)

    def note_named(self, key: str, names: str = "", **facts: Any) -> None:
        """Write down that the table `key` has names for keys, like the pattern `names`, and what each of its values must be."""
        self.note(key, holds=TableKeys.NAMED, pattern=names)
        note_field(self.where, f"{self.name_of(key)}.", ANY_NAME, **facts)

    def take(self, key: str, kind: type | tuple[type, ...] = object, *, default: Any = REQUIRED) -> Any:
        """Return the value as it stands, or the default; without either, or of another type than `kind`, refuse.

        True is no number, and an instant is no date.
        """
        # Noted even where the field is missing, as what is misspelled is compared with all that could have been meant.
        self._known.append(key)
        kinds = frozenset(kind if isinstance(kind, tuple) else (kind,)) - {object}
        self.note(key, kinds=kinds, is_required=default is REQUIRED)
        value = self._values.pop(key, default)
        if value is REQUIRED:
            raise self.refusal(key, "is missing", f"Add `{key}` to the file.")
        if value is default or kind is object:
            return value
        # By the exact type for these two: to Python, True is an int and a datetime is a date.
        if not isinstance(value, kind) or (type(value) in (bool, datetime) and type(value) is not kind):
            raise self.refusal(key, f"has the wrong type: {type(value).__name__}")
        return value

    def has(self, key: str) -> bool:
        """Return whether the field is there and is not null; a null one counts as taken."""
        self.note(key, may_lack=True)
        if self._values.get(key) is None:
            self._known.append(key)
            self._values.pop(key, None)
            return False
        return True

    def text(self, key: str, *, pattern: str = "", default: object = REQUIRED, longest: int = LONGEST_TEXT) -> str:
        """Return a printable text that matches the whole of `pattern`, where one is given."""
        self.note(key, kinds=frozenset({str}), pattern=pattern)
        value = self._printable(key, self.take(key, default=default), longest)
        if pattern and not re.fullmatch(pattern, value):
            raise self.refusal(key, f"is {printable_value(value)}; it must be a text like {pattern}")
        return value

    def _printable(self, key: str, value: object, longest: int = LONGEST_TEXT) -> str:
        # Printable, as titles and names end up in terminals and pages.
        if not isinstance(value, str) or not 0 < len(value.strip()) <= longest or not value.isprintable():
            raise self.refusal(key, f"must be a printable text of 1 to {longest} characters")
        return value

    def words(self, key: str, language: str, *, default: object = REQUIRED) -> tuple[str, dict[str, str]]:
        """Return a text in `language` and its translations, by language: a text, or a table of texts by language.

        Without the own language the first one given takes its place.
        """
        self.note_translated(key)
        value = self.take(key, default=default)
        if not isinstance(value, dict) or not value:
            return self._printable(key, value), {}
        texts = {str(name): self._printable(f"{key}.{name}", text) for name, text in value.items()}
        own = language if language in texts else next(iter(texts))
        return texts.pop(own), texts

    def note_translated(self, key: str) -> None:
        """Write down that the field is a text, or a table of texts by language."""
        self.note(key, kinds=frozenset({str, dict}))
        self.note_named(key, kinds=frozenset({str}))

    def texts(self, key: str, *, default: object = REQUIRED) -> tuple[str, ...]:
        """Return a list of printable texts."""
        self.note_entries(key, kinds=frozenset({str}))
        return tuple(self._printable(key, value) for value in self._list(key, default=default))

    def choice(self, key: str, choices: Sequence[str], *, default: object = REQUIRED) -> str:
        """Return one of the choices."""
        self.note(key, kinds=frozenset({str}), choices=tuple(choices))
        value = self.take(key, default=default)
        if value not in choices:
            hint = did_you_mean(value, choices) if isinstance(value, str) else ""
            raise self.refusal(
                key, f"is {printable_value(value)}{hint}; it must be one of {', '.join(choice for choice in choices if choice)}"
            )
        return str(value)

    def integer(self, key: str, low: int, high: int, *, default: object = REQUIRED) -> int:
        """Return a whole number within both bounds."""
        self.note(key, kinds=frozenset({int}), low=low, high=high)
        value = self.take(key, default=default)
        if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
            raise self.refusal(key, f"must be a whole number from {low} to {high}")
        return value

    def number(self, key: str, low: float = -LARGEST_NUMBER, high: float = LARGEST_NUMBER, *, default: object = REQUIRED) -> float:
        """Return a finite number within both bounds."""
        self.note(key, kinds=frozenset({int, float}), low=low, high=high)
        value = self.take(key, default=default)
        if not isinstance(value, int | float) or isinstance(value, bool) or not low <= value <= high:
            raise self.refusal(key, f"must be a number from {low:g} to {high:g}")
        return float(value)

    def numbers(self, key: str, *, default: object = REQUIRED) -> tuple[float, ...]:
        """Return a list of finite numbers."""
        return tuple(Fields({key: value}, self.document, self._prefix).number(key) for value in self._list(key, default=default))

    def day(self, key: str) -> date:
        """Return a date that is written as ISO text."""
        text = self.text(key, pattern=r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
        try:
            return date.fromisoformat(text)
        except ValueError:
            raise self.refusal(key, "is no date") from None

    def rows(self, key: str, fewest: int, most: int) -> list[Fields]:
        """Return a list of objects, at least `fewest` and at most `most`."""
        values = self._list(key)
        if not fewest <= len(values) <= most:
            raise self.refusal(key, f"must have {fewest} to {most} entries, not {len(values)}")
        return [Fields(value, self.document, f"{self.name_of(key)}[{place}].") for place, value in enumerate(values)]

    def section(self, key: str) -> Fields:
        """Return the table of `key`, empty where it is missing."""
        self.note(key, holds=TableKeys.FIXED)
        return Fields(self.take(key, dict, default={}), self.document, f"{self.name_of(key)}.")

    def sections(self, names: str = "") -> list[tuple[str, Fields]]:
        """Return every table that was not taken, by its key; editors are told that keys are like the pattern `names`."""
        note_field(self.where, self._prefix, holds=TableKeys.NAMED, pattern=names)
        return [(key, self.section(key)) for key in self.names]

    def take_texts(self) -> dict[str, str]:
        """Return every value that was not taken, all of which must be text."""
        note_field(self.where, self._prefix, holds=TableKeys.NAMED)
        note_field(self.where, self._prefix, ANY_NAME, kinds=frozenset({str}))
        return {key: self.take(key, str) for key in self.names}

    def refuse_unknown(self) -> None:
        """Refuse what nobody took."""
        unknown = ErrorCollector()
        for key in self._values:
            # Cut off: comparing a name of a million letters with all known ones would take minutes.
            hint = did_you_mean(key[:LONGEST_SHOWN], self._known)
            shown = printable_value(key)[1:-1]  # of a long name the end says which it is
            what = f"`{self.name_of(shown)}` is not a known {self.document.noun}{hint}"
            error = self.document.error(what, "Correct its name, or remove it.")
            error.setting = self.name_of(key)
            unknown.errors.append(error)
            if len(unknown.errors) == MOST_UNKNOWN:
                break
        unknown.raise_first()

    def _list(self, key: str, *, default: object = REQUIRED) -> list[object]:
        self.note(key, kinds=frozenset({list}))
        value = self.take(key, default=default)
        if not isinstance(value, list):
            raise self.refusal(key, "must be a list")
        return value


def json_fields(text: str, document: Document, *, longest: int) -> Fields:
    """Return the fields of a JSON object of at most `longest` characters, whose numbers are finite and whose names are unique."""
    if len(text) > longest:
        raise document.error(f"longer than {longest:,} characters")
    try:
        # Python's own reader lets NaN pass, and takes the last of two fields of one name: a person who edits sees the first.
        values = json.loads(text, parse_constant=_refuse_constant, object_pairs_hook=_unique_pairs)
    except (ValueError, RecursionError):
        raise document.error("not valid JSON with finite numbers and unique names") from None
    return Fields(values, document)


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(name)


def _unique_pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    content = dict(pairs)
    if len(content) < len(pairs):
        raise ValueError
    return content


def require_identifier(name: str, what: str, where: str) -> None:
    """Raise ConfigError where `name` could not be the name of a column in every engine."""
    if not re.fullmatch(IDENTIFIER, name):
        raise ConfigError(f"{what} is `{name}`", where=where, todo="Use small letters, digits and underscores, a letter first.")


def printable_value(value: object) -> str:
    """Return `value` for a message: short, and without anything that a terminal would obey."""
    if not isinstance(value, str):
        return f"a {type(value).__name__}"
    return f"`{(value if value.isprintable() else ascii(value)[1:-1])[:LONGEST_SHOWN]}`"

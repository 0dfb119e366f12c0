"""The fields of a TOML table or a JSON object, taken one by one, so that what is left over is unknown."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from pipeline.errors import PipelineError
from pipeline.spelling import did_you_mean

Refusal = Callable[[str], PipelineError]
LARGEST_NUMBER = 1e15
LONGEST_TEXT = 200
LONGEST_SHOWN = 40
REQUIRED = object()


class Fields:
    """Named values of `path`; what `refuse` makes of a sentence is raised where one is missing, wrong or unknown."""

    def __init__(self, values: object, refuse: Refusal, path: str = "") -> None:
        self._refuse, self._path = refuse, path
        if not isinstance(values, dict):
            raise refuse(f"{path or 'the document'} must be an object with named fields")
        self._values: dict[str, object] = dict(values)
        self._known: list[str] = []

    def name_of(self, key: str) -> str:
        """Return how messages call the field."""
        return f"{self._path}.{key}" if self._path else key

    def refusal(self, key: str, what: str) -> PipelineError:
        """Return the error for the field, to be raised."""
        return self._refuse(f"`{self.name_of(key)}` {what}")

    def take(self, key: str, *, default: object = REQUIRED) -> object:
        """Return the value as it stands, or the default; without either, refuse."""
        self._known.append(key)
        value = self._values.pop(key, default)
        if value is REQUIRED:
            raise self.refusal(key, "is missing")
        return value

    def has(self, key: str) -> bool:
        """Return whether the field is there and is not null; a null one counts as taken."""
        if self._values.get(key) is None:
            self._known.append(key)
            self._values.pop(key, None)
            return False
        return True

    def text(self, key: str, *, pattern: str = "", default: object = REQUIRED) -> str:
        """Return a printable text that matches the whole of `pattern`, where one is given."""
        value = self.take(key, default=default)
        if not isinstance(value, str) or not 0 < len(value) <= LONGEST_TEXT or not value.isprintable():
            raise self.refusal(key, f"must be a printable text of 1 to {LONGEST_TEXT} characters")
        if pattern and not re.fullmatch(pattern, value):
            raise self.refusal(key, f"must be a text like {pattern}")
        return value

    def words(self, key: str, language: str, *, default: object = REQUIRED) -> tuple[str, dict[str, str]]:
        """Return a text in `language` and its translations, by language: a text, or a table of texts by language.

        Without the own language the first one given takes its place.
        """
        value = self.take(key, default=default)
        if not isinstance(value, dict) or not value:
            return Fields({key: value}, self._refuse, self._path).text(key), {}
        texts = {str(name): Fields(value, self._refuse, self.name_of(key)).text(str(name)) for name in value}
        own = language if language in texts else next(iter(texts))
        return texts.pop(own), texts

    def texts(self, key: str) -> tuple[str, ...]:
        """Return a list of printable texts."""
        return tuple(Fields({key: value}, self._refuse, self._path).text(key) for value in self._list(key))

    def choice(self, key: str, choices: Sequence[str], *, default: object = REQUIRED) -> str:
        """Return one of the choices."""
        value = self.take(key, default=default)
        if value not in choices:
            hint = did_you_mean(value, choices) if isinstance(value, str) else ""
            raise self.refusal(key, f"is {shown(value)}{hint}; it must be one of {', '.join(choices)}")
        return str(value)

    def integer(self, key: str, low: int, high: int, *, default: object = REQUIRED) -> int:
        """Return a whole number within both bounds."""
        value = self.take(key, default=default)
        if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
            raise self.refusal(key, f"must be a whole number from {low} to {high}")
        return value

    def number(self, key: str, low: float = -LARGEST_NUMBER, high: float = LARGEST_NUMBER, *, default: object = REQUIRED) -> float:
        """Return a finite number within both bounds."""
        value = self.take(key, default=default)
        if not isinstance(value, int | float) or isinstance(value, bool) or not low <= value <= high:
            raise self.refusal(key, f"must be a number from {low:g} to {high:g}")
        return float(value)

    def numbers(self, key: str, *, default: object = REQUIRED) -> tuple[float, ...]:
        """Return a list of finite numbers."""
        return tuple(Fields({key: value}, self._refuse, self._path).number(key) for value in self._list(key, default=default))

    def rows(self, key: str, fewest: int, most: int) -> list[Fields]:
        """Return a list of objects, at least `fewest` and at most `most`."""
        values = self._list(key)
        if not fewest <= len(values) <= most:
            raise self.refusal(key, f"must have {fewest} to {most} entries, not {len(values)}")
        return [Fields(value, self._refuse, f"{self.name_of(key)}[{place}]") for place, value in enumerate(values)]

    def refuse_the_rest(self) -> None:
        """Refuse what nobody took."""
        for key in self._values:
            raise self._refuse(f"{shown(self.name_of(key))} is not a known field{did_you_mean(key[:LONGEST_SHOWN], self._known)}")

    def _list(self, key: str, *, default: object = REQUIRED) -> list[object]:
        value = self.take(key, default=default)
        if not isinstance(value, list):
            raise self.refusal(key, "must be a list")
        return value


def shown(value: object) -> str:
    """Return `value` for a message: short, and without anything that a terminal would obey."""
    return f"`{ascii(value)[1:-1][:LONGEST_SHOWN]}`" if isinstance(value, str) else f"a {type(value).__name__}"

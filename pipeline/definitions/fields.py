"""Definition files in TOML: read with every error naming file and key, and no key left unread."""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from pipeline.errors import ConfigError
from pipeline.spelling import did_you_mean

_IDENTIFIER = re.compile(r"[a-z][a-z0-9_]*")


@dataclass(frozen=True, slots=True)
class Definition:
    """The text of one definition file; `file` is what messages name, be it the file itself or where the lake keeps its text."""

    file: Path
    text: str

    def toml(self) -> dict[str, Any]:
        """Return the content; raises ConfigError where it is not TOML."""
        try:
            return tomllib.loads(self.text)
        except tomllib.TOMLDecodeError as error:
            raise ConfigError(f"not valid TOML: {error}", where=str(self.file)) from None


class Section:
    """One TOML table whose keys are taken one by one, so that what is left over is unknown."""

    def __init__(self, values: dict[str, Any], file: Path, path: str = "") -> None:
        self._values, self.file, self._path = dict(values), file, path
        self._known: list[str] = []

    @property
    def is_empty(self) -> bool:
        """Whether nothing is left to take."""
        return not self._values

    def take(self, key: str, kind: Any, *, default: Any = ...) -> Any:
        """Return the value of `key`; raises ConfigError where it is missing or of another type."""
        self._known.append(key)
        value = self._values.pop(key, default)
        if value is ...:
            raise ConfigError(f"`{self._path}{key}` is missing", where=str(self.file), todo=f"Add `{key}` to the file.")
        if value is not default and (not isinstance(value, kind) or (type(value) in (bool, datetime) and type(value) is not kind)):
            raise ConfigError(f"`{self._path}{key}` has the wrong type: {type(value).__name__}", where=str(self.file))
        return value

    def choose(self, key: str, choices: tuple[str, ...], *, default: Any = ...) -> Any:
        """Return the text of `key`, one of `choices`."""
        value = self.take(key, str, default=default)
        if value not in choices:
            raise ConfigError(
                f"`{self._path}{key}` is `{value}`{did_you_mean(value, choices)}",
                where=str(self.file),
                todo=f"Choose one of {', '.join(choices)}.",
            )
        return value

    def section(self, key: str) -> Section:
        """Return the table of `key`, empty where it is missing."""
        return Section(self.take(key, dict, default={}), self.file, f"{self._path}{key}.")

    def sections(self) -> list[tuple[str, Section]]:
        """Return every table that was not taken, by its key."""
        return [(key, self.section(key)) for key in list(self._values)]

    def take_texts(self) -> dict[str, str]:
        """Return every value that was not taken, all of which must be text."""
        return {key: self.take(key, str) for key in list(self._values)}

    def refuse_the_rest(self) -> None:
        """Raise ConfigError for a key that was not taken."""
        for key in self._values:
            raise ConfigError(
                f"`{self._path}{key}` is not a known setting{did_you_mean(key, self._known)}",
                where=str(self.file),
            )


def read_definition(file: Path) -> Section:
    """Return the content of a definition file; raises ConfigError where it is not TOML."""
    return Section(definition_in(file).toml(), file)


def definition_in(file: Path) -> Definition:
    """Return what `file` says; raises ConfigError where it is not text."""
    try:
        return Definition(file, file.read_text("utf-8"))
    except UnicodeDecodeError as error:
        raise ConfigError(f"not UTF-8 text: {error.reason}", where=str(file), todo="Save the file as UTF-8.") from None


def require_identifier(name: str, what: str, where: str) -> None:
    """Raise ConfigError where `name` could not be the name of a column in every engine."""
    if not _IDENTIFIER.fullmatch(name):
        raise ConfigError(f"{what} is `{name}`", where=where, todo="Use small letters, digits and underscores, a letter first.")

"""What files do not say and a person must: questions with their choices, and the settings that answer them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from shlex import quote

from pipeline.definitions.fields import printable_value
from pipeline.errors import ConfigError
from pipeline.spelling import did_you_mean, word_list

COMPANY_KEYS = ("name", "time_zone", "currency")


@dataclass(frozen=True, slots=True)
class Choice:
    """One answer, and what it means."""

    value: str
    meaning: str


@dataclass(frozen=True, slots=True)
class Question:
    """What must be answered before a folder can be written; the first choice is the likeliest. Without choices any text may do.

    `example` is then a likely one, or, where `is_open`, nothing but an example. Where a question with choices `is_open`, none is likelier.
    """

    key: str
    text: str
    choices: tuple[Choice, ...] = ()
    example: str = ""
    is_open: bool = False

    @property
    def likeliest(self) -> str:
        """What to write where nothing better is known."""
        if self.choices:
            return "..." if self.is_open else self.choices[0].value
        return self.example


@dataclass(slots=True)
class Settings:
    """Answers by key, as given with `--set`; what was asked for is remembered, so that a misspelt key is found."""

    values: Mapping[str, str] = field(default_factory=dict)
    known: set[str] = field(default_factory=lambda: set(COMPANY_KEYS))

    def get(self, key: str) -> str:
        """Return the answer to `key`; empty where there is none."""
        self.known.add(key)
        return self.values.get(key, "")

    def refuse_unknown(self) -> None:
        """Raise ConfigError for a key that answers no question of these files."""
        for key in sorted(set(self.values) - self.known):
            raise ConfigError(
                f"{printable_value(key)} is no setting of these files{did_you_mean(key, self.known)}",
                where=f"--set {key}=...",
                todo=f"Settings are: {', '.join(sorted(self.known))}.",
            )


def parse_settings(given: Iterable[str]) -> dict[str, str]:
    """Return settings by key from texts such as `time_zone=Europe/Berlin`; raises ConfigError for one that is none, or is given twice."""
    settings: dict[str, str] = {}
    for text in given:
        key, mark, value = (part.strip() for part in text.partition("="))
        if not (key and mark and value):
            raise ConfigError(f"{printable_value(text)} is no setting", where="--set", todo="Write --set key=value.")
        if settings.setdefault(key, value) != value:
            raise ConfigError(f"`{key}` is set twice", where="--set", todo="Set it once.")
    return settings


def require_choice(question: Question, value: str) -> str:
    """Return `value`, one of the choices of the question; raises ConfigError for another one."""
    values = [choice.value for choice in question.choices]
    if values and value not in values:
        what = f"`{question.key}` is {printable_value(value)}{did_you_mean(value, values)}"
        raise ConfigError(what, where=f"--set {question.key}=...", todo=f"Choose one of: {', '.join(values)}.")
    return value


def open_questions_error(questions: Sequence[Question], command: str) -> ConfigError:
    """Return the error for all questions that are open, with the settings to add to `command`."""
    count = len(questions)
    what = "one thing" if count == 1 else f"{count} things"
    lines = [f"{what} cannot be told from the files:"]
    for question in questions:
        lines.append(f"- {question.text}")
        lines += [f"    --set {quote(f'{question.key}={choice.value}')}  {choice.meaning}".rstrip() for choice in question.choices]
        if not question.choices:
            lines.append(f"    --set {question.key}=...  such as {question.example}")
    settings = " ".join(f"--set {quote(f'{question.key}={question.likeliest}')}" for question in questions)
    examples = dict.fromkeys(question.example or "each `...`" for question in questions if question.is_open)
    yours = f" (write yours for {word_list(examples)})" if examples else ""
    todo = f"Add your answers to the command. With the likeliest ones{yours}:\n  {command} {settings}"
    return ConfigError("\n".join(lines), where="segments init", todo=todo)


Ask = Callable[[Question], str]
"""Asks a person; returns the answer."""

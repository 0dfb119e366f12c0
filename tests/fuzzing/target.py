"""What is fuzzed: a function that takes any bytes, and says by an exception that something is wrong with us rather than with them."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from pipeline.errors import PipelineError

LONGEST_MESSAGE = 20_000
_OBEYED = ("Cc", "Cf", "Cs", "Zl", "Zp")  # by a terminal, or by the eye
_JOINERS = "\u200c\u200d"
_PARTICULARS = re.compile(r"`[^`\n]*`|'[^'\n]*'|\"[^\"\n]*\"|[\d.,]+|\n.*", re.DOTALL)


class Fault(AssertionError):
    """An input that we answered wrongly."""


@dataclass(slots=True)
class Outcome:
    """How an input ended: accepted, or refused in so many words, each without what it quotes: two of the same kind are alike."""

    is_accepted: bool = False
    words: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Target:
    """`run` returns how an input ended, and raises what it should not; `seeds` are inputs as people and programs write them.

    `words` mean something in such an input, and `encoding` is the one by which it is changed as a text.
    """

    name: str
    run: Callable[[bytes], Outcome]
    seeds: Callable[[], Sequence[bytes]]
    words: Sequence[str] = ()
    encoding: str = "utf-8"


@contextmanager
def result_or_message(outcome: Outcome) -> Iterator[None]:
    """Let the block end in a result or in one of our errors, if that is a message for people; anything else goes on as it is."""
    try:
        yield
        outcome.is_accepted = True
    except PipelineError as error:
        outcome.is_accepted = False
        for each in (error, *error.others):
            require_message(str(each), each.todo)
            outcome.words.append(kind_of_message(each.what))


def require_message(text: str, todo: str) -> None:
    """Raise Fault for a message that nobody could read, or that says no next step."""
    if any(unicodedata.category(character) in _OBEYED and character not in f"\n{_JOINERS}" for character in text):
        raise Fault(f"a message has characters that a terminal obeys: {text!r}")
    if len(text) > LONGEST_MESSAGE:
        raise Fault(f"a message is {len(text):,} characters long")
    if not todo:
        raise Fault(f"a message says no next step: {text}")


def kind_of_message(text: str) -> str:
    """Return a message without names, values and numbers."""
    return _PARTICULARS.sub("~", text)

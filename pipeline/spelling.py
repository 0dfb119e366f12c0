"""Names and texts as people see them: nothing that a terminal would obey, and suggestions for names that nobody declared."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from difflib import get_close_matches

# Zero-width joiners: Persian and Indian words are spelt with them, and they do nothing to a terminal.
_JOINERS = "\u200c\u200d"


def did_you_mean(name: str, known: Iterable[str], *, cutoff: float = 0.6) -> str:
    """Return ` (did you mean `x`?)` for the nearest known name, or an empty string where none is at least `cutoff` alike."""
    near = get_close_matches(name, list(known), n=1, cutoff=cutoff)
    return f" (did you mean `{near[0]}`?)" if near else ""


def printable_text(text: str) -> str:
    """Return `text` with `?` for each character that a terminal or a reader's eye would obey: escapes, bells, turns of direction.

    Line ends stay; other white space becomes a space.
    """
    if text.isprintable():
        return text
    return "".join(character if character.isprintable() or character in "\n" + _JOINERS else _stand_in(character) for character in text)


def printable_line(text: str) -> str:
    """Return `text` as `printable_text` does, on one line: a value with a line end in it must not look like two."""
    return printable_text(text).replace("\n", "?")


def word_list(words: Iterable[str]) -> str:
    """Return words as a sentence lists them: `a`, `a and b`, `a, b and c`."""
    *first, last = words
    return f"{', '.join(first)} and {last}" if first else last


def _stand_in(character: str) -> str:
    return " " if character == "\t" or unicodedata.category(character) == "Zs" else "?"

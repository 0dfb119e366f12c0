"""Changes of a text that stay close to what people write: whole lines and words are swapped, doubled, dropped or replaced.

Bytes flipped at random seldom get past a parser; what gets past one and is wrong is what these make.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Sequence

WORD = re.compile(r"\w+|\s+|[^\w\s]+")
NUMBER = re.compile(r"-?\d+(?:\.\d+)?")
VALUES = (
    "0", "-1", "1", "2", "1e400", "-0.0", "0.1", "nan", "inf", "-inf", "9223372036854775807", "9223372036854775808",
    "99999999999999999999999", "0x10", "1_000", "123456789.123456789", "true", "false", "TRUE", "NULL", "''", '""', "'a'", '"a"', "[]",
    "{}", "[1]", '["a"]', '[["a"]]', "{a = 1}", "[{}]", "2024-02-29", "2023-02-29", "0001-01-01", "9999-12-31", "2024-01-31T25:00:00",
    "2024-01-31 10:00:00Z", "10:00", "07:32:00", "05/04/2024", "1.234,56", "1,234.56", "(5.00)", "5-", "€ 5", "EUR", "\u0661", "\u0131",
    "\u00e9", "\u202e", "\ufeff", "\x00", "\x1b[2J", "\u2028", "\ud7ff", "../../etc/passwd", "/etc/passwd", "a" * 300, "(" * 40,
    "[" * 200, "NOT " * 20, ",", ";", "\t", "|", "\r", "\r\n", "\n", '"', "'", "\\", "--", "/*", "%", "$", "@", "@x", "`",
    "Europe/Berlin", "UTC", "=", "<", ">=", "<>", "+", "-", "*", "/", "(", ")", ".", ":", "#", " ",
)  # fmt: skip


def mutate_text(text: str, chance: random.Random, words: Sequence[str]) -> str:
    """Return `text` after one to four changes; `words` are those that mean something in such a text."""
    for _ in range(chance.choice((1, 1, 1, 2, 2, 3, 4))):
        text = chance.choice(_CHANGES)(text, chance, words)
    return text


def _line_dropped(text: str, chance: random.Random, _words: Sequence[str]) -> str:
    lines = text.splitlines(keepends=True)
    start = chance.randrange(len(lines) or 1)
    return "".join(lines[:start] + lines[start + chance.choice((1, 1, 2, 5)) :])


def _line_doubled(text: str, chance: random.Random, _words: Sequence[str]) -> str:
    lines = text.splitlines(keepends=True) or [""]
    lines.insert(chance.randrange(len(lines) + 1), chance.choice(lines))
    return "".join(lines)


def _lines_swapped(text: str, chance: random.Random, _words: Sequence[str]) -> str:
    lines = text.splitlines(keepends=True) or [""]
    one, other = chance.randrange(len(lines)), chance.randrange(len(lines))
    lines[one], lines[other] = lines[other], lines[one]
    return "".join(lines)


def _word_replaced(text: str, chance: random.Random, words: Sequence[str]) -> str:
    parts = WORD.findall(text) or [""]
    parts[chance.randrange(len(parts))] = _any_word(parts, chance, words)
    return "".join(parts)


def _word_inserted(text: str, chance: random.Random, words: Sequence[str]) -> str:
    parts = WORD.findall(text)
    parts.insert(
        chance.randrange(len(parts) + 1), chance.choice(("", " ")) + _any_word(parts or [""], chance, words) + chance.choice(("", " "))
    )
    return "".join(parts)


def _word_dropped(text: str, chance: random.Random, _words: Sequence[str]) -> str:
    parts = WORD.findall(text) or [""]
    start = chance.randrange(len(parts))
    return "".join(parts[:start] + parts[start + chance.choice((1, 1, 1, 2, 4, 8)) :])


def _number_replaced(text: str, chance: random.Random, _words: Sequence[str]) -> str:
    found = list(NUMBER.finditer(text))
    if not found:
        return text
    number = chance.choice(found)
    return text[: number.start()] + chance.choice(VALUES[:15]) + text[number.end() :]


def _text_replaced(text: str, chance: random.Random, words: Sequence[str]) -> str:
    """Replace what is within quotes, or between commas, as a whole."""
    found = list(re.finditer(r"\"[^\"\n]*\"|'[^'\n]*'|(?<=[,=])[^,=\n]+", text))
    if not found:
        return text
    place = chance.choice(found)
    value = chance.choice((chance.choice(VALUES), chance.choice(words or VALUES), chance.choice(found).group()))
    quote = chance.choice(("", place.group()[0] if place.group()[0] in "\"'" else ""))
    return f"{text[: place.start()]}{quote}{value}{quote}{text[place.end() :]}"


def _character_changed(text: str, chance: random.Random, _words: Sequence[str]) -> str:
    place = chance.randrange(len(text) + 1)
    return text[:place] + chance.choice(("", chr(chance.randrange(1, 0x250)), chance.choice(VALUES))) + text[place + 1 :]


def _cut(text: str, chance: random.Random, _words: Sequence[str]) -> str:
    return text[: chance.randrange(len(text) + 1)]


def _any_word(parts: Sequence[str], chance: random.Random, words: Sequence[str]) -> str:
    return chance.choice((chance.choice(VALUES), chance.choice(words or VALUES), chance.choice(words or VALUES), chance.choice(parts)))


_CHANGES: tuple[Callable[[str, random.Random, Sequence[str]], str], ...] = (
    _line_dropped, _line_doubled, _lines_swapped, _word_replaced, _word_replaced, _word_inserted, _word_inserted, _word_dropped,
    _number_replaced, _text_replaced, _text_replaced, _character_changed, _cut,
)  # fmt: skip

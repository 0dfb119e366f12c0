"""The form of ids, in words that tell two spellings apart and give no id away: `digits with a decimal point` beside `digits`."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from itertools import groupby

MOST_PARTS = 8
_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_MAIL = re.compile(r"[^@\s]+@[^@\s]+")
_WHOLE_FORMS = {
    ("digits", ".", "digits"): "digits with a decimal point",
    ("-", "digits"): "digits after a minus sign",
}


def common_form(ids: Iterable[str]) -> str:
    """Return the most frequent form among `ids` and how long they are, such as `digits, 3 to 4 long`; empty where there is none."""
    lengths: dict[str, list[int]] = {}
    for each in ids:
        lengths.setdefault(id_form(each), []).append(len(each))
    if not lengths:
        return ""
    form, found = max(sorted(lengths.items()), key=lambda item: len(item[1]))
    span = f"{min(found)}" if min(found) == max(found) else f"{min(found)} to {max(found)}"
    return f"{form}, {span} long"


def id_form(text: str) -> str:
    """Return of what characters an id is made, in their order."""
    if _UUID.fullmatch(text):
        return "UUIDs"
    if _MAIL.fullmatch(text):
        return "e-mail addresses"
    parts = tuple(kind for kind, _ in groupby(_character_kinds(text)))
    if parts == ("digits",):
        return "digits with leading zeros" if text.startswith("0") and len(text) > 1 else "digits"
    if len(parts) > MOST_PARTS:
        return "letters, digits and signs in turn"
    return _WHOLE_FORMS.get(parts) or " then ".join(parts)


def _character_kinds(text: str) -> Iterator[str]:
    for character in text:
        if character.isdigit():
            yield "digits"
        elif character.isalpha():
            yield "small letters" if character == character.lower() else "capital letters"
        elif character.isspace():
            yield "a blank"
        else:
            yield character if character.isascii() and character.isprintable() else "another sign"

"""Names of columns in several languages, by what they mean: `column_names.toml`, read once."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping
from functools import cache
from importlib.resources import files
from typing import Any

RANKS = ("sure", "likely", "possible")


@cache
def _content() -> Mapping[str, Any]:
    return tomllib.loads(files("pipeline.onboarding").joinpath("column_names.toml").read_text("utf-8"))


def role_rank(role: str, plain: str) -> int | None:
    """Return how surely a column of the `plain` name has the role, 0 for surest; None where it has not by its name."""
    names = _content()["roles"][role]
    return next((place for place, rank in enumerate(RANKS) if rank in names and _is_any(plain, names[rank])), None)


def is_no_amount(plain: str) -> bool:
    """Return whether a name says that its numbers are no amounts paid for goods, such as taxes."""
    return _has_word(plain, _content()["not_amounts"]["words"])


def attribute_of(plain: str) -> tuple[str, str] | None:
    """Return the name and level of the attribute that a column of this name holds; None where it is none that is known."""
    known = _content()["attributes"].items()
    return next(((name, each["level"]) for name, each in known if _is_any(plain, each["names"])), None)


def is_birth(plain: str) -> bool:
    """Return whether a name says that the values are days or years of birth."""
    return _is_any(plain, _content()["birth"]["names"])


def is_personal(plain: str) -> bool:
    """Return whether a name says that the values are each one person's own."""
    return _has_word(plain, _content()["personal"]["words"])


def is_customer_since(plain: str) -> bool:
    """Return whether a name says that the dates are those since when somebody is a customer."""
    return any(word in plain for word in _content()["customer_since"]["words"])


def is_of_life(plain: str) -> bool:
    """Return whether a name says that the dates are of somebody's life or history, and not of a sale."""
    return is_customer_since(plain) or is_birth(plain) or _has_word(plain, _content()["of_life"]["words"])


def is_plain_id(plain: str) -> bool:
    """Return whether a name is that of an id, of whatever the table is about."""
    return _is_any(plain, _content()["plain_ids"]["names"])


def is_total(value: str) -> bool:
    """Return whether a value is the label of a row of sums: `Total`, `Total Kim Ltd`."""
    folded, labels = value.strip().casefold().rstrip(":").strip(), _content()["totals"]["labels"]
    return folded in labels or folded.startswith(tuple(f"{label} " for label in labels))


def answers(kind: str) -> list[str]:
    """Return the words that mean `yes` or `no`, in small letters."""
    return list(_content()["answers"][kind])


def has_status(value: str, kind: str) -> bool:
    """Return whether a status says that an order was `called_off` or `given_back`."""
    folded = value.casefold()
    is_part = kind == "given_back" and "partial" in folded
    return not is_part and any(word in folded for word in _content()["statuses"][kind])


def _is_any(plain: str, names: Iterable[str]) -> bool:
    return any(re.fullmatch(name, plain) for name in names)


def _has_word(plain: str, words: Iterable[str]) -> bool:
    return any(re.search(rf"\b(?:{word})\b", plain) for word in words)

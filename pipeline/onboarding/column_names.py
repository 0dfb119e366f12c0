"""Names of columns in several languages, by what they mean: `column_names.toml`, read once."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping
from functools import cache
from importlib.resources import files
from typing import Any

_IN_PART = re.compile(r"\b(part|parz|parc|teil|kism|gedeelt|delvis|osittain|osa|czesc|castec)")
# `Total (inc tax)` is no tax.
_WITH_TAX = re.compile(
    r"\b(inc|incl|including|inclusive|ex|excl|excluding|before|after|with|without|inkl|exkl|ohne|mit|hors|sin|con|senza)( of)? [a-z]+"
)
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
    return is_tax(plain) or is_shipping(plain) or _has_word(_WITH_TAX.sub("", plain), _content()["not_amounts"]["words"])


def is_subtotal_name(plain: str) -> bool:
    """Return whether a name says that its numbers are for goods alone, before shipping and what is taken off an order."""
    return re.search(r"\b(sub ?total\w*|zwischensumme|warenwert|sous total|ara toplam)\b", plain) is not None


def is_shipping(plain: str) -> bool:
    """Return whether a name says that its numbers were paid for shipping."""
    return _has_word(_WITH_TAX.sub("", plain), _content()["shipping"]["words"])


def is_tax(plain: str) -> bool:
    """Return whether a name says that its numbers are taxes."""
    return _has_word(_WITH_TAX.sub("", plain), _content()["taxes"]["words"])


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


def is_later_date(plain: str) -> bool:
    """Return whether a name of dates says when something happened to a sale after it was made, such as its refund."""
    return _has_word(plain, _content()["later_dates"]["words"])


def is_plain_id(plain: str) -> bool:
    """Return whether a name is that of an id, of whatever the table is about."""
    return _is_any(plain, _content()["plain_ids"]["names"])


def is_total(value: str) -> bool:
    """Return whether a value is the label of a row of sums: `Total`, `Total Kim Ltd`."""
    return f"{value.strip().casefold().rstrip(':').strip()} ".startswith(_total_labels())


def sum_labels(names: Iterable[str]) -> list[str]:
    """Return those names of customers that are labels of rows of sums, in order: `Total`, and `Total Kim Ltd` beside `Kim Ltd`.

    A firm may be called `Total Wine`.
    """
    known = {name.strip().casefold() for name in names}
    return sorted(name for name in names if is_total(name) and (not (rest := _after_label(name)) or rest in known))


def _after_label(value: str) -> str:
    plain = f"{value.strip().casefold().rstrip(':').strip()} "
    return plain.removeprefix(max((label for label in _total_labels() if plain.startswith(label)), key=len)).strip()


@cache
def _total_labels() -> tuple[str, ...]:
    return tuple(f"{label} " for label in _content()["totals"]["labels"])


def answers(kind: str) -> list[str]:
    """Return the words that mean `yes` or `no`, in small letters."""
    return list(_content()["answers"][kind])


def answer_of(value: str) -> str:
    """Return whether a value means `yes` or `no`; empty where it is neither."""
    return next((kind for kind in ("yes", "no") if small_letters(value) in answers(kind)), "")


def small_letters(value: str) -> str:
    """Return a value in small letters as the engine has them: a Turkish I with a dot stays one letter."""
    return value.lower().replace("i\u0307", "i")


def is_paid_name(plain: str) -> bool:
    """Return whether a name of a column of yes and no says that an order was paid."""
    return _is_any(plain, _content()["paid"]["names"])


def is_delivery_name(plain: str) -> bool:
    """Return whether a name says that a column is about deliveries."""
    return _has_word(plain, _content()["deliveries"]["words"])


def is_nobody_name(plain: str) -> bool:
    """Return whether a value of a column of customers stands for nobody in particular, such as `guest`."""
    return _is_any(plain, _content()["nobody"]["names"])


def is_name_of_people(plain: str) -> bool:
    """Return whether a column of this name holds the names of people or firms."""
    return _is_any(plain, _content()["people"]["names"])


def is_consent_name(plain: str) -> bool:
    """Return whether a name alone says that a column is about who may be written to."""
    return _is_any(plain, _content()["consent"]["names"])


def has_consent_word(plain: str) -> bool:
    """Return whether a name may be that of a column about who may be written to, if its values are yes and no."""
    return _has_word(plain, _content()["consent"]["words"]) and not _has_word(plain, _content()["consent"]["others"])


def is_refusal(plain: str) -> bool:
    """Return whether a name of such a column says that yes means no: `Unsubscribed from all email`."""
    return _has_word(plain, _content()["consent"]["refusals"])


def is_subscription(plain: str) -> bool:
    """Return whether a value says who may be written to, whatever the name of its column."""
    return _is_any(plain, _content()["consent"]["subscriptions"])


def state_of(plain: str) -> str:
    """Return what the plain name of a state says of an order: a kind of `[states]`; empty where its meaning is not known."""
    known = _content()["states"].items()
    kind = next((kind for kind, words in known if any(re.search(rf"\b(?:{word})", plain) for word in words)), "")
    return "given_back_in_part" if kind == "given_back" and _IN_PART.search(plain) else kind


def usual_states(seen: Iterable[str]) -> dict[str, list[str]]:
    """Return, by kind, the usual states of the languages that the `seen` ones are of, in small letters, without those."""
    lowered = {small_letters(each) for each in seen}
    found: dict[str, list[str]] = {}
    for states in _content()["usual_states"].values():
        if lowered & {state for of_kind in states.values() for state in of_kind}:
            for kind, of_kind in states.items():
                found.setdefault(kind, []).extend(state for state in of_kind if state not in lowered)
    return found


def is_sale_kind(plain: str) -> bool:
    """Return whether a value says that a row is a sale, so that others beside it are rows of other kinds."""
    return _is_any(plain, _content()["sale_kinds"]["names"])


def _is_any(plain: str, names: Iterable[str]) -> bool:
    return _any_of(tuple(names)).fullmatch(plain) is not None


def _has_word(plain: str, words: Iterable[str]) -> bool:
    return _any_of(tuple(rf"\b(?:{word})\b" for word in words)).search(plain) is not None


@cache
def _any_of(patterns: tuple[str, ...]) -> re.Pattern[str]:
    """Return one pattern for all: values of every row are held against it."""
    return re.compile("|".join(f"(?:{pattern})" for pattern in patterns))

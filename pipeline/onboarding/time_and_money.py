"""In which time zone a company's days begin and in which currency its amounts are, as far as files say so; else a question. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from zoneinfo import available_timezones

from pipeline.definitions.fields import printable_value
from pipeline.definitions.settings import CURRENCIES
from pipeline.errors import ConfigError
from pipeline.onboarding.currencies import DOLLAR, currency_of_sign, signs_of
from pipeline.onboarding.date_formats import offsets
from pipeline.onboarding.home_clues import HomeClues, likely_currency, likely_zone
from pipeline.onboarding.questions import Choice, Question, Settings
from pipeline.onboarding.recognised_table import RecognisedTable
from pipeline.onboarding.time_zones import fitting_zones, zone_of_name
from pipeline.spelling import did_you_mean

_DOLLARS = (Choice("USD", "US dollars"), Choice("CAD", "Canadian dollars"), Choice("AUD", "Australian dollars"))


def find_time_zone(
    tables: Sequence[RecognisedTable], settings: Settings, questions: list[Question], assumptions: list[str], clues: HomeClues
) -> str:
    """Return the time zone in which days begin and end; empty where it has to be asked, which is added to `questions`.

    Raises ConfigError for a setting that is none.
    """
    if given := settings.get("time_zone"):
        if given not in available_timezones():
            what = f"`time_zone` is {printable_value(given)}, which is no IANA time zone{did_you_mean(given, available_timezones())}"
            raise ConfigError(what, where="--set time_zone=...", todo="Write a name such as Europe/Berlin.")
        return given
    named = Counter[str]()
    for table in tables:
        if table.layout.zone_column:
            named.update({zone_of_name(value): count for value, count in table.sample.column(table.layout.zone_column).counts.items()})
    if len(named) == 1 and (zone := next(iter(named))):
        assumptions.append(f"Days begin and end in {zone}, the time zone that the export names.")
        return zone
    if zones := [zone for zone, _ in named.most_common() if zone]:
        text = "In which time zone do days begin and end? The files name several."
        questions.append(Question("time_zone", text, tuple(Choice(zone, "is named") for zone in zones)))
        return ""
    seen = [found for table in tables for moment in table.layout.moments for found in offsets(table.sample.column(moment).counts)]
    zones = fitting_zones(seen)
    shown = ", ".join(sorted({f"{minutes // 60:+03d}:{minutes % 60:02d}" for _, minutes in seen}))
    fits = f" The times have offsets ({shown}), which fit {', '.join(zones)} and others." if zones else ""
    text = f"In which time zone do your days begin and end?{fits}"
    questions.append(Question("time_zone", text, (), zones[0] if zones else likely_zone(clues), is_open=not zones))
    return ""


def find_currency(
    tables: Sequence[RecognisedTable], settings: Settings, questions: list[Question], assumptions: list[str], clues: HomeClues
) -> str:
    """Return the currency of the company; empty where it has to be asked, which is added to `questions`.

    Raises ConfigError for a setting that is none.
    """
    if given := settings.get("currency"):
        if given not in CURRENCIES:
            what = f"`currency` is {printable_value(given)}, which is no code of ISO 4217{did_you_mean(given.upper(), CURRENCIES)}"
            raise ConfigError(what, where="--set currency=...", todo="Write its three capitals, such as EUR.")
        return given
    counts = _named_currencies(tables)
    if len(counts) == 1:
        return next(iter(counts))
    if counts:
        choices = tuple(Choice(code, f"{count:,} rows; what is in another currency is left out") for code, count in counts.most_common())
        questions.append(Question("currency", "The amounts are in several currencies, which do not add up. Which one is yours?", choices))
        return ""
    code, question = _currency_of_signs(tables)
    if code:
        assumptions.append(f"Amounts are in {code}, by the sign that they are written with.")
        return code
    if not question and not any(table.layout.has_amounts for table in tables):
        assumptions.append("The files have no amounts: the currency is EUR until company.toml says another one.")
        return "EUR"
    text = "In which currency are the amounts? The files do not say."
    questions.append(question or Question("currency", text, (), likely_currency(clues), is_open=True))
    return ""


def _currency_of_signs(tables: Iterable[RecognisedTable]) -> tuple[str, Question | None]:
    """Return the currency by the signs that amounts are written with, or the question that they leave open."""
    signs = Counter[str]()
    for table in tables:
        for name in table.layout.money:
            signs += signs_of(table.sample.column(name).counts)
    codes = Counter({code: count for sign, count in signs.items() if (code := currency_of_sign(sign))})
    if len(codes) == 1 and DOLLAR not in signs:
        return next(iter(codes)), None
    if codes:
        choices = tuple(Choice(code, "what is in another currency is left out") for code, _ in codes.most_common())
        text = "The amounts are written with signs of several currencies, which do not add up. Which one is yours?"
        return "", Question("currency", text, choices)
    return "", Question("currency", "Amounts are written with $. Which dollar is it?", _DOLLARS) if DOLLAR in signs else None


def _named_currencies(tables: Iterable[RecognisedTable]) -> Counter[str]:
    counts = Counter[str]()
    for table in tables:
        for name in table.layout.currency_columns(table.sample):
            for value, count in table.sample.column(name).counts.items():
                counts[value.upper()] += count
    return Counter({code: count for code, count in counts.items() if code in CURRENCIES})

"""In which time zone a company's days begin and in which currency its amounts are, as far as files say so; else a question. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from zoneinfo import available_timezones

from pipeline.definitions.fields import printable_value
from pipeline.definitions.settings import CURRENCIES
from pipeline.errors import ConfigError
from pipeline.onboarding.date_formats import offsets
from pipeline.onboarding.number_styles import currency_sign
from pipeline.onboarding.questions import Choice, Question, Settings
from pipeline.onboarding.recognised_table import RecognisedTable
from pipeline.onboarding.time_zones import fitting_zones, zone_of_name
from pipeline.spelling import did_you_mean

# Signs that one currency alone is written with; a dollar is of many countries.
_SIGNS = {
    "€": "EUR",
    "£": "GBP",
    "₺": "TRY",
    "TL": "TRY",
    "₹": "INR",
    "zł": "PLN",
    "₴": "UAH",
    "₪": "ILS",
    "₩": "KRW",
    "₫": "VND",
    "฿": "THB",
    "US$": "USD",
    "CA$": "CAD",
    "C$": "CAD",
    "AU$": "AUD",
    "A$": "AUD",
    "NZ$": "NZD",
    "R$": "BRL",
    "Kč": "CZK",
    "Ft": "HUF",
    "lei": "RON",
}
_DOLLARS = (Choice("USD", "US dollars"), Choice("CAD", "Canadian dollars"), Choice("AUD", "Australian dollars"))


def find_time_zone(tables: Sequence[RecognisedTable], settings: Settings, questions: list[Question], assumptions: list[str]) -> str:
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
        questions.append(Question("time_zone", text, tuple(Choice(zone, "is named") for zone in zones), "Europe/Berlin"))
        return ""
    seen = [found for table in tables for moment in table.layout.moments for found in offsets(table.sample.column(moment).counts)]
    zones = fitting_zones(seen)
    shown = ", ".join(sorted({f"{minutes // 60:+03d}:{minutes % 60:02d}" for _, minutes in seen}))
    fits = f" The times have offsets ({shown}), which fit {', '.join(zones)} and others." if zones else ""
    text = f"In which time zone do your days begin and end?{fits}"
    questions.append(Question("time_zone", text, (), zones[0] if zones else "Europe/Berlin", is_open=not zones))
    return ""


def find_currency(tables: Sequence[RecognisedTable], settings: Settings, questions: list[Question], assumptions: list[str]) -> str:
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
    signs = {sign for table in tables for name in table.layout.money if (sign := currency_sign(table.sample.column(name).counts))}
    if len(signs) == 1 and (code := _currency_of_sign(next(iter(signs)))):
        assumptions.append(f"Amounts are in {code}, by the sign that they are written with.")
        return code
    if not any(table.layout.has_amounts for table in tables):
        assumptions.append("The files have no amounts: the currency is EUR until company.toml says another one.")
        return "EUR"
    is_dollar = signs == {"$"}
    choices = _DOLLARS if is_dollar else ()
    text = "Amounts are written with $. Which dollar is it?" if is_dollar else "In which currency are the amounts? The files do not say."
    questions.append(Question("currency", text, choices, "EUR", is_open=not choices))
    return ""


def _currency_of_sign(sign: str) -> str:
    return sign if sign in CURRENCIES else _SIGNS.get(sign, "")


def _named_currencies(tables: Iterable[RecognisedTable]) -> Counter[str]:
    counts = Counter[str]()
    for table in tables:
        for name in table.layout.currency_columns(table.sample):
            for value, count in table.sample.column(name).counts.items():
                counts[value.upper()] += count
    return Counter({code: count for code, count in counts.items() if code in CURRENCIES})

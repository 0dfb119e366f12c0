"""Currencies: how many of their smallest units make one, and the signs that people write them with. Pure."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping

from pipeline.definitions.settings import CURRENCIES

# How many digits amounts have behind the point, of ISO 4217; all others have two.
_NO_DIGITS = frozenset(("BIF", "CLP", "DJF", "GNF", "ISK", "JPY", "KMF", "KRW", "PYG", "RWF", "UGX", "VND", "VUV", "XAF", "XOF", "XPF"))
_THREE_DIGITS = frozenset(("BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"))
# Signs that one currency alone is written with; a bare dollar is of many countries, and so is a krone.
_SIGNS = {
    "€": "EUR",
    "EURO": "EUR",
    "£": "GBP",
    "₺": "TRY",
    "TL": "TRY",
    "FR.": "CHF",
    "SFR.": "CHF",
    "ZŁ": "PLN",
    "KČ": "CZK",
    "FT": "HUF",
    "LEI": "RON",
    "₹": "INR",
    "₴": "UAH",
    "₪": "ILS",
    "₩": "KRW",
    "₫": "VND",
    "฿": "THB",
    "₽": "RUB",
    "₾": "GEL",
    "₼": "AZN",
    "₸": "KZT",
    "₦": "NGN",
    "US$": "USD",
    "C$": "CAD",
    "CA$": "CAD",
    "A$": "AUD",
    "AU$": "AUD",
    "NZ$": "NZD",
    "S$": "SGD",
    "HK$": "HKD",
    "MX$": "MXN",
    "R$": "BRL",
}
DOLLAR = "$"


def minor_units(currency: str) -> int:
    """Return how many of its smallest units make one of the currency, such as 100 cents."""
    return 1 if currency in _NO_DIGITS else 1000 if currency in _THREE_DIGITS else 100


def sign_of(text: str) -> str:
    """Return the sign of currency that an amount is written with, in capitals; empty without one."""
    return re.sub(r"[\d.,\s\u00a0\u202f'\u2019+()-]", "", text).upper()


def signs_of(counts: Mapping[str, int]) -> Counter[str]:
    """Return how often amounts are written with each sign of currency."""
    found = Counter[str]()
    for value, count in counts.items():
        if sign := sign_of(value):
            found[sign] += count
    return found


def currency_of_sign(sign: str) -> str:
    """Return the currency that alone is written with this sign or code; empty where there is none, or several."""
    return sign if sign in CURRENCIES else _SIGNS.get(sign, "")

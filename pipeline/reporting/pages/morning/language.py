"""The language of a page: its texts by gettext, its numbers, money and days as the reader writes them (CLDR, through Babel)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from functools import cache
from gettext import GNUTranslations, NullTranslations
from io import BytesIO
from pathlib import Path

from babel import Locale
from babel.dates import format_date
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from babel.numbers import format_decimal, format_percent, get_currency_precision, parse_pattern

from pipeline.lake.tables import FEWEST_PUBLISHED
from pipeline.reporting.pages.morning.figures import is_withheld

TEXTS = Path(__file__).parent / "texts"
SOURCE_LANGUAGE = "en"
# Cents tell nothing of a large amount; of a small one they do.
WHOLE_AMOUNTS_FROM, DECIMALS_BELOW, SMALLEST_SHARE = 100, 0.1, 0.001


def page_languages() -> list[str]:
    """Return the languages that pages are written in, English first."""
    return [SOURCE_LANGUAGE, *sorted(file.stem for file in TEXTS.glob("*.po"))]


@dataclass(frozen=True, slots=True)
class PageLanguage:
    """The texts and formats of one language; `code` is its tag."""

    code: str
    locale: Locale
    translations: NullTranslations

    @classmethod
    def of(cls, wanted: str) -> PageLanguage:
        """Return the language `wanted`, a tag of BCP 47, or the nearest that pages are written in: `de` for `de-AT`, else English."""
        known = page_languages()
        code = next((tag for tag in (wanted, wanted.split("-", maxsplit=1)[0]) if tag in known), SOURCE_LANGUAGE)
        return cls(code, Locale.parse(code), _translations(code))

    def gettext(self, message: str, **values: object) -> str:
        """Return a text with its values."""
        text = self.translations.gettext(message)
        return text % values if values else text

    def ngettext(self, one: str, many: str, number: int, **values: object) -> str:
        """Return the text of a number in the plural form that the language has for it, with its values."""
        return self.translations.ngettext(one, many, number) % values

    def number(self, value: float | Decimal) -> str:
        """Return a number, with at most one decimal."""
        return str(format_decimal(round(value, 1) if isinstance(value, float) else value, locale=self.locale, decimal_quantization=False))

    def count(self, customer_count: int) -> str:
        """Return a number of customers; of a few that they are fewer than ten."""
        if is_withheld(customer_count):
            return self.gettext("fewer than %(limit)s", limit=self.number(FEWEST_PUBLISHED))
        return self.number(customer_count)

    def cell(self, customer_count: int) -> str:
        """Return the same, as short as a cell of a table wants it."""
        return f"<\N{NO-BREAK SPACE}{self.number(FEWEST_PUBLISHED)}" if is_withheld(customer_count) else self.number(customer_count)

    def percent(self, share: float) -> str:
        """Return a share as a percentage: whole, or with one decimal where it is below ten."""
        if 0.0 < abs(share) < SMALLEST_SHARE:
            return f"<\N{NO-BREAK SPACE}{self.percent(SMALLEST_SHARE)}"
        digits = 3 if 0 < abs(share) < DECIMALS_BELOW else 2
        return str(format_percent(round(share, digits), locale=self.locale, decimal_quantization=False))

    def money(self, amount: Decimal | float, currency: str) -> str:
        """Return an amount: whole units from a hundred on, below it with what the currency has of smaller ones."""
        amount = Decimal(amount)
        digits = 0 if abs(amount) >= WHOLE_AMOUNTS_FROM or not amount else get_currency_precision(currency)
        pattern = parse_pattern(self.locale.currency_formats["standard"].pattern)
        pattern.frac_prec = (digits, digits)
        return str(pattern.apply(amount, self.locale, currency=currency, currency_digits=False))

    def day(self, day: date, *, style: str = "long") -> str:
        """Return a day: `full` with its weekday, `long`, `medium`, or `short`."""
        return str(format_date(day, format=style, locale=self.locale))


@cache
def _translations(code: str) -> NullTranslations:
    """Read the catalogue of a language; compiled here, so that translators edit one file and nothing can be out of date."""
    if code == SOURCE_LANGUAGE:
        return NullTranslations()
    compiled = BytesIO()
    with (TEXTS / f"{code}.po").open("rb") as file:
        write_mo(compiled, read_po(file, locale=code))
    compiled.seek(0)
    return GNUTranslations(compiled)

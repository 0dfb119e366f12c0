"""Where a shop may be at home, by its currency, the language of its tables and the addresses in them: what to suggest. Pure."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from pipeline.onboarding.roles import plain_name
from pipeline.onboarding.table_sample import TableSample

_ADDRESSES_LOOKED_AT = 2_000
# Zone and currency of the largest city, by the end of an internet domain.
_COUNTRIES = {
    "de": ("Europe/Berlin", "EUR"),
    "at": ("Europe/Vienna", "EUR"),
    "ch": ("Europe/Zurich", "CHF"),
    "fr": ("Europe/Paris", "EUR"),
    "it": ("Europe/Rome", "EUR"),
    "es": ("Europe/Madrid", "EUR"),
    "pt": ("Europe/Lisbon", "EUR"),
    "nl": ("Europe/Amsterdam", "EUR"),
    "be": ("Europe/Brussels", "EUR"),
    "ie": ("Europe/Dublin", "EUR"),
    "fi": ("Europe/Helsinki", "EUR"),
    "gr": ("Europe/Athens", "EUR"),
    "uk": ("Europe/London", "GBP"),
    "se": ("Europe/Stockholm", "SEK"),
    "no": ("Europe/Oslo", "NOK"),
    "dk": ("Europe/Copenhagen", "DKK"),
    "pl": ("Europe/Warsaw", "PLN"),
    "cz": ("Europe/Prague", "CZK"),
    "hu": ("Europe/Budapest", "HUF"),
    "ro": ("Europe/Bucharest", "RON"),
    "tr": ("Europe/Istanbul", "TRY"),
    "ua": ("Europe/Kyiv", "UAH"),
    "ge": ("Asia/Tbilisi", "GEL"),
    "il": ("Asia/Jerusalem", "ILS"),
    "us": ("America/New_York", "USD"),
    "ca": ("America/Toronto", "CAD"),
    "mx": ("America/Mexico_City", "MXN"),
    "br": ("America/Sao_Paulo", "BRL"),
    "au": ("Australia/Sydney", "AUD"),
    "nz": ("Pacific/Auckland", "NZD"),
    "jp": ("Asia/Tokyo", "JPY"),
    "kr": ("Asia/Seoul", "KRW"),
    "in": ("Asia/Kolkata", "INR"),
    "sg": ("Asia/Singapore", "SGD"),
    "hk": ("Asia/Hong_Kong", "HKD"),
    "th": ("Asia/Bangkok", "THB"),
    "za": ("Africa/Johannesburg", "ZAR"),
    "ng": ("Africa/Lagos", "NGN"),
    "eg": ("Africa/Cairo", "EGP"),
    "ae": ("Asia/Dubai", "AED"),
}
# Words that names of columns have in one language alone, with the country most of whose shops write it.
_LANGUAGES = {
    "de": "kunde kunden kundennr kd nr menge betrag umsatz rabatt artikel bestellung bestellnr bestelldatum datum beleg einzelpreis anzahl",
    "tr": "musteri siparis tutar adet tarih tarihi urun fiyat birim indirim durum no kodu adi",
    "fr": "commande quantite montant remise prix facture heure unitaire",
    "es": "pedido cantidad importe fecha descuento precio factura",
    "it": "ordine quantita importo sconto prezzo fattura",
    "nl": "bestelling aantal bedrag korting prijs klant klantnummer",
    "pl": "zamowienie ilosc kwota cena klient",
    "pt": "encomenda quantidade desconto preco",
    "fi": "tilaus tilausnumero tilauspaiva asiakas asiakasnumero tuote maara hinta yksikkohinta alennus rivisumma",
    "se": "ordernummer orderdatum kund kundnummer artikelnummer belopp moms styckpris",
    "hu": "rendeles rendelesszam vevo termek mennyiseg osszeg egysegar kedvezmeny",
    "cz": "objednavka zakaznik mnozstvi castka sleva",
}
_MIN_WORDS = 2


@dataclass(frozen=True, slots=True)
class HomeClues:
    """What tables hint at: ends of domains by how often, the country of their language, and the currency where it is known."""

    domains: tuple[str, ...] = ()
    language: str = ""
    currency: str = ""


def find_clues(samples: Iterable[TableSample]) -> HomeClues:
    """Return what the names of columns and the e-mail addresses in tables hint at."""
    words, domains = Counter[str](), Counter[str]()
    for sample in samples:
        words.update(word for name in sample.column_names for word in plain_name(name).split())
        domains.update(_domain_ends(sample))
    known = {country: sum(words[word] for word in set(listed.split())) for country, listed in _LANGUAGES.items()}
    language = max(known, key=lambda country: known[country])
    return HomeClues(tuple(end for end, _ in domains.most_common()), language if known[language] >= _MIN_WORDS else "")


def _domain_ends(sample: TableSample) -> Iterator[str]:
    for column in sample.columns():
        for value in column.values[:_ADDRESSES_LOOKED_AT]:
            if (found := re.search(r"@[\w.-]+\.([a-z]{2})$", value.lower())) and found[1] in _COUNTRIES:
                yield found[1]


def likely_zone(clues: HomeClues) -> str:
    """Return the time zone to suggest; UTC where nothing hints at one."""
    places = [_COUNTRIES[country] for country in _countries(clues)]
    # Of the countries that the files hint at, one with the currency; else any with it, else any.
    of_currency = [zone for zone, currency in (*places, *_COUNTRIES.values()) if currency == clues.currency]
    if clues.currency:
        return of_currency[0] if of_currency else "UTC"
    return places[0][0] if places else "UTC"


def likely_currency(clues: HomeClues) -> str:
    """Return the currency to suggest."""
    return next((_COUNTRIES[country][1] for country in _countries(clues)), "USD")


def _countries(clues: HomeClues) -> tuple[str, ...]:
    return tuple(dict.fromkeys((*([clues.language] if clues.language else []), *clues.domains)))

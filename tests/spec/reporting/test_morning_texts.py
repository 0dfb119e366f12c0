"""The texts of the morning page in each language: all of them, with all their values, in every plural form the language has."""

from __future__ import annotations

import re
import tomllib
from collections import Counter
from datetime import date
from decimal import Decimal
from functools import cache

import pytest
from babel.messages.catalog import Catalog
from babel.messages.extract import extract_from_dir
from babel.messages.pofile import read_po
from support.morning_tables import a_flow, a_night, html_of, sales_of

from pipeline.definitions.company import PROJECT_ROOT
from pipeline.reporting.pages.morning.language import TEXTS, PageLanguage, page_languages

LANGUAGES = [language for language in page_languages() if language != "en"]
PLACEHOLDER = re.compile(r"%\(\w+\)s|%%")
# The same in English and in the other language.
ALIKE = {"de": {"Segment"}, "tr": {"Segment"}}

Message = str | tuple[str, str]


@cache
def messages_of_pages() -> frozenset[Message]:
    """Return every text that templates and modules ask a language for."""
    mappings = tomllib.loads((PROJECT_ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["babel"]["mappings"]
    methods = [(mapping["pattern"], mapping["method"]) for mapping in mappings]
    found = extract_from_dir(TEXTS.parent, method_map=methods)
    return frozenset(message if isinstance(message, str) else (message[0], message[1]) for _, _, message, _, _ in found)


def catalog_of(language: str) -> Catalog:
    with (TEXTS / f"{language}.po").open("rb") as file:
        return read_po(file, locale=language)


def placeholders(text: str) -> Counter[str]:
    return Counter(PLACEHOLDER.findall(text))


def test_pages_are_written_in_six_languages() -> None:
    assert page_languages() == ["en", "de", "fi", "hu", "ka", "tr"]
    assert len(messages_of_pages()) > 150


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_language_has_every_text_and_no_other(language: str) -> None:
    catalog = catalog_of(language)
    assert {message.id for message in catalog if message.id} == messages_of_pages()
    assert not catalog.obsolete
    assert not [message.id for message in catalog if message.id and message.fuzzy]


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_form_is_translated_with_the_same_values(language: str) -> None:
    catalog = catalog_of(language)
    for message in catalog:
        if not message.id:
            continue
        forms = message.string if isinstance(message.string, tuple) else (message.string,)
        assert len(forms) == (catalog.num_plurals if message.pluralizable else 1), message.id
        source = message.id[1] if message.pluralizable else message.id
        for form in forms:
            assert form.strip(), message.id
            assert placeholders(form) == placeholders(source), (message.id, form)
            assert form not in message.id if isinstance(message.id, tuple) else form != message.id or form in ALIKE.get(language, ())


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_page_in_another_language_has_no_english_sentence(language: str) -> None:
    flows = [a_flow("lost", "champions", "own_purchase", 30), a_flow("champions", "lost", "ageing", 25)]
    tables = a_night(sales=sales_of(1000, 30, a_year_ago=500), flows=flows, titles={("rfm", "champions"): "C", ("rfm", "lost"): "L"})
    page = html_of(tables, language)
    sentences = [text for message in messages_of_pages() for text in ([message] if isinstance(message, str) else message)]
    # What has a value in it is cut at it; a single word could be part of another language's.
    parts = {part.strip() for text in sentences for part in PLACEHOLDER.split(text) if len(part.strip().split()) > 3}
    assert not [part for part in parts if part in page]
    assert f'<html lang="{language}">' in page


def test_numbers_days_and_money_are_written_as_the_language_does() -> None:
    german = PageLanguage.of("de-AT")
    assert (german.code, german.money(Decimal("1700077.4"), "EUR"), german.percent(0.97)) == ("de", "1.700.077\xa0€", "97\xa0%")
    days = {language: PageLanguage.of(language).day(date(2014, 1, 28)) for language in LANGUAGES}
    assert days == {
        "de": "28. Januar 2014",
        "fi": "28. tammikuuta 2014",
        "hu": "2014. január 28.",
        "ka": "28 იანვარი, 2014",
        "tr": "28 Ocak 2014",
    }
    assert PageLanguage.of("tr").percent(0.97) == "%97"


def test_plurals_follow_the_language() -> None:
    german = PageLanguage.of("de")
    one, many = "%(count)s has fewer than %(limit)s customers.", "%(count)s have fewer than %(limit)s customers each."
    assert german.ngettext(one, many, 1, count="1", limit="10") == "1 hat weniger als 10 Kunden."
    assert german.ngettext(one, many, 2, count="2", limit="10") == "2 haben je weniger als 10 Kunden."

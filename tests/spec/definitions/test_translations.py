"""Translations of schemes: ours are whole and idiomatic by rules that can be checked, a company's own come before them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from functools import cache
from itertools import pairwise
from pathlib import Path

import pytest

from pipeline.definitions.company import PROJECT_ROOT, Company, load_company
from pipeline.definitions.definition_files import read_definition
from pipeline.definitions.history import company_on, definitions_digest, keep_company_on
from pipeline.definitions.schemes import Scheme, load_cluster_schemes, load_schemes
from pipeline.definitions.schemes.fixed_segments import DESCRIPTIONS, TITLES, fixed_segments
from pipeline.definitions.translations import FIXED, company_translations, text_places
from pipeline.errors import ConfigError
from pipeline.lake.lake import Lake

LANGUAGES = ("de", "fi", "hu", "ka", "tr")
FOLDER = PROJECT_ROOT / "segments" / "translations"
FILES = sorted(file for file in FOLDER.glob("*/*.toml") if file.stem != FIXED)
DAY = date(2014, 1, 27)


@cache
def demo() -> Company:
    return load_company(PROJECT_ROOT / "examples" / "adventureworks")


@pytest.fixture
def company(tmp_path: Path) -> Company:
    """Return the demo with an empty folder for its own definitions."""
    return replace(demo(), folder=tmp_path)


def scheme(company: Company, name: str) -> Scheme:
    return next(each for each in load_schemes(company).schemes if each.name == name)


def translate(company: Company, language: str, name: str, text: str) -> None:
    file = company.folder / "segments" / "translations" / language / f"{name}.toml"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, "utf-8")


def own_scheme(company: Company, name: str, old: str, new: str) -> None:
    """Give the company a copy of our scheme in which `old` is `new`."""
    text = (PROJECT_ROOT / "segments" / f"{name}.toml").read_text("utf-8")
    assert old in text
    (company.folder / "segments").mkdir(exist_ok=True)
    (company.folder / "segments" / f"{name}.toml").write_text(text.replace(old, new), "utf-8")


def sources(name: str) -> dict[str, str]:
    places = text_places(read_definition(PROJECT_ROOT / "segments" / f"{name}.toml").toml())
    return {place: str(each.source) for place, each in places.items()}


def texts(language: str, name: str) -> dict[str, str]:
    return dict(dict(company_translations(demo(), demo().definitions("segments", ".toml"))[name])[language])


def test_every_scheme_is_translated_into_every_language() -> None:
    names = {language: {file.stem for file in FILES if file.parent.name == language} for language in LANGUAGES}
    assert {path.name for path in FOLDER.iterdir()} == set(LANGUAGES)
    assert all(one == other for one, other in pairwise(names.values()))
    assert names["tr"] == {file.stem for file in (PROJECT_ROOT / "segments").glob("*.toml")}


@pytest.mark.parametrize("file", FILES, ids=lambda file: f"{file.parent.name}-{file.stem}")
def test_a_translation_has_every_text_of_its_scheme_and_no_other(file: Path) -> None:
    source, said = sources(file.stem), texts(file.parent.name, file.stem)
    assert said.keys() == source.keys()
    assert [place for place, text in said.items() if text == source[place]] == []
    # A limit such as 80 % or 30 days, and what a program fills in, are the same in every language.
    for place, text in said.items():
        assert sorted(re.findall(r"\d+|\{\w+\}", text)) == sorted(re.findall(r"\d+|\{\w+\}", source[place])), place
        assert re.search(r"\s{2}| [,.;:!?]", text) is None, place


@pytest.mark.parametrize("file", FILES, ids=lambda file: f"{file.parent.name}-{file.stem}")
def test_no_two_segments_of_a_scheme_are_called_alike(file: Path) -> None:
    titles = [text for place, text in texts(file.parent.name, file.stem).items() if re.fullmatch(r"segment\.\w+\.title", place)]
    assert len(set(titles)) == len(titles)


@pytest.mark.parametrize("name", sorted({file.stem for file in FILES}))
def test_georgian_is_written_in_its_own_letters(name: str) -> None:
    assert all(re.search("[\u10d0-\u10f0]", text) for text in texts("ka", name).values())


# What a text says to the customer is polite: of the familiar forms there is none.
FAMILIAR = {"de": r"\b(du|dich|dir|dein\w*|euch|euer)\b", "tr": r"\b(sen|seni|sana|senin)\b", "hu": r"\b(te|téged|neked|tied)\b"}


@pytest.mark.parametrize("language", sorted(FAMILIAR))
def test_customers_are_spoken_to_politely(language: str) -> None:
    for file in (file for file in FILES if file.parent.name == language):
        said = (text for place, text in texts(language, file.stem).items() if place.endswith(".message"))
        assert [text for text in said if re.search(FAMILIAR[language], text.lower())] == []


def test_titles_and_cards_are_told_in_each_language() -> None:
    champions = next(each for each in scheme(demo(), "rfm").segments if each.id == "champions")
    assert champions.titles == {"de": "Spitzenkunden", "fi": "Mestarit", "hu": "Bajnokok", "ka": "ჩემპიონები", "tr": "Şampiyonlar"}
    assert champions.strategy is not None
    assert champions.strategy.texts("fi")["price"] == "Täysi hinta: he maksavat sen mielellään."
    assert champions.strategy.texts("en")["price"] == "Full price: they pay it gladly."
    [clusters] = load_cluster_schemes(demo())
    assert clusters.features[0].highs["hu"] == "sokat költő"


def test_the_company_reads_its_own_language_first() -> None:
    turkish = scheme(replace(demo(), language="tr"), "lifecycle")
    assert (turkish.title, turkish.titles["en"]) == ("Yaşam döngüsü", "Lifecycle")
    assert turkish.segments[0].strategy is not None
    assert turkish.segments[0].strategy.texts("tr")["promotion"].startswith("İlk siparişte ücretsiz teslimat")


def test_only_languages_that_are_asked_for_are_told() -> None:
    assert scheme(replace(demo(), languages=("fi",)), "rfm").languages == {"fi"}
    assert scheme(replace(demo(), languages=()), "rfm").languages == frozenset()
    assert scheme(replace(demo(), languages=(), language="de"), "rfm").title == "RFM (Aktualität, Häufigkeit, Umsatz)"


@pytest.mark.parametrize("value", ['"tr"', '["Turkish"]', "[1]", "true"])
def test_languages_are_a_list_or_all(tmp_path: Path, value: str) -> None:
    text = (PROJECT_ROOT / "examples" / "adventureworks" / "company.toml").read_text("utf-8")
    (tmp_path / "company.toml").write_text(f"languages = {value}\n{text}", "utf-8")
    with pytest.raises(ConfigError, match="`languages`"):
        load_company(tmp_path)


def test_a_company_translates_into_a_language_of_its_own(company: Company) -> None:
    translate(company, "fr", "rfm", 'title = "RFM en bref"\n[segment.lost]\ntitle = "Perdus"\n')
    french = scheme(company, "rfm")
    assert (french.titles["fr"], french.titles["tr"]) == ("RFM en bref", "RFM (yakınlık, sıklık, tutar)")
    assert [each.titles.get("fr") for each in french.segments if each.id in ("lost", "new")] == [None, "Perdus"]


def test_the_company_has_the_last_word_on_single_texts(company: Company) -> None:
    translate(company, "tr", "rfm", '[segment.lost]\nmessage = "Kapımız açık."\n')
    [lost] = [each for each in scheme(company, "rfm").segments if each.id == "lost"]
    assert lost.strategy is not None
    assert (lost.titles["tr"], lost.strategy.texts("tr")["message"]) == ("Kaybedilenler", "Kapımız açık.")


def test_of_a_scheme_that_the_company_rewrote_our_translation_holds_for_what_it_left(company: Company) -> None:
    own_scheme(company, "rfm", 'title = "Champions"', 'title = "Stars"')
    stars = scheme(company, "rfm").segments[0]
    assert (stars.title, stars.titles) == ("Stars", {})
    assert stars.descriptions["de"].startswith("Gehören zu den Letzten")


def test_a_translation_in_the_file_of_the_scheme_comes_first(company: Company) -> None:
    own_scheme(company, "rfm", 'title = "Lost"', 'title = { en = "Lost", tr = "Gidenler" }')
    [lost] = [each for each in scheme(company, "rfm").segments if each.id == "lost"]
    assert lost.titles == {"tr": "Gidenler"}


def test_segments_that_no_file_names_are_told_in_each_language() -> None:
    for language in LANGUAGES:
        said = texts(language, FIXED)
        sources = (("title", TITLES), ("description", DESCRIPTIONS))
        places = {f"segment.{name}.{key}": text for key, known in sources for name, text in known.items()}
        assert said.keys() == places.keys()
        assert not [place for place, text in said.items() if text == places[place]]
        assert "{rule}" in said["segment.insufficient_evidence.description"]
    other, unknown = scheme(demo(), "country").segments
    assert (other.title, other.titles["hu"], unknown.titles["fi"]) == ("Other", "Egyéb", "Ei tiedossa")
    assert "en" not in unknown.titles
    german = scheme(replace(demo(), language="de"), "country").segments[1]
    assert (german.title, german.titles["en"], german.titles["tr"]) == ("Unbekannt", "Unknown", "Bilinmiyor")
    [clusters] = load_cluster_schemes(demo())
    assert clusters.fixed_titles["unclustered"]["ka"] == "კლასტერის გარეშე"


def test_a_rule_of_whom_values_are_for_is_told_in_each_language() -> None:
    german = (("segment.insufficient_evidence.description", "Nicht so: {rule}."),)
    [_, _, early] = fixed_segments(("other", "unknown"), "order_count >= 3", (("de", german),), "en")
    assert early.description == "Not (yet) so: order_count >= 3."
    assert early.descriptions == {"de": "Nicht so: order_count >= 3."}


def refusals() -> Iterator[tuple[str, str, str]]:
    yield (
        "rfm",
        '[segment.champion]\ntitle = "X"\n',
        "`segment.champion.title` is no text of the scheme .did you mean `segment.champions",
    )
    yield "rfm", '[segments.lost]\ntitle = "X"\n', "`segments` is not a known setting .did you mean `segment`"
    yield "rfm", '[segment.lost]\nmesage = "X"\n', "`segment.lost.mesage` is not a known setting .did you mean `message`"
    yield "rfm", "title = 5\n", "`title` must be a printable text"
    yield "rfm", '[segment.lost]\nmessage = " "\n', "`segment.lost.message` must be a printable text"
    yield "rfm", 'title = "a\\nb"\n', "`title` must be a printable text"
    yield "rmf", 'title = "X"\n', "`translations/tr/rmf.toml` would never be read"


@pytest.mark.parametrize(("name", "text", "message"), list(refusals()))
def test_a_wrong_translation_is_refused_with_its_file(company: Company, name: str, text: str, message: str) -> None:
    translate(company, "tr", name, text)
    with pytest.raises(ConfigError, match=message) as refused:
        load_schemes(company)
    assert refused.value.where.endswith(f"translations/tr/{name}.toml")


def test_a_folder_of_no_language_is_refused(company: Company) -> None:
    translate(company, "Turkish", "rfm", 'title = "X"\n')
    with pytest.raises(ConfigError, match="`translations/Turkish` would never be read"):
        load_schemes(company)


def test_an_old_night_is_told_as_it_was_told_then(company: Company, tmp_path: Path) -> None:
    lake = Lake(tmp_path / "lake")
    translate(company, "fr", "rfm", 'title = "Avant"\n')
    before = definitions_digest(company)
    keep_company_on(lake, company, DAY, DAY)
    translate(company, "fr", "rfm", 'title = "Après"\n')
    assert definitions_digest(company) != before
    assert scheme(company, "rfm").titles["fr"] == "Après"
    then = scheme(company_on(lake, company, DAY), "rfm")
    assert (then.titles["fr"], then.segments[0].titles["tr"]) == ("Avant", "Şampiyonlar")

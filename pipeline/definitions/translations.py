"""Translations of what people read of a scheme: `segments/translations/<language>/<scheme>.toml`, ours and the company's own.

A file has the texts of its scheme in one language, each where the scheme has it:

    title = "..."                    the scheme's title, and its question
    [strategy]                       its card
    [segment.champions]              title, description and card of one segment
    [features.spend_amount]          the words that titles of clusters are made of
    [strategies.cluster_2]           the card of one cluster

What a file lacks is told in the company's own language.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

from pipeline.definitions.company import Company
from pipeline.definitions.definition_files import Definition, definition_files, read_definition
from pipeline.definitions.fields import Document, Fields
from pipeline.definitions.settings import LANGUAGE
from pipeline.definitions.shipped import SHIPPED
from pipeline.errors import ConfigError, ErrorCollector
from pipeline.spelling import did_you_mean

FOLDER = "translations"
FIXED = "_fixed"
"""The file of segments that no scheme's file names, such as unknown and other."""
SOURCE_LANGUAGE = "en"
LONGEST_TITLE, LONGEST_SENTENCE = 200, 2_000
_OF_SCHEME = ("title", "question")
_OF_CARD = ("message", "promotion", "product_offer", "price", "channel", "service")
_OF_SEGMENT = ("title", "description")
_OF_FEATURE = ("high", "low", "highest", "lowest")

Texts = tuple[tuple[str, str], ...]
"""Texts in one language, each with its place, such as `segment.champions.title`."""
Translations = tuple[tuple[str, Texts], ...]
"""The texts of one scheme by language."""


@dataclass(frozen=True, slots=True)
class TextPlace:
    """Where a scheme's file holds a text: the table, and the key in it."""

    table: dict[str, Any]
    key: str

    @property
    def source(self) -> object:
        """What stands there: a text, or a table of texts by language."""
        return self.table[self.key]


def text_places(values: dict[str, Any]) -> dict[str, TextPlace]:
    """Return every text of a scheme that people read, by its place in a translation."""
    return {name: TextPlace(table, key) for name, table, key in _places(values) if isinstance(table.get(key), str | dict)}


def company_translations(company: Company, names: Mapping[str, Definition]) -> dict[str, Translations]:
    """Return the translations of the schemes `names` in the languages that the company asks for, by scheme; or what was kept of them.

    What the company translates itself comes before ours. Where its own file takes the place of our scheme, our translation holds for
    the texts that it left as they are. Raises ConfigError for a text that is not in the scheme, or cannot be shown on one line.
    """
    if company.past_definitions is not None:
        return {name: each for name, each in company.past_definitions.translations.items() if name in (*names, FIXED)}
    _require_known_files(company.folder / "segments" / FOLDER, names)
    asked = None if company.languages is None else frozenset((*company.languages, company.language))
    own_files = _files_by_language(company.folder / "segments" / FOLDER)
    found = {name: _translations_of(name, definition, own_files, asked) for name, definition in names.items()}
    found[FIXED] = _translations_of(FIXED, None, own_files, asked)
    return {name: tuple(sorted(languages.items())) for name, languages in found.items() if languages}


def require_own_translations(company: Company, names: Mapping[str, Definition]) -> None:
    """Raise ConfigError where a translation that the company wrote itself is wrong, in whatever language: all such faults together."""
    folder, found = company.folder / "segments" / FOLDER, ErrorCollector()
    with found.collecting():
        _require_known_files(folder, names)
    for by_name in _files_by_language(folder).values():
        for name, file in by_name.items():
            if name in (*names, FIXED):
                with found.collecting():
                    _own_texts(read_definition(file), _sources(names[name]).keys() if name in names else None)
    found.raise_first()


def translated_content(definition: Definition, translations: Translations, language: str) -> dict[str, Any]:
    """Return the content of a scheme's file with each text as a table of texts by language, as far as it is translated.

    A text that says no language is in the company's `language`; in English where a translation into the company's is given.
    """
    values = definition.toml()
    if not translations:
        return values
    source_language = SOURCE_LANGUAGE if language in dict(translations) else language
    places = text_places(values)
    for other, texts in translations:
        for name, text in texts:
            if (place := places.get(name)) is not None:
                held = place.source if isinstance(place.source, dict) else {source_language: place.source}
                # What the scheme's file says itself comes first.
                place.table[place.key] = {**held, other: held.get(other, text)}
    return values


def translations_document(translations: Iterable[tuple[str, Translations]]) -> dict[str, Any]:
    """Return the translations of schemes by name as a document for JSON; an empty one where there are none."""
    found = {name: {language: dict(texts) for language, texts in each} for name, each in translations}
    return {"translations": found} if found else {}


def documented_translations(document: Mapping[str, Any]) -> dict[str, Translations]:
    """Return the translations of which `translations_document` made the document."""
    kept = document.get("translations", {})
    return {name: tuple((language, tuple(texts.items())) for language, texts in each.items()) for name, each in kept.items()}


def _require_known_files(folder: Path, schemes: Mapping[str, Any]) -> None:
    """Raise ConfigError for what lies in the company's folder of translations and would never be read."""
    found = ErrorCollector()
    for path in definition_files(folder, ""):
        if not path.is_dir() or not re.fullmatch(LANGUAGE, path.name):
            todo = "Name a folder for each language, such as translations/tr."
            found.errors.append(ConfigError(f"`{FOLDER}/{path.name}` would never be read", where=str(path), todo=todo))
            continue
        for file in definition_files(path, ""):
            if file.suffix != ".toml" or file.stem not in (*schemes, FIXED):
                what = f"`{FOLDER}/{path.name}/{file.name}` would never be read{did_you_mean(file.stem, schemes)}"
                found.errors.append(ConfigError(what, where=str(file), todo="Name it like the file of the scheme that it translates."))
    found.raise_first()


def _places(values: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any], str]]:
    """Yield the place of each text that a scheme may have, with the table that holds it and the key."""
    yield from ((key, values, key) for key in _OF_SCHEME)
    yield from _places_in("strategy", values.get("strategy"), _OF_CARD)
    for segment in _tables(values.get("segment")):
        yield from _places_in(f"segment.{segment.get('id')}", segment, _OF_SEGMENT)
        yield from _places_in(f"segment.{segment.get('id')}", segment.get("strategy"), _OF_CARD)
    for feature in _tables(values.get("features")):
        yield from _places_in(f"features.{feature.get('name')}", feature, _OF_FEATURE)
    cards = values.get("strategies")
    for cluster, card in (cards if isinstance(cards, dict) else {}).items():
        yield from _places_in(f"strategies.{cluster}", card, _OF_CARD)


def _places_in(prefix: str, table: object, keys: tuple[str, ...]) -> Iterator[tuple[str, dict[str, Any], str]]:
    if isinstance(table, dict):
        yield from ((f"{prefix}.{key}", table, key) for key in keys)


def _tables(value: object) -> list[dict[str, Any]]:
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []


def _files_by_language(folder: Path) -> dict[str, dict[str, Path]]:
    """Return the files of a folder of translations by language and scheme: listed once, as asking for each takes longer than reading."""
    languages = (path for path in definition_files(folder, "") if path.is_dir())
    return {path.name: {file.stem: file for file in definition_files(path, ".toml")} for path in languages}


# Ours are part of the program, a hundred files: they change with it alone, and are read once by a process.
@cache
def _our_files() -> dict[str, dict[str, Path]]:
    return _files_by_language(SHIPPED / "segments" / FOLDER)


@cache
def _our_texts(file: Path) -> Texts:
    return _read_texts(read_definition(file))


def _translations_of(
    name: str, definition: Definition | None, own_files: Mapping[str, Mapping[str, Path]], asked: frozenset[str] | None
) -> Mapping[str, Texts]:
    """Return the translations of one scheme by those languages that are `asked` for; `own_files` are the company's.

    Of the segments that no file names there is no `definition`.
    """
    ours = _our_translations(name, definition, asked)
    own = {language: by_name[name] for language, by_name in own_files.items() if name in by_name and (asked is None or language in asked)}
    if not own:
        return ours
    known = _sources(definition).keys() if definition else None
    texts = {language: _own_texts(read_definition(file), known) for language, file in own.items()}
    both = {language: {**dict(ours.get(language, ())), **texts.get(language, {})} for language in sorted({*ours, *texts})}
    return {language: tuple(sorted(each.items())) for language, each in both.items() if each}


@lru_cache(maxsize=256)
def _our_translations(name: str, definition: Definition | None, asked: frozenset[str] | None) -> Mapping[str, Texts]:
    """Return our translations of one scheme by language; kept, as every step of a night asks for those of each scheme."""
    found: dict[str, Texts] = {}
    for language, by_name in sorted(_our_files().items()):
        if name in by_name and (asked is None or language in asked):
            texts = dict(_our_texts(by_name[name]))
            if definition and definition.file.parent != SHIPPED / "segments":
                texts = _of_same_source(texts, definition, SHIPPED / "segments" / f"{name}.toml")
            if texts:
                found[language] = tuple(sorted(texts.items()))
    return found


def _of_same_source(texts: Mapping[str, str], definition: Definition, source: Path) -> dict[str, str]:
    """Return those of our texts whose source the company's own file has kept word for word."""
    here, there = _sources(definition), _sources(read_definition(source))
    return {name: text for name, text in texts.items() if name in here and name in there and here[name] == there[name]}


@lru_cache(maxsize=256)
def _sources(definition: Definition) -> Mapping[str, object]:
    """Return what stands in each place of a scheme's texts; kept, as a night asks for it in several steps."""
    return {name: place.source for name, place in text_places(definition.toml()).items()}


def _own_texts(definition: Definition, known: Collection[str] | None) -> dict[str, str]:
    texts = dict(_read_texts(definition))
    for name in texts:
        if known is not None and name not in known:
            todo = "Write each text where the scheme has it, such as [segment.champions] and title."
            raise ConfigError(f"`{name}` is no text of the scheme{did_you_mean(name, known)}", where=str(definition.file), todo=todo)
    return texts


@lru_cache(maxsize=256)
def _read_texts(definition: Definition) -> Texts:
    """Return the texts of a translation; kept, as a night asks for them in several steps."""
    return read_translation(definition)


def read_translation(definition: Definition) -> Texts:
    """Return the texts of a translation; raises ConfigError for a key that no scheme has, and for what is no text."""
    content = Fields(definition.toml(), Document(str(definition.file)))
    parts: list[tuple[str, Fields, tuple[str, ...]]] = [("strategy.", content.section("strategy"), _OF_CARD)]
    for table, keys in (("segment", (*_OF_SEGMENT, *_OF_CARD)), ("features", _OF_FEATURE), ("strategies", _OF_CARD)):
        parts += [(f"{table}.{name}.", part, keys) for name, part in content.section(table).sections()]
    texts = [text for prefix, part, keys in (("", content, _OF_SCHEME), *parts) for text in _take_texts(part, keys, prefix)]
    for part in (content, *(part for _, part, _ in parts)):
        part.refuse_unknown()
    return tuple(texts)


def _take_texts(content: Fields, keys: tuple[str, ...], prefix: str) -> Iterator[tuple[str, str]]:
    for key in keys:
        if content.has(key):
            yield f"{prefix}{key}", content.text(key, longest=LONGEST_TITLE if key == "title" else LONGEST_SENTENCE)

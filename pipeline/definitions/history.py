"""Which definitions a night is computed by, so that an old night can be computed again just as it was.

    lake/definitions/<day>.json    what decides features, segments and rejected rows, valid from that day
    lake/lists/<digest>.csv        the lists that its rules may name

- The newest night goes by the files as they are; they are copied into the lake where they differ from the copy before.
- An older night goes by the newest copy up to its day, else by the earliest one.
- A restatement (an old day as a later night knows it) goes by the files of today.

Say `rfm.toml` was edited on 3 May. Then the lake has a copy from the first night on, and one from 3 May; running 2 May again
uses the first. A copy for a day on which no night could be read is removed once a later night is read by other definitions.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import date
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from pipeline.definitions.audiences import load_audiences
from pipeline.definitions.company import Company, with_declared_features
from pipeline.definitions.company_sections import Attribute
from pipeline.definitions.definition_files import Definition
from pipeline.definitions.past_definitions import PastDefinitions
from pipeline.definitions.schemes import load_cluster_schemes, load_schemes
from pipeline.definitions.translations import Translations, company_translations, documented_translations, translations_document
from pipeline.definitions.value_lists import list_digests
from pipeline.errors import ConfigError, DataError
from pipeline.lake import addresses
from pipeline.lake.lake import Lake
from pipeline.lake.tables import CUSTOMER_SEGMENTS, EXTRACTIONS, Column, EventType, Kind

DEFINITION_SUFFIXES = {"features": ".toml", "segments": ".toml", "expectations": ".json"}
# Kept only where there are any: without audiences a company says the same as ever.
OPTIONAL_SUFFIXES = {"audiences": ".toml"}
WORDS = frozenset({"title", "question", "description", "strategy", "crosswalk"})


def keep_company_on(
    lake: Lake, company: Company, day: date, known_on: date, *, without_erased: Callable[[bytes], bytes] = lambda text: text
) -> Company:
    """Return `company` as night `day` is computed by it, and keep its definitions where the night is the newest.

    `without_erased` takes those out of the text of a list who must not be stored.
    """
    if known_on != day:
        return company
    with lake.lock("definitions"):  # two nights may begin at once, and each must see what the other has kept
        nights = [*lake.nights(EXTRACTIONS), *lake.nights(CUSTOMER_SEGMENTS)]
        if day >= max([day, *_stored_days(lake), *nights]):
            last_read = max((night for night in nights if night < day), default=date.min)
            _keep_definitions(lake, company, day, last_read=last_read, without_erased=without_erased)
            return company
    return company_on(lake, company, day)


def company_on(lake: Lake, company: Company, day: date) -> Company:
    """Return `company` with the definitions and settings valid on `day`, or as it is where the files still say the same.

    Raises DataError where what was kept of them is damaged.
    """
    days = _stored_days(lake)
    if not days:
        return company
    first = max((kept for kept in days if kept <= day), default=days[0])
    address = addresses.definition(first)
    try:
        kept, said = lake.read_text(address), _definitions_document(company)
        if kept == said:
            return company
        content = json.loads(kept)
        if said is not None and json.loads(said) == content:
            return company
        lists = {name: lake.local(addresses.stored_list(digest)) for name, digest in content.get("lists", {}).items()}
        return _with_past_definitions(company, first, lake.local(address), content, lists)
    except (ValueError, KeyError, TypeError, AttributeError):
        raise DataError(
            "the definitions kept for this day are damaged", where=lake.where(address), todo="Put the file back from a copy."
        ) from None


def company_as_computed(lake: Lake, company: Company, day: date, known_on: date) -> Company:
    """Return `company` as night `day` was computed by it, whatever the files say by the time it is judged or published."""
    return company_on(lake, company, day) if known_on == day else company


def definitions_digest(company: Company) -> str:
    """Return a short digest of all that a night's tables come from besides data and models, titles, cards and translations included."""
    texts = {folder: _definition_texts(company, folder) for folder in ("features", "segments")}
    return _digest({"settings": _night_settings(company), **texts, **_optional_content(company)})


def segmentation_digest(company: Company) -> str:
    """Return a short digest of what decides who is in which segment of a scheme besides data and models, and of no words for people."""
    features, schemes = (company.definitions(folder, ".toml") for folder in ("features", "segments"))
    # A declared feature may have any name, such as `title`.
    declared = {file: {name: _without_words(each) for name, each in content.toml().items()} for file, content in features.items()}
    decided = {name: _decided(content) for name, content in schemes.items()}
    settings = _without_words(_night_settings(company))
    return _digest({"settings": settings, "features": declared, "segments": decided, **_list_entries(company)})


# A night asks twice, of two dozen schemes that hardly ever change.
@lru_cache(maxsize=128)
def _decided(scheme: Definition) -> object:
    return _without_words(scheme.toml())


def _without_words(entry: object) -> object:
    """Return definitions without what is there for people to read."""
    if isinstance(entry, list):
        return [_without_words(each) for each in entry]
    if not isinstance(entry, dict):
        return entry
    return {name: each if name == "parameters" else _without_words(each) for name, each in entry.items() if name not in WORDS}


def _digest(content: Mapping[str, Any]) -> str:
    return sha256(json.dumps(content, sort_keys=True, default=str).encode()).hexdigest()[:16]


def _keep_definitions(lake: Lake, company: Company, day: date, *, last_read: date, without_erased: Callable[[bytes], bytes]) -> None:
    """Keep what the files say from `day` on, unless they say what was valid before, or nothing that could be computed."""
    text = _definitions_document(company)
    earlier = [kept for kept in _stored_days(lake) if kept < day]
    unused = [kept for kept in earlier if kept > last_read and not _is_stored_text(lake, kept, text)]
    before = max((kept for kept in earlier if kept not in unused), default=None)
    if before is not None and _is_stored_text(lake, before, text):
        unused.append(day)
    elif not _is_stored_text(lake, day, text):
        if text is None or not _is_computable(company):
            return
        _store_lists(lake, company, without_erased)
        lake.write_text(addresses.definition(day), text)
    for kept in unused:
        lake.delete(addresses.definition(kept))


def _store_lists(lake: Lake, company: Company, without_erased: Callable[[bytes], bytes]) -> None:
    """Keep the texts of the company's lists, each once, before anything refers to them."""
    files = company.list_files()
    for name, digest in list_digests(company).items():
        if not lake.exists(addresses.stored_list(digest)):
            lake.store.write(addresses.stored_list(digest), without_erased(files[name].read_bytes()))


def _is_stored_text(lake: Lake, day: date, text: str | None) -> bool:
    address = addresses.definition(day)
    return lake.exists(address) and lake.read_text(address) == text


def _stored_days(lake: Lake) -> list[date]:
    return [date.fromisoformat(addresses.stem(each)) for each in lake.list_addresses(addresses.DEFINITIONS, suffix=".json")]


def _is_computable(company: Company) -> bool:
    try:
        load_schemes(company)
        load_cluster_schemes(company)
        load_audiences(company)
    except ConfigError:
        return False
    return True


def _definitions_document(company: Company) -> str | None:
    """Return what `company` says now as a lake keeps it, or None where a file is no text: the step that reads it will tell."""
    try:
        texts = {folder: _definition_texts(company, folder) for folder in DEFINITION_SUFFIXES}
        content = {"settings": _night_settings(company), **texts, **_list_entries(company), **_optional_texts(company)}
        return _laid_out(json.dumps(content), _translations(company))
    except ConfigError:
        return None


@lru_cache(maxsize=4)
def _laid_out(content: str, translations: tuple[tuple[str, Translations], ...]) -> str:
    """Return JSON and translations as one document for people; kept, as every step of a night asks, and laying it out takes longest."""
    document = {**json.loads(content), **translations_document(translations)}
    return json.dumps(document, indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def _definition_texts(company: Company, folder: str) -> dict[str, str]:
    suffix = {**DEFINITION_SUFFIXES, **OPTIONAL_SUFFIXES}[folder]
    return {name: definition.text for name, definition in company.definitions(folder, suffix).items()}


def _optional_content(company: Company) -> dict[str, Any]:
    return {**_list_entries(company), **_optional_texts(company), **translations_document(_translations(company))}


def _translations(company: Company) -> tuple[tuple[str, Translations], ...]:
    return tuple(company_translations(company, company.definitions("segments", ".toml")).items())


def _optional_texts(company: Company) -> dict[str, dict[str, str]]:
    return {folder: texts for folder in OPTIONAL_SUFFIXES if (texts := _definition_texts(company, folder))}


def _texts_of(content: Mapping[str, Any]) -> dict[str, dict[str, str]]:
    needed = {folder: content.get(folder, {}) for folder in DEFINITION_SUFFIXES}
    return needed | {folder: content[folder] for folder in OPTIONAL_SUFFIXES if folder in content}


def _list_entries(company: Company) -> dict[str, dict[str, str]]:
    """Return the lists by name, each with its digest; nothing where the company has none."""
    digests = list_digests(company)
    return {"lists": digests} if digests else {}


def _night_settings(company: Company) -> dict[str, Any]:
    """Return the settings that shape the tables of a night. Limits are none of them: they are today's judgement."""
    return {
        "time_zone": company.zone.key,
        "currency": company.currency,
        "language": company.language,
        "first_day": company.first_day.isoformat(),
        "window_days": company.window_days,
        "attributes": [{**_column_entry(each.column), "level": each.level} for each in company.attributes],
        **({"events": [_event_entry(event) for event in company.declared_events]} if company.declared_events else {}),
    }


def _event_entry(event: EventType) -> dict[str, Any]:
    columns = [{**_column_entry(column), "required": column.required} for column in event.columns]
    words = {"name": event.name, "title": event.title, "description": event.description}
    return {**words, "key": list(event.key), "instant": event.instant.name, "columns": columns}


def _column_entry(column: Column) -> dict[str, Any]:
    return {
        "name": column.name,
        "kind": column.kind.name.lower(),
        "description": column.description,
        "pii": column.pii,
        "spelling": column.spelling,
        **({"separator": column.separator} if column.separator else {}),
    }


def _column_of(entry: Mapping[str, Any]) -> Column:
    return Column(
        entry["name"],
        Kind[entry["kind"].upper()],
        entry["description"],
        required=entry.get("required", False),
        pii=entry["pii"],
        spelling=entry.get("spelling", ""),
        separator=entry.get("separator", ""),
    )


def _event_of(entry: Mapping[str, Any], today: EventType | None) -> EventType:
    """Return the event as it was declared then; a column that has another kind `today` has that one, as its days were read anew.

    How many days are compared is no part of what a night was.
    """
    kinds = {column.name: column.kind for column in today.columns} if today else {}
    columns = (replace(column, kind=kinds.get(column.name, column.kind)) for column in map(_column_of, entry["columns"]))
    instant = Column(entry["instant"], Kind.INSTANT, "When it happened.", required=True)
    late_check_days = today.late_check_days if today else None
    return EventType(entry["name"], entry["title"], entry["description"], tuple(entry["key"]), instant, tuple(columns), late_check_days)


def _with_past_definitions(company: Company, day: date, file: Path, content: Mapping[str, Any], lists: Mapping[str, Path]) -> Company:
    settings = content["settings"]
    past = replace(
        company,
        zone=ZoneInfo(settings["time_zone"]),
        currency=settings["currency"],
        language=settings["language"],
        first_day=date.fromisoformat(settings["first_day"]),
        window_days=settings["window_days"],
        attributes=tuple(Attribute(_column_of(each), each["level"]) for each in settings["attributes"]),
        declared_events=tuple(_event_of(each, company.events.get(each["name"])) for each in settings.get("events", [])),
        past_definitions=PastDefinitions(day, file, _texts_of(content), lists, documented_translations(content)),
    )
    return with_declared_features(past)

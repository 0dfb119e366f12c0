"""The texts of a new company folder: company.toml, queries, and a note for whoever opens it. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator

from pipeline.onboarding.company_draft import CompanyDraft, TableDraft
from pipeline.onboarding.file_formats import format_settings
from pipeline.onboarding.layouts.layout import AttributeDraft, EventDraft

NOTE = "README.md"


def company_texts(draft: CompanyDraft) -> dict[str, str]:
    """Return the text of each file of the folder, by its path there."""
    texts = {"company.toml": company_settings(draft), NOTE: folder_note(draft)}
    return texts | {f"sources/{name}.sql": text for name, text in draft.queries().items()}


def company_settings(draft: CompanyDraft) -> str:
    """Return company.toml."""
    return "\n".join(_settings_lines(draft)) + "\n"


def _settings_lines(draft: CompanyDraft) -> Iterator[str]:
    yield "# Written by `segments init`; yours to change. Every setting: docs/reference/company-toml.md."
    yield f"name = {_text(draft.name)}"
    yield f"time_zone = {_text(draft.zone)}  # days begin and end here"
    yield f"currency = {_text(draft.currency)}"
    yield f"first_day = {draft.first_day}  # {'of the oldest row; what is older is rejected' if draft.last_day else 'the first night'}"
    if draft.last_day:
        yield f"last_day = {draft.last_day}  # the newest day of the files: `segments run` takes it; move it with each new export"
        yield "lookback_days = 366  # each night reads these days again: a new export may hold refunds of older orders"
    yield from ("", "[source]", 'kind = "files"', 'path = "data"  # each folder in it is a table')
    for table in draft.tables:
        yield from _format_lines(table)
    for attribute in draft.attributes:
        yield from _attribute_lines(attribute)
    for event in draft.events:
        yield from _event_lines(event)


def _format_lines(table: TableDraft) -> Iterator[str]:
    settings = format_settings(table.format)
    if settings:
        yield from ("", f"[source.formats.{table.name}]  # how the files of data/{table.name} are written")
        for name, value in settings.items():
            yield f"{name} = {json.dumps(value, ensure_ascii=False)}"


def _attribute_lines(attribute: AttributeDraft) -> Iterator[str]:
    yield from ("", f"[attributes.{attribute.name}]", f"level = {_text(attribute.level)}")
    if attribute.kind != "text":
        yield f"kind = {_text(attribute.kind)}"
    if attribute.is_personal:
        yield "pii = true"
    yield f"description = {_text(attribute.description)}"


def _event_lines(event: EventDraft) -> Iterator[str]:
    yield from ("", f"[events.{event.name}]", f"title = {_text(event.title)}")
    yield f"key = [{', '.join(map(_text, event.key))}]"
    yield f"instant = {_text(event.instant)}"
    columns = ", ".join(f"{name} = {_text(kind)}" for name, kind in event.columns)
    yield f"columns = {{{columns}}}"


def folder_note(draft: CompanyDraft) -> str:
    """Return the note that says what was assumed, and how to go on."""
    tables = "\n".join(
        f"| `data/{table.name}/` | {table.title} | {', '.join(f'`{name}`' for name in table.file_names)} |" for table in draft.tables
    )
    assumed = "\n".join(f"- {sentence}" for sentence in draft.assumptions)
    keyed = [table for table in draft.tables if table.format.key]
    overlaps = "".join(
        f" Of rows of `data/{each.name}` with the same {_quoted(each.format.key)} the newest file's stand." for each in keyed
    )
    return f"""# {draft.name}

A company folder for `segments`, made from files by `segments init`.

| table | what it is | files |
|---|---|---|
{tables}

## What was assumed

{assumed}

Not so? Change the query in `sources/` or the setting in `company.toml`, then run again.

## Go on

```sh
segments run --company . --lake lake
```

**A new export**: put it beside the old one in its folder below `data/`. Names tell which is newest: `export (2).csv` after `export.csv`,
or a date in each of them, such as `export_2024-05-01.csv`.{overlaps}
Then move `last_day` in `company.toml` to the newest day, or delete it once there is a new export every day, and run again.
"""


def _quoted(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _text(value: str) -> str:
    return json.dumps(value, ensure_ascii=False)

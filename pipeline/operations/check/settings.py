"""`company.toml`, with all that is wrong in it: what one fault hides is found by reading the file again without it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

from pipeline.definitions.company import COMPANY_FILE, Company, read_company, require_company_file
from pipeline.definitions.company_checks import require_sensible_settings, require_source_queries
from pipeline.definitions.definition_files import Definition, read_definition, require_known_files
from pipeline.definitions.events import require_queries
from pipeline.definitions.shipped import SHIPPED
from pipeline.errors import PipelineError
from pipeline.operations.check.problems import ProblemList

MOST_FAULTS = 50
# What stands in the place of a required setting that is missing or wrong, so that the rest can be read; nothing is computed by it.
_STAND_INS: Mapping[str, object] = {
    "name": "unnamed",
    "time_zone": "UTC",
    "currency": "EUR",
    "first_day": date(2000, 1, 1),
    "level": "behavioural",
    "connection": "unnamed",
}
# The settings of one of these make no sense without each other: such a one is cut out as a whole.
_NEEDING_EACH_OTHER = ("events", "surveys", "notify")
_DECIDING_NOTHING = ("level", "description", "pii")
_NAMED = re.compile(r"`([^`\n]+)`")


@dataclass(frozen=True, slots=True)
class _CutDefinition(Definition):
    """A definition without what is wrong in it; its text is the whole, so that lines stay where they are."""

    values: Mapping[str, Any] = field(default_factory=dict)

    def toml(self) -> dict[str, Any]:
        return deepcopy(dict(self.values))


@dataclass(frozen=True, slots=True)
class CheckedSettings:
    """The company as far as its settings can be read, and the names, such as those of attributes, of which too much is wrong."""

    company: Company
    unsound: frozenset[str]


def check_settings(folder: Path, found: ProblemList) -> CheckedSettings | None:
    """Return what `company.toml` says, None where it cannot be read at all; faults of it, and of the names of files, are added."""
    with found.collecting():
        require_company_file(folder)
        definition = read_definition(folder / COMPANY_FILE)
        return _read_settings(definition, definition.toml(), folder, found)
    return None


def _read_settings(definition: Definition, values: dict[str, Any], folder: Path, found: ProblemList) -> CheckedSettings | None:
    unsound: set[str] = set()
    declared = set(values.get("events", {})) if isinstance(values.get("events"), dict) else set()
    for _ in range(MOST_FAULTS):
        try:
            company = read_company(_CutDefinition(definition.file, definition.text, values), folder)
        except PipelineError as error:
            found.add(error)
            # One reading may tell of several; where none of them can be cut out, the next one would tell the same.
            cut = [_cut_out(values, each, unsound) for each in (error, *error.others)]
            if True not in cut:
                return None
        else:
            _check_together(company, definition, declared, found)
            return CheckedSettings(company, frozenset(unsound))
    return None


def _check_together(company: Company, definition: Definition, declared: set[str], found: ProblemList) -> None:
    """Add what is wrong with the settings together, and with the names of files; an event that is `declared` may be so in a wrong way."""
    events = sorted({*company.events, *declared})
    with found.collecting():
        require_queries(company.declared_events, company.folder / "sources", definition)
    with found.collecting():
        require_known_files(company.folder, ours=SHIPPED, data=company.source.folder, events=events)
    with found.collecting():
        require_sensible_settings(company, definition.file)
    with found.collecting():
        require_source_queries(company)


def _cut_out(values: dict[str, Any], error: PipelineError, unsound: set[str]) -> bool:
    """Take what an error is about out of `values`, or put something right in its place, and return whether that was possible.

    What others go by is added to `unsound`: an attribute or an event, or the source.
    """
    for path in _candidate_paths(values, error):
        table, key = _table_of(values, path), path[-1]
        if table is None:
            continue
        stand_in = _STAND_INS.get(key)
        if path[0] in _NEEDING_EACH_OTHER and len(path) > 1:
            values[path[0]].pop(path[1], None)
        elif stand_in is not None and table.get(key) != stand_in:
            table[key] = stand_in
        elif key in table:
            del table[key]
        else:
            continue
        if key not in _DECIDING_NOTHING:
            unsound.update(path[1:2] if path[0] in ("attributes", "events") else path[:1])
        return True
    return False


def _candidate_paths(values: dict[str, Any], error: PipelineError) -> Iterator[tuple[str, ...]]:
    """Yield where in the file the fault may be: the setting that the error is about, else the names that it quotes."""
    if error.setting:
        yield tuple(error.setting.split("."))
    for name in _NAMED.findall(error.what):
        yield from _paths_ending(values, tuple(name.split(".")))


def _paths_ending(table: Mapping[str, Any], end: tuple[str, ...], path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    for key, value in table.items():
        if (*path, key)[-len(end) :] == end:
            yield (*path, key)
        if isinstance(value, dict):
            yield from _paths_ending(value, end, (*path, key))


def _table_of(values: dict[str, Any], path: tuple[str, ...]) -> dict[str, Any] | None:
    table: Any = values
    for key in path[:-1]:
        table = table.get(key) if isinstance(table, dict) else None
    return table if isinstance(table, dict) else None

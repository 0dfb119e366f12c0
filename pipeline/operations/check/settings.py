"""`company.toml`, with all that is wrong in it by itself and beside the files of the folder."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from functools import partial
from pathlib import Path

from pipeline.definitions.company import COMPANY_FILE, Company, read_company, require_company_file
from pipeline.definitions.company_checks import require_sensible_settings, require_source_queries
from pipeline.definitions.definition_files import Definition, read_definition, require_known_files
from pipeline.definitions.events import require_queries
from pipeline.definitions.shipped import SHIPPED
from pipeline.operations.check.problems import ProblemList
from pipeline.operations.check.rereading import Rereading

_COMPANY = Rereading(
    {
        "name": "unnamed",
        "time_zone": "UTC",
        "currency": "EUR",
        "first_day": date(2000, 1, 1),
        "level": "behavioural",
        "connection": "unnamed",
        "catalog": "unnamed",
    },
    wholes=("events", "surveys", "notify"),
)
_NAMING = ("attributes", "events")
_DECIDING_NOTHING = ("level", "description", "pii")


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
        company, cut = _COMPANY.read(definition, partial(read_company, folder=folder), found)
        if company is None:
            return None
        declared = definition.toml().get("events")
        _check_together(company, definition, set(declared) if isinstance(declared, dict) else set(), found)
        # By what has such a name others go: an attribute, an event, or the source.
        deciding = [path for path in cut if path[-1] not in _DECIDING_NOTHING]
        return CheckedSettings(company, frozenset(path[1] if path[0] in _NAMING and path[1:] else path[0] for path in deciding))
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

"""Sinks: the systems that a company's segments and audiences are synced to, one file of `sinks/` each."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from hashlib import sha256
from typing import Any

from pipeline.definitions.company import Company
from pipeline.definitions.definition_files import Definition, definition_files, read_definition
from pipeline.definitions.fields import Document, Fields, require_identifier
from pipeline.errors import ConfigError
from pipeline.lake.tables import CRM_PROFILES
from pipeline.spelling import did_you_mean

FOLDER = "sinks"
ALL = "all"
NEXT_ACTION_NOTE = "next_action_note"
SEGMENT_PREFIX = "segments."
CONTACT_FIELDS = ("name", "email", "phone")
KINDS = ("files", "hubspot", "mailchimp", "tryton", "webhook")
CONSENTS = ("not refused", "given")
OPT_OUTS = ("all", "own")
# To an advertising or mailing list goes nobody who has not agreed; a CRM holds customers whether or not they were ever asked.
_CONSENT_BY_KIND = {"mailchimp": "given"}
# Reading everything back is cheap in a CRM of one's own, and counts against a daily limit elsewhere. Files and webhooks cannot be read.
_RECONCILE_DAYS_BY_KIND = {"tryton": 0}
_WEEK = 7
# What of a profile may go into a field, besides the segment of a scheme.
_COLUMNS = (name for name in CRM_PROFILES.column_names if name not in ("segments", "audiences", "row_hash", "is_member"))
_KNOWN_VALUES = (*CONTACT_FIELDS, NEXT_ACTION_NOTE, *_COLUMNS)
_CONTACTS = {name: name for name in CONTACT_FIELDS}
# What goes there where the file says nothing of fields.
_FIELDS_BY_KIND: Mapping[str, Mapping[str, str]] = {
    "tryton": {**_CONTACTS, "note": NEXT_ACTION_NOTE},
    "files": {**_CONTACTS, "next_action": "next_action_title"},
    "webhook": {"next_action": "next_action"},
    "hubspot": {"firstname": "name", "email": "email", "phone": "phone", "segments_next_action": NEXT_ACTION_NOTE},
    "mailchimp": {"email_address": "email", "FNAME": "name", "CUSTOMERID": "customer_id"},
}


@dataclass(frozen=True, slots=True)
class SinkLimits:
    """Shares of the customers in the sink beyond which a sync stops before it writes anything."""

    removed_share: float = 0.1
    changed_share: float = 0.5
    refused_share: float = 0.1


@dataclass(frozen=True, slots=True)
class SinkDefinition:
    """One sink: what goes there, and what it is called there.

    `schemes` and `audiences` are names, or None for all. `fields` are the sink's names with what of a profile goes into each.
    `opt_outs` says whose count: those made in any sink, or its own.
    `titles` name lists as `lifecycle.active`. `settings` are those of the kind alone.
    """

    name: str
    kind: str
    where: str
    connection: str
    consent: str
    schemes: tuple[str, ...] | None
    audiences: tuple[str, ...] | None
    fields: Mapping[str, str]
    titles: Mapping[str, str]
    settings: Mapping[str, Any]
    limits: SinkLimits
    reconcile_days: int
    opt_outs: str = OPT_OUTS[0]

    @property
    def mapping_digest(self) -> str:
        """A digest of what goes there: where it changed, every customer is looked at again. What lists are called is apart."""
        return self._digest("consent", "schemes", "audiences", "fields", "settings")

    @property
    def system_digest(self) -> str:
        """A digest of where it goes: where it changed, it is another system, which acknowledged nothing yet."""
        return self._digest("kind", "connection", "settings")

    def _digest(self, *names: str) -> str:
        # By name, as keys of a file may come in another order. A setting may be a date, which JSON does not know.
        content = json.dumps({name: value for name, value in asdict(self).items() if name in names}, sort_keys=True, default=str)
        return sha256(content.encode()).hexdigest()[:16]

    @property
    def contact_fields(self) -> Mapping[str, str]:
        """Those of the fields that say who the customer is: given to new records, and left alone afterwards."""
        return {theirs: ours for theirs, ours in self.fields.items() if ours in CONTACT_FIELDS}

    @property
    def profile_fields(self) -> Mapping[str, str]:
        """Those of the fields that are ours: kept as the profile has them."""
        return {theirs: ours for theirs, ours in self.fields.items() if ours not in CONTACT_FIELDS}

    @property
    def field_schemes(self) -> Mapping[str, str]:
        """The schemes whose segment goes into a field, by the sink's name of the field."""
        return {theirs: ours.removeprefix(SEGMENT_PREFIX) for theirs, ours in self.fields.items() if ours.startswith(SEGMENT_PREFIX)}

    def setting(self, name: str, default: str | None = None) -> str:
        """Return a text of `[settings]`; raises ConfigError where it is missing and has no default, or is none."""
        value = self.settings.get(name, default)
        if not isinstance(value, str) or not value:
            raise ConfigError(f"`settings.{name}` must be a text", where=self.where, todo=f'Add it below [settings]: {name} = "...".')
        return value

    def require_settings(self, *names: str) -> None:
        """Raise ConfigError where `[settings]` has any other name."""
        for name in self.settings:
            if name not in names:
                known = f"A sink of kind {self.kind} knows: {', '.join(names) or 'none'}."
                raise ConfigError(f"`settings.{name}` is not a known setting{did_you_mean(name, names)}", where=self.where, todo=known)


def sink_names(company: Company) -> list[str]:
    """Return the names of the company's sinks, in order; their files are not read."""
    return [path.stem for path in definition_files(company.folder / FOLDER, ".toml")]


def load_sinks(company: Company) -> dict[str, SinkDefinition]:
    """Return the company's sinks by name; raises ConfigError with file and setting for one that is wrong."""
    files = definition_files(company.folder / FOLDER, ".toml")
    return {path.stem: read_sink(path.stem, read_definition(path)) for path in files}


def read_sink(name: str, definition: Definition) -> SinkDefinition:
    """Return the sink that a file describes."""
    where = str(definition.file)
    require_identifier(name, "the sink's name", where)
    content = Fields(definition.toml(), Document(where))
    _note_settings(content)
    kind = content.text("kind")
    if kind not in KINDS and ":" not in kind:
        todo = f"Choose one of {', '.join(KINDS)}, or name a class of your own as `module:Class`."
        raise ConfigError(f"`kind` is `{kind}`{did_you_mean(kind, KINDS)}", where=where, todo=todo)
    limits, titles = content.section("limits"), content.section("titles")
    fields = content.section("fields")
    shares = SinkLimits()
    sink = SinkDefinition(
        name=name,
        kind=kind,
        where=where,
        connection=content.take("connection", str, default=""),
        consent=content.choice("consent", CONSENTS, default=_CONSENT_BY_KIND.get(kind, CONSENTS[0])),
        opt_outs=content.choice("opt_outs", OPT_OUTS, default=OPT_OUTS[0]),
        schemes=_read_names(content, "schemes"),
        audiences=_read_names(content, "audiences"),
        fields=_read_mapping(fields, where) or dict(_FIELDS_BY_KIND.get(kind, {})),
        titles=titles.take_texts(),
        settings=content.take("settings", dict, default={}),
        limits=SinkLimits(
            removed_share=limits.number("removed_share", 0, 1, default=shares.removed_share),
            changed_share=limits.number("changed_share", 0, 1, default=shares.changed_share),
            refused_share=limits.number("refused_share", 0, 1, default=shares.refused_share),
        ),
        reconcile_days=content.integer("reconcile_days", 0, 366, default=_RECONCILE_DAYS_BY_KIND.get(kind, _WEEK)),
    )
    for section in (content, limits):
        section.refuse_unknown()
    return sink


def _note_settings(content: Fields) -> None:
    """Write down for editors what the reader checks by itself."""
    text = frozenset({str})
    content.note("kind", pattern="|".join((*KINDS, "[^:]+:[^:]+")))
    for key in ("schemes", "audiences"):
        content.note(key, kinds=text, choices=(ALL,))
        content.note_entries(key, kinds=text)
    content.note_named("fields", kinds=text, pattern="|".join((*_KNOWN_VALUES, f"{re.escape(SEGMENT_PREFIX)}.+")))
    content.note_named("settings", kinds=frozenset({str, float, bool}))


def _read_names(content: Fields, key: str) -> tuple[str, ...] | None:
    """Return a list of names, or None where it says `all` or nothing."""
    value = content.take(key, (str, list), default=ALL)
    if value == ALL:
        return None
    if not isinstance(value, list):
        raise content.refusal(key, 'must be "all" or a list of names')
    return Fields({key: value}, content.document).texts(key, default=[])


def _read_mapping(fields: Fields, where: str) -> dict[str, str]:
    """Return what of a profile goes into each field of the sink."""
    mapping = fields.take_texts()
    for theirs, ours in mapping.items():
        if ours not in _KNOWN_VALUES and not (ours.startswith(SEGMENT_PREFIX) and ours != SEGMENT_PREFIX):
            todo = f"A field takes one of {', '.join(_KNOWN_VALUES)}, or the segment of a scheme, such as segments.lifecycle."
            raise ConfigError(f"`fields.{theirs}` is `{ours}`{did_you_mean(ours, _KNOWN_VALUES)}", where=where, todo=todo)
    return mapping

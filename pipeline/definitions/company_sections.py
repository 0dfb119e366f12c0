"""Parts of `company.toml`: its currency, schedule and time zone; sources and targets; what more is known of customers."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, cast, get_args
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from pipeline.definitions.field_records import ANY_NAME
from pipeline.definitions.fields import IDENTIFIER, LONGEST_SHOWN, Fields, printable_value, require_identifier
from pipeline.definitions.settings import CURRENCIES, LANGUAGE, schedule_fault
from pipeline.definitions.source_formats import TableFormat, read_formats
from pipeline.errors import ConfigError
from pipeline.lake.tables import CUSTOMER_FEATURES, CUSTOMERS, Column, Kind, Spelling
from pipeline.spelling import did_you_mean

CountsAsOrder = Literal["all", "paid"]
NIGHTLY = "0 4 * * *"
LIST = "list"
"""The kind of an attribute that holds several texts, such as tags."""
_GIVES = ("snapshot", "append")
LEVELS = ("demographic", "geographic", "psychographic", "behavioural", "firmographic")


@dataclass(frozen=True, slots=True)
class Attribute:
    """One column of `sources/customers.sql` beyond the declared ones."""

    column: Column
    level: str


SourceKind = Literal["files", "sqlite", "duckdb", "postgresql", "mysql", "mssql", "snowflake", "bigquery", "spark"]


@dataclass(frozen=True, slots=True)
class Source:
    """Where customers and order lines come from: a `folder` of files, the `file` of a database, or a database behind a `connection`.

    A connection is a name, and never holds a password. `zone` is the time zone of times that the database keeps without one; empty where
    nobody said so.

    `appended` names the sources that give only what is new or changed; all others give everything, every night.
    """

    kind: SourceKind
    folder: Path | None = None
    file: Path | None = None
    connection: str = ""
    column_types: Mapping[str, Mapping[str, str]] | None = None
    formats: Mapping[str, TableFormat] = field(default_factory=dict)
    zone: str = ""
    appended: frozenset[str] = frozenset()

    @property
    def dialect(self) -> str:
        """The SQL dialect in which the company writes its queries."""
        return {"files": "duckdb", "sqlite": "duckdb", "postgresql": "postgres", "mssql": "tsql"}.get(self.kind, self.kind)


@dataclass(frozen=True, slots=True)
class Target:
    """Database that segment tables are published to besides Parquet.

    `audiences_schema` is the schema of PostgreSQL that hashed addresses have to themselves, so that they are granted apart.
    """

    kind: Literal["sqlite", "postgresql"] = "sqlite"
    connection: str = ""
    schema: str = "segments"
    audiences_schema: str = "segments_audiences"


@dataclass(frozen=True, slots=True)
class CrmSettings:
    """What a company that wants tables for its CRM says of them.

    `phone_region` is the country, as in ISO 3166, of phone numbers without a country code; empty where there is none.
    """

    phone_region: str = ""


def read_languages(content: Fields) -> tuple[str, ...] | None:
    """Return the languages that titles and cards are told in beside the company's own; None for all that there is a translation of."""
    content.note("languages", kinds=frozenset({str}), choices=("all",))
    content.note_entries("languages", kinds=frozenset({str}), pattern=LANGUAGE)
    value = content.take("languages", (str, list), default="all")
    if value == "all":
        return None
    if not isinstance(value, list) or not all(isinstance(each, str) and re.fullmatch(LANGUAGE, each) for each in value):
        raise content.refusal("languages", 'must be "all" or a list of languages, such as ["tr", "de"]')
    return tuple(value)


def read_currency(content: Fields) -> str:
    """Return the code of the currency; raises ConfigError for one that is none."""
    content.note("currency", choices=tuple(sorted(CURRENCIES)))
    code: str = content.take("currency", str)
    if code not in CURRENCIES:
        what = f"is {printable_value(code)}, which is no code of ISO 4217{did_you_mean(code.upper(), CURRENCIES)}"
        raise content.refusal("currency", what, 'Write its three capitals, such as "EUR".')
    return code


def read_schedule(content: Fields) -> str:
    """Return the cron schedule of the nights, four in the morning by default; raises ConfigError for one that is none."""
    schedule: str = content.take("schedule", str, default=NIGHTLY)
    if fault := schedule_fault(schedule):
        raise content.refusal("schedule", fault, 'Write five cron fields, such as "0 4 * * *" for four o\'clock every morning.')
    return schedule


def read_time_zone(content: Fields) -> ZoneInfo:
    """Return the company's time zone; raises ConfigError for one that is none."""
    name = content.take("time_zone", str)
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):  # a folder of zones, or a name too long for a file
        what = f"is {printable_value(name)}, which is no IANA time zone{did_you_mean(name, available_timezones())}"
        raise content.refusal("time_zone", what, 'Write a name such as "Europe/Berlin".') from None


def read_source(section: Fields, folder: Path, queries: Iterable[str]) -> Source:
    """Return what [source] says of the company in `folder`, from which paths start, and of its `queries`.

    Raises ConfigError naming the wrong key.
    """
    kind = cast("SourceKind", section.choice("kind", get_args(SourceKind), default="files"))
    # Declared events are queries as well, whatever they are called.
    section.note(ANY_NAME, kinds=frozenset({str}), choices=_GIVES)
    appended = frozenset(name for name in queries if section.choice(name, _GIVES, default="snapshot") == "append")
    if kind == "postgresql":
        return Source(kind="postgresql", connection=section.take("connection", str), appended=appended)
    if kind in ("mysql", "mssql", "snowflake", "bigquery", "spark"):
        zone = read_time_zone(section).key if section.has("time_zone") else ""
        # Without one, a lakehouse is the cluster of SPARK_REMOTE.
        name = section.take("connection", str, default="") if kind == "spark" else section.take("connection", str)
        return Source(kind=kind, connection=name, zone=zone, appended=appended)
    if kind == "duckdb":
        return Source(kind=kind, file=(folder / section.take("path", str)).resolve(), appended=appended)
    types = {table: columns.take_texts() for table, columns in section.section("column_types").sections()}
    if kind == "sqlite":
        return Source(kind=kind, file=(folder / section.take("path", str)).resolve(), column_types=types, appended=appended)
    root = _package_folder(section) or folder
    formats = read_formats(section.section("formats"))
    data = (root / section.take("path", str, default="data")).resolve()
    return Source(kind="files", folder=data, column_types=types, formats=formats, appended=appended)


def _package_folder(section: Fields) -> Path | None:
    package = section.take("package", str, default="")
    if not package:
        return None
    from importlib.util import find_spec

    try:
        spec = find_spec(package)
    except (ImportError, ValueError):  # a part of the name is no package, or it is no name at all
        spec = None
    if spec is None or spec.origin is None:
        raise ConfigError(
            f"the Python package {printable_value(package)} is not installed",
            where=section.where,
            todo="Install it beside the pipeline, or set `path` to a folder of files.",
        )
    return Path(spec.origin).parent


def read_target(section: Fields) -> Target:
    """Return what [publish] says, SQLite in the lake by default; raises ConfigError naming the wrong key."""
    kind = section.choice("kind", ("sqlite", "postgresql"), default="sqlite")
    if kind == "sqlite":
        return Target()
    schema: str = section.take("schema", str, default="segments")
    apart: str = section.take("audiences_schema", str, default=f"{schema}_audiences")
    if apart == schema:
        raise section.refusal("audiences_schema", "is the schema of all other tables", "Name another one: it is granted apart.")
    return Target(kind="postgresql", connection=section.take("connection", str), schema=schema, audiences_schema=apart)


def read_crm(content: Fields) -> CrmSettings | None:
    """Return what [crm] says; None where there is no such section, so that the company wants no tables for a CRM.

    Raises ConfigError naming the wrong key.
    """
    is_wanted = content.has("crm")
    section = content.section("crm")
    region: str = section.take("phone_region", str, default="")
    section.refuse_unknown()
    if region:
        _require_phone_region(section, region)
    return CrmSettings(region) if is_wanted else None


def _require_phone_region(section: Fields, region: str) -> None:
    # Imported where it is needed: a DAG file would load the numbers of all countries every time it is read.
    from phonenumbers import SUPPORTED_REGIONS

    if region not in SUPPORTED_REGIONS:
        what = f"is {printable_value(region)}{did_you_mean(region[:LONGEST_SHOWN].upper(), sorted(SUPPORTED_REGIONS))}"
        todo = 'Write a code of ISO 3166 in two capitals, such as "TR", or "GB" for the United Kingdom.'
        raise section.refusal("phone_region", what, todo)


def read_attributes(sections: Fields) -> list[Attribute]:
    """Return the attributes that [attributes.<name>] declare; raises ConfigError where one has a name that is taken, or a wrong key."""
    kinds = (*(kind.name.lower() for kind in Kind if not kind.is_list), LIST)
    attributes = []
    for name, section in sections.sections(IDENTIFIER):
        require_identifier(name, "the name of the attribute", sections.where)
        kind = section.choice("kind", kinds, default="text")
        column = Column(
            name,
            Kind.TEXT if kind == LIST else Kind[kind.upper()],
            section.take("description", str, default=""),
            pii=section.take("pii", bool, default=False),
            spelling=cast("Spelling", section.choice("spelling", get_args(Spelling), default="")),
            separator=_read_separator(section, kind),
        )
        if column.spelling and column.kind is not Kind.TEXT:
            raise ConfigError(f"`spelling` of `{name}` is for texts alone", where=sections.where, todo="Delete it, or declare a text.")
        attributes.append(Attribute(column, section.choice("level", LEVELS)))
        section.refuse_unknown()
        if name in CUSTOMER_FEATURES.column_names or name in CUSTOMERS.column_names:
            raise ConfigError(
                f"the attribute `{name}` has the name of a feature",
                where=sections.where,
                todo=f"Rename it, here and in customers.sql: {name}_given.",
            )
    return attributes


def _read_separator(section: Fields, kind: str) -> str:
    given: str = section.take("separator", str, default="")
    separator = given or ","
    if kind != LIST:
        if given:
            raise section.refusal("separator", "is for lists alone", 'Delete it, or write kind = "list".')
        return ""
    # A letter, a digit or a quote could be part of a value in another spelling.
    if len(separator) != 1 or separator.isalnum() or separator in "'\"\\ " or not (separator.isprintable() or separator == "\t"):
        raise section.refusal("separator", "is no single mark", 'Write the mark between the values, such as ",", ";" or "|".')
    return separator

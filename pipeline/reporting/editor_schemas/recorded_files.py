"""The JSON schema of one kind of file, as draft 7, which editors know."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from pipeline.definitions.audiences.loading import read_audience
from pipeline.definitions.campaigns import read_campaign
from pipeline.definitions.company import Company, read_company
from pipeline.definitions.definition_files import Definition
from pipeline.definitions.events import read_events
from pipeline.definitions.features import read_features
from pipeline.definitions.field_records import FieldRecords, recorded_fields
from pipeline.definitions.fields import Document, Fields
from pipeline.definitions.schemes.cluster_scheme import KIND as CLUSTERS_KIND
from pipeline.definitions.schemes.cluster_scheme import read_cluster_scheme
from pipeline.definitions.schemes.loading import read_schemes, read_schemes_anew
from pipeline.definitions.sinks import read_sink
from pipeline.definitions.surveys import read_surveys
from pipeline.definitions.translations import read_translation
from pipeline.errors import ConfigError
from pipeline.lake.tables import CUSTOMER_FEATURES
from pipeline.reporting.editor_schemas import samples
from pipeline.reporting.editor_schemas.json_schema import named_tables_schema, object_schema
from pipeline.spelling import did_you_mean

KINDS = ("company", "scheme", "audience", "feature", "sink", "campaign", "translation")
DRAFT = "http://json-schema.org/draft-07/schema#"
TITLES = {
    "company": "company.toml: who the company is, where its data come from, what a night may differ by",
    "scheme": "segments/*.toml: segments, of which each customer has exactly one",
    "audience": "audiences/*.toml: a list of customers, by one rule",
    "feature": "features/*.toml: facts about each customer, a table each",
    "sink": "sinks/*.toml: a system that segments and audiences are synced to",
    "campaign": "campaigns/*.toml: a campaign whose effect is measured",
    "translation": "segments/translations/<language>/*.toml: what people read of a scheme, in another language",
}


def editor_schema(kind: str) -> dict[str, Any]:
    """Return the schema of one of KINDS; raises ConfigError for another."""
    if kind not in KINDS:
        todo = f"Choose one of {', '.join(KINDS)}."
        raise ConfigError(f"there is no schema `{kind}`{did_you_mean(kind, KINDS)}", where="KIND", todo=todo)
    schemas = {
        "company": _company_schema,
        "scheme": _scheme_schema,
        "audience": _audience_schema,
        "feature": _feature_schema,
        "sink": _sink_schema,
        "campaign": _campaign_schema,
        "translation": _translation_schema,
    }
    return {"$schema": DRAFT, "title": TITLES[kind], **schemas[kind]()}


def _sample_company() -> Company:
    """Return a company that asks for no translation: reading one would be recorded among the files of schemes."""
    return replace(read_company(_definitions("company", samples.COMPANIES)[0], Path()), languages=())


def _company_schema() -> dict[str, Any]:
    with recorded_fields() as records:
        for definition in _definitions("company", samples.COMPANIES):
            read_company(definition, Path())
        for definition in _definitions("events", samples.EVENTS):
            events = read_events(definition.toml()["events"], definition)
        # Under the name of the sample company's file: what is asked of surveys is asked of the same file as everything else.
        for text in samples.SURVEYS:
            surveys = Definition(_definitions("company", samples.COMPANIES)[0].file, text)
            read_surveys(Fields(surveys.toml()["surveys"], Document(str(surveys.file)), "surveys."), events)
    return object_schema(list(records.values()))


def _audience_schema() -> dict[str, Any]:
    loaded = read_schemes(_sample_company())
    with recorded_fields() as records:
        for definition in _definitions("audience", samples.AUDIENCES):
            read_audience(loaded, definition)
    return object_schema(list(records.values()))


def _feature_schema() -> dict[str, Any]:
    company = _sample_company()
    columns, files = company.table(CUSTOMER_FEATURES).columns, {each.file.stem: each for each in _definitions("feature", samples.FEATURES)}
    with recorded_fields() as records:
        read_features(files, [], columns, company.event_sources)
    return named_tables_schema(list(records.values()))


def _sink_schema() -> dict[str, Any]:
    with recorded_fields() as records:
        for definition in _definitions("sink", samples.SINKS):
            read_sink(definition.file.stem, definition)
    return object_schema(list(records.values()))


def _campaign_schema() -> dict[str, Any]:
    with recorded_fields() as records:
        for definition in _definitions("campaign", samples.CAMPAIGNS):
            read_campaign(definition)
    return object_schema(list(records.values()))


def _translation_schema() -> dict[str, Any]:
    with recorded_fields() as records:
        for definition in _definitions("translation", samples.TRANSLATIONS):
            read_translation(definition)
    return object_schema(list(records.values()))


def _scheme_schema() -> dict[str, Any]:
    """Return a schema with one way for each kind of scheme: what one kind knows another may not."""
    company = _sample_company()
    files = company.definitions("segments", ".toml")
    kinds = {str(definition.file): str(definition.toml()["kind"]) for definition in files.values()}
    with recorded_fields() as records:
        read_schemes_anew(company)
        for definition in _definitions(CLUSTERS_KIND, samples.CLUSTERS):
            kinds[str(definition.file)] = CLUSTERS_KIND
            read_cluster_scheme(definition.file.stem, definition, definition.toml(), company)
    by_kind: dict[str, list[FieldRecords]] = defaultdict(list)
    for file, fields in records.items():
        by_kind[kinds[file]].append(fields)
    return {"type": "object", "oneOf": [_of_kind(kind, found) for kind, found in sorted(by_kind.items())]}


def _of_kind(kind: str, records: Sequence[FieldRecords]) -> dict[str, Any]:
    schema = object_schema(records)
    schema["properties"]["kind"] = {"const": kind}
    return schema


def _definitions(name: str, texts: Iterable[str]) -> list[Definition]:
    return [Definition(Path(f"sample_{name}_{place}.toml"), text) for place, text in enumerate(texts)]

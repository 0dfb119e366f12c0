"""The JSON schemas take every file that is shipped, and refuse what the readers refuse."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft7Validator

from pipeline.definitions.audiences.loading import read_audience
from pipeline.definitions.campaigns import read_campaign
from pipeline.definitions.company import PROJECT_ROOT, Company, read_company
from pipeline.definitions.definition_files import Definition
from pipeline.definitions.features import read_features
from pipeline.definitions.schemes.loading import read_schemes
from pipeline.definitions.sinks import read_sink
from pipeline.definitions.translations import read_translation
from pipeline.errors import ConfigError
from pipeline.lake.tables import CUSTOMER_FEATURES
from pipeline.reporting.editor_schemas import KINDS, editor_schema
from pipeline.reporting.editor_schemas.samples import AUDIENCES, CARD, COMPANIES, EVENTS, FEATURES, SURVEYS

SCHEMES = sorted(PROJECT_ROOT.glob("segments/*.toml")) + sorted(PROJECT_ROOT.glob("examples/*/segments/*.toml"))
SHIPPED_COMPANIES = sorted(PROJECT_ROOT.glob("examples/*/company.toml"))
HEAD = 'title = "T"\npurpose = "P."\nowner = "O"\n'
RULES = (PROJECT_ROOT / "segments" / "lifecycle.toml").read_text()
GROUPS = (PROJECT_ROOT / "segments" / "behaviour_clusters.toml").read_text()
REGION = (PROJECT_ROOT / "segments" / "region.toml").read_text()


@pytest.fixture(scope="module")
def schemas() -> dict[str, Draft7Validator]:
    return {kind: Draft7Validator(editor_schema(kind)) for kind in KINDS}


def as_json(value: Any) -> Any:
    """Return what an editor hands over of TOML: dates as text."""
    if isinstance(value, dict):
        return {name: as_json(each) for name, each in value.items()}
    if isinstance(value, list):
        return [as_json(each) for each in value]
    return value.isoformat() if isinstance(value, date) else value


def faults(schema: Draft7Validator, text: str) -> list[str]:
    return [fault.message for fault in schema.iter_errors(as_json(tomllib.loads(text)))]


def shown_files() -> dict[str, str]:
    """Return the TOML files that the documentation shows, by their path in a company's folder."""
    shown = {}
    for page in sorted((PROJECT_ROOT / "docs").rglob("*.md")):
        for block in page.read_text("utf-8").split("```toml\n")[1:]:
            head, _, text = block.partition("```")[0].partition("\n")
            if head.startswith("# file: my_shop/"):
                shown[head.removeprefix("# file: my_shop/")] = text
    return shown


SHOWN = shown_files()
KIND_OF_FOLDER = {
    "segments": "scheme",
    "audiences": "audience",
    "features": "feature",
    "sinks": "sink",
    "campaigns": "campaign",
    "translations": "translation",
}


@pytest.mark.parametrize("name", SHOWN)
def test_every_file_that_the_documentation_shows_is_taken(schemas: dict[str, Draft7Validator], name: str) -> None:
    folder, _, file = name.rpartition("/")
    folder = "translations" if folder.startswith("segments/translations/") else folder
    assert faults(schemas[KIND_OF_FOLDER[folder] if folder else file.removesuffix(".toml")], SHOWN[name]) == []


def is_read(kind: str, text: str) -> bool:
    """Whether the reader of such files takes the text."""
    definition = Definition(Path("typed.toml"), text)
    try:
        if kind == "company":
            read_company(definition, Path())
        elif kind == "audience":
            read_audience(read_schemes(sample_company()), definition)
        elif kind == "sink":
            read_sink("typed", definition)
        elif kind == "campaign":
            read_campaign(definition)
        elif kind == "translation":
            read_translation(definition)
        else:
            read_features({"typed": definition}, [], CUSTOMER_FEATURES.columns, sample_company().event_sources)
    except ConfigError:
        return False
    return True


@cache
def sample_company() -> Company:
    return read_company(Definition(Path("company.toml"), COMPANIES[0]), Path())


def with_each_key_misspelt(text: str) -> Iterator[str]:
    for key in re.finditer(r"^(?:\[+[\w.]*?)?(\w+)(?=\]+$| =)|(?<=[{,] )(\w+)(?= =)|(?<=\{)(\w+)(?= =)", text, re.MULTILINE):
        end = key.end()
        if f'"{key.group().strip("[.")}"' in text:  # a name that is used elsewhere: whether it is there no schema knows
            continue
        yield f"{text[:end]}s{text[end:]}"


SINK = """
kind = "tryton"
connection = "crm"
schemes = ["rfm"]
audiences = "all"
reconcile_days = 7
[fields]
mail = "email"
stage = "segments.lifecycle"
[titles]
"rfm.champions" = "Best"
[limits]
removed_share = 0.2
"""
CAMPAIGN = """
title = "Win back"
audience = "win_back"
scheme = "rfm"
start_day = 2026-10-01
end_day = 2026-10-28
channel = "mail"
cost_per_contact = 0.1
fixed_cost = 500
margin_share = 0.4
primary_metric = "ordered"
looks = 4
exclusive = true
holdout = false
salt = "s"
[arms.mail]
share = 0.45
cost_per_contact = 0.2
[arms.nothing]
is_control = true
share = 0.55
"""
TRANSLATION = """
title = "Kulüp"
question = "Kim davetli?"
[segment.one]
title = "Bir"
message = "Merhaba"
[features.spend_amount]
high = "çok"
"""
MISSPELT = [
    (kind, wrong)
    for kind, texts in (
        ("company", [*COMPANIES, COMPANIES[0] + EVENTS[0]]),
        ("audience", AUDIENCES),
        ("feature", FEATURES),
        ("sink", [SINK]),
        ("campaign", [CAMPAIGN]),
        ("translation", [TRANSLATION]),
    )
    for text in texts
    for wrong in with_each_key_misspelt(text)
]


def test_what_is_misspelt_is_refused_where_the_reader_refuses_it(schemas: dict[str, Draft7Validator]) -> None:
    assert len(MISSPELT) > 60
    for kind, text in MISSPELT:
        assert bool(faults(schemas[kind], text)) is not is_read(kind, text), text


def test_the_schemas_are_valid_themselves(schemas: dict[str, Draft7Validator]) -> None:
    for schema in schemas.values():
        Draft7Validator.check_schema(schema.schema)


@pytest.mark.parametrize("file", SCHEMES, ids=lambda file: f"{file.parent.parent.name}/{file.stem}")
def test_every_shipped_scheme_is_taken(schemas: dict[str, Draft7Validator], file: Path) -> None:
    assert faults(schemas["scheme"], file.read_text()) == []


@pytest.mark.parametrize("file", SHIPPED_COMPANIES, ids=lambda file: file.parent.name)
def test_every_shipped_company_is_taken(schemas: dict[str, Draft7Validator], file: Path) -> None:
    assert faults(schemas["company"], file.read_text()) == []


@pytest.mark.parametrize("text", AUDIENCES)
def test_audiences_by_rule_and_by_segment_are_taken(schemas: dict[str, Draft7Validator], text: str) -> None:
    assert faults(schemas["audience"], text) == []
    assert faults(schemas["audience"], f"expires = 2026-12-31\n{text}") == []


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("audience", HEAD + 'rule = "TRUE"\nownr = "x"\n'),
        ("audience", HEAD + "rule = 5\n"),
        ("audience", HEAD + 'rule = "TRUE"\nexpires = "soon"\n'),
        ("audience", 'title = "T"\npurpose = "P."\nrule = "TRUE"\n'),
        ("audience", HEAD + f'rule = "TRUE"\n[strategy]\n{CARD.replace("priority = 2", "")}'),
        ("audience", HEAD + f'rule = "TRUE"\n[strategy]\n{CARD}tone = "loud"\n'),
        ("audience", HEAD + 'rule = "TRUE"\n[needs]\nincome = "coins"\n'),
        ("company", COMPANIES[0].replace('currency = "EUR"', "")),
        ("company", COMPANIES[0] + "[gates]\nchurn_limit = 0.3\n"),
        ("company", COMPANIES[0] + '[gates]\nquiet_days = "2"\n'),
        ("company", COMPANIES[0] + '[attributes.age]\nlevel = "demographic"\nkind = "whole"\n'),
        ("company", COMPANIES[0] + '[attributes.age]\nkind = "integer"\n'),
        ("company", COMPANIES[1].replace('kind = "postgresql"', 'kind = "mysql"')),
        ("scheme", RULES.replace('kind = "rules"', 'kind = "rule"')),
        ("scheme", RULES.replace("question", "qestion", 1)),
        ("scheme", RULES + '[[segment]]\nid = "x"\ntitle = "X"\nrule = "TRUE"\n'),
        ("scheme", RULES + "seed = 7\n"),
        ("scheme", GROUPS + "evidence = []\n"),
        ("scheme", REGION.replace('attribute = "region"', "")),
        ("scheme", RULES + '[scores]\nr_scor = "rank"\n'),
        ("scheme", RULES + '[scores]\nr_score = "ranks"\n'),
        ("scheme", RULES + "[scores]\nr_score = {threshold = [1, 2, 3, 4]}\n"),
        ("scheme", RULES + "[scores]\nr_score = {thresholds = [1, 2, 3]}\n"),
        ("scheme", RULES + "[scores]\nf_score = {thresholds = [1, 2, 3, 4.5]}\n"),
        ("scheme", RULES.replace("evidence = [", "evidence = [5, ", 1)),
        ("scheme", RULES.replace('kind = "rules"', 'kind = "rules"\nparameters = {x = {quantil = 0.5, of = "y"}}')),
        ("scheme", GROUPS + f"[strategies.clustr_1]\n{CARD}"),
        ("scheme", GROUPS + f"[strategies.cluster_1]\n{CARD}tone = 'loud'\n"),
        ("audience", HEAD.replace('title = "T"', "title = {en = 5}") + 'rule = "TRUE"\n'),
        ("audience", HEAD + f'rule = "TRUE"\n[strategy]\n{CARD.replace("priority = 2", "priority = 6")}'),
        ("company", COMPANIES[0] + '[gates]\noff = ["volum"]\n'),
        ("company", COMPANIES[0] + "[gates]\nchurn_share_limit = 2.5\n"),
        ("company", COMPANIES[0].replace('"EUR"', '"EURO"')),
        ("company", COMPANIES[0].replace("[source]", "window_days = 0\n[source]")),
        ("company", COMPANIES[0].replace('path = "data"', 'path = "data"\nvisits = "all"')),
        ("company", COMPANIES[0] + EVENTS[0] + SURVEYS[0] + "panel = 1\n"),
        ("company", COMPANIES[0] + EVENTS[0] + SURVEYS[0] + "weights = 'opened'\n"),
        ("company", COMPANIES[0] + '[events.email]\nkey = "email_id"\ninstant = "sent_at"\n'),
        ("company", COMPANIES[0] + '[events.email]\nkey = ["email_id"]\ninstant = "sent_at"\ncolumns = {email_id = "string"}\n'),
        ("company", COMPANIES[0] + '[events.EMail]\nkey = ["email_id"]\ninstant = "sent_at"\n'),
        ("sink", SINK.replace('"tryton"', '"trytn"')),
        ("sink", SINK.replace('"email"', '"emial"')),
        ("sink", SINK.replace("0.2", "20")),
        ("sink", SINK.replace('"all"', '"some"')),
        ("translation", TRANSLATION.replace('"Bir"', "1")),
        ("feature", '[own]\nfrom = "visits"\nvalue = "COUNT(*)"\ndescription = "D."\nduring = "last decade"\n'),
        ("feature", '[own]\nvalue = "COUNT(*)"\n'),
        ("feature", '[own]\nvalue = "COUNT(*)"\ndescription = "D."\nlast_days = 0\n'),
        ("feature", 'value = "COUNT(*)"\ndescription = "D."\n'),
    ],
)
def test_a_wrong_file_is_refused(schemas: dict[str, Draft7Validator], kind: str, text: str) -> None:
    tomllib.loads(text)  # it is TOML: what is wrong is what it says
    assert faults(schemas[kind], text)

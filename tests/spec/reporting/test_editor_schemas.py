"""The JSON schemas take every file that is shipped, and refuse what the readers refuse."""

from __future__ import annotations

import tomllib
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft7Validator

from pipeline.definitions.company import PROJECT_ROOT
from pipeline.reporting.editor_schemas import KINDS, editor_schema
from pipeline.reporting.editor_schemas.samples import AUDIENCES, CARD, COMPANIES

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
    ],
)
def test_a_wrong_file_is_refused(schemas: dict[str, Draft7Validator], kind: str, text: str) -> None:
    tomllib.loads(text)  # it is TOML: what is wrong is what it says
    assert faults(schemas[kind], text)

"""The contract of a CRM's tables: written from the declarations, valid by the standard's own schema, and never broken in silence."""

from __future__ import annotations

import copy
import json
import sys
from importlib.resources import files
from typing import Any

import jsonschema
import pytest
import yaml
from support.deployments import REPO

from pipeline.reporting.crm_contract import broken_promises, crm_contract

sys.path.insert(0, str(REPO / "docs"))
import write_reference


def contract() -> dict[str, Any]:
    written: dict[str, Any] = yaml.safe_load(write_reference.CONTRACT.read_text("utf-8"))
    return written


def test_the_contract_is_that_of_the_declared_tables_and_valid() -> None:
    assert write_reference.CONTRACT.read_text("utf-8") == write_reference.contract()
    schema = json.loads(files("open_data_contract_standard").joinpath("schema.json").read_text("utf-8"))
    jsonschema.Draft201909Validator(schema).validate(contract())
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.Draft201909Validator(schema).validate({**contract(), "schema": [{"nme": "crm_profiles"}]})


def test_a_column_that_goes_or_changes_its_type_breaks_a_version_and_a_new_one_does_not() -> None:
    for name, value in (("name", "renamed"), ("physicalType", "date")):
        now = crm_contract()
        now["schema"][0]["properties"][1][name] = value
        assert broken_promises(contract(), now) == ["crm_profiles.segments"]
        assert broken_promises(contract(), {**now, "version": "2.0.0"}) == []
    now = crm_contract()
    now["schema"][0]["properties"].append(copy.deepcopy(now["schema"][0]["properties"][1]) | {"name": "added"})
    assert broken_promises(contract(), now) == []

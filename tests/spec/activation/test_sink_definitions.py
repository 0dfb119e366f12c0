"""What a sink's file may say, held against what is published before anything is written."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from support.crm_publications import Person, publish_people, write_crm_company

from pipeline.activation.sync import SyncReport
from pipeline.errors import ConfigError
from pipeline.operations.deployment import Deployment
from pipeline.operations.sync import sync_sinks

ANN = Person("ann", {"lifecycle": "active"}, ("vip",), name="Ann")
FILES = 'kind = "files"\n'


def a_deployment(folder: Path, toml: str) -> Deployment:
    return Deployment.of(
        write_crm_company(folder / "company", crm=toml), folder / "lake", connections=lambda name: f"file://{folder / name}"
    )


def sync(deployment: Deployment, **options: Any) -> SyncReport:
    [report] = sync_sinks(deployment, **options)
    return report


def test_a_field_of_a_scheme_that_is_not_published_stops_the_sync_before_it_writes(tmp_path: Path) -> None:
    toml = f'{FILES}[fields]\nstage = "segments.lifecycel"\n'
    deployment = a_deployment(tmp_path, toml)
    publish_people(deployment.lake, [ANN])
    for is_dry_run in (True, False):
        with pytest.raises(ConfigError) as refused:
            sync(deployment, is_dry_run=is_dry_run)
        assert "`fields.stage` names `lifecycel`, which is not published (did you mean `lifecycle`?)" in str(refused.value)
        assert refused.value.where.endswith("crm.toml")
    assert not list((deployment.lake.root / "sync").rglob("*.csv"))
    assert sync(a_deployment(tmp_path, toml.replace("lifecycel", "lifecycle"))).written_count == 1


def test_a_scheme_that_was_published_and_is_no_more_does_not_empty_its_field(tmp_path: Path) -> None:
    deployment = a_deployment(tmp_path, f'{FILES}[fields]\nstage = "segments.lifecycle"\n')
    publish_people(deployment.lake, [ANN])
    sync(deployment)
    publish_people(deployment.lake, [replace(ANN, segments={"life_stage": "active"})])
    with pytest.raises(ConfigError, match="names `lifecycle`, which is not published"):
        sync(deployment)


def test_a_field_of_a_segment_names_a_scheme(tmp_path: Path) -> None:
    deployment = a_deployment(tmp_path, f'{FILES}[fields]\nstage = "segments."\n')
    with pytest.raises(ConfigError, match="the segment of a scheme, such as segments"):
        sync(deployment)

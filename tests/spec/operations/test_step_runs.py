"""What a step took is noted for monitors, and a note that cannot be made changes nothing of the step."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest
from support.builders import a_company

from pipeline.errors import DataError
from pipeline.lake.lake import Lake
from pipeline.operations.deployment import Deployment
from pipeline.operations.night import Night
from pipeline.operations.step_runs import recording_step
from pipeline.reporting.metrics.run_records import read_step_record

DAY = date(2024, 1, 2)


@pytest.fixture
def night(tmp_path: Path) -> Night:
    return Night.of(Deployment(a_company(tmp_path / "company"), Lake(tmp_path / "lake")), DAY)


@pytest.fixture
def night_without_notes(night: Night) -> Night:
    night.lake.root.mkdir()
    (night.lake.root / "runs").write_text("not a folder", "utf-8")
    return night


def test_a_step_that_fails_is_noted_too(night: Night) -> None:
    with pytest.raises(DataError, match="no orders"), recording_step(night, "extract"):
        raise DataError("no orders", todo="Wait.")
    record = read_step_record(night.lake, "extract")
    assert record is not None
    assert record.day == DAY


def test_of_a_restatement_nothing_is_noted(night: Night) -> None:
    with recording_step(Night.of(night.deployment, DAY, date(2024, 1, 9)), "features"):
        pass
    assert read_step_record(night.lake, "features") is None


def test_a_step_that_cannot_be_noted_is_done_all_the_same(night_without_notes: Night, caplog: pytest.LogCaptureFixture) -> None:
    with recording_step(night_without_notes, "extract"):
        pass
    assert "what extract took is not noted" in caplog.text


def test_a_failing_step_that_cannot_be_noted_fails_as_itself(night_without_notes: Night) -> None:
    with pytest.raises(DataError, match="no orders"), recording_step(night_without_notes, "extract"):
        raise DataError("no orders", todo="Wait.")

"""Commands that people read work on their company and lake, wherever they are pasted."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest
from support.builders import a_company

from pipeline.definitions.command_options import command_options
from pipeline.definitions.company import PROJECT_ROOT
from pipeline.lake.lake import Lake

DEMO, LAKE = PROJECT_ROOT / "examples" / "adventureworks", PROJECT_ROOT / "lake"


def options(company: Path, lake: Path) -> list[str]:
    return shlex.split(command_options(a_company(company), Lake(lake)))


def test_company_and_lake_are_named_by_whole_paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    folder = str(tmp_path.resolve())
    assert options(Path("my shop's"), Path("lake")) == ["--company", f"{folder}/my shop's", "--lake", f"{folder}/lake"]


def test_the_demo_needs_none_of_them_and_another_lake_only_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert options(DEMO, LAKE) == []
    assert options(DEMO, tmp_path) == ["--lake", str(tmp_path.resolve())]
    monkeypatch.chdir(PROJECT_ROOT)
    assert options(Path("examples/adventureworks"), Path("lake")) == []

"""README is true: its catalogue is the declarations, and its onboarding example runs as written."""

from __future__ import annotations

import re
from pathlib import Path

from pipeline.definitions.company import HOUSE
from pipeline.reporting.table_catalog import readme_tables

README = (HOUSE / "README.md").read_text("utf-8")
FILES = re.compile(r"```\w+\n(?:#|--) file: (?P<path>\S+)\n(?P<text>.*?)```", re.DOTALL)


def write_readme_company(folder: Path) -> Path:
    """Write the files that README shows and return the company's folder."""
    for found in FILES.finditer(README):
        path = folder / found["path"]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(found["text"], "utf-8")
    return folder / "my_shop"


def test_the_table_catalogue_is_up_to_date() -> None:
    start, end = "marks -->\n", "<!-- end of tables -->"
    shown = README.split(start, 1)[1].split(end, 1)[0]
    assert shown == readme_tables(), "write it again: segments tables"


def test_the_onboarding_example_runs_as_written(tmp_path: Path) -> None:
    import os

    import pandas as pd

    from pipeline.operations import steps

    company = write_readme_company(tmp_path)
    os.environ["SEGMENTS_COMPANY"], os.environ["SEGMENTS_LAKE"] = str(company), str(tmp_path / "lake")
    for step in steps.STEPS:
        getattr(steps, step)("2024-03-31")
    segments = pd.read_parquet(tmp_path / "lake" / "current" / "customer_segments.parquet")
    assert sorted(segments["customer_id"].unique()) == ["1", "2", "3"]
    lifecycle = segments[segments["scheme"] == "rfm"].set_index("customer_id")["segment"]
    assert lifecycle["3"] == "prospects"

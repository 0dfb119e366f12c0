"""Libraries are loaded without what we never use of them, and what needs it has it all the same."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.lake.spared_imports import spared_imports

LOADED = """
import sys
from pipeline.ingestion.validation import expectations
expectations._batch_definition()
print([name for name in ("altair", "pyspark", "scipy.stats", "sqlalchemy") if name in sys.modules])
"""
DIVERGENCE = """
import pandas
gx = expectations._great_expectations()
evenly = {"values": ["a", "b"], "weights": [0.5, 0.5]}
rule = gx.expectations.ExpectColumnKLDivergenceToBeLessThan(column="x", partition_object=evenly, threshold=0.1)
frames = (pandas.DataFrame({"x": values}) for values in (["a", "b"], ["a"] * 9 + ["b"]))
print([expectations._batch_definition().get_batch({"dataframe": frame}).validate(rule).success for frame in frames])
"""
ARROW = """
import sys
from pipeline.lake.spared_imports import spare_pandas
spare_pandas()
import pyarrow
rows = pyarrow.Table.from_pylist([{"x": 1}, {"x": None}])
print("pandas" in sys.modules, rows.group_by("x").aggregate([]).num_rows)
frame = rows.to_pandas()
same = pyarrow.Table.from_pandas(frame) == rows.cast(pyarrow.schema({"x": "float64"}))
print(frame["x"].tolist()[0], same, pyarrow.array(frame["x"]).null_count)
"""


def output_of(program: str, folder: Path) -> list[str]:
    return subprocess.run([sys.executable, "-c", program], cwd=folder, capture_output=True, text=True, check=True).stdout.splitlines()


def test_a_process_that_uses_spark_already_checks_rows_too(tmp_path: Path) -> None:
    checked = "import pyspark.sql; from pipeline.ingestion.validation import expectations; expectations._batch_definition()"
    assert output_of(f"{checked}; print('checked')", tmp_path) == ["checked"]


def test_a_night_loads_no_engine_and_no_chart_and_a_rule_that_needs_statistics_has_them(tmp_path: Path) -> None:
    assert output_of(LOADED + DIVERGENCE, tmp_path) == ["[]", "[True, False]"]


def test_arrow_loads_pandas_where_it_is_asked_for_alone(tmp_path: Path) -> None:
    assert output_of(ARROW, tmp_path) == ["False 2", "1.0 True 1"]


def test_after_the_block_every_module_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "this", raising=False)
    monkeypatch.delitem(sys.modules, "antigravity", raising=False)
    with spared_imports(hidden=["antigravity"], put_off=["this"]):
        with pytest.raises(ModuleNotFoundError):
            __import__("antigravity")
        stand_in = __import__("this")
        assert "d" not in vars(stand_in)
    assert {"this", "antigravity"}.isdisjoint(sys.modules)
    assert stand_in.d["a"] == "n"
    assert sys.modules["this"].d is stand_in.d


def test_a_module_that_is_used_within_the_block_is_loaded_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "this", raising=False)
    with spared_imports(hidden=[], put_off=["this"]):
        assert __import__("this").d["a"] == "n"
    assert sys.modules["this"].d["a"] == "n"


def test_what_is_loaded_already_stays_as_it_is() -> None:
    with spared_imports(hidden=["json"], put_off=["pathlib"]):
        assert __import__("json") is sys.modules["json"]
        assert __import__("pathlib").Path is Path

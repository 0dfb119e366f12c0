"""Each command imports what it uses and no more: that is what it takes to answer within a second."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from datetime import date
from pathlib import Path

import pytest
from support.nights import run_night, write_shop

from pipeline.lake.lake import Lake

NIGHT = date(2024, 3, 31)
# Each takes from a fifth of a second to several.
HEAVY = frozenset({"airflow", "great_expectations", "pandas", "pyspark", "scipy", "sklearn"})
ENGINES = frozenset({"duckdb", "numpy", "pyarrow", "sqlglot"})
# What only some commands have to do with, or some lakes: databases, systems that are synced to, pages, clusters, buckets, catalogues.
OTHERS = frozenset({"adbc_driver_manager", "grpc", "httpx", "hubspot", "obstore", "phonenumbers", "psycopg", "pyiceberg"})
# Runs commands one after the other, of which each line of the input is one as JSON, and tells what each loaded beside those before it.
SCRIPT = """
import contextlib, io, json, sys
from pipeline.cli import run_command_line
before = set()
for line in sys.stdin:
    sys.argv = ["segments", *json.loads(line)]
    code = 0
    with contextlib.redirect_stdout(io.StringIO()):
        try:
            run_command_line()
        except SystemExit as ended:
            code = ended.code
    print(json.dumps([code or 0, sorted(set(sys.modules) - before)]))
    before = set(sys.modules)
"""


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    orders = [f"o{n},1,c{n % 9},2024-03-{n % 28 + 1:02} 10:00:00,1,{n}.50,a" for n in range(1, 60)]
    folder = write_shop(tmp_path_factory.mktemp("shop"), orders, customers=[f"c{n}" for n in range(9)])
    run_night(folder, Lake(folder / "lake"), NIGHT)
    return folder


def modules_of(*words: str | Path) -> set[str]:
    """Return the packages that a command has loaded at its end."""
    [(_, loaded)] = loaded_by([words])
    return loaded


def loaded_by(commands: Sequence[Sequence[str | Path]]) -> list[tuple[int, set[str]]]:
    """Return how each command of one process ended, and the packages that it was the first to load."""
    lines = "".join(json.dumps([*map(str, words)]) + "\n" for words in commands)
    ended = subprocess.run([sys.executable, "-c", SCRIPT], input=lines, capture_output=True, text=True, check=True, timeout=60)
    told = [json.loads(line) for line in ended.stdout.splitlines()[-len(commands) :]]
    return [(code, {name.partition(".")[0] for name in names}) for code, names in told]


def test_help_loads_no_engine() -> None:
    assert modules_of("--help") & (HEAVY | ENGINES | OTHERS) == set()


def test_what_reads_a_lake_loads_an_engine_and_no_library_of_a_night(shop: Path) -> None:
    """All in one process: the first of them that loads too much is told of."""
    commands = [["plan"], ["preview", "spend_amount >= 10"], ["explain", "c1"], ["status"], ["catalog"], ["summary"]]
    found = loaded_by([[*words, "--company", shop, "--lake", shop / "lake"] for words in commands])
    assert [code for code, _ in found] == [0] * len(commands)
    assert found[0][1] >= ENGINES  # that it did its work
    assert {words[0]: loaded & (HEAVY | OTHERS) for words, (_, loaded) in zip(commands, found, strict=True)} == {
        words[0]: set() for words in commands
    }


def test_a_check_loads_no_library_of_a_night(shop: Path) -> None:
    found = modules_of("check", "--company", shop)
    assert found >= ENGINES
    assert found & (HEAVY | OTHERS) == set()


def test_a_check_of_suites_does_not_load_the_library_that_runs_them(tmp_path: Path) -> None:
    shop = write_shop(tmp_path, ["o1,1,c1,2024-03-01 10:00:00,1,1.50,a"], customers=["c1"])
    suite = '{"expectations": [{"type": "expect_column_values_to_match_regex", "kwargs": {"column": "order_id", "regex": "."},'
    (shop / "expectations").mkdir(exist_ok=True)
    (shop / "expectations" / "raw_order_lines.json").write_text(
        f'{suite} "severity": "critical", "meta": {{"rule": "ids", "rejects_rows": true}}}}]}}', "utf-8"
    )
    assert modules_of("check", "--company", shop) & HEAVY == set()


def test_a_night_without_a_wrong_row_and_with_its_models_loads_none_of_them_either(shop: Path, tmp_path: Path) -> None:
    found = modules_of("run", "--company", shop, "--lake", tmp_path / "lake", "--day", str(NIGHT))
    assert found >= ENGINES
    assert found & {"airflow", "great_expectations", "grpc", "obstore", "pyiceberg", "pyspark"} == set()

"""Only what a store is made of touches a file of the lake: an object store could not take the disk's place behind the others' backs.

A contract of import-linter forbids the modules that change files; `pathlib` is everywhere, so its methods are looked for here.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PIPELINE = Path(__file__).resolve().parents[3] / "pipeline"
ROOTS = {"root", "_root"}
CHANGES = {"chmod", "hardlink_to", "mkdir", "rename", "rmdir", "symlink_to", "touch", "unlink", "write_bytes", "write_text"}
LISTINGS = {"glob", "rglob", "iterdir", "walk"}
LAKE = frozenset({"lake", "_lake"})
# What is not the lake, or private to a process that works in a folder which the lake gave it.
ELSEWHERE = {
    ("definitions/definition_files.py", "iterdir"),  # files of the company and of ours
    *(("activation/sinks/files.py", method) for method in ("glob", "mkdir", "open", "replace", "unlink")),  # a folder that others read
    ("activation/outbox.py", "mkdir"),  # the state of a sync is one database of DuckDB, which writes it by itself
    ("activation/forgetting.py", "replace"),
    ("activation/forgetting.py", "unlink"),
    ("features/cache.py", "unlink"),  # what a private folder holds of a damaged cache
    *(
        (f"ingestion/sources/{name}.py", "mkdir") for name in ("csv_files", "private_duckdb", "staged_rows")
    ),  # what was unpacked or is spilled, in a private folder
    ("ingestion/sources/csv_files.py", "open"),
    ("ingestion/sources/table_files.py", "iterdir"),  # the company's data
    ("ingestion/sources/table_files.py", "rglob"),
    *(
        ("onboarding/given_files.py", method) for method in ("iterdir", "mkdir", "rename", "rmdir", "unlink", "write_text")
    ),  # a company's folder
    *(("operations/conformance/made_up_company.py", method) for method in ("mkdir", "write_text")),  # a company's folder
    *(("operations/conformance/workload.py", method) for method in ("mkdir", "rglob", "write_bytes", "write_text")),  # likewise
    ("reporting/pages/morning/language.py", "glob"),  # our own catalogues
    ("reporting/pages/morning/night_page.py", "write_text"),  # where somebody wants the page
}
# What a store is made of, and a folder outside every lake: these alone know that a lake may be a folder, or keep private files.
STORES = {*(f"{name}.py" for name in ("disk", "local_store", "locks", "plain_folders", "staging", "transaction")), "bucket"}
IN_LAKE = {
    *(("archive.py", method) for method in ("mkdir", "open", "rename", "replace", "unlink")),  # a file outside every lake, and private ones
    ("checksums.py", "open"),  # the seal of a private file
    ("executors/code.py", "rglob"),  # our own modules
    *((f"{name}.py", "replace") for name in ("event_day_store", "executors/exchange")),  # a private file that an executor wrote
    ("executors/exchange.py", "open"),  # the checksum at the end of a private file
    ("statements.py", "glob"),  # our own SQL
}


def touches(tree: ast.Module, lakes: frozenset[str] = LAKE) -> Iterator[tuple[str, int]]:
    """Yield what a module does to files: the method or attribute, and its line; `lakes` are names of what has a lake's methods."""
    imports_sqlglot = any(isinstance(node, ast.ImportFrom) and node.module == "sqlglot" for node in ast.walk(tree))
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and node.attr in ROOTS and _last_name(node.value) in lakes:
            yield "root", node.lineno
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            method, is_of_lake = node.func.attr, _last_name(node.func.value) in lakes
            is_path_replaced = method == "replace" and len(node.args) == 1 and not node.keywords
            is_of_statement = imports_sqlglot and method in ("replace", "walk")
            is_opened_to_write = method == "open" and any(_is_writing(each) for each in (*node.args, *(k.value for k in node.keywords)))
            if not (is_of_lake or is_of_statement) and (method in CHANGES | LISTINGS or is_path_replaced or is_opened_to_write):
                yield method, node.lineno
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "open":
            yield "open", node.lineno


def _last_name(node: ast.expr) -> str:
    return node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else ""


def _is_writing(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, str) and bool(set(node.value) & set("wax+")) and len(node.value) < 4


def test_no_other_package_touches_a_file_of_the_lake() -> None:
    found = {
        (str(path.relative_to(PIPELINE)), method): line
        for path in sorted(PIPELINE.rglob("*.py"))
        if path.relative_to(PIPELINE).parts[0] != "lake"
        for method, line in touches(ast.parse(path.read_text("utf-8")))
    }
    assert {f"{file}:{line}: {method}" for (file, method), line in found.items() if (file, method) not in ELSEWHERE} == set()
    assert ELSEWHERE - set(found) == set(), "an exception that nobody needs"


def test_in_the_lake_stores_alone_touch_its_files() -> None:
    modules = [path for path in sorted((PIPELINE / "lake").rglob("*.py")) if path.relative_to(PIPELINE / "lake").parts[0] not in STORES]
    found = {
        (str(path.relative_to(PIPELINE / "lake")), method): line
        for path in modules
        for method, line in touches(ast.parse(path.read_text("utf-8")), LAKE | {"self"})
    }
    assert {f"{file}:{line}: {method}" for (file, method), line in found.items() if (file, method) not in IN_LAKE} == set()
    assert IN_LAKE - set(found) == set(), "an exception that nobody needs"


@pytest.mark.parametrize(
    ("line", "method"),
    [
        ("self._lake.root / 'models'", "root"),
        ("(folder / 'a.txt').write_text('a')", "write_text"),
        ("path.replace(other)", "replace"),
        ("path.open('ab')", "open"),
        ("path.open(mode='r+b')", "open"),
        ("open(path)", "open"),
        ("path.rglob('*.json')", "rglob"),
    ],
)
def test_what_touches_a_file_is_seen(line: str, method: str) -> None:
    assert [each for each, _ in touches(ast.parse(line))] == [method]


def test_in_the_lake_a_root_of_its_own_is_seen() -> None:
    assert [each for each, _ in touches(ast.parse("self._root / 'models'"), LAKE | {"self"})] == ["root"]


@pytest.mark.parametrize(
    "line", ["lake.write_text(address, 'a')", "text.replace('a', 'b')", "day.replace(day=1)", "path.open('rb')", "logging.root.handlers"]
)
def test_what_touches_none_is_not(line: str) -> None:
    assert list(touches(ast.parse(line))) == []

"""One word, one meaning: what a newcomer finds by its name is the only thing of that name."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

REPO = Path(__file__).resolve().parents[3]
PACKAGES = ("pipeline", "dags", "local")


def modules() -> Iterator[tuple[Path, ast.Module]]:
    for package in PACKAGES:
        for file in sorted((REPO / package).rglob("*.py")):
            yield file.relative_to(REPO), ast.parse(file.read_text("utf-8"))


def test_no_two_classes_have_the_same_name() -> None:
    places = defaultdict(list)
    for file, tree in modules():
        for node in ast.walk(tree):
            if isinstance(node, ast.ClassDef):
                places[node.name.lstrip("_")].append(str(file))
    assert {name: files for name, files in places.items() if len(files) > 1} == {}


def test_every_package_says_what_it_is_for() -> None:
    silent = [str(file) for file, tree in modules() if file.name == "__init__.py" and not ast.get_docstring(tree)]
    assert silent == []


def test_no_face_exports_the_name_of_one_of_its_own_modules() -> None:
    """`import pipeline.x.name` would give whichever of the two was bound last."""
    hidden = {}
    for file, tree in modules():
        if file.name == "__init__.py":
            package = ".".join(file.parent.parts)
            imports = [node for node in tree.body if isinstance(node, ast.ImportFrom) and node.module != package]
            exported = {alias.asname or alias.name for node in imports for alias in node.names}
            siblings = {path.stem for path in (REPO / file).parent.glob("*") if path.suffix in {"", ".py"}}
            if exported & siblings:
                hidden[str(file)] = sorted(exported & siblings)
    assert hidden == {}

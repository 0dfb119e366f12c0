"""Errors are for people: each says what is wrong, and what to do next."""

from __future__ import annotations

import ast
from pathlib import Path

REPO = Path(__file__).resolve().parents[3]


def error_classes() -> set[str]:
    classes = [node for node in ast.parse((REPO / "pipeline" / "errors.py").read_text("utf-8")).body if isinstance(node, ast.ClassDef)]
    return {each.name for each in classes} - {"ErrorCollector"}


def test_every_error_says_a_next_step() -> None:
    names = error_classes()
    assert {"ConfigError", "DataError", "TransientError"} < names
    silent = [
        f"{file.relative_to(REPO)}:{node.lineno}"
        for file in sorted((REPO / "pipeline").rglob("*.py"))
        for node in ast.walk(ast.parse(file.read_text("utf-8")))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in names
        if not any(keyword.arg in ("todo", None) for keyword in node.keywords)
    ]
    assert silent == []

"""The worked examples of a page of documentation: tables in, tables out, and what a cell means."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import pytest

MARK = re.compile(r"^\*\*Example: (?P<title>.+?)\*\*\n(?P<text>.*?)(?=^\*\*Example: |^#|\Z)", re.DOTALL | re.MULTILINE)
NUMBER = re.compile(r"-?[0-9]+(\.[0-9]+)?")
ISO_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
Row = dict[str, str]


@dataclass(frozen=True, slots=True)
class Example:
    """One worked example: input tables, and what is expected, a row each; a column in bold is an outcome."""

    title: str
    inputs: Sequence[Sequence[Row]]
    expected: Sequence[Row]

    def rows(self) -> list[dict[str, Any]]:
        """Return the first input table, each cell as the value it stands for."""
        return [{name: value(cell) for name, cell in row.items()} for row in self.inputs[0]]


def examples_of(page: Path) -> list[Example]:
    return [_example(found["title"], found["text"]) for found in MARK.finditer(page.read_text("utf-8"))]


def tables_of(text: str) -> Iterator[list[Row]]:
    """Yield each Markdown table of `text` as rows by column."""
    for block in re.findall(r"(?:^\|.*\n)+", text, re.MULTILINE):
        header, _, *rows = [_cells(line) for line in block.splitlines()]
        yield [dict(zip(header, row, strict=True)) for row in rows]


def value(cell: str) -> Any:
    """Return what a cell stands for: a number, a date, true or false, a text; None where it is empty."""
    if NUMBER.fullmatch(cell):
        return float(cell) if "." in cell else int(cell)
    if ISO_DATE.fullmatch(cell):
        return date.fromisoformat(cell)
    return {"": None, "true": True, "false": False}.get(cell, cell)


def require_same(title: str, expected: Sequence[Row], found: Sequence[Mapping[str, Any]]) -> None:
    """Compare row by row; a number must be right to every digit that the page shows."""
    assert len(found) == len(expected), f"{title}: {len(expected)} rows on the page, {len(found)} computed"
    for row, computed in zip(expected, found, strict=True):
        for name, cell in row.items():
            shown, actual = value(cell), computed[name]
            if isinstance(shown, bool) or not isinstance(shown, int | float):
                assert actual == shown, f"{title}: {name} is {actual!r}, the page says {cell!r}"
            else:
                decimals = len(cell.partition(".")[2])
                assert actual is not None, f"{title}: {name} is unknown, the page says {cell}"
                assert float(actual) == pytest.approx(shown, abs=0.5000001 * 10**-decimals if decimals else 1e-9), f"{title}: {name}"


def _example(title: str, text: str) -> Example:
    inputs, expected = [], []
    for table in tables_of(text):
        bold = [name for name in table[0] if name.startswith("**")]
        if len(bold) < len(table[0]):
            inputs.append([{name: cell for name, cell in row.items() if name not in bold} for row in table])
        if bold:
            expected = [{name.strip("*"): row[name] for name in bold} for row in table]
            break
    assert inputs, f"{title}: no input"
    assert expected, f"{title}: nothing is expected"
    return Example(title, inputs, expected)


def _cells(line: str) -> list[str]:
    return [cell.strip().replace("\\|", "|") for cell in re.split(r"(?<!\\)\|", line.strip().strip("|"))]

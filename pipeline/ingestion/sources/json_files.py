"""JSON as rows of text: one object a line (.jsonl, .ndjson), or one list of objects (.json); each top-level key is a column.

A number is the text that the file has, so that no digit of an amount is lost. A list or an object within an object stays JSON, for a query
to take apart: there DuckDB reads numbers as doubles. Lines are read one after the other; a .json file is held in memory, some seven times
its size.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from itertools import islice
from pathlib import Path
from shlex import quote
from typing import Any

import pyarrow as pa

from pipeline.definitions.source_formats import TableFormat
from pipeline.errors import DataError
from pipeline.ingestion.sources.cell_types import cell_type
from pipeline.ingestion.sources.compressed_files import compression_of, require_named_compression
from pipeline.ingestion.sources.csv_text import LINES_SHOWN, line_words, repeated_names
from pipeline.ingestion.sources.encoded_text import decoded_blocks
from pipeline.ingestion.sources.staged_rows import BATCH_ROWS, StagedRows, text_batch
from pipeline.ingestion.sources.table_files import SourceTable
from pipeline.spelling import printable_line

Place = int
_HALF_LETTER = re.compile("[\\ud800-\\udfff]")
NOUNS = {"JSON lines": "line", "JSON": "object"}


def json_rows(files: SourceTable, declared: TableFormat, types: Mapping[str, str], staging: Path) -> StagedRows:
    """Return the rows of one table's JSON files."""
    # One file may write them in capitals, another not.
    numbers = frozenset(name.lower() for name, kind in types.items() if cell_type(files.name, kind, declared).is_number)
    read = partial(_read_json, table=files.name, declared=declared, numbers=numbers, is_list=files.kind == "JSON")
    return StagedRows(files, declared, staging, NOUNS[files.kind], read)


class _Number(str):
    """A number with a fraction or an exponent, as it is written."""

    __slots__ = ()


def _read_json(path: Path, *, table: str, declared: TableFormat, numbers: frozenset[str], is_list: bool) -> Iterator[pa.RecordBatch]:
    require_named_compression(path)
    blocks = decoded_blocks(path, table, declared.encoding)
    objects = enumerate(_listed_objects(path, "".join(blocks)), 1) if is_list else _objects_of_lines(path, _lines(blocks))
    names: dict[str, None] = {}
    while batch := list(islice(objects, BATCH_ROWS)):
        names |= dict.fromkeys(name for _, found in batch for name in found)
        _require_sound_names(path, names)
        texts_of = {
            name: [_cell_text(found.get(name), declared.decimal if name.lower() in numbers else ".") for _, found in batch]
            for name in names
        }
        try:
            rows = text_batch([place for place, _ in batch], texts_of)
        except UnicodeEncodeError:
            raise _half_letters(path, batch, NOUNS["JSON" if is_list else "JSON lines"]) from None
        yield rows
    if not names:
        todo = "Have the file written again; a file of no rows is an empty CSV file with a header, or no file."
        raise DataError(f"{path.name} has no object, so that its columns are not known", where=str(path), todo=todo)


def _lines(blocks: Iterable[str]) -> Iterator[str]:
    rest = ""
    for block in blocks:
        *lines, rest = (rest + block).split("\n")
        yield from lines
    yield rest


def _objects_of_lines(path: Path, texts: Iterable[str]) -> Iterator[tuple[Place, dict[str, Any]]]:
    """Yield each object with its line; raises DataError for lines that hold none, once all were looked at."""
    bad: list[Place] = []
    for line, text in enumerate(texts, 1):
        if not text.strip():
            continue
        found = _parsed(text)
        if isinstance(found, dict):
            yield line, found
        else:
            bad.append(line)
    if bad:
        todo = "Write one JSON object a line, whole and without a comma behind it; one list of all objects is a .json file."
        raise DataError(f"{path.name}: no JSON object in {line_words(len(bad), bad[:LINES_SHOWN])}", where=str(path), todo=todo)


def _listed_objects(path: Path, text: str) -> list[dict[str, Any]]:
    found = _parsed(text)
    if isinstance(found, list) and all(isinstance(each, dict) for each in found):
        return found
    lists = [name for name, value in found.items() if isinstance(value, list)] if isinstance(found, dict) else []
    todo = "Name it .jsonl if it has one object a line; else have the list of objects alone written into it."
    if lists:
        todo += f" Here it is within `{printable_line(lists[0])}`{_command_for_list(path, lists[0])}"
    raise DataError(f"{path.name} is no list of JSON objects", where=str(path), todo=todo)


def _command_for_list(path: Path, name: str) -> str:
    """Return the end of a sentence: the command by which the file holds its list `name` alone, where one program can do that."""
    if compression_of(path):
        return "."
    wanted = f".{name}" if re.fullmatch("[A-Za-z_][A-Za-z0-9_]*", name) else f".[{json.dumps(name)}]"
    # A hidden file is no table.
    file, copy = quote(path.name), quote(f".{path.name}")
    return f": jq {quote(wanted)} {file} > {copy} && mv {copy} {file}"


def _parsed(text: str) -> object:
    """Return the JSON value; None where the text is none."""
    try:
        # The words that Python takes for numbers beside JSON's own are texts, as all others.
        return json.loads(text, parse_float=_Number, parse_constant=str)
    except (ValueError, RecursionError):
        return None


def _half_letters(path: Path, objects: Iterable[tuple[Place, dict[str, Any]]], noun: str) -> DataError:
    """Return the error for objects with a text that is none: JSON can write half of a letter, which no encoding can."""
    bad = [place for place, found in objects if _HALF_LETTER.search(json.dumps(found, ensure_ascii=False))]
    what = f"{path.name}: half of a letter, such as \\ud83d without its other half, in {line_words(len(bad), bad[:LINES_SHOWN], noun)}"
    return DataError(what, where=str(path), todo="Have the file written again: a program has cut a text within a letter.")


def _require_sound_names(path: Path, names: Iterable[str]) -> None:
    if "" in names:
        raise DataError(f"{path.name} has a key without a name", where=str(path), todo="Name it, or leave it out.")
    if twice := repeated_names(list(names)):
        what = f"{path.name} has keys that differ by case at most: {', '.join(twice)}"
        raise DataError(what, where=str(path), todo="Give each its own name, or all of them one.")


def _cell_text(value: Any, decimal: str) -> str | None:  # noqa: ANN401 - whatever JSON holds
    if value is None or value == "":
        return None
    if isinstance(value, _Number):
        return value.replace(".", decimal) if decimal != "." else str(value)
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int):
        return str(value)
    return json.dumps(_with_numbers(value), ensure_ascii=False, separators=(",", ":"))


def _with_numbers(value: Any) -> Any:  # noqa: ANN401 - whatever JSON holds
    """Return nested JSON with its numbers as such again."""
    if isinstance(value, _Number):
        return float(value)
    if isinstance(value, list):
        return [_with_numbers(each) for each in value]
    return {name: _with_numbers(each) for name, each in value.items()} if isinstance(value, dict) else value

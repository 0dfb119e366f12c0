"""JSON is read as it is written: every key a column of text, every digit kept, what is no object named by its line."""

from __future__ import annotations

import gzip
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from support.source_folders import read_table, refused_table

DIGITS = "12345678901234.56789012345678901234"


def read(folder: Path, content: str | bytes, query: str = "SELECT * FROM orders", *, name: str = "orders.jsonl", **given: Any) -> list[Any]:
    return read_table(folder, content if isinstance(content, bytes) else content.encode(), query, name=name, **given)


def refusal(folder: Path, content: str | bytes, *, name: str = "orders.jsonl", **given: Any) -> Any:
    return refused_table(folder, content if isinstance(content, bytes) else content.encode(), name=name, **given)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("19.90", "19.90"),
        (DIGITS, DIGITS),
        ("123456789012345678901234567890", "123456789012345678901234567890"),
        ("7", "7"),
        ('"007"', "007"),
        ('"1.0"', "1.0"),
        ('"caf\\u00e9"', "café"),
        ("true", "true"),
        ("false", "false"),
        ("null", None),
        ('""', None),
        ("[]", "[]"),
        ('{"a": [1.50, "x", null, {"b": true}]}', '{"a":[1.5,"x",null,{"b":true}]}'),
    ],
)
@pytest.mark.parametrize("name", ["orders.jsonl", "orders.json"])
def test_a_value_is_the_text_that_the_file_has(tmp_path: Path, name: str, value: str, text: str | None) -> None:
    line = f'{{"paid": {value}}}'
    assert read(tmp_path, f"[{line}]" if name.endswith(".json") else f"{line}\n", name=name) == [(text,)]


def test_keys_may_come_and_go(tmp_path: Path) -> None:
    lines = ['{"a": 1}', "", '{"b": 2, "a": 3}\r', '{"c": [4]}']
    found = read(tmp_path, "\n".join(lines), "SELECT a, b, c FROM orders ORDER BY ALL")
    assert found == [
        ("1", None, None),
        ("3", "2", None),
        (None, None, "[4]"),
    ]


def test_a_key_may_come_after_many_rows(tmp_path: Path) -> None:
    lines = [*(f'{{"a": {n}}}' for n in range(25_000)), '{"b": "last"}']
    assert read(tmp_path, "\n".join(lines), "SELECT count(*), count(a), max(b) FROM orders") == [(25_001, 25_000, "last")]


def test_types_are_those_declared_and_bad_cells_are_named_by_their_line(tmp_path: Path) -> None:
    types = {"paid": "DECIMAL(18,4)", "at": "TIMESTAMPTZ"}
    good = '{"paid": 19.99, "at": "2024-01-05T10:00:00+01:00"}'
    assert read(tmp_path, good, 'SELECT CAST(paid AS VARCHAR), epoch("at") FROM orders', types=types) == [("19.9900", 1704445200.0)]
    error = refusal(tmp_path, f'{good}\n\n{{"paid": 1.99999}}\n', types=types)
    assert error.what == "orders.jsonl: paid is no DECIMAL(18,4) in line 3"
    error = refusal(tmp_path, f'[{good}, {{"paid": "x"}}]', types=types, name="orders/a.json")
    assert error.what == "a.json: paid is no DECIMAL(18,4) in object 2"


def test_numbers_beside_texts_with_a_decimal_comma(tmp_path: Path) -> None:
    content = '{"paid": 1.5}\n{"paid": "1.234,50"}\n'
    found = read(
        tmp_path, content, "SELECT CAST(sum(paid) AS VARCHAR) FROM orders", types={"paid": "DECIMAL(18,2)"}, decimal=",", thousands="."
    )
    assert found == [("1236.00",)]


def test_lines_of_an_order_are_taken_apart_by_the_query(tmp_path: Path) -> None:
    content = '{"order": "A1", "lines": [{"sku": "x", "paid": 1.10}, {"sku": "y", "paid": 2.20}]}\n{"order": "A2", "lines": []}'
    query = """
    SELECT "order", line ->> 'sku', CAST(CAST(line ->> 'paid' AS DECIMAL(18, 4)) AS VARCHAR)
    FROM (SELECT "order", unnest(CAST(lines AS JSON[])) AS line FROM orders) ORDER BY ALL
    """
    assert read(tmp_path, content, query) == [("A1", "x", "1.1000"), ("A1", "y", "2.2000")]


@pytest.mark.parametrize(
    ("content", "name", "words"),
    [
        ('{"a": 1}\n{"a": 2},\n[3]\n', "orders.jsonl", "orders.jsonl: no JSON object in 2 lines (2, 3)"),
        ('{"a": 1}\n{"a": \n', "orders.jsonl", "orders.jsonl: no JSON object in line 2"),
        ('[{"a": 1}]', "orders.jsonl", "orders.jsonl: no JSON object in line 1"),
        ('{"a": 1}\n{"a": 2}\n', "orders.json", "orders.json is no list of JSON objects"),
        ('{"orders": [{"a": 1}]}', "orders.json", "orders.json is no list of JSON objects"),
        ("[1]", "orders.json", "orders.json is no list of JSON objects"),
        ("[]", "orders.json", "orders.json has no object"),
        ("\n", "orders.jsonl", "orders.jsonl has no object"),
        ("", "orders.jsonl", "orders.jsonl is empty: 0 bytes"),
        ('{"a": 1}\n{"A": 2}\n', "orders.jsonl", "keys that differ by case at most: `a` (column 1), `A` (column 2)"),
        ('{"": 1}\n', "orders.jsonl", "a key without a name"),
        (b'{"a": 1}\n' + b'{"a": "caf\xe9"}\n', "orders.jsonl", "text that is not UTF-8 in line 2"),
        (gzip.compress(b'{"a": 1}\n' * 9999, mtime=0)[:60], "orders.jsonl.gz", "orders.jsonl.gz is cut off"),
        ('{"a": 1}', "orders.jsonl.zst", "is not compressed by zstd, though its name says so"),
        ('{"a": ' + "[" * 100_000, "orders.jsonl", "no JSON object in line 1"),
        (
            '{"a": 1}\n{"a": "\\ud83d\\ude00"}\n{"a": "x\\ud83d"}\n',
            "orders.jsonl",
            "half of a letter, such as \\ud83d without its other half, in line 3",
        ),
        ('[{"a": 1}, {"a": {"\\udc00": 1}}]', "orders.json", "half of a letter, such as \\ud83d without its other half, in object 2"),
    ],
)
def test_what_is_no_object_is_named(tmp_path: Path, content: str | bytes, name: str, words: str) -> None:
    error = refusal(tmp_path, content, name=name)
    assert words in error.what
    assert error.where.endswith(name)
    assert error.todo


@pytest.mark.parametrize(("name", "form"), [("orders.jsonl", "{}\n"), ("orders.json", "[{}]")])
def test_text_of_a_declared_encoding_is_read_and_utf_8_under_it_refused(tmp_path: Path, name: str, form: str) -> None:
    content = form.format('{"tea": "Gemüse"}')
    assert read(tmp_path, content.encode("windows-1252"), name=name, encoding="windows-1252") == [("Gemüse",)]
    assert read(tmp_path, f"\ufeff{content}".encode("utf-16-le"), name=name, encoding="utf-16-le") == [("Gemüse",)]
    error = refusal(tmp_path, content, name=name, encoding="windows-1252")
    assert error.what == f"{name} is UTF-8 text, declared WINDOWS-1252"


def test_the_list_within_an_answer_is_named(tmp_path: Path) -> None:
    assert "jq .orders orders.json" in refusal(tmp_path, '{"count": 1, "orders": [{"a": 1}]}', name="orders.json").todo


@pytest.mark.skipif(not shutil.which("jq"), reason="needs jq")
@pytest.mark.parametrize("key", ["orders", 'all "orders"'])
def test_the_command_for_a_list_within_an_answer_leaves_the_list_alone(tmp_path: Path, key: str) -> None:
    content, name = json.dumps({"count": 1, key: [{"a": 1}]}), "orders/all of them.json"
    [command] = re.findall(": (jq .*)", refusal(tmp_path, content, name=name).todo)
    file = tmp_path / "data" / name
    file.write_text(content, "utf-8")
    subprocess.run(["sh", "-c", command], cwd=file.parent, check=True)
    assert read(tmp_path, file.read_text("utf-8"), name=name) == [("1",)]


def test_a_compressed_list_within_an_answer_is_named_without_a_command(tmp_path: Path) -> None:
    content = gzip.compress(b'{"orders": [{"a": 1}]}')
    assert refusal(tmp_path, content, name="orders.json.gz").todo.endswith("Here it is within `orders`.")


def test_exports_overlap_and_are_compressed(tmp_path: Path) -> None:
    folder = tmp_path / "data" / "orders"
    folder.mkdir(parents=True)
    (folder / "1.jsonl.gz").write_bytes(gzip.compress(b'{"id": "A", "paid": 1}\n{"id": "B", "paid": 2}\n'))
    content = '{"id": "B", "paid": 3}\n'
    found = read(tmp_path, content, "SELECT id, paid FROM orders ORDER BY ALL", name="orders/2.ndjson", key=("id",))
    assert found == [
        ("A", "1"),
        ("B", "3"),
    ]

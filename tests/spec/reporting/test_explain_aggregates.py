"""What `explain` says of aggregates within rules: people read them as they were written, programs by the name of their column."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from support.nights import run_night, write_shop
from support.schemes import yes_or_no_scheme
from typer.testing import CliRunner

from pipeline.cli import app
from pipeline.definitions.company import load_company
from pipeline.lake.lake import Lake

MONDAY = date(2024, 3, 25)
CALL = "COUNT(order_lines WHERE category = 'tea' LAST 5 DAYS)"
ORDERS = [f"o{number},1,ann,2024-03-{20 + number} 10:00,1,10,tea" for number in range(1, 4)]


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Lake]:
    folder = tmp_path_factory.mktemp("aggregates")
    shop, lake = write_shop(folder / "shop", ORDERS, customers=["ann"]), Lake(folder / "lake")
    for name, text in {
        "segments/regulars": yes_or_no_scheme(f"{CALL} >= 2"),
        "segments/newcomers": f'applies_to = "{CALL} = 0"\n{yes_or_no_scheme("order_count >= 2")}',
        "audiences/drinkers": f'title = "D"\npurpose = "P."\nowner = "CRM"\nrule = "{CALL} >= 2"\n',
    }.items():
        (shop / name).parent.mkdir(exist_ok=True)
        (shop / f"{name}.toml").write_text(text, "utf-8")
    run_night(shop, lake, MONDAY, until="segment")
    return shop, lake


def explained(shop: tuple[Path, Lake], *words: str) -> str:
    folder, lake = shop
    options = ["--company", str(folder), "--lake", str(lake.root), "--day", str(MONDAY)]
    return CliRunner().invoke(app, ["explain", "ann", *words, *options], env={"COLUMNS": "250"}).stdout


def texts(content: Any, key: str = "") -> Iterator[tuple[str, str]]:
    """Yield each text below `content` with the key that it stands under; keys themselves are none."""
    if isinstance(content, dict):
        for name, value in content.items():
            yield from texts(value, name)
    elif isinstance(content, list):
        for value in content:
            yield from texts(value, key)
    elif isinstance(content, str):
        yield key, content


def test_texts_for_people_say_the_call_and_names_for_programs_the_column(shop: tuple[Path, Lake]) -> None:
    told = json.loads(explained(shop, "--json"))
    [column] = [name for name in told["audiences"][0]["values"] if name.startswith("count_")]
    assert column in load_company(shop[0]).features[0].name
    assert {key for key, text in texts(told) if column in text} == {"feature"}
    regulars = next(each for each in told["schemes"] if each["scheme"] == "regulars")
    outside = next(each for each in told["does_not_apply"] if each["scheme"] == "newcomers")
    assert regulars["nearest_words"] == f"N, if {CALL} were 1 instead of 3"
    assert told["audiences"][0]["nearest_words"] == f"out of it if {CALL} were 1 instead of 3"
    assert outside["words"] == f"does not apply: {CALL} = 3 (it applies where {CALL} = 0)"


def test_the_terminal_says_the_call_alone(shop: tuple[Path, Lake]) -> None:
    shown = explained(shop)
    assert f"if {CALL} were 1 instead of 3" in shown
    assert load_company(shop[0]).features[0].name not in shown

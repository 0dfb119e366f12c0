"""What the shell offers while a command is typed."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest
from support.nights import write_shop
from typer.testing import CliRunner

from pipeline.cli import app
from pipeline.definitions.gate_limits import GATES
from pipeline.definitions.rules import aggregate_clauses
from pipeline.definitions.rules.day_windows import Period
from pipeline.reporting.completion import rule_words_after


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    shop = write_shop(tmp_path_factory.mktemp("typed") / "shop", [], customers=["ann"])
    for folder, name, text in (
        ("audiences", "early_birds", 'title = "Early birds"\n'),
        ("sinks", "acme", 'kind = "files"\n'),
        ("features", "own", "[early_orders]\nfrom = 'order_lines'\nvalue = 'COUNT(*)'\ndescription = 'Early.'\n"),
    ):
        (shop / folder).mkdir()
        (shop / folder / f"{name}.toml").write_text(text, "utf-8")
    return shop


def offered(typed: str, shop: Path) -> list[str]:
    """Return what bash is given for the last of the words, which stand between bars."""
    words = typed.replace("SHOP", str(shop)).split("|")
    quoted = [f'"{word}' if " " in word else word for word in words]  # a quote that is still open, as somebody types
    environment = {"_SEGMENTS_COMPLETE": "complete_bash", "COMP_WORDS": " ".join(quoted), "COMP_CWORD": str(len(words) - 1)}
    return CliRunner().invoke(app, [], env=environment, prog_name="segments").output.strip("\n").split("\n")


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        ("segments|history|--company|SHOP|--scheme|rf", ["rfm"]),
        ("segments|history|--company|SHOP|--scheme|early", ["early_birds"]),
        ("segments|history|--company|SHOP|--scheme|rfm|--segment|lo", ["loyal", "lost"]),
        ("segments|history|--company|SHOP|--scheme|early_birds|--segment|", ["member"]),
        ("segments|history|--company|SHOP|--scheme|nope|--segment|", [""]),
        ("segments|catalog|--company|SHOP|--lineage|early", ["early_orders", "early_birds", "early_birds.member"]),
        ("segments|catalog|--company|SHOP|--lineage|rfm.lo", ["rfm.loyal", "rfm.lost"]),
        ("segments|refit|--company|SHOP|--scheme|", ["behaviour_clusters"]),
        ("segments|run|--override-gate|vol", ["volume"]),
        ("segments|sync|--company|SHOP|--sink|ac", ["acme"]),
        ("segments|preview|--company|SHOP|IN AUDIENCE earl", ["IN AUDIENCE early_orders", "IN AUDIENCE early_birds"]),
        ("segments|schema|sch", ["scheme"]),
        ("segments|preview|--company|SHOP|early", ["early_orders", "early_birds"]),
        ("segments|preview|--company|SHOP|spend_amount >= 3 AND recenc", ["spend_amount >= 3 AND recency_days"]),
        ("segments|preview|--company|SHOP|spend_amount >= 3 AND days_u", [
            "spend_amount >= 3 AND days_until(", "spend_amount >= 3 AND days_until_anniversary("
        ]),
        ("segments|preview|--company|SHOP|WAS IN rfm.cha", ["WAS IN rfm.champions"]),
        ("segments|preview|--company|SHOP|COUNT(order_lines WHE", ["COUNT(order_lines WHERE"]),
        ("segments|preview|--company|SHOP|COUNT(order_lines PREC", [
            "COUNT(order_lines PRECEDED BY", "COUNT(order_lines PRECEDED BY FIRST"
        ]),
        ("segments|preview|--company|SHOP|COUNT(order_lines LATE", ["COUNT(order_lines LATEST"]),
        ("segments|preview|--company|/nowhere|early", [""]),
    ],
)  # fmt: skip
def test_the_shell_offers_what_may_come_next(shop: Path, typed: str, expected: list[str]) -> None:
    assert offered(typed, shop) == expected


def test_every_word_of_the_grammar_of_aggregates_is_offered(shop: Path) -> None:
    code = ast.parse(Path(aggregate_clauses.__file__).read_text("utf-8"))
    constants = {node.value for node in ast.walk(code) if isinstance(node, ast.Constant) and isinstance(node.value, str)}
    grammar = {text for text in constants if re.fullmatch("[A-Z]{2,}", text)} | {period.value.upper() for period in Period}
    assert {"WHERE", "FOLLOWED", "LATEST", "AGO", "SAME"} <= grammar
    phrases = {word for name in rule_words_after(shop, "") for word in name.removesuffix("(").split()}
    # Months and years in the plural are named in the grammar to be refused.
    assert grammar - phrases == {"MONTHS", "YEARS"}


def test_every_gate_is_offered(shop: Path) -> None:
    assert offered("segments|run|--override-gate|", shop) == list(GATES)


def test_a_broken_company_offers_nothing_and_no_traceback(shop: Path) -> None:
    file = shop / "company.toml"
    text = file.read_text("utf-8")
    file.write_text("nonsense", "utf-8")
    try:
        assert offered("segments|history|--company|SHOP|--scheme|rf", shop) == [""]
    finally:
        file.write_text(text, "utf-8")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_shell_gets_a_script(shell: str) -> None:
    found = CliRunner().invoke(app, [], env={"_SEGMENTS_COMPLETE": f"source_{shell}"}, prog_name="segments").output
    assert f"complete_{shell}" in found

"""What data and definitions hold is shown in a terminal and never obeyed, by every command."""

from __future__ import annotations

import ast
import io
import json
import logging
import re
import shlex
from contextlib import redirect_stderr, redirect_stdout
from datetime import date
from pathlib import Path

import pytest
from rich.panel import Panel
from rich.table import Table as Grid
from rich.text import Text
from support.nights import run_night, write_shop
from typer.testing import CliRunner

from pipeline.cli import app
from pipeline.definitions.company import PROJECT_ROOT
from pipeline.lake.lake import Lake
from pipeline.reporting.output import PrintableFormatter, write_json, write_message, write_text
from pipeline.reporting.terminal import Terminal
from pipeline.spelling import printable_line, printable_text

DAY, NEXT = date(2024, 3, 5), date(2024, 3, 6)
OBEYED = [
    "\x1b[2J",
    "\x1b]0;title\x07",
    "\x07",
    "\x08",
    "\x7f",
    "\x9b31m",
    "\x85",
    "\u202e",
    "\u2066",
    "\u2028",
    "\ufeff",
    "\u200b",
    "\x00",
    "\r",
]
HOSTILE = ["Korea [/South]", "Lamps [red] :smile: more", "[bold]x", "[link=http://x]y[/link]", *(f"a{each}b" for each in OBEYED)]
OBEDIENCE = re.compile("[^\n\x20-\x7e\u00a0-\u1fff\u2010-\u2027\u202f-\u205f\u2070-\ufefe]")


def printed(*parts: object) -> str:
    file = io.StringIO()
    terminal = Terminal(file=file, width=200)
    for part in parts:
        terminal.print(part)
    return file.getvalue()


@pytest.mark.parametrize("value", HOSTILE)
def test_whatever_is_printed_is_shown_and_not_obeyed(value: str) -> None:
    grid = Grid(value, title=value)
    grid.add_row(value)
    shown = printed(value, Text(value), Text.assemble((value, "bold")), Panel(value, title=Text(value)), grid)
    assert not OBEDIENCE.search(shown)
    # The library itself drops bells, backspaces and the like of a styled text.
    dropped = printable_text(value.translate(dict.fromkeys((7, 8, 11, 12, 13))))
    assert shown.count(printable_text(value)) + shown.count(dropped) >= 6


def test_a_table_stays_in_line_around_what_is_replaced() -> None:
    grid = Grid("A", "B")
    for value in ("plain", "e\x1b[2Jf", "\u202e\u202e\u202e"):
        grid.add_row(value, "x")
    assert len({len(line) for line in printed(grid).splitlines() if "│" in line}) == 1


def test_a_terminal_still_gets_the_colours_that_are_ours() -> None:
    file = io.StringIO()
    Terminal(file=file, force_terminal=True, color_system="standard").print(Text("x\x1b[2Jy", style="red"))
    assert file.getvalue() == "\x1b[31mx?[2Jy\x1b[0m\n"


@pytest.mark.parametrize("value", HOSTILE)
def test_lines_logs_and_json_are_safe_too(value: str) -> None:
    out, errors = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(errors):
        write_text(f"{value}\n")
        write_json(json.dumps({"name": value}, ensure_ascii=False))
        write_message(value)
    record = logging.LogRecord("x", logging.WARNING, "", 0, "%s", (value,), None)
    for text in (out.getvalue(), errors.getvalue(), PrintableFormatter("%(message)s").format(record)):
        assert not OBEDIENCE.search(text.replace("\\u", ""))
    assert json.loads(out.getvalue().splitlines()[-1]) == {"name": value}


def test_words_of_any_language_stay_as_they_are() -> None:
    for word in ("İstanbul", "تهران", "می‌روم", "თბილისი", "日本", "e\u0301", "😀", "👨‍👩‍👧"):
        assert printable_text(word) == printable_line(word) == word
    assert printable_line("two\nlines\tand\u00a0a half") == "two?lines and a half"


WRITERS = ("print", "Console", "typer.echo", "sys.stdout.write", "sys.stderr.write")


def test_nothing_else_writes_to_a_terminal() -> None:
    ours = {"pipeline/reporting/terminal.py", "pipeline/reporting/output.py"}
    found = {
        f"{path.relative_to(PROJECT_ROOT)}:{node.lineno}"
        for path in sorted((PROJECT_ROOT / "pipeline").rglob("*.py"))
        if str(path.relative_to(PROJECT_ROOT)) not in ours
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Call)
        and ast.unparse(node.func) in ("print", "Console", "typer.echo", "sys.stdout.write", "sys.stderr.write")
    }
    assert not found


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a shop whose every text is hostile, its lake, and two nights."""
    folder = tmp_path_factory.mktemp("hostile")
    texts = [value for value in HOSTILE if not set(value) & {"\0", "\r"}]
    gates, attributes = '[gates]\noff = ["churn", "swallowed", "freshness"]\n', '[attributes.country]\nlevel = "geographic"\n'
    orders = [f"o{n},1,c{value},2024-03-0{1 + n % 4} 10:00:00,1,{n + 1}.00,{value}" for n, value in enumerate(texts * 6)]
    write_shop(folder / "shop", orders, customers=[], settings=gates + attributes)
    rows = [f"c{value},{value}" for value in texts] + [f"{n},{value}" for n, value in enumerate(texts * 6)]
    (folder / "shop" / "data" / "customers.csv").write_text("\n".join(["id,country", *rows]), "utf-8")
    (folder / "shop" / "sources" / "customers.sql").write_text("SELECT id AS customer_id, country FROM customers")
    run_night(folder / "shop", Lake(folder / "lake"), DAY)
    run_night(folder / "shop", Lake(folder / "lake"), NEXT)
    return folder


@pytest.mark.parametrize(
    "command",
    [
        "summary --day 2024-03-06",
        "summary --all --day 2024-03-06",
        "status",
        "status --json",
        "catalog",
        "catalog --scheme country",
        "catalog --markdown",
        "catalog --json",
        "explain 'cKorea [/South]'",
        "history --scheme country",
        "history --scheme country --json",
        "history --scheme category_affinity",
        "history --customer 3",
        "plan",
        "plan --json",
    ],
)
def test_every_command_shows_hostile_data_unharmed(shop: Path, command: str) -> None:
    words = shlex.split(command)
    company = [] if words[0] == "history" else ["--company", str(shop / "shop")]
    result = CliRunner().invoke(app, [*words, *company, "--lake", str(shop / "lake")])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    assert not OBEDIENCE.search(result.output)
    if ("country" in command and "json" not in command) or command.startswith("summary --all"):
        assert "Korea [/South]" in result.output.replace("\\", "")
        assert ":smile:" in result.output

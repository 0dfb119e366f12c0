"""What `segments init` prints at the width of a terminal: what to compare with a report first, and nothing left out without a word."""

from __future__ import annotations

import io
import re
from pathlib import Path

import pytest
from support.onboarding import ANSWERS, init

from pipeline.onboarding.new_company import NewCompany
from pipeline.onboarding.questions import parse_settings
from pipeline.onboarding.view import render
from pipeline.reporting.terminal import Terminal

FIRST = ["customer_id", "ordered_at", "quantity", "net_amount", "category"]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> NewCompany:
    long = "A very long name of somebody who buys here, of the second house on the left"
    rows = [
        f'{place},2024-05-01 10:0{place},"{long} {place}",Handmade things made of wood and wool,SKU-{place},2,1234567.89'
        for place in range(3)
    ]
    text = "\n".join(["order id,date,customer,category,product,quantity,net amount", *rows, ""])
    return init(tmp_path_factory.mktemp("wide") / "shop", {"orders.csv": text}, ANSWERS)


def printed(made: NewCompany, width: int) -> str:
    terminal = Terminal(file=io.StringIO(), width=width)
    for part in render(made, width):
        terminal.print(part)
    assert isinstance(terminal.file, io.StringIO)
    return terminal.file.getvalue()


@pytest.mark.parametrize("width", [80, 100, 200])
def test_figures_come_first_and_whole(made: NewCompany, width: int) -> None:
    text = printed(made, width)
    lines = text[text.index("Order lines: 3 rows") :]
    header = next(line for line in lines.splitlines() if "net_amount" in line)
    assert header.split()[:5] == FIRST
    assert lines.count("1,234,567.89") == 3
    assert lines.count("2024-05-01 10:0") == 3
    assert max(map(len, text.splitlines()[:-1])) <= width
    hidden = re.search(r"not shown, for want of room: (.*?)\n\w", lines.replace("\n  ", " "), re.DOTALL)
    assert {*header.split(), *re.findall(r"\w+", hidden[1] if hidden else "")} >= {*FIRST, "order_id", "line_number", "product_id"}
    assert bool(hidden) == (width < 200)


def test_lines_of_today_alone_have_no_days_that_are_over(tmp_path: Path) -> None:
    text = "order id,date,customer,net amount\n1,2026-01-15,a,10.00\n2,2026-01-15,b,20.00\n"
    shown = printed(init(tmp_path / "shop", {"orders.csv": text}, ANSWERS), 100)
    assert "2 order lines of 2 orders: net 30.00 EUR" in shown
    assert "2 rows of today or later" in shown


def test_a_text_that_is_no_setting_is_named_between_one_pair_of_marks() -> None:
    with pytest.raises(Exception, match=r"^`zone` is no setting"):
        parse_settings(["zone"])

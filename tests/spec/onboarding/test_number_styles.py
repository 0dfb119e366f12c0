"""How numbers are written: found from all values of a column, and read exactly."""

from __future__ import annotations

from decimal import Decimal

import duckdb
import pytest

from pipeline.onboarding.number_styles import NumberStyle, number_style


def value_of(style: NumberStyle, text: str) -> Decimal | None:
    with duckdb.connect() as connection:
        connection.execute("CREATE TABLE t AS SELECT ? AS cell", [text])
        [(value,)] = connection.sql(f"SELECT {style.sql('cell')} FROM t").fetchall()
    return value


@pytest.mark.parametrize(
    ("cells", "numbers"),
    [
        (["19.99", "5", "-3.50"], ["19.99", "5", "-3.5"]),
        (["19,99", "5", "-3,50"], ["19.99", "5", "-3.5"]),
        (["1.234,56", "12,00", "1.000"], ["1234.56", "12", "1000"]),
        (["1,234.56", "12.00", "1,000"], ["1234.56", "12", "1000"]),
        (["1 234,56", "12,00"], ["1234.56", "12"]),
        (["1'234.50", "12.00"], ["1234.5", "12"]),
        (["$1,234.56", "-$5.00", "$0.00"], ["1234.56", "-5", "0"]),
        (["€ 12,50", "-3,00 €"], ["12.5", "-3"]),
        (["12.50 EUR", "3 EUR"], ["12.5", "3"]),
        (["CHF 1'012.50", "CHF 3.00"], ["1012.5", "3"]),
        (["US$12.50", "-US$3.00"], ["12.5", "-3"]),
        (["R$ 1.012,50", "R$ 3,00"], ["1012.5", "3"]),
        (["99,50 kr", "1 012,50 kr"], ["99.5", "1012.5"]),
        (["(5.00)", "7.00"], ["-5", "7"]),
        (["($5.00)", "$7.00"], ["-5", "7"]),
        (["5.00-", "7.00"], ["-5", "7"]),
        (["0.125", "1.500"], ["0.125", "1.5"]),
        (["1.234.567", "2.000"], ["1234567", "2000"]),
    ],
)
def test_numbers_are_read_as_they_are_meant(cells: list[str], numbers: list[str]) -> None:
    style = number_style(cells)
    assert style is not None
    if not style.decimal:
        style = NumberStyle(",", is_plain=False, marks=style.marks)
    assert [value_of(style, cell) for cell in cells] == [Decimal(number) for number in numbers]
    assert [style.number(cell) for cell in cells] == [Decimal(number) for number in numbers]


@pytest.mark.parametrize("cells", [["1.234", "5.678"], ["1,234"], ["1.000", "2"]])
def test_a_mark_that_may_be_either_is_left_open(cells: list[str]) -> None:
    style = number_style(cells)
    assert style is not None
    assert not style.decimal


@pytest.mark.parametrize(("cells", "decimal"), [(["1.234.567", "2.000"], ","), (["1,234,567"], "."), (["$1,234,567", "$2.50"], ".")])
def test_a_mark_that_comes_twice_in_a_number_is_of_thousands(cells: list[str], decimal: str) -> None:
    style = number_style(cells)
    assert style is not None
    assert style.decimal == decimal


@pytest.mark.parametrize(
    "cells",
    [
        [],
        ["mug"],
        ["12", "n/a"],
        ["2024-01-05"],
        ["05/04/2024"],
        ["1,5", "1.5"],
        ["#1001"],
        ["K1", "K2"],
        ["5%"],
        ["10:30"],
        ["1.234.567", "2.50"],
    ],
)
def test_what_is_no_number_has_no_style(cells: list[str]) -> None:
    assert number_style(cells) is None

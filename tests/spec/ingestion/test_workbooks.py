"""Workbooks are read as people see them, to the cent; where that cannot be known, the night says which cell and what to do."""

from __future__ import annotations

import base64
import io
import zlib
from collections.abc import Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import pytest
from support.source_folders import Rows, read_table, refused_table
from support.workbooks import Error, Formula, Sheet, Styled, an_ods, an_xlsx

from pipeline.errors import ConfigError, DataError, PipelineError
from pipeline.ingestion.sources import sheet_extent
from pipeline.ingestion.sources.cell_texts import cell_text

HEADER = ["order", "paid", "sold", "note"]
# Written by xlwt. Orders: the header, ("007", 19.99, 2024-01-05 10:00, true) and (7, 0.1 + 0.2, 2024-01-05). Übersicht: #N/A in B2.
OLD_EXCEL = """
eNrtWE1IVFEU/u6dNzoj/syYBhpMg5CVKRkFRaBPg3KVWRBFBKXOgKIzI6MbW5Rls2gRBK2KNoIFbaw2/VCLfjYtAqMWQRQ4BW1aBQUt1Nc5572Xo03gQEnJ+4Z77r3n3H
Puffece96d93I6PDNxpzaLJWiFD/NWEEU5PEUl6HZCILllcdOtA1QsD/8VggFyZJEfD8teFLMP2d9ZaNw2nhAFPlA5jiF0ppLx6Apij6yhW/EaWpRBsadxjUo5amRdlUJ7
ha4RekvGPhLaJpyLQlto7Iw6hmmzs2GXE8dHdZ3Iyokq3BOdt8LZhmo85zg+c0nZY/1oT/d3D64WQcQoxSTI1x3xZDzN/Wpc59M8SmhKJJpisWhf3+5EImJU4AZKcgUzqK
IAmcQ3Kwp8dTPB46jHX1m+AvG/L+YX/4YfIO/m4wfJuUv5l7UBjME6qfhYZOh4jBp2UjiQjsXTwxmEcUHeCEG86yFGf2/fyCy2cpRI5vADKR5JWkPd/TGqhlODXCVTI3Ef
0Ny8k6KxnYfbiSe0KPGUyXEsJRpDhbTDcihD9BSzN7+82t/TZZ4Qzpi8bOxX0gZeNSycZQ1SLheJTyhLGkRji9BzYnWdtGuFVtGiqa7vqnYa+8ZlzHmR1tM82wWvzY057U
3Uznw+eD+S+WhupvZUR/ZU1dQbcwJ1tDcx0uffOBpVo7p6hfHAdGvlJK/3Qmt+SWQBHXLWbjnv3QrMyRaD9oNh93h31M+edvbK7vmo53NsqTy2lNji3TmtS2StYZjrSY92
j1NtJQ4TyiKf2vw6QByfzMXWtFhfsMb6WqxFYOvbftvh7JQt1/RsT59ptOpK3OXhlKIX4MXDSseDzhsPfj7C4m+21aBcf+fOzHIt9mB7E/m86cGDBw8ePHj4h2FfBuzrkW
Hf4OXqVex815mjMu99Jlm1OIQU/Uboj+BeJKlOY7Sg+FkLv3JtqWXquN8LGUdo9jQG0CPrGCg4funqrHKfZ9mKoT93hAqdf76Qdf7l+X8AEZckfA==
"""


def read(folder: Path, content: bytes, query: str = "SELECT * FROM orders", *, name: str = "orders.xlsx", **given: Any) -> Rows:
    return read_table(folder, content, query, name=name, **given)


def refusal(folder: Path, content: bytes, kind: type[PipelineError] = DataError, **given: Any) -> PipelineError:
    return refused_table(folder, content, kind, **{"name": "orders.xlsx", **given})


def orders(*rows: Sequence[object], header: Sequence[object] = HEADER, **given: Any) -> bytes:
    return an_xlsx({"Orders": Sheet([header, *rows], **given)})


@pytest.mark.parametrize(
    ("cell", "text"),
    [
        (7, "7"),
        (7.0, "7"),
        (-1250000, "-1250000"),
        (999999999999999, "999999999999999"),
        (19.99, "19.99"),
        (-0.5, "-0.5"),
        (0.1 + 0.2, "0.3"),
        (3 * 19.99, "59.97"),
        (5.5e-7, "0.00000055"),
        (1e21 / 3e14, "3333333.33333333"),
        ("007", "007"),
        (" x ", " x "),
        ("1.234,50", "1.234,50"),
        ("#N/A written", "#N/A written"),
        ("", None),
        (None, None),
        (True, "true"),
        (False, "false"),
        (date(2024, 1, 5), "2024-01-05"),
        (datetime.fromisoformat("2024-01-05 10:30:00"), "2024-01-05 10:30:00"),
        (datetime.fromisoformat("2024-03-10 09:10:11"), "2024-03-10 09:10:11"),
        (Styled(45296.5, "0.00"), "45296.5"),
        (Styled(123, "00000"), "00123"),
        (Styled(123456, "00000"), "123456"),
        (Styled(0.25, "0%"), "0.25"),
        (Formula(19.99), "19.99"),
        (Formula("x"), "x"),
        (Formula(""), None),
    ],
)
def test_a_cell_is_the_text_that_a_query_wants(tmp_path: Path, cell: object, text: str | None) -> None:
    assert read(tmp_path, orders(["A1", cell, None, "n"]), "SELECT paid FROM orders") == [(text,)]


def test_amounts_add_up_to_the_cent(tmp_path: Path) -> None:
    cells = [19.99, 0.1 + 0.2, "5.01", 3 * 19.99, -25, Formula(4.1 + 0.02)]
    content = orders(*(["A", cell, None, None] for cell in cells))
    total = read(tmp_path, content, "SELECT CAST(sum(paid) AS VARCHAR) FROM orders", types={"paid": "DECIMAL(18,4)"})
    assert total == [("64.3900",)]  # 19.99 + 0.30 + 5.01 + 59.97 - 25 + 4.12


def test_numbers_and_texts_of_one_column_have_the_marks_that_are_declared(tmp_path: Path) -> None:
    content = orders(["A", 1234.5, None, None], ["B", "1.234,50", None, None], ["C", 1.234, None, None], ["D", "7", None, None])
    query = 'SELECT "order", CAST(paid AS VARCHAR) FROM orders ORDER BY ALL'
    found = read(tmp_path, content, query, types={"paid": "DECIMAL(18,4)"}, decimal=",", thousands=".")
    assert found == [("A", "1234.5000"), ("B", "1234.5000"), ("C", "1.2340"), ("D", "7.0000")]


@pytest.mark.parametrize(("is_1904", "serial"), [(False, 45296.5), (True, 45296.5 - 1462)])
def test_a_day_stored_as_a_number_is_a_day_where_it_is_declared_one(tmp_path: Path, is_1904: bool, serial: float) -> None:
    rows = [HEADER, ["A", serial, int(serial), Styled(serial, "yyyy-mm-dd hh:mm")]]
    content = an_xlsx({"Orders": Sheet(rows)}, is_1904=is_1904)
    types = {"paid": "TIMESTAMP", "sold": "DATE", "note": "TIMESTAMP"}
    noon = datetime.fromisoformat("2024-01-05 12:00:00")
    assert read(tmp_path, content, "SELECT paid, sold, note FROM orders", types=types) == [(noon, date(2024, 1, 5), noon)]


@pytest.mark.parametrize(
    ("cell", "words"),
    [
        (Error(), "orders.xlsx, sheet Orders: an error such as #N/A in B2"),
        (Error("#DIV/0!"), "an error such as #N/A in B2"),
        (Formula(), "a formula without a value in B2"),
        (1.2345678901234567e17, "a number that lost its last digits in B2"),
        (4111111111111110, "a number that lost its last digits in B2"),  # 4111111111111111 as a spreadsheet keeps it
    ],
)
def test_a_cell_without_a_value_is_named(tmp_path: Path, cell: object, words: str) -> None:
    error = refusal(tmp_path, orders(["A1", cell, None, None]))
    assert words in error.what
    assert error.where.endswith("orders.xlsx")


@pytest.mark.parametrize("place", ["XFD1048576", "A99999999"])
def test_a_lost_cell_far_away_is_told_of_before_it_takes_all_memory(tmp_path: Path, place: str) -> None:
    sink = io.BytesIO()
    with ZipFile(io.BytesIO(orders(["A1", 1, None, None], ["A2", 2, None, None]))) as parts, ZipFile(sink, "w") as moved:
        for part in parts.namelist():
            moved.writestr(part, parts.read(part).replace(b'r="B3"', f'r="{place}"'.encode()))
    error = refusal(tmp_path, sink.getvalue())
    assert error.what.startswith("orders.xlsx has a sheet of ")
    assert error.what.endswith(" columns, nearly all of it empty")


def test_a_large_table_that_is_full_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sheet_extent, "MOST_PLACES", 50)
    names = [f"n{number}" for number in range(20)]
    content = orders(*(["x"] * 20 for _ in range(5)), header=names)
    assert read(tmp_path, content, "SELECT COUNT(*) FROM orders") == [(5,)]


def test_many_errors_are_counted_and_the_first_few_named(tmp_path: Path) -> None:
    error = refusal(tmp_path, orders(*(["A", Error(), None, None] for _ in range(7))))
    assert "in B2, B3, B4, B5, B6, ... (7 cells)" in error.what


def test_a_cell_that_does_not_read_as_declared_is_named_by_its_row(tmp_path: Path) -> None:
    content = an_xlsx({"Orders": Sheet([["Shop"], [], HEADER, ["A", 1, None, None], [], ["B", "one", None, None]])})
    error = refusal(tmp_path, content, types={"paid": "DECIMAL(18,4)"}, header_row=3)
    assert error.what == "orders.xlsx: paid is no DECIMAL(18,4) in row 6"
    error = refusal(tmp_path, content, query="SELECT CAST(paid AS DECIMAL(18, 4)) FROM orders", header_row=3)
    assert error.what == "orders.xlsx: paid is no DECIMAL(18, 4) in row 6"


def test_an_amount_that_was_never_rounded_says_how_to_round_it(tmp_path: Path) -> None:
    content = orders(["A", Formula(20 / 1.19), None, None])
    error = refusal(tmp_path, content, types={"paid": "DECIMAL(18,4)"})
    assert 'write `CAST("paid" AS DECIMAL(18,4))`, which rounds' in error.todo
    assert read(tmp_path, content, 'SELECT CAST(CAST("paid" AS DECIMAL(18,4)) AS VARCHAR) FROM orders') == [("16.8067",)]


def test_a_day_as_a_number_that_a_query_casts_says_to_declare_it(tmp_path: Path) -> None:
    error = refusal(tmp_path, orders(["A", None, 45296.5, None]), query="SELECT CAST(sold AS TIMESTAMP) FROM orders")
    assert error.what == "orders.xlsx: sold is no TIMESTAMP in row 2"
    assert 'declare `"sold" = "TIMESTAMP"` under [source.column_types.orders]' in error.todo


# Headers and rows


def test_titles_and_empty_rows_and_columns_are_left_out(tmp_path: Path) -> None:
    rows = [["Orders of 2024"], [], [*HEADER, None], ["A1", 1, None, "x", None], [None] * 5, ["A2", 2, None, None]]
    content = an_xlsx({"Orders": Sheet(rows, first_column=2)})
    assert read(tmp_path, content, header_row=3) == [("A1", "1", None, "x"), ("A2", "2", None, None)]


@pytest.mark.parametrize(
    ("rows", "header_row", "words", "todo"),
    [
        ([[], [], HEADER], 1, "row 1 names no columns", "the first row with text is 3"),
        (
            [["a", "a_1", "A"]],
            1,
            "columns whose names differ by case at most: `a_1` (column 1), `a_1` (column 2)",
            "Give each its own name",
        ),
        ([["a", "b"], [1, 2, "note"]], 1, "column C has no name, but a cell in row 2", "Name it in row 1"),
        ([["Title"], ["a", "b"], [1, 2]], 1, "column B has no name, but a cell in row 2", "Name it in row 1"),
        ([["a"]], 3, "row 3 names no columns", "the first row with text is 1"),
    ],
)
def test_a_sheet_without_a_sound_header_is_refused(
    tmp_path: Path, rows: Sequence[Sequence[object]], header_row: int, words: str, todo: str
) -> None:
    error = refusal(tmp_path, an_xlsx({"Orders": Sheet(rows)}), header_row=header_row)
    assert words in error.what
    assert todo in error.todo


def test_a_name_may_be_merged_over_two_rows(tmp_path: Path) -> None:
    rows = [["order", "amounts", None], [None, "paid", "tax"], ["A1", 1, 2]]
    content = an_xlsx({"Orders": Sheet(rows, merged=["A1:A2", "B1:C1"])})
    assert read(tmp_path, content, 'SELECT "order", paid, tax FROM orders', header_row=2) == [("A1", "1", "2")]


# Merged cells


MERGED = [["order", "total", "item"], ["A1", 30, "x"], [None, None, "y"], [None, None, "z"], ["A2", 5, "x"]]


def test_cells_merged_over_rows_need_to_be_declared(tmp_path: Path) -> None:
    content = an_xlsx({"Orders": Sheet(MERGED, merged=["A2:A4", "B2:B4"])})
    error = refusal(tmp_path, content)
    assert error.what == "orders.xlsx, sheet Orders: cells are merged over rows, first in A2:A4"
    assert "`fill_merged` under [source.formats.orders] of company.toml" in error.todo
    assert '["order"]' in error.todo


def test_a_merged_cell_stands_for_each_of_its_rows_where_that_is_declared(tmp_path: Path) -> None:
    content = an_xlsx({"Orders": Sheet(MERGED, merged=["A2:A4", "B2:B4"])})
    assert read(tmp_path, content, fill_merged=("order",)) == [("A1", "30", "x"), ("A1", None, "y"), ("A1", None, "z"), ("A2", "5", "x")]
    assert read(tmp_path, content, fill_merged=())[1] == (None, None, "y")
    wrong = refusal(tmp_path, content, ConfigError, fill_merged=("ordr",))
    assert "fill_merged names `ordr`, which orders.xlsx does not have (did you mean `order`?)" in wrong.what


@pytest.mark.parametrize("area", ["D2:D3", "D1:D2", "D2:F3", "A5:A9"])
def test_cells_may_be_merged_where_nothing_stands(tmp_path: Path, area: str) -> None:
    assert read(tmp_path, an_xlsx({"Orders": Sheet([["order", "paid"], ["A1", 1], ["A2", 2]], merged=[area])})) == [
        ("A1", "1"),
        ("A2", "2"),
    ]


def test_a_title_and_a_total_may_be_merged(tmp_path: Path) -> None:
    rows = [["Orders", None], [None, None], ["order", "paid"], ["A1", 1], ["Total", None]]
    content = an_xlsx({"Orders": Sheet(rows, merged=["A1:B2", "A5:B5"])})
    assert read(tmp_path, content, header_row=3) == [("A1", "1"), ("Total", None)]


# Sheets and files


def test_of_several_sheets_one_is_declared(tmp_path: Path) -> None:
    sheets = {"Orders": Sheet([["a"], [1]]), "Items": Sheet([["a"], [2]]), "Empty": Sheet([])}
    error = refusal(tmp_path, an_xlsx(sheets), ConfigError)
    assert error.what == "orders.xlsx has several sheets: Orders, Items"
    assert '`sheet = "Orders"` under [source.formats.orders]' in error.todo
    assert read(tmp_path, an_xlsx(sheets), sheet="Items") == [("2",)]
    wrong = refusal(tmp_path, an_xlsx(sheets), sheet="Item")
    assert wrong.what == "orders.xlsx has no sheet `Item` (did you mean `Items`?)"


def test_empty_and_hidden_sheets_need_no_declaration(tmp_path: Path) -> None:
    sheets = {"Lists": Sheet([["x"]], is_hidden=True), "Orders": Sheet([["a"], [1]]), "Sheet2": Sheet([])}
    assert read(tmp_path, an_xlsx(sheets)) == [("1",)]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"PK\x03\x04rest", "orders.xlsx is damaged, or no workbook of the kind that its name says"),
        (b"order,paid\n", "orders.xlsx is damaged, or no workbook"),
        (an_xlsx({"Orders": Sheet([HEADER])})[:-200], "orders.xlsx is damaged, or no workbook"),
        (an_xlsx({"Orders": Sheet([])}), "orders.xlsx is empty: no sheet has a cell"),
        (b"", "orders.xlsx is damaged, or no workbook"),
    ],
    ids=["half", "text", "cut off", "empty", "nothing"],
)
def test_a_file_that_is_no_workbook_says_so(tmp_path: Path, content: bytes, words: str) -> None:
    assert words in refusal(tmp_path, content).what


def test_a_sheet_without_rows_has_its_columns(tmp_path: Path) -> None:
    assert read(tmp_path, orders(), "SELECT count(*), max(paid) FROM orders") == [(0, None)]


def test_a_declared_number_may_be_in_capitals_in_one_workbook_and_not_in_another(tmp_path: Path) -> None:
    other = tmp_path / "data" / "orders" / "1.xlsx"
    other.parent.mkdir(parents=True)
    other.write_bytes(an_xlsx({"Orders": Sheet([["Weight"], [1]])}))
    given = {"types": {"Weight": "DECIMAL(18,4)"}, "decimal": ",", "thousands": "."}
    found = read(
        tmp_path, an_xlsx({"Orders": Sheet([["weight"], [1.234]])}), "SELECT weight FROM orders ORDER BY 1", name="orders/2.xlsx", **given
    )
    assert found == [(Decimal(1),), (Decimal("1.234"),)]


def test_workbooks_of_a_folder_are_one_table(tmp_path: Path) -> None:
    folder = tmp_path / "data" / "orders"
    for month, rows in (("2024-01", [["A1", 1], ["A2", 2]]), ("2024-02", [["A2", 3]])):
        (folder / f"month={month}").mkdir(parents=True)
        (folder / f"month={month}" / f"orders_{month}-28.xlsx").write_bytes(orders(*rows, header=["order", "paid"]))
    (folder / "~$orders.xlsx").write_bytes(b"the mark of an open workbook")
    newest = orders(["A3", 4], header=["order", "paid", "tip"])
    query = 'SELECT "order", paid, tip, month FROM orders ORDER BY ALL'
    found = read(tmp_path, newest, query, name="orders/month=2024-03/orders_2024-03-28.xlsx", key=("order",))
    assert found == [("A1", "1", None, "2024-01"), ("A2", "3", None, "2024-02"), ("A3", "4", None, "2024-03")]


def test_a_sheet_of_openoffice_is_read_too(tmp_path: Path) -> None:
    rows = [HEADER, ["007", 19.99, datetime.fromisoformat("2024-01-05 10:00:00"), True], ["A2", 7, date(2024, 1, 5), None]]
    assert read(tmp_path, an_ods({"Orders": rows}), name="orders.ods") == [
        ("007", "19.99", "2024-01-05 10:00:00", "true"),
        ("A2", "7", "2024-01-05", None),
    ]


def test_a_sheet_of_old_excel_is_read_too(tmp_path: Path) -> None:
    content = zlib.decompress(base64.b64decode("".join(OLD_EXCEL.split())))
    found = read(tmp_path, content, name="orders.xls", sheet="Orders")
    assert found == [("007", "19.99", "2024-01-05 10:00:00", "true"), ("7", "0.3", "2024-01-05", None)]
    error = refusal(tmp_path, content, name="orders.xls", sheet="Übersicht")
    assert error.what == "orders.xls, sheet Übersicht: an error such as #N/A in B2"
    assert "orders.xls is damaged" in refusal(tmp_path, content[: len(content) // 3], name="orders.xls").what
    error = refusal(tmp_path, b"<html><table>", name="orders.xls")
    assert "save it as .xlsx" in error.todo


@pytest.mark.parametrize(("seconds", "text"), [(0, "00:00:00"), (90_061.4, "25:01:01"), (-3599, "-00:59:59"), (-7200, "-02:00:00")])
def test_a_duration_has_hours_minutes_and_seconds(seconds: float, text: str) -> None:
    assert cell_text(timedelta(seconds=seconds)) == text


def test_an_error_in_a_sheet_of_openoffice_is_no_empty_cell(tmp_path: Path) -> None:
    rows = [HEADER, ["A1", Error("#DIV/0!"), None, None]]
    error = refusal(tmp_path, an_ods({"Orders": rows}), name="orders.ods")
    assert error.what == "orders.ods, sheet Orders: an error such as #N/A in a cell"
    content = an_ods({"Notes": [[Error()]], "Tea & Co": [HEADER, ["A1", 1, None, None]], "Sums": [*rows, *rows[1:]]})
    assert read(tmp_path, content, name="orders.ods", sheet="Tea & Co") == [("A1", "1", None, None)]
    error = refusal(tmp_path, content, name="orders.ods", sheet="Sums")
    assert error.what == "orders.ods, sheet Sums: an error such as #N/A in 2 cells"

"""Workbooks as people keep them: titles above, sums below, merged cells, several sheets."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest
from support.onboarding import init, lines_of, net_by_order, people_of
from support.workbooks import Error, Sheet, Styled, an_xlsx

from pipeline.errors import ConfigError, DataError

ANSWERS = {"time_zone": "Europe/Berlin", "currency": "EUR"}


def test_a_title_a_row_of_sums_and_merged_cells(tmp_path: Path) -> None:
    rows = [
        ["Sales list 2024"],
        [],
        ["Order No", "Order Date", "Customer", "City", "Product", "Qty", "Amount (EUR)"],
        ["A-1", date(2024, 3, 1), "Kim GmbH", "Berlin", "Bread", 2, 7.0],
        [None, None, None, None, "Cheese", 1, 4.55],
        ["A-2", date(2024, 3, 2), "Lee AG", "Bonn", "Bread", 1, 3.5],
        ["Total", None, None, None, None, 4, 15.05],
    ]
    book = an_xlsx({"Orders": Sheet(rows, merged=["A1:G1", "A4:A5", "B4:B5", "C4:C5", "D4:D5"]), "Notes": Sheet([["call Kim"]])})
    made = init(tmp_path / "shop", {"list.xlsx": book}, ANSWERS)
    assert net_by_order(made) == {"A-1": Decimal("11.55"), "A-2": Decimal("3.50")}
    settings = (made.folder / "company.toml").read_text("utf-8")
    assert 'sheet = "Orders"' in settings
    assert "header_row = 3" in settings
    assert 'fill_merged = ["Order No", "Order Date", "Customer", "City"]' in settings


def test_texts_that_are_amounts_and_dates_and_ids_with_zeros(tmp_path: Path) -> None:
    rows = [
        ["Umsatzliste"],
        ["Stand: 01.04.2024"],
        [],
        ["Rechnungsnr.", "Rechnungsdatum", "Kunden-Nr.", "Ort", "Menge", "Netto", "MwSt", "Brutto"],
        ["R-100", "31.03.2024", "00017", "Köln", "2", "1.234,50 €", "234,56 €", "1.469,06 €"],
        ["R-101", "01.04.2024", "00018", "Bonn", "1", "-2,00 €", "-0,38 €", "-2,38 €"],
        [],
        [None, None, None, "Summe", "3", "1.232,50 €", "234,18 €", "1.466,68 €"],
    ]
    book = {"list.xlsx": an_xlsx({"Umsatz": Sheet(rows)})}
    with pytest.raises(ConfigError, match=r"--set orders.amount=Netto"):
        init(tmp_path / "shop", book, ANSWERS)
    made = init(tmp_path / "shop", book, {**ANSWERS, "orders.amount": "Netto"})
    assert made.net_amount == Decimal("1232.50")
    assert set(people_of(made)) == {"00017", "00018"}


def test_two_sheets_are_two_tables_and_a_cover_is_none(tmp_path: Path) -> None:
    people = [["Nr", "E-Mail", "Geburtsdatum", "Ort"], [Styled(17, "00000"), "m@x.de", Styled(25569, "dd.mm.yyyy"), "Köln"]]
    orders = [
        ["Bestellnummer", "Datum", "Kundennr", "Anzahl", "Einzelpreis"],
        [1, Styled(45352.5, "dd.mm.yyyy hh:mm"), Styled(17, "00000"), 3, 0.1],
    ]
    book = an_xlsx({"Deckblatt": Sheet([["Mein Laden"]]), "Kunden": Sheet(people), "Bestellungen": Sheet(orders)})
    made = init(tmp_path / "shop", {"laden.xlsx": book}, ANSWERS)
    assert [(line["customer_id"], line["net_amount"]) for line in lines_of(made)] == [("00017", Decimal("0.30"))]
    assert (people_of(made)["00017"]["birth_year"], people_of(made)["00017"]["city"]) == (1970, "Köln")
    assert sorted(path.name for path in (made.folder / "data").iterdir()) == ["customers", "orders"]


def test_an_error_in_a_cell_is_named_by_sheet_and_cell(tmp_path: Path) -> None:
    rows = [["order", "date", "customer", "amount"], [1, date(2024, 3, 1), "a", Error()]]
    with pytest.raises(DataError, match="D2"):
        init(tmp_path / "shop", {"list.xlsx": an_xlsx({"Orders": Sheet(rows)})}, ANSWERS)
    assert not (tmp_path / "shop").exists()


def test_a_sheet_without_a_table_of_either_kind_is_left_out_and_the_others_are_read(tmp_path: Path) -> None:
    notes = [["Topic", "Text"], ["a", "b"], ["c", "d"]]
    orders = [["Order", "Date", "Client no", "Amount"], ["1", "2024-03-01", "a7", 5.5], ["2", "02.03.2024", "b8", 4.5]]
    book = an_xlsx({"Orders": Sheet(orders), "Notes": Sheet(notes)})
    made = init(tmp_path / "shop", {"shop.xlsx": book}, ANSWERS)
    assert made.net_amount == Decimal(10)
    assert [str(line["event_day"]) for line in lines_of(made)] == ["2024-03-01", "2024-03-02"]

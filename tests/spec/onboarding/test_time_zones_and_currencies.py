"""What a file says of time zones and currencies is used; what it only hints at is suggested."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest
from support.onboarding import ANSWERS, init, lines_of

from pipeline.errors import ConfigError
from pipeline.onboarding.currencies import currency_of_sign, signs_of
from pipeline.onboarding.home_clues import HomeClues, find_clues, likely_currency, likely_zone
from pipeline.onboarding.table_sample import TableSample


def sample(columns: dict[str, list[str]]) -> TableSample:
    return TableSample("orders", pa.table(columns), (Path("orders.csv"),))


def test_signs_of_currency_are_read_out_of_the_cells() -> None:
    signs = signs_of({"1.273,95 TL": 2, "€ 12,50": 1, "-3,00 €": 1, "($4.00)": 1, "CHF 7.00": 1, "12,50": 9})
    assert signs == {"TL": 2, "€": 2, "$": 1, "CHF": 1}
    assert [currency_of_sign(sign) for sign in ("TL", "€", "$", "CHF", "kr", "zł".upper())] == ["TRY", "EUR", "", "CHF", "", "PLN"]


@pytest.mark.parametrize(
    ("columns", "currency", "zone"),
    [
        ({"Sipariş No": ["1"], "Tutar": ["2"]}, "TRY", "Europe/Istanbul"),
        ({"Bestellnr": ["1"], "Betrag": ["2"]}, "EUR", "Europe/Berlin"),
        ({"Commande": ["1"], "Montant": ["2"], "Quantité": ["1"]}, "EUR", "Europe/Paris"),
        ({"Tilausnumero": ["1"], "Määrä": ["2"], "Rivisumma": ["3"]}, "EUR", "Europe/Helsinki"),
        ({"Ordernummer": ["1"], "Belopp": ["2"]}, "SEK", "Europe/Stockholm"),
        ({"Megrendelő": ["1"], "Vevő": ["1"], "Összeg": ["2"]}, "HUF", "Europe/Budapest"),
        ({"order": ["1"], "email": ["a@shop.co.uk"]}, "GBP", "Europe/London"),
        ({"order": ["1"], "email": ["a@shop.com"]}, "USD", "UTC"),
    ],
)
def test_the_suggestion_follows_language_and_addresses(columns: dict[str, list[str]], currency: str, zone: str) -> None:
    clues = find_clues([sample(columns)])
    assert (likely_currency(clues), likely_zone(clues)) == (currency, zone)


def test_a_known_currency_says_more_about_the_zone_than_addresses() -> None:
    assert likely_zone(HomeClues(currency="GBP", domains=("de",))) == "Europe/London"
    assert likely_zone(HomeClues(currency="EUR", domains=("fr", "de"))) == "Europe/Paris"


def test_the_sign_in_the_cells_is_the_currency_and_several_are_a_question(tmp_path: Path) -> None:
    zone = {"time_zone": "Europe/Istanbul"}
    text = "No;Tarih;Müşteri No;Tutar\n1;05.01.2024;7;1.273,95 TL\n2;06.01.2024;8;20,00 TL\n"
    made = init(tmp_path / "shop", {"list.csv": text}, zone)
    assert made.draft.currency == "TRY"
    mixed = f"{text}3;06.01.2024;8;20,00 €\n"
    with pytest.raises(ConfigError, match="--set currency=TRY"):
        init(tmp_path / "open", {"list.csv": mixed}, zone)
    made = init(tmp_path / "mixed", {"list.csv": mixed}, {**zone, "currency": "TRY"})
    assert [(each.reason, each.line_count) for each in made.left_out] == [("in EUR", 1)]


def test_times_are_of_the_zone_that_the_column_or_the_row_names(tmp_path: Path) -> None:
    utc = "order,Created (UTC),customer no,amount\n1,2024-06-30 22:15:00,7,1.50\n"
    made = init(tmp_path / "utc", {"list.csv": utc}, ANSWERS)
    assert str(lines_of(made)[0]["event_day"]) == "2024-07-01"
    rows = "1,2024-06-30,23:30,Pacific Time (US & Canada),7,1.50\n2,2024-06-30,23:30,Eastern Time (US & Canada),7,1.50\n"
    text = f"order,date,time,zone,customer no,amount\n{rows}"
    made = init(tmp_path / "rows", {"list.csv": text}, {"time_zone": "America/New_York", "currency": "USD"})
    assert [str(line["event_day"]) for line in lines_of(made)] == ["2024-07-01", "2024-06-30"]
    with pytest.raises(ConfigError, match="--set time_zone=America/Los_Angeles"):
        init(tmp_path / "open", {"list.csv": text}, {"currency": "USD"})

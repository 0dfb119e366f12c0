"""What the summary warns of: columns that some lines lack, and values that differ in spelling alone; never a value."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest
from rich.console import Console
from support.nights import NO_GATES, ORDER_LINES_SQL, run_night, write_shop

from pipeline.definitions.company import load_company
from pipeline.errors import ConfigError
from pipeline.lake.lake import Lake
from pipeline.lake.tables import CUSTOMER_FEATURES, CUSTOMER_SEGMENTS
from pipeline.reporting.column_warnings import column_warnings
from pipeline.reporting.summary import print_whole_summary

NIGHT = date(2024, 3, 10)
COUNTRIES = {"Canada": 7, "canada": 5, "CANADA": 6, "new  york ": 5, "New York": 6, "Chile": 5}
IDS = [f"{country}|{number}" for country, count in COUNTRIES.items() for number in range(count)]


def a_shop(folder: Path, spelling: str = "") -> tuple[Path, Lake]:
    """Run a night of customers who each bought on two days; the country stands in the id."""
    orders = [
        f"o{place}{day},1,{name},2024-03-0{day} 12:00:00,1,9,{'Tea' if place % 2 else 'tea '}"
        for place, name in enumerate(IDS)
        for day in (1, 2)
    ]
    settings = f'{NO_GATES}[attributes.country]\nlevel = "geographic"\n{spelling}'
    shop = write_shop(folder / "shop", orders, customers=IDS, settings=settings)
    (shop / "sources" / "customers.sql").write_text("SELECT id AS customer_id, split_part(id, '|', 1) AS country FROM customers", "utf-8")
    lake = Lake(folder / "lake")
    run_night(shop, lake, NIGHT, until="segment")
    return shop, lake


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Lake]:
    return a_shop(tmp_path_factory.mktemp("plain"))


def test_values_that_differ_in_capitals_or_spaces_alone_are_counted_and_none_is_named(place: tuple[Path, Lake]) -> None:
    shop, lake = place
    found = {warning.partition(":")[0]: warning for warning in column_warnings(load_company(shop), lake, NIGHT)}
    assert found["country"].startswith("country: 3 values of 16 customers differ from others in capitals or spaces alone: ")
    assert '[attributes.country] spelling = "title"' in found["country"]
    assert found["favourite_category"].startswith("favourite_category: 1 values of 17 customers differ")
    assert "category into one spelling in order_lines.sql" in found["favourite_category"]
    console = Console(record=True, width=300)
    print_whole_summary(load_company(shop), lake, NIGHT, console=console)
    assert "country: 3 values of 16 customers differ" in console.export_text()


@pytest.mark.parametrize(
    ("spelling", "segments"),
    [("title", {"Canada", "New York", "Chile"}), ("upper", {"CANADA", "NEW YORK", "CHILE"}), ("lower", {"canada", "new york", "chile"})],
)
def test_a_declared_spelling_makes_one_value_of_them(tmp_path: Path, spelling: str, segments: set[str]) -> None:
    shop, lake = a_shop(tmp_path, f'spelling = "{spelling}"\n')
    rows = lake.read(CUSTOMER_SEGMENTS, day=NIGHT).to_pylist()
    assert {row["segment"] for row in rows if row["scheme"] == "country"} == segments
    assert not [warning for warning in column_warnings(load_company(shop), lake, NIGHT) if warning.startswith("country")]


def test_blanks_are_no_value(tmp_path: Path) -> None:
    shop = write_shop(tmp_path / "shop", [], customers=["1", "2"], settings=f'{NO_GATES}[attributes.country]\nlevel = "geographic"\n')
    (shop / "sources" / "customers.sql").write_text("SELECT id AS customer_id, chr(160) || '  ' AS country FROM customers", "utf-8")
    lake = Lake(tmp_path / "lake")
    run_night(shop, lake, NIGHT, until="segment")
    company = load_company(shop)
    assert lake.read(company.table(CUSTOMER_FEATURES), day=NIGHT)["country"].null_count == 2
    assert {row["segment"] for row in lake.read(CUSTOMER_SEGMENTS, day=NIGHT).to_pylist() if row["scheme"] == "country"} == {"unknown"}


def test_lines_without_a_discount_are_counted_with_what_to_do(tmp_path: Path) -> None:
    shop = write_shop(
        tmp_path / "shop", [f"o{n},1,ann,2024-03-0{n} 12:00:00,1,9,tea" for n in range(1, 6)], customers=["ann"], settings=NO_GATES
    )
    discount = "CAST(CASE WHEN order_id = 'o1' THEN 1 END AS DECIMAL(18, 4)) AS discount_amount,\n  category"
    (shop / "sources" / "order_lines.sql").write_text(ORDER_LINES_SQL.replace("category", discount), "utf-8")
    lake = Lake(tmp_path / "lake")
    run_night(shop, lake, NIGHT, until="segment")
    assert list(column_warnings(load_company(shop), lake, NIGHT)) == [
        (
            "order_lines.discount_amount is empty in 4 of the 5 lines of the last 365 days: no figure of discount counts them. "
            "If empty means no discount, write COALESCE(discount_amount, 0) in the query."
        )
    ]


@pytest.mark.parametrize("setting", ['spelling = "camel"', 'kind = "integer"\nspelling = "upper"'])
def test_a_spelling_that_cannot_be_is_refused(tmp_path: Path, setting: str) -> None:
    shop = write_shop(tmp_path / "shop", [], customers=[], settings=f'[attributes.size]\nlevel = "geographic"\n{setting}\n')
    with pytest.raises(ConfigError, match="spelling"):
        load_company(shop)

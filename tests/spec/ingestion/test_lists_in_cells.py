"""Attributes that hold several values: each once, in order, whatever stands around it; none is not the same as unknown."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest
from support.builders import a_company, an_attribute

from pipeline.definitions.company import load_company
from pipeline.errors import ConfigError
from pipeline.ingestion.validation.clean_rows import clean_people
from pipeline.lake.tables import CUSTOMERS, Column, Kind

SETTINGS = 'name = "S"\ntime_zone = "Europe/Berlin"\ncurrency = "EUR"\nfirst_day = 2024-01-01\n[attributes.tags]\nlevel = "behavioural"\n'


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("vip;press", "press;vip"),
        (" vip ;;vip; a b ", "a b;vip"),
        ("VIP;vip", "VIP;vip"),
        ("a,b;c", "a,b;c"),
        ("", ""),
        (" ; ;", ""),
        (None, None),
    ],
)
def test_a_list_has_each_value_once_and_in_order(given: str | None, kept: str | None, tmp_path: Path) -> None:
    table = a_company(tmp_path, attributes=(an_attribute(Column("tags", Kind.TEXT, "", separator=";")),)).table(CUSTOMERS)
    nothing = {column.name: pa.array([None], column.kind.arrow) for column in table.columns}
    rows = pa.table({**nothing, "customer_id": pa.array(["ann"]), "tags": pa.array([given], pa.string())})
    assert clean_people(rows, table, is_prospect=False)["tags"].to_pylist() == [kept]


def company_with(folder: Path, settings: str) -> Path:
    (folder / "sources").mkdir()
    for name in ("customers", "order_lines"):
        (folder / "sources" / f"{name}.sql").write_text("SELECT 1")
    (folder / "company.toml").write_text(SETTINGS + settings)
    return folder


def test_an_attribute_is_declared_a_list_with_its_separator(tmp_path: Path) -> None:
    [attribute] = load_company(company_with(tmp_path, 'kind = "list"\nseparator = ";"\n')).attributes
    assert (attribute.column.kind, attribute.column.separator) == (Kind.TEXT, ";")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ('kind = "list"\nseparator = ", "\n', "is no single mark"),
        ('kind = "list"\nseparator = "a"\n', "is no single mark"),
        ('kind = "list"\nseparator = "\'"\n', "is no single mark"),
        ('separator = ";"\n', "is for lists alone"),
        ('kind = "lists"\n', "list"),
    ],
)
def test_a_separator_that_could_be_part_of_a_value_is_refused(tmp_path: Path, settings: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        load_company(company_with(tmp_path, settings))

from __future__ import annotations

import re
from pathlib import Path

import pytest

from pipeline.definitions.company import load_company
from pipeline.definitions.connections import catalog_properties
from pipeline.definitions.iceberg_settings import IcebergSettings
from pipeline.errors import ConfigError
from pipeline.lake.tables import CRM_AUDIENCES, CUSTOMER_SEGMENTS

COMPANY = """
name = "Shop"
time_zone = "Europe/Berlin"
currency = "EUR"
first_day = 2024-01-01
"""


def settings(folder: Path, section: str) -> IcebergSettings | None:
    (folder / "sources").mkdir(exist_ok=True)
    (folder / "sources" / "customers.sql").write_text("SELECT customer_id FROM customers")
    (folder / "company.toml").write_text(f"{COMPANY}\n{section}")
    return load_company(folder).iceberg


def test_a_company_has_no_catalogue_unless_it_says_so(tmp_path: Path) -> None:
    assert settings(tmp_path, "") is None


def test_hashed_addresses_have_a_namespace_to_themselves(tmp_path: Path) -> None:
    read = settings(tmp_path, '[publish.iceberg]\ncatalog = "warehouse"\nnamespace = "crm.segments"')
    assert read == IcebergSettings("warehouse", "crm.segments", "crm.segments_audiences")
    assert read.table_name(CUSTOMER_SEGMENTS.name) == "crm.segments.customer_segments"
    assert read.table_name(CRM_AUDIENCES.name) == "crm.segments_audiences.crm_audiences"


@pytest.mark.parametrize(
    ("section", "words"),
    [
        ("", "`publish.iceberg.catalog` is missing"),
        ('catalog = "ware house"', "`publish.iceberg.catalog` is `ware house`"),
        ('catalog = "w"\nnamespace = "a..b"', "`publish.iceberg.namespace` is `a..b`"),
        ('catalog = "w"\naudiences_namespace = "segments"', "is the namespace of all other tables"),
        ('catalog = "w"\nnamspace = "segments"', "`publish.iceberg.namspace` is not a known setting (did you mean `namespace`"),
    ],
)
def test_what_is_wrong_in_the_section_is_named(tmp_path: Path, section: str, words: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(words)):
        settings(tmp_path, f"[publish.iceberg]\n{section}")


@pytest.mark.parametrize(
    ("text", "properties"),
    [
        ("https://catalog.example/api", {"uri": "https://catalog.example/api"}),
        (
            '{"type": "glue", "glue.max-retries": 3, "s3.anonymous": true}',
            {"type": "glue", "glue.max-retries": "3", "s3.anonymous": "true"},
        ),
    ],
)
def test_a_catalogue_is_an_address_or_properties(monkeypatch: pytest.MonkeyPatch, text: str, properties: dict[str, str]) -> None:
    monkeypatch.setenv("SEGMENTS_CATALOG_WARE_HOUSE", text)
    assert catalog_properties("ware_house") == properties


def test_files_of_tables_are_in_the_object_store_of_the_lake_unless_the_catalogue_says_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "https://minio.example/")
    monkeypatch.setenv("AWS_REGION", "eu-central-1")
    monkeypatch.setenv("SEGMENTS_CATALOG_WAREHOUSE", "https://catalog.example/api")
    files = {"s3.endpoint": "https://minio.example", "s3.region": "eu-central-1"}
    assert catalog_properties("warehouse") == {"uri": "https://catalog.example/api", **files}
    monkeypatch.setenv("SEGMENTS_CATALOG_WAREHOUSE", '{"uri": "https://catalog.example/api", "s3.endpoint": "https://other.example"}')
    assert catalog_properties("warehouse") == {"uri": "https://catalog.example/api", **files, "s3.endpoint": "https://other.example"}


@pytest.mark.parametrize("text", ["", " ", "{", "{[]}", '{"uri": {"s3cret": 1}}', '{"uri": null}'])
def test_what_is_no_catalogue_is_refused_without_being_shown(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv("SEGMENTS_CATALOG_WAREHOUSE", text)
    with pytest.raises(ConfigError) as caught:
        catalog_properties("warehouse")
    assert "SEGMENTS_CATALOG_WAREHOUSE" in caught.value.where
    assert "s3cret" not in str(caught.value)

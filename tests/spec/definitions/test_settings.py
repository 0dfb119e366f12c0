"""Settings that make no sense are refused before anything is done, with what was found and what to write."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.nights import SHOP, write_shop

from pipeline.definitions.company import load_company
from pipeline.definitions.settings import schedule_fault
from pipeline.errors import ConfigError
from pipeline.ingestion.extract import extract
from pipeline.lake.lake import Lake
from pipeline.operations.deployment import memory_limit_of_environment, open_lake


def refusal(folder: Path, old: str, new: str) -> ConfigError:
    shop = write_shop(folder / "shop", [], customers=[])
    text = SHOP.replace(old, new) if old else SHOP + new
    assert text != SHOP
    (shop / "company.toml").write_text(text, "utf-8")
    with pytest.raises(ConfigError) as refused:
        load_company(shop)
    assert refused.value.where.endswith("company.toml")
    return refused.value


@pytest.mark.parametrize(
    ("currency", "hint"),
    [
        ("eur", "(did you mean `EUR`?)"),
        ("Usd", "(did you mean `USD`?)"),
        ("", ""),
        ("EURO", "`EUR`"),
        ("Euro; DROP", ""),
        ("\u20ac", ""),
        ("XYZ", ""),
    ],
)
def test_a_currency_is_a_code_of_iso_4217(tmp_path: Path, currency: str, hint: str) -> None:
    error = refusal(tmp_path, '"EUR"', f'"{currency}"')
    assert error.what.startswith(f"`currency` is `{currency}`" if currency.isascii() else "`currency` is `")
    assert "no code of ISO 4217" in error.what
    assert hint in error.what
    assert error.todo == 'Write its three capitals, such as "EUR".'


@pytest.mark.parametrize("zone", ["Europe", "x" * 5000, "Europe/Berlyn", "../../etc/passwd", "", "/etc/localtime", "Europe/Berlin\\u0000"])
def test_a_time_zone_is_one_of_iana(tmp_path: Path, zone: str) -> None:
    error = refusal(tmp_path, "Europe/Berlin", zone)
    assert "which is no IANA time zone" in error.what
    assert len(error.what) < 200


@pytest.mark.parametrize("name", ['""', '"   "', f'"{"x" * 5000}"', '"a\\nb"', '"a\\u202eb"', '"a\\u0000"'])
def test_a_name_can_be_shown(tmp_path: Path, name: str) -> None:
    assert "`name` must be a printable text" in refusal(tmp_path, '"Shop"', name).what


@pytest.mark.parametrize("language", ["klingon", "", "EN", "english", "tr_TR", "t"])
def test_a_language_is_a_tag(tmp_path: Path, language: str) -> None:
    assert "`language`" in refusal(tmp_path, "", f'language = "{language}"').what


CRONS = [
    "0 4 * * *",
    "*/15 0-6,22 * * *",
    "30 2 1,15 * 1-5",
    "0 4 L * *",
    "0 0 * JAN-mar Mon#2".replace("Mon#2", "1#2"),
    "59 23 31 12 7",
    "0 4 * * L5",
]


@pytest.mark.parametrize("schedule", CRONS)
def test_a_schedule_of_cron_is_taken(schedule: str) -> None:
    assert schedule_fault(schedule) == ""


@pytest.mark.parametrize(
    ("schedule", "words"),
    [
        ("99 99 * * *", "says `99` for the minute, which is from 0 to 59"),
        ("0 24 * * *", "says `24` for the hour"),
        ("0 4 0 * *", "says `0` for the day of the month"),
        ("0 4 * 13 *", "says `13` for the month"),
        ("0 4 * * 8", "says `8` for the weekday"),
        ("0 4 * *", "has 4 fields, not five"),
        ("0 4 * * * *", "has 6 fields, not five"),
        ("", "has 0 fields, not five"),
        ("nonsense", "has 1 fields, not five"),
        ("*/0 4 * * *", "says `*/0` for the minute"),
        ("5-1 4 * * *", "says `5-1` for the minute"),
        ("- 4 * * *", "says `-` for the minute"),
        ("0 4 * * , ", "says `,` for the weekday"),
    ],
)
def test_a_schedule_that_no_clock_keeps_is_refused(tmp_path: Path, schedule: str, words: str) -> None:
    assert words in refusal(tmp_path, "", f'schedule = "{schedule}"').what


@pytest.mark.parametrize("package", ["nope.nope", "nope", ".", "a..b", "1 2"])
def test_a_package_that_is_none_is_refused(tmp_path: Path, package: str) -> None:
    assert f"the Python package `{package}` is not installed" in refusal(tmp_path, "", f'[source]\npackage = "{package}"').what


@pytest.mark.parametrize("size", ["lots", "", "-1", "-1GB", "0GB", "nan", "inf", "GB", "3", "3 XB", "1e9GB"])
def test_a_limit_of_memory_is_a_size(monkeypatch: pytest.MonkeyPatch, size: str) -> None:
    monkeypatch.setenv("SEGMENTS_MEMORY_LIMIT", size)
    with pytest.raises(ConfigError) as refused:
        memory_limit_of_environment()
    assert refused.value.what == f"SEGMENTS_MEMORY_LIMIT is `{size}`, which is no size of memory"


@pytest.mark.parametrize("size", ["3GB", "800MB", "1.5 GiB", "512mib", "80%"])
def test_sizes_of_memory_are_those_of_the_engine(monkeypatch: pytest.MonkeyPatch, lake: Lake, size: str) -> None:
    from pipeline.lake.engines.duckdb import open_engine

    monkeypatch.setenv("SEGMENTS_MEMORY_LIMIT", size)
    open_engine(lake, memory_limit=memory_limit_of_environment()).close()


@pytest.mark.parametrize("seconds", ["nan", "-5", "inf", "soon", ""])
def test_seconds_of_a_lock_are_a_number(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, seconds: str) -> None:
    monkeypatch.setenv("SEGMENTS_LOCK_SECONDS", seconds)
    with pytest.raises(ConfigError, match="SEGMENTS_LOCK_SECONDS is `"):
        open_lake(tmp_path)


@pytest.mark.parametrize(
    ("section", "words"),
    [
        ('[source.column_types.nope]\npaid = "DATE"', "names a table that the source does not have as text"),
        ('[source.column_types.order]\npaid = "DATE"', "(did you mean `orders`?)"),
        ('[source.column_types.orders]\npayd = "DATE"', "names `payd`, which no file has (did you mean `paid`?)"),
        ('[source.column_types.orders]\npaid = "MONEY"', "has the type `MONEY`"),
    ],
)
def test_declared_types_are_of_columns_that_there_are(tmp_path: Path, lake: Lake, section: str, words: str) -> None:
    company = load_company(write_shop(tmp_path / "shop", [], customers=[], settings=section))
    with pytest.raises(ConfigError) as refused:
        extract(company, lake, company.first_day, connections=str)
    assert words in refused.value.what
    assert refused.value.todo

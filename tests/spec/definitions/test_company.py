"""What a company folder says, and how a wrong one is answered."""

from __future__ import annotations

import subprocess
import sys
from datetime import date
from pathlib import Path

import pytest
from support.nights import run_night, write_shop

from pipeline.definitions.company import load_company
from pipeline.errors import ConfigError
from pipeline.lake.lake import Lake
from pipeline.lake.tables import CUSTOMER_FEATURES, CUSTOMERS, RAW_CUSTOMERS

MINIMAL = """
name = "Shop"
time_zone = "Europe/Berlin"
currency = "EUR"
first_day = 2024-01-01
"""

DECLARED = {"line": "COUNT(*)", "channel": "FIRST(channel)"}


def company_folder(folder: Path, text: str) -> Path:
    (folder / "sources").mkdir(exist_ok=True)
    for source in ("customers", "order_lines"):
        (folder / "sources" / f"{source}.sql").write_text("SELECT 1")
    (folder / "company.toml").write_text(text)
    return folder


def test_a_minimal_company_has_sound_defaults(tmp_path: Path) -> None:
    company = load_company(company_folder(tmp_path, MINIMAL))
    assert (company.window_days, company.lookback_days, company.schedule) == (365, 3, "0 4 * * *")
    assert company.source.kind == "files"
    assert company.source.folder == tmp_path / "data"
    assert company.target.kind == "sqlite"
    assert company.first_day == date(2024, 1, 1)


def test_personal_attributes_stay_with_the_customers_and_never_enter_the_features(tmp_path: Path) -> None:
    text = MINIMAL + '[attributes.email]\nlevel = "demographic"\npii = true\n[attributes.city]\nlevel = "geographic"\n'
    company = load_company(company_folder(tmp_path, text))
    assert {"email", "city"} <= set(company.table(RAW_CUSTOMERS).column_names)
    assert {"email", "city"} <= set(company.table(CUSTOMERS).column_names)
    assert "city" in company.table(CUSTOMER_FEATURES).column_names
    assert "email" not in company.table(CUSTOMER_FEATURES).column_names


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('name = "Shop"', "`time_zone` is missing"),
        (MINIMAL.replace("Berlin", "Berlyn"), "no IANA time zone"),
        (MINIMAL.replace("2024-01-01", '"2024-01-01"'), "`first_day` has the wrong type: str"),
        (MINIMAL + "lookback_dais = 5", "`lookback_dais` is not a known setting (did you mean `lookback_days`?)"),
        (MINIMAL + "window_days = true", "`window_days` has the wrong type: bool"),
        (MINIMAL + '[source]\nkind = "postgres"', "`source.kind` is `postgres` (did you mean `postgresql`?)"),
        (MINIMAL + '[source]\nkind = "postgresql"', "`source.connection` is missing"),
        (MINIMAL + '[attributes.city]\nlevel = "geografic"', "`attributes.city.level` is `geografic` (did you mean `geographic`?)"),
        (MINIMAL + '[attributes.r_score]\nlevel = "geographic"', "`r_score` has the name of a feature"),
        (MINIMAL + "name = 1", "not valid TOML"),
        (MINIMAL + "window_days = 0", "`window_days` must lie between 1 and 36525"),
        (MINIMAL + "window_days = 1_000_000_000_000", "`window_days` must lie between 1 and 36525"),
        (MINIMAL + "lookback_days = -3", "`lookback_days` must lie between 1 and 36525"),
        (MINIMAL + "lookback_days = 10_000_000", "`lookback_days` must lie between 1 and 36525"),
        (MINIMAL + "late_check_days = -1", "`late_check_days` must lie between 0 and 36525"),
        (MINIMAL + "late_check_days = 10_000_000", "`late_check_days` must lie between 0 and 36525"),
        (MINIMAL.replace("2024-01-01", "0001-01-01"), "`first_day` must not lie before 1900-01-01"),
        (MINIMAL.replace("2024-01-01", "2024-01-01T00:00:00"), "`first_day` has the wrong type: datetime"),
        (MINIMAL + 'schedule = "nonsense"', "`schedule` has 1 fields, not five"),
        (MINIMAL + "last_day = 2023-12-31", "`last_day` lies before `first_day`"),
        (MINIMAL + "[gates]\nrejected_share_limit = 5", "must be a number from 0 to 1"),
        (MINIMAL + '[source]\npackage = "no_such_package_here"', "`no_such_package_here` is not installed"),
    ],
)
def test_a_wrong_company_is_answered_with_file_and_key(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_company(company_folder(tmp_path, text))
    assert message in str(caught.value)
    assert "company.toml" in caught.value.where


@pytest.mark.parametrize(
    ("named", "message"),
    [
        ("lime", "names `lime`, which is no feature of your own (did you mean `line`?)"),
        ("recency_days", "names `recency_days`, which is no feature of your own"),
        ("channel", "names `channel`, which is text"),
    ],
)
def test_predictions_go_by_numbers_of_your_own(tmp_path: Path, named: str, message: str) -> None:
    (tmp_path / "features").mkdir()
    lines = (f"[{name}]\nvalue = '{value}'\nfrom = 'order_lines'\ndescription = 'x'\n" for name, value in DECLARED.items())
    (tmp_path / "features" / "own.toml").write_text("".join(lines))
    with pytest.raises(ConfigError) as told:
        load_company(company_folder(tmp_path, f"{MINIMAL}[predictions]\nfeatures = ['line', '{named}']\n"))
    assert message in str(told.value)
    assert load_company(company_folder(tmp_path, f"{MINIMAL}[predictions]\nfeatures = ['line']\n")).prediction_features == ("line",)


def test_the_longest_spans_that_can_be_set_can_be_run(tmp_path: Path) -> None:
    settings = "window_days = 36525\nlookback_days = 36525\nlate_check_days = 36525\n"
    shop = write_shop(tmp_path / "shop", ["o1,1,c1,2024-03-01 10:00:00,1,5,a"], customers=["c1"], settings=settings)
    lake = Lake(tmp_path / "lake")
    for day in (date(2024, 3, 1), date(2024, 3, 2)):
        run_night(shop, lake, day)
    assert lake.read(CUSTOMER_FEATURES, day=date(2024, 3, 2))["spend_amount"].to_pylist() == [5]


def test_a_folder_without_company_toml_says_where_to_point(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"no company\.toml here"):
        load_company(tmp_path)


def test_a_missing_source_query_is_named(tmp_path: Path) -> None:
    folder = company_folder(tmp_path, f"{MINIMAL}[attributes.city]\nlevel = 'geographic'\n")
    (folder / "sources" / "customers.sql").unlink()
    with pytest.raises(ConfigError, match=r"sources/customers\.sql is missing") as refused:
        load_company(folder)
    assert "a query for customer_id, city, one row for each customer" in refused.value.todo


def test_the_morning_page_tells_most_of_a_scheme_that_there_is(tmp_path: Path) -> None:
    assert load_company(company_folder(tmp_path, f"{MINIMAL}[report]\nscheme = 'lifecycle'\n")).report_scheme == "lifecycle"
    with pytest.raises(ConfigError, match=r"`report.scheme` is `livecycle`, which is no scheme .did you mean `lifecycle`"):
        load_company(company_folder(tmp_path, f"{MINIMAL}[report]\nscheme = 'livecycle'\n"))


@pytest.mark.parametrize(("region", "hint"), [("UK", ""), ("XX", ""), ("tr", " (did you mean `TR`?)"), ("TUR", " (did you mean `TR`?)")])
def test_a_country_of_phone_numbers_is_one_that_has_numbers(tmp_path: Path, region: str, hint: str) -> None:
    with pytest.raises(ConfigError) as refused:
        load_company(company_folder(tmp_path, f'{MINIMAL}[crm]\nphone_region = "{region}"\n'))
    assert refused.value.what == f"`crm.phone_region` is `{region}`{hint}"
    assert '"GB"' in refused.value.todo


@pytest.mark.parametrize("region", ["TR", "GB", "GE"])
def test_a_country_that_has_phone_numbers_is_taken(tmp_path: Path, region: str) -> None:
    company = load_company(company_folder(tmp_path, f'{MINIMAL}[crm]\nphone_region = "{region}"\n'))
    assert company.crm is not None
    assert company.crm.phone_region == region


def test_phone_numbers_are_not_loaded_for_a_company_without_a_region(tmp_path: Path) -> None:
    folder = company_folder(tmp_path, f"{MINIMAL}[crm]\n")
    script = "import sys; from pathlib import Path; from pipeline.definitions.company import load_company; load_company(Path(sys.argv[1]))"
    script += "; sys.exit('phonenumbers' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script, str(folder)], check=False).returncode == 0

"""Limits that are quantiles of the company's customers: whose, of which values, and from when to when."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from support.builders import a_company, an_attribute, write_customers
from support.nights import NO_GATES, run_night, write_shop

from pipeline.definitions.company import Company, load_company
from pipeline.definitions.rules import Quantile, parameter_value
from pipeline.definitions.schemes import load_schemes
from pipeline.errors import ConfigError
from pipeline.features import frozen_quantiles
from pipeline.lake.lake import Lake
from pipeline.lake.tables import CUSTOMER_SEGMENTS, SEGMENT_MOVES, Column, Kind
from pipeline.segmentation import schemes_of_night

HALF = Quantile(0.5, "income")


def a_company_with_incomes(lake: Lake, kind: Kind = Kind.MONEY) -> Company:
    return a_company(lake.root, attributes=(an_attribute(Column("income", kind, "")),))


def known(lake: Lake, night: date, *incomes: Any, kind: Kind = Kind.MONEY) -> None:
    rows = [{"customer_id": f"c{place}", "income": income} for place, income in enumerate(incomes)]
    write_customers(lake, a_company_with_incomes(lake, kind), rows, known_on=night)


@pytest.mark.parametrize(
    ("share", "incomes", "expected"),
    [
        (0.5, (10, 20, 30, 40), 20),
        (0.5, (10, 20, 30), 20),
        (0.25, (10, 20, 30, 40), 10),
        (0.26, (10, 20, 30, 40), 20),
        (0.99, (10, 20, 30, 40), 40),
        (0.1, (7, 7, 7), 7),
        (0.5, (None, 5, None, -1, -1, 9), 5),
        (0.5, (0, 0, 1), 0),
        (0.5, (None, -3), None),
        (0.5, (), None),
        (0.3, tuple(range(1, 11)), 3),
    ],
)
def test_a_quantile_is_the_lowest_value_that_the_share_does_not_exceed(
    lake: Lake, share: float, incomes: Any, expected: int | None
) -> None:
    known(lake, date(2024, 3, 1), *(None if income is None else Decimal(income) for income in incomes))
    wanted = Quantile(share, "income")
    assert frozen_quantiles(lake, date(2024, 3, 9), [wanted]) == {wanted: expected}


@pytest.mark.parametrize("kind", [Kind.INTEGER, Kind.NUMBER])
def test_any_number_may_be_a_limit(lake: Lake, kind: Kind) -> None:
    known(lake, date(2024, 3, 1), 3, 1, 2, kind=kind)
    assert frozen_quantiles(lake, date(2024, 3, 9), [HALF]) == {HALF: 2}


def test_a_limit_is_that_of_the_first_of_the_month_and_holds_for_the_month(lake: Lake) -> None:
    for night, incomes in ((date(2024, 2, 20), (10,)), (date(2024, 3, 1), (20,)), (date(2024, 3, 2), (90,)), (date(2024, 4, 1), (50,))):
        known(lake, night, *map(Decimal, incomes))
    for day, expected in ((date(2024, 2, 20), 10), (date(2024, 3, 1), 20), (date(2024, 3, 31), 20), (date(2024, 4, 1), 50)):
        assert frozen_quantiles(lake, day, [HALF]) == {HALF: expected}
    # A restatement goes by what its night knows.
    assert frozen_quantiles(lake, date(2024, 3, 31), [HALF], known_on=date(2024, 4, 1)) == {HALF: 50}


def test_before_anybody_has_the_attribute_the_first_night_that_knows_one_counts(lake: Lake) -> None:
    for night, incomes in ((date(2024, 3, 1), (None,)), (date(2024, 3, 5), (40,)), (date(2024, 3, 9), (90,))):
        known(lake, night, *(income and Decimal(income) for income in incomes))
    assert frozen_quantiles(lake, date(2024, 3, 4), [HALF]) == {HALF: None}
    assert frozen_quantiles(lake, date(2024, 3, 20), [HALF]) == {HALF: 40}


@pytest.mark.parametrize(
    ("value", "written"), [(Decimal("30000.0000"), 30000), (Decimal("19.9900"), 19.99), (0.1, 0.1), (1 / 3, 0.333333333333334), (2.0, 2)]
)
def test_a_limit_is_written_so_that_whoever_sets_it_does_not_exceed_it(value: Decimal | float, written: float) -> None:
    assert parameter_value(value) == written
    assert Decimal(str(parameter_value(value))) >= Decimal(str(value))


CUSTOMERS_SQL = "SELECT id AS customer_id, CAST(split_part(id, '-', 2) AS DECIMAL(18, 4)) * {factor} AS yearly_income FROM customers"
SETTINGS = f'{NO_GATES}[attributes.yearly_income]\nlevel = "demographic"\nkind = "money"\n'


def bands(lake: Lake, day: date) -> dict[str, str]:
    rows = lake.read(CUSTOMER_SEGMENTS, day=day).to_pylist()
    return {row["customer_id"]: row["segment"] for row in rows if row["scheme"] == "income_band"}


def test_bands_fit_any_currency_and_nobody_moves_within_a_month_because_others_did(tmp_path: Path) -> None:
    names = [f"c{place}-{place}" for place in range(1, 11)]
    shop, lake = write_shop(tmp_path / "shop", [], customers=names, settings=SETTINGS), Lake(tmp_path / "lake")
    query = shop / "sources" / "customers.sql"
    query.write_text(CUSTOMERS_SQL.format(factor=1_000_000), "utf-8")
    run_night(shop, lake, date(2024, 3, 1), until="segment")
    expected = [*["modest"] * 3, *["middle"] * 2, *["comfortable"] * 3, *["affluent"] * 2]
    assert list(bands(lake, date(2024, 3, 1)).values()) == [expected[int(name.partition("-")[2]) - 1] for name in sorted(names)]
    (shop / "data" / "customers.csv").write_text(
        "\n".join(["id", *names, *(f"n{place}-{50 + place}" for place in range(20))]) + "\n", "utf-8"
    )
    run_night(shop, lake, date(2024, 3, 2), until="segment")
    now = bands(lake, date(2024, 3, 2))
    assert {name: now[name] for name in names} == bands(lake, date(2024, 3, 1))
    assert {segment for name, segment in now.items() if name.startswith("n")} == {"affluent"}
    assert not [
        row for row in lake.read(SEGMENT_MOVES, day=date(2024, 3, 2)).to_pylist() if row["scheme"] == "income_band" and row["from_segment"]
    ]
    # A month later the twenty who earn more count: of thirty the eighth, fifteenth and twenty-fourth set the limits.
    run_night(shop, lake, date(2024, 4, 1), until="segment")
    moved = [row for row in lake.read(SEGMENT_MOVES, day=date(2024, 4, 1)).to_pylist() if row["scheme"] == "income_band"]
    assert moved
    assert {row["reason"] for row in moved} == {"threshold_refreeze"}
    april = bands(lake, date(2024, 4, 1))
    assert [list(april.values()).count(band) for band in ("modest", "middle", "comfortable", "affluent")] == [8, 7, 9, 6]


def test_a_scheme_of_an_attribute_that_nobody_has_is_not_computed(lake: Lake) -> None:
    company = a_company(lake.root, attributes=(an_attribute(Column("yearly_income", Kind.MONEY, "")),))
    write_customers(lake, company, [{"customer_id": "ann", "yearly_income": None}], known_on=date(2024, 3, 1))
    assert schemes_of_night(company, lake, date(2024, 3, 1)).not_computed["income_band"] == "needs yearly_income, of which nobody has any"


@pytest.mark.parametrize(
    ("parameter", "message"),
    [
        (
            "{quantile = 0.5, of = 'yearly_incom'}",
            "a quantile of `yearly_incom`, which is no number that customers have (did you mean `yearly_income`?)",
        ),
        ("{quantile = 1.5, of = 'yearly_income'}", "the parameter `p` is no quantile"),
        ("{quantile = 0.5}", "the parameter `p` is no quantile"),
        ("{quantile = 0.5, of = 'spend_amount'}", "a quantile of `spend_amount`, which is no number that customers have"),
    ],
)
def test_a_quantile_that_cannot_be_is_refused(tmp_path: Path, parameter: str, message: str) -> None:
    shop = write_shop(tmp_path, [], customers=[], settings='[attributes.yearly_income]\nlevel = "demographic"\nkind = "money"\n')
    (shop / "segments").mkdir()
    text = (
        'title = "T"\nkind = "rules"\nlevel = "demographic"\nquestion = "Q?"\nevidence = ["order_count"]\n'
        f'parameters.p = {parameter}\n[[segment]]\nid = "x"\ntitle = "X"\ndescription = "D."\nrule = "yearly_income <= @p"\n'
        '[[segment]]\nid = "y"\ntitle = "Y"\ndescription = "D."\notherwise = true\n'
    )
    (shop / "segments" / "mine.toml").write_text(text, "utf-8")
    with pytest.raises(ConfigError) as refused:
        load_schemes(load_company(shop))
    assert message in str(refused.value)

"""Our own schemes: what each says of a customer, and what it tells a marketer to do."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from support.builders import a_company, an_attribute, write_rows

from pipeline.definitions.company import PROJECT_ROOT, Company, load_company
from pipeline.definitions.company_sections import LEVELS
from pipeline.definitions.rules import Quantile, rule_value
from pipeline.definitions.schemes import STRATEGY_TEXTS, Scheme, Schemes, Strategy, load_schemes, segments_statement, with_limits
from pipeline.lake import addresses
from pipeline.lake.engines.duckdb import DuckDBEngine
from pipeline.lake.lake import Lake
from pipeline.lake.tables import CUSTOMER_FEATURES, Column, Kind

NIGHT = date(2024, 3, 31)
FEATURES = {column.name for column in CUSTOMER_FEATURES.columns}
DEMO = "adventureworks"
STANDING = {"unknown", "other", "insufficient_evidence"}
PER_LEVEL = {
    "demographic": {"age_band", "household", "income_band"},
    "geographic": {"city_tier", "country", "region"},
    "psychographic": {"purchase_motive", "survey_interest"},
    "behavioural": {"category_affinity", "lifecycle", "rfm", "shopper_groups", "value_tier"},
    "firmographic": {"business_type", "firm_age", "firm_sales", "firm_size"},
}
LIMITS = {
    Quantile(0.25, "yearly_income"): Decimal(30_000),
    Quantile(0.5, "yearly_income"): Decimal(60_000),
    Quantile(0.8, "yearly_income"): Decimal(100_000),
    Quantile(0.4, "annual_sales"): Decimal(500_000),
    Quantile(0.8, "annual_sales"): Decimal(2_000_000),
}
OURS = sorted(name for names in PER_LEVEL.values() for name in names)


@cache
def schemes_of(example: str) -> Schemes:
    return load_schemes(load_company(PROJECT_ROOT / "examples" / example))


def scheme(name: str, example: str = DEMO) -> Scheme:
    return next(found for found in schemes_of(example).schemes if found.name == name)


def default_schemes() -> list[Scheme]:
    """Return our schemes, and the company's own where it has no use for ours."""
    journey = [found for found in schemes_of("complete_journey").schemes if "complete_journey" in str(found.file)]
    return [*schemes_of(DEMO).schemes, *journey]


def cards(found: Scheme) -> Iterator[tuple[str, Strategy | None]]:
    """Yield the card of each segment that a definition names, and the one that all others share."""
    if found.kind != "rules":
        yield "of all others", found.strategy
    yield from ((segment.id, segment.strategy) for segment in found.segments if found.kind == "rules" or segment.id not in STANDING)


def segment_of(name: str, **row: Any) -> str:
    """Return the segment of our scheme `name` for a customer of the demo."""
    given = {key: Fraction(Decimal(value)) if key in ("yearly_income", "annual_sales") and value else value for key, value in row.items()}
    [limited] = (each for each in with_limits(schemes_of(DEMO), LIMITS).schemes if each.name == name)
    holding = (s.id for s in limited.segments if s.rule is None or rule_value(s.rule, given) is True)
    return next(holding)


def test_the_demo_is_segmented_on_all_five_levels() -> None:
    loaded = schemes_of(DEMO)
    found = {level: {each.name for each in loaded.schemes if each.level == level} for level in LEVELS}
    for level, names in PER_LEVEL.items():
        assert names <= found[level] | loaded.not_computed.keys()
        assert found[level], f"no scheme of level {level}"


def test_nothing_of_ours_is_left_out_of_the_demo_but_what_waits_for_a_feature() -> None:
    waiting = {} if "calendar_year" in FEATURES else dict.fromkeys(("age_band", "firm_age"), "needs calendar_year")
    assert {name: why for name, why in schemes_of(DEMO).not_computed.items() if name in OURS} == waiting


def test_a_company_without_attributes_is_told_what_each_scheme_needs() -> None:
    missing = schemes_of("online_retail").not_computed
    assert missing["household"] == "needs children_count, marital_status"
    assert missing["city_tier"] == "needs city"
    assert missing["firm_size"] == "needs employee_count"
    assert not {"category_affinity", "lifecycle", "rfm", "value_tier"} & missing.keys()


def test_a_company_that_knows_bands_itself_replaces_our_schemes_of_the_same_name() -> None:
    for name in ("age_band", "income_band"):
        assert scheme(name, "complete_journey").kind == "values"
        assert scheme(name, "complete_journey").attribute == name


@pytest.mark.parametrize("found", default_schemes(), ids=lambda found: found.name)
def test_every_segment_says_what_to_do_in_one_sentence_each(found: Scheme) -> None:
    for segment, card in cards(found):
        assert card is not None, f"{segment} has no strategy"
        for text in (getattr(card, name) for name in STRATEGY_TEXTS):
            assert re.fullmatch(r"[A-Z][^{}<>\[\]@]{3,150}[.?!]", text), text
            assert not re.search(r"[.?!] |TODO|XXX|\.\.", text), text
        assert card.budget_share > 0


@pytest.mark.parametrize("found", default_schemes(), ids=lambda found: found.name)
def test_no_two_segments_of_a_scheme_are_told_the_same(found: Scheme) -> None:
    for name in STRATEGY_TEXTS:
        told = Counter(getattr(card, name) for _, card in cards(found))
        assert max(told.values()) == 1, told.most_common(1)


@pytest.mark.parametrize("found", default_schemes(), ids=lambda found: found.name)
def test_a_scheme_shares_out_no_more_than_its_budget_however_many_values_there_are(found: Scheme) -> None:
    total = sum(card.budget_share for segment, card in cards(found) if card and segment != "of all others")
    if found.strategy is not None:
        standing = sum(segment.id in STANDING for segment in found.segments)
        total += found.strategy.budget_share * (found.most_segments + standing)
    assert 0.5 < total <= 1 + 1e-9


SAYS_LATE = (
    r"miss you|been a (?:long time|while)|usually have ordered by now|last you hear|were one of our best|since your last order"
    r"|stay in touch|something was not right with your order"
)
SAYS_ON_TIME = r"right on time|good to have you back|you are back|first order: |a regular here|coming back|order again in one step|so often"


@pytest.mark.parametrize("found", default_schemes(), ids=lambda found: found.name)
def test_a_card_that_says_somebody_is_late_or_on_time_assumes_so(found: Scheme) -> None:
    for segment, card in cards(found):
        if card and re.search(SAYS_LATE, card.message, re.IGNORECASE):
            assert card.assumes in ("late", "gone"), (segment, card.message)
        if card and re.search(SAYS_ON_TIME, card.message, re.IGNORECASE):
            assert card.assumes == "on_time", (segment, card.message)


def test_what_customers_do_comes_before_what_they_are() -> None:
    at_best: dict[str, list[int]] = {scheme.level: [] for scheme in default_schemes()}
    for found in default_schemes():
        at_best[found.level] += [card.priority for _, card in cards(found) if card]
    assert min(at_best.pop("behavioural")) == 1
    assert min(at_best.pop("firmographic")) == 2
    assert {min(priorities) for priorities in at_best.values()} == {4}


def test_the_best_and_the_endangered_come_before_the_lost() -> None:
    urgent = {segment.id: segment.strategy.priority for segment in scheme("rfm").segments if segment.strategy}
    assert urgent["cant_lose_them"] == urgent["at_risk"] == min(urgent.values())
    assert urgent["lost"] == max(urgent.values())
    assert urgent["champions"] < urgent["hibernating"]


@pytest.mark.parametrize(("name", "segment"), [("rfm", "champions"), ("rfm", "loyal"), ("lifecycle", "active"), ("value_tier", "a")])
def test_who_buys_at_full_price_is_offered_no_discount(name: str, segment: str) -> None:
    card = next(card for found, card in cards(scheme(name)) if found == segment)
    assert card is not None
    assert card.price.startswith("Full price")
    assert not re.search(r"voucher|money off|% off|discount(?! away)", f"{card.message} {card.product_offer} {card.channel}")


@pytest.mark.parametrize(
    ("income", "expected"),
    [
        ("0", "modest"),
        ("30000", "modest"),
        ("30000.0001", "middle"),
        ("60000", "middle"),
        ("60000.0001", "comfortable"),
        ("100000", "comfortable"),
        ("100000.0001", "affluent"),
        ("-0.0001", "unknown"),
        (None, "unknown"),
    ],
)
def test_an_income_belongs_to_the_band_that_ends_with_it(income: str | None, expected: str) -> None:
    assert segment_of("income_band", yearly_income=income) == expected


@pytest.mark.parametrize(
    ("children", "status", "expected"),
    [
        (2, "married", "family"),
        (1, "married", "family"),
        (0, "married", "couple"),
        (1, "single", "single_parent"),
        (0, "single", "single"),
        (None, "married", "unknown"),
        (1, None, "unknown"),
        (0, "widowed", "unknown"),
        (-1, "single", "unknown"),
        (None, None, "unknown"),
    ],
)
def test_a_household_is_told_from_children_and_marital_status(children: int | None, status: str | None, expected: str) -> None:
    assert segment_of("household", children_count=children, marital_status=status) == expected


@pytest.mark.parametrize(
    ("employees", "expected"),
    [
        (0, "micro"),
        (9, "micro"),
        (10, "small"),
        (49, "small"),
        (50, "medium"),
        (249, "medium"),
        (250, "large"),
        (-1, "unknown"),
        (None, "unknown"),
    ],
)
def test_a_firm_is_as_large_as_the_european_union_says(employees: int | None, expected: str) -> None:
    assert segment_of("firm_size", employee_count=employees) == expected


@pytest.mark.parametrize(
    ("sales", "expected"),
    [
        ("0", "lower"),
        ("500000", "lower"),
        ("500000.0001", "middle"),
        ("2000000", "middle"),
        ("2000000.0001", "upper"),
        ("-1", "unknown"),
        (None, "unknown"),
    ],
)
def test_the_sales_of_a_firm_belong_to_the_class_that_ends_with_them(sales: str | None, expected: str) -> None:
    assert segment_of("firm_sales", annual_sales=sales) == expected


needs_the_year = pytest.mark.skipif("calendar_year" not in FEATURES, reason="customer_features has no column calendar_year")


@needs_the_year
@pytest.mark.parametrize(
    ("age", "expected"),
    [
        (0, "young"),
        (24, "young"),
        (25, "established"),
        (39, "established"),
        (40, "midlife"),
        (54, "midlife"),
        (55, "mature"),
        (66, "mature"),
        (67, "senior"),
        (110, "senior"),
        (111, "unknown"),
        (-1, "unknown"),
        (None, "unknown"),
    ],
)
def test_an_age_band_begins_in_the_year_of_a_birthday(age: int | None, expected: str) -> None:
    assert segment_of("age_band", calendar_year=2024, birth_year=None if age is None else 2024 - age) == expected


@needs_the_year
@pytest.mark.parametrize(
    ("years", "expected"),
    [
        (0, "young"),
        (9, "young"),
        (10, "grown"),
        (24, "grown"),
        (25, "long_standing"),
        (300, "long_standing"),
        (-1, "unknown"),
        (None, "unknown"),
    ],
)
def test_a_firm_grows_older_with_the_calendar(years: int | None, expected: str) -> None:
    assert segment_of("firm_age", calendar_year=2024, year_opened=None if years is None else 2024 - years) == expected


def company_with(folder: Path, *attributes: str, **definitions: str) -> Company:
    (folder / "segments").mkdir(parents=True, exist_ok=True)
    for name, text in definitions.items():
        (folder / "segments" / f"{name}.toml").write_text(text, "utf-8")
    return a_company(folder, attributes=tuple(an_attribute(Column(name, Kind.TEXT, "")) for name in attributes))


def segments_in(company: Company, name: str, customers: list[dict[str, Any]]) -> list[str | None]:
    """Return the segment of each customer in the scheme `name`, as the engine tells it; None where it does not apply."""
    lake, table = Lake(company.folder / "lake"), company.table(CUSTOMER_FEATURES)
    rows = [{"customer_id": f"c{number:04}", "is_prospect": False, **customer} for number, customer in enumerate(customers)]
    write_rows(lake, table, rows, day=NIGHT)
    engine = DuckDBEngine(lake.store, memory_limit="500MB", threads=1)
    engine.register(table, [addresses.partition(table, day=NIGHT)])
    chosen = [found for found in load_schemes(company).schemes if found.name == name]
    found = engine.run(segments_statement(chosen), {}).read_all().to_pylist()
    engine.close()
    by_customer = {row["customer_id"]: row["segment"] for row in found}
    assert len(by_customer) == len(found)
    return [by_customer.get(row["customer_id"]) for row in rows]


def who(name: str, counts: dict[str | None, int], **features: Any) -> list[dict[str, Any]]:
    """Return as many customers for each value of the attribute `name` as `counts` says."""
    return [{name: value, **features} for value, count in counts.items() for _ in range(count)]


def test_who_tells_no_country_is_unknown_and_never_dropped(tmp_path: Path) -> None:
    customers = who("country", {"Georgia": 6, "Türkiye": 5, None: 2, "": 1})
    found = segments_in(company_with(tmp_path, "country"), "country", customers)
    assert found == [*["Georgia"] * 6, *["Türkiye"] * 5, "unknown", "unknown", "unknown"]


def test_countries_beyond_the_largest_are_other_and_alike_however_many_they_are(tmp_path: Path) -> None:
    most = scheme("country").most_segments
    counts: dict[str | None, int] = {f"land {number:02}": 6 for number in range(most)} | {"tiny": 5, "isle": 5}
    found = segments_in(company_with(tmp_path, "country"), "country", who("country", counts))
    assert Counter(found) == {**{f"land {number:02}": 6 for number in range(most)}, "other": 10}


def test_the_first_half_of_customers_live_in_main_cities_and_the_next_30_percent_in_medium_ones(tmp_path: Path) -> None:
    counts: dict[str | None, int] = {"half": 50, "third": 30, "hamlet": 12, "farm": 8, None: 4, "": 1}
    found = segments_in(company_with(tmp_path, "city"), "city_tier", who("city", counts))
    assert found == [*["large"] * 50, *["medium"] * 30, *["small"] * 20, *["unknown"] * 5]


def test_cities_of_the_same_size_are_in_the_same_tier(tmp_path: Path) -> None:
    twins: dict[str | None, int] = {"b": 5, "a": 5, "c": 5, "d": 1}
    assert segments_in(company_with(tmp_path, "city"), "city_tier", who("city", twins)) == [*["large"] * 15, "small"]


def test_the_city_that_crosses_a_limit_belongs_above_it(tmp_path: Path) -> None:
    counts: dict[str | None, int] = {"a": 49, "b": 31, "c": 20}
    assert segments_in(company_with(tmp_path, "city"), "city_tier", who("city", counts)) == [*["large"] * 80, *["small"] * 20]


def test_a_favourite_category_takes_two_order_days(tmp_path: Path) -> None:
    customers = [
        *[{"favourite_category": "tea", "order_day_count": 2}] * 5,
        {"favourite_category": "tea", "order_day_count": 1},
        {"favourite_category": None, "order_day_count": 0},
        {"favourite_category": None, "order_day_count": 3},
    ]
    found = segments_in(company_with(tmp_path), "category_affinity", customers)
    assert found == [*["tea"] * 5, "insufficient_evidence", "insufficient_evidence", "unknown"]


TWO_ORDERS = """
title = "Mine"
kind = "values"
level = "geographic"
question = "Q?"
evidence = ["order_day_count"]
attribute = "{attribute}"
rule = "order_day_count >= 2"
most_segments = 1
fewest_customers = 1
"""


@pytest.mark.parametrize("attribute", ["home", "value", "place", "rank_share"])
def test_an_attribute_may_have_any_name(tmp_path: Path, attribute: str) -> None:
    company = company_with(tmp_path, attribute, mine=TWO_ORDERS.format(attribute=attribute))
    assert segments_in(company, "mine", who(attribute, {"x": 2, None: 1}, order_day_count=2)) == ["x", "x", "unknown"]


def test_an_attribute_beside_the_one_that_decides_changes_nothing(tmp_path: Path) -> None:
    company = company_with(tmp_path, "home", "value", "place", mine=TWO_ORDERS.format(attribute="home"))
    assert segments_in(company, "mine", who("home", {"x": 2}, order_day_count=2, value="y")) == ["x", "x"]


def test_only_those_whom_the_rule_takes_decide_which_values_are_large(tmp_path: Path) -> None:
    company = company_with(tmp_path, "home", mine=TWO_ORDERS.format(attribute="home"))
    customers = [*who("home", {"x": 3}, order_day_count=1), *who("home", {"x": 1, "y": 2}, order_day_count=2)]
    assert segments_in(company, "mine", customers) == [*["insufficient_evidence"] * 3, "other", "y", "y"]


def test_schemes_of_firms_are_for_firms_and_those_of_persons_for_persons(tmp_path: Path) -> None:
    company = company_with(tmp_path, "business_type", "main_purchase_motive", "survey_interest")
    customers = [*[{"business_type": "Warehouse"}] * 5, *[{"main_purchase_motive": "Price"}] * 5, {"business_type": ""}]
    assert segments_in(company, "business_type", customers) == [*["Warehouse"] * 5, *[None] * 6]
    assert segments_in(company, "purchase_motive", customers) == [*[None] * 5, *["Price"] * 5, "unknown"]
    assert segments_in(company, "survey_interest", customers) == [*[None] * 5, *["unknown"] * 6]


FIRMS = {name: Column(name, Kind.INTEGER, "") for name in ("employee_count", "year_opened")} | {
    "annual_sales": Column("annual_sales", Kind.MONEY, ""),
    "business_type": Column("business_type", Kind.TEXT, ""),
    "birth_year": Column("birth_year", Kind.INTEGER, ""),
}


@pytest.mark.parametrize(
    ("scheme", "attribute", "given", "expected"),
    [
        ("firm_size", "employee_count", [30, -1, 0, None], ["small", "unknown", None, None]),
        ("firm_age", "year_opened", [2020, 2999, None], ["young", "unknown", None]),
        ("firm_sales", "annual_sales", [Decimal(5), Decimal(-1), Decimal(0), None], ["lower", "unknown", None, None]),
        ("age_band", "birth_year", [2000, None], ["young", "unknown"]),
    ],
)
def test_a_scheme_loads_where_a_company_has_its_attribute_alone(
    tmp_path: Path, scheme: str, attribute: str, given: list[Any], expected: list[str | None]
) -> None:
    company = a_company(tmp_path, attributes=(an_attribute(FIRMS[attribute]),))
    customers = [{attribute: value, "calendar_year": 2024} for value in given]
    assert segments_in(company, scheme, customers) == expected


def test_one_thing_that_only_firms_have_makes_a_firm(tmp_path: Path) -> None:
    company = a_company(tmp_path, attributes=tuple(map(an_attribute, FIRMS.values())))
    customers = [{"business_type": "Shop"}, {"annual_sales": Decimal(9)}, {"birth_year": 1980}, {}]
    customers = [{**customer, "calendar_year": 2024} for customer in customers]
    assert segments_in(company, "firm_size", customers) == ["unknown", "unknown", None, None]
    assert segments_in(company, "age_band", customers) == [None, None, "midlife", "unknown"]


def test_an_attribute_is_firm_of_the_companys_own_decides_who_is_one(tmp_path: Path) -> None:
    flag = Column("is_firm", Kind.FLAG, "")
    company = a_company(tmp_path, attributes=(an_attribute(FIRMS["employee_count"]), an_attribute(flag)))
    customers = [{"employee_count": 3, "is_firm": False}, {"is_firm": True}, {"employee_count": 3, "is_firm": None}]
    assert segments_in(company, "firm_size", customers) == [None, "unknown", None]

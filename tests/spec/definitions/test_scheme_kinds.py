"""Schemes that refer to others, that go by the best score, and whose segments are values."""

from __future__ import annotations

from contextlib import closing
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from support.builders import a_company, an_attribute, scored_features

from pipeline.definitions.company import Company
from pipeline.definitions.proofs import Proof
from pipeline.definitions.schemes import Scheme, load_schemes, segments_statement
from pipeline.errors import ConfigError
from pipeline.lake.engines.duckdb import DuckDBEngine
from pipeline.lake.lake import Lake
from pipeline.lake.tables import CUSTOMER_FEATURES, Column, Kind

HEAD = 'title = "T"\nlevel = "behavioural"\nquestion = "Q?"\nevidence = ["order_count"]\n'
CITY = an_attribute(Column("city", Kind.TEXT, "City."), "geographic")


def company_with(folder: Path, **definitions: str) -> Company:
    (folder / "segments").mkdir(parents=True, exist_ok=True)
    for name, text in definitions.items():
        (folder / "segments" / f"{name}.toml").write_text(HEAD + text, "utf-8")
    return a_company(folder, attributes=(CITY,))


def scheme(company: Company, name: str) -> Scheme:
    return next(scheme for scheme in load_schemes(company).schemes if scheme.name == name)


def refusal(folder: Path, **definitions: str) -> str:
    with pytest.raises(ConfigError) as caught:
        load_schemes(company_with(folder, **definitions))
    return str(caught.value)


def segment(name: str, rule: str = "", more: str = "") -> str:
    decision = f"rule = '''{rule}'''" if rule else "otherwise = true"
    return f'[[segment]]\nid = "{name}"\ntitle = "{name.title()}"\ndescription = "D."\n{more or decision}\n'


def told(company: Company, lake: Lake, name: str, *customers: dict[str, Any]) -> dict[str, tuple[str, str]]:
    """Return segment and evidence by customer, as DuckDB decides them."""
    table = company.table(CUSTOMER_FEATURES)
    zeros = {Kind.INTEGER: 0, Kind.MONEY: 0, Kind.FLAG: False, Kind.DATE: date(2024, 3, 31)}
    rows = []
    for number, customer in enumerate(customers):
        required = {column.name: zeros.get(column.kind, "") for column in table.columns if column.required}
        rows.append({**dict.fromkeys(table.column_names), **required, "customer_id": f"c{number}", **customer})
    lake.write_file(table.schema, pa.Table.from_pylist(rows, schema=table.schema).to_batches(), "features.parquet", {})
    schemes = load_schemes(company).schemes
    with closing(DuckDBEngine(lake.store)) as engine:
        engine.register(table, ["features.parquet"])
        found = engine.run(segments_statement(schemes), {}).read_all().to_pylist()
    found.sort(key=lambda row: int(row["customer_id"][1:]))
    return {row["customer_id"]: (row["segment"], row["evidence"]) for row in found if row["scheme"] == name}


RULES = 'kind = "rules"\n'
STARS = RULES + segment("star", "rfm.segment = 'Champions' AND order_count >= @many") + segment("rest")


def test_a_rule_may_look_at_the_segment_of_another_scheme(tmp_path: Path, lake: Lake) -> None:
    company = company_with(tmp_path, mine="parameters.many = 3\n" + STARS)
    champion = scored_features(5, 5, 5)
    found = told(company, lake, "mine", {**champion, "order_count": 3}, {**champion, "order_count": 2}, {"order_count": 9})
    assert [segment for segment, _ in found.values()] == ["star", "rest", "rest"]


def test_schemes_refer_to_schemes_that_refer_to_schemes(tmp_path: Path, lake: Lake) -> None:
    outer = RULES + segment("best", "mine.segment = 'star' AND rfm.segment <> 'lost'") + segment("rest")
    company = company_with(tmp_path, outer=outer, mine="parameters.many = 3\n" + STARS)
    assert scheme(company, "outer").references == ("rfm", "mine")
    champion = {**scored_features(5, 5, 5), "order_count": 3}
    assert told(company, lake, "outer", champion, {"order_count": 3})["c0"][0] == "best"


CITIES = 'kind = "values"\nattribute = "city"\nmost_segments = 2\nfewest_customers = 1\nrule = "order_count > 0"\n'
SIZES = (
    'kind = "value_tiers"\nattribute = "city"\nfewest_customers = 1\n' + segment("large", more="below = 0.5") + segment("small", more=" ")
)
PLACES = segment("rest_of_all", "cities.segment = 'other'") + segment("metropolitans", "cities.segment = 'Ulm' AND sizes.segment = 'Large'")


def test_a_rule_may_look_at_values_and_tiers_of_values(tmp_path: Path, lake: Lake) -> None:
    outer = RULES + segment("out", "mine.segment = 'rest_of_all' OR sizes.segment = 'unknown'") + segment("rest")
    company = company_with(tmp_path, cities=CITIES, sizes=SIZES, mine=RULES + PLACES + segment("rest"), outer=outer)
    assert scheme(company, "outer").references == ("cities", "sizes", "mine")
    people = [{"city": city, "order_count": 1} for city in ("Ulm", "Ulm", "Bonn", "Bonn", "Aue", None)]
    idle = [{"city": "Ulm", "order_count": 0}]
    assert [segment for segment, _ in told(company, lake, "mine", *people, *idle).values()] == [
        *("metropolitans", "metropolitans", "rest", "rest", "rest_of_all", "rest", "rest")
    ]
    assert [segment for segment, _ in told(company, lake, "outer", *people).values()] == ["rest"] * 4 + ["out"] * 2


def test_values_may_be_those_of_whom_a_scheme_of_values_takes(tmp_path: Path, lake: Lake) -> None:
    inner = 'kind = "values"\nattribute = "favourite_category"\nfewest_customers = 1\nrule = "cities.segment = \'Ulm\'"\n'
    people = [{"city": city, "favourite_category": "tea", "order_count": 1} for city in ("Ulm", "Ulm", "Bonn")]
    found = told(company_with(tmp_path, cities=CITIES, inner=inner), lake, "inner", *people)
    assert [segment for segment, _ in found.values()] == ["tea", "tea", "insufficient_evidence"]


def test_a_reference_to_a_tier_is_checked_and_proven_and_one_to_a_value_may_be_any_text(tmp_path: Path) -> None:
    rules = RULES + segment("some", "sizes.segment IN ('large', 'small')") + segment("none", "sizes.segment = 'unknown'")
    company = company_with(tmp_path / "closed", cities=CITIES, sizes=SIZES, mine=rules)
    assert scheme(company, "mine").proof == Proof("intervals")
    assert "nobody can ever be in `rest`" in refusal(tmp_path / "over", sizes=SIZES, mine=rules + segment("rest"))
    typo = RULES + segment("x", "sizes.segment = 'largge'") + segment("rest")
    assert "no such segment: `largge` (did you mean `large`?)" in refusal(tmp_path / "typo", sizes=SIZES, mine=typo)
    twice = segment("x", "cities.segment = 'Ulm'") + segment("dead", "cities.segment IN ('Ulm')") + segment("rest")
    assert "nobody can ever be in `dead`: `x` comes first" in refusal(tmp_path / "dead", cities=CITIES, mine=RULES + twice)


def test_a_circle_through_a_scheme_of_values_is_refused(tmp_path: Path) -> None:
    cities = CITIES.replace("order_count > 0", "mine.segment = 'x'")
    message = refusal(tmp_path, cities=cities, mine=RULES + segment("x", "cities.segment = 'Ulm'") + segment("rest"))
    assert "in a circle: " in message
    assert "cities" in message


def test_a_circle_of_references_is_refused_with_its_path(tmp_path: Path) -> None:
    one, two = (RULES + segment("x", f"{other}.segment = 'x'") + segment("rest") for other in ("two", "one"))
    message = refusal(tmp_path, one=one, two=two)
    assert "in a circle: " in message
    assert "one > two > one" in message or "two > one > two" in message


def test_a_scheme_that_refers_to_itself_is_refused(tmp_path: Path) -> None:
    assert "circle: mine > mine" in refusal(tmp_path, mine=RULES + segment("x", "mine.segment = 'x'") + segment("rest"))


def test_a_reference_to_no_scheme_is_answered_with_the_nearest(tmp_path: Path) -> None:
    message = refusal(tmp_path, mine=RULES + segment("x", "rfn.segment = 'lost'") + segment("rest"))
    assert "unknown name `rfn.segment`" in message


def test_a_scheme_that_refers_to_one_that_is_not_computed_is_not_computed_either(tmp_path: Path) -> None:
    base = RULES + "needs.age = 'integer'\n" + segment("old", "age > 60") + segment("rest")
    loaded = load_schemes(company_with(tmp_path, base=base, mine=RULES + segment("x", "base.segment = 'old'") + segment("rest")))
    assert loaded.not_computed["base"] == "needs age"
    assert loaded.not_computed["mine"] == "needs base"


def test_a_segment_hidden_by_a_reference_is_found(tmp_path: Path) -> None:
    rules = segment("first", "rfm.segment IN ('lost', 'champions')") + segment("dead", "rfm.segment = 'lost' AND order_count > 3")
    assert "nobody can ever be in `dead`: `first` comes first" in refusal(tmp_path, mine=RULES + rules + segment("rest"))


def test_a_parameter_that_no_rule_names_is_refused(tmp_path: Path) -> None:
    message = refusal(tmp_path, mine="parameters.few = 3\n" + RULES + segment("x", "order_count > 3") + segment("rest"))
    assert "no rule names the parameter `@few`" in message


SCORED = RULES + 'decision = "highest_score"\nfloor = 0.5\n'
THREE = """signals = ["order_count >= 4", "discount_share < 0.5", "recency_days <= 30"]"""


def test_the_highest_score_decides_and_evidence_has_all_scores(tmp_path: Path, lake: Lake) -> None:
    text = (
        SCORED
        + segment("loyal", more=THREE)
        + segment("bargain", more='score = "discount_share"\nrule = "order_count >= 3"')
        + segment("rest")
    )
    found = told(
        company_with(tmp_path, mine=text),
        lake,
        "mine",
        {"order_count": 4, "discount_share": 0.4, "recency_days": 1},
        {"order_count": 4, "discount_share": 0.9, "recency_days": 1},
        {"order_count": 2, "discount_share": 0.9, "recency_days": 1},
        {"order_count": 4, "discount_share": None, "recency_days": 1},
    )
    assert [name for name, _ in found.values()] == ["loyal", "bargain", "rest", "rest"]
    assert [evidence for _, evidence in found.values()] == [
        "order_count=4, loyal=3/3, bargain=50%",
        "order_count=4, loyal=2/3, bargain=90%",
        "order_count=2, loyal=1/3, bargain=50%",
        "order_count=4, loyal=2/3, bargain=50%",
    ]


def test_of_equal_scores_the_first_segment_of_the_file_wins(tmp_path: Path, lake: Lake) -> None:
    text = SCORED + segment("one", more='score = "order_count"') + segment("two", more='score = "order_count"') + segment("rest")
    assert told(company_with(tmp_path, mine=text), lake, "mine", {"order_count": 4})["c0"][0] == "one"


def test_a_scheme_by_scores_can_be_referred_to(tmp_path: Path, lake: Lake) -> None:
    base = SCORED + segment("many", more='score = "order_count"') + segment("rest")
    company = company_with(tmp_path, base=base, mine=RULES + segment("x", "base.segment = 'many'") + segment("rest"))
    found = told(company, lake, "mine", {"order_count": 4}, {"order_count": 0})
    assert [name for name, _ in found.values()] == ["x", "rest"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (SCORED + segment("x", "order_count > 1") + segment("rest"), "either a `score` or `signals`"),
        (SCORED + segment("x", more='score = "order_count"'), "nobody is left over"),
        (SCORED + segment("x", more='score = "order_count"\nrule = "order_count < 0"') + segment("rest"), "its rule never holds"),
        (SCORED + segment("x", more='signals = ["order_count > 1"]\nneeded = 2') + segment("rest"), "`needed` must lie between"),
        ('kind = "values"\nattribute = "citi"\n', "`attribute` is `citi`, which is no text that is known (did you mean `city`?)"),
        ('kind = "value_tiers"\nattribute = "city"\n' + segment("a", more="below = 0.5"), "the tiers do not divide all customers"),
        (RULES + "parameters.a = []\n" + segment("rest"), "the parameter `a` is of no kind that rules know"),
    ],
)
def test_a_wrong_definition_is_refused(tmp_path: Path, text: str, message: str) -> None:
    assert message in refusal(tmp_path, mine=text)


def test_the_most_frequent_values_are_segments_and_who_has_none_is_unknown(tmp_path: Path, lake: Lake) -> None:
    text = 'kind = "values"\nattribute = "city"\nmost_segments = 2\nfewest_customers = 1\nrule = "order_count > 0"\n'
    company = company_with(tmp_path, mine=text)
    cities = ["Ağrı", "Ağrı", "Bonn", "Aachen", None, ""]
    customers = [{"city": city, "order_count": 1} for city in cities]
    found = told(company, lake, "mine", *customers, {"city": "Bonn", "order_count": 0})
    assert [name for name, _ in found.values()] == ["Ağrı", "Ağrı", "other", "Aachen", "unknown", "unknown", "insufficient_evidence"]


def test_tiers_of_values_keep_equally_large_values_together(tmp_path: Path, lake: Lake) -> None:
    tiers = segment("large", more="below = 0.4") + segment("middle", more="below = 0.7") + segment("small", more=" ")
    company = company_with(tmp_path, mine='kind = "value_tiers"\nattribute = "city"\nfewest_customers = 1\n' + tiers)
    cities = [*["a"] * 4, *["b"] * 2, *["c"] * 2, "d", "e", None]
    found = told(company, lake, "mine", *({"city": city} for city in cities))
    assert {city: name for city, (name, _) in zip(cities, found.values(), strict=True)} == {
        "a": "large", "b": "middle", "c": "middle", "d": "small", "e": "small", None: "unknown",
    }  # fmt: skip


def test_who_came_this_month_moves_nobody_to_another_tier(tmp_path: Path, lake: Lake) -> None:
    tiers = segment("large", more="below = 0.5") + segment("small", more=" ")
    company = company_with(tmp_path, mine='kind = "value_tiers"\nattribute = "city"\nfewest_customers = 1\n' + tiers)
    known = [{"city": city} for city in ["a", "a", "b", None]]
    new: list[dict[str, Any]] = [{"city": city, "is_new_this_month": True} for city in ["b", "b", "c", "c", "a", ""]]
    found = [name for name, _ in told(company, lake, "mine", *known, *new).values()]
    assert found == ["large", "large", "small", "unknown", "small", "small", "small", "small", "large", "unknown"]


CARD = "\n".join(f'strategy.{name} = "{name}!"' for name in ("message", "promotion", "product_offer", "price", "channel", "service"))


def test_titles_and_cards_are_given_per_language(tmp_path: Path) -> None:
    card = CARD.replace('strategy.message = "message!"', 'strategy.message.en = "Hello"\nstrategy.message.tr = "Merhaba"')
    more = f"rule = 'order_count > 1'\n{card}\nstrategy.priority = 2\nstrategy.budget_share = 0.5"
    text = RULES + segment("x", more=more).replace('title = "X"', 'title.en = "X"\ntitle.tr = "Çok"') + segment("rest")
    mine = scheme(company_with(tmp_path, mine=text), "mine").segments[0]
    assert (mine.title, mine.titles) == ("X", {"tr": "Çok"})
    assert mine.strategy is not None
    assert mine.strategy.texts("tr") == {**mine.strategy.texts("en"), "message": "Merhaba"}


@pytest.mark.parametrize(
    ("card", "message"),
    [
        (CARD + "\nstrategy.priority = 6\nstrategy.budget_share = 0.5", "the strategy is out of bounds"),
        (CARD + "\nstrategy.priority = 1", "`segment 1: strategy.budget_share` is missing"),
        (CARD + "\nstrategy.priority = 1\nstrategy.budget_share = 0.1\nstrategy.mesage = 'x'", "did you mean `message`?"),
    ],
)
def test_a_wrong_card_is_refused(tmp_path: Path, card: str, message: str) -> None:
    assert message in refusal(tmp_path, mine=RULES + segment("x", more=f"rule = 'order_count > 1'\n{card}") + segment("rest"))


def test_segments_cannot_share_out_more_than_the_whole_budget(tmp_path: Path) -> None:
    card = f"{CARD}\nstrategy.priority = 1\nstrategy.budget_share = 0.6"
    parts = [segment("x", more=f"rule = 'order_count > 1'\n{card}"), segment("rest", more=f"otherwise = true\n{card}")]
    assert "the budget shares add up to 1.2" in refusal(tmp_path, mine=RULES + "".join(parts))


def test_a_value_that_hardly_anybody_shares_is_no_segment(tmp_path: Path, lake: Lake) -> None:
    company = company_with(tmp_path, mine='kind = "values"\nattribute = "city"\n')
    found = told(company, lake, "mine", *({"city": city} for city in [*["Bonn"] * 5, *["Ağrı"] * 4]))
    assert [name for name, _ in found.values()] == [*["Bonn"] * 5, *["other"] * 4]


def people_of(*groups: tuple[str | None, int, int]) -> list[dict[str, Any]]:
    """Return customers of `(city, how many, spend of each)`."""
    return [{"city": city, "order_count": 1, "spend_amount": Decimal(spend)} for city, count, spend in groups for _ in range(count)]


def cities_of(tmp_path: Path, lake: Lake, settings: str, *groups: tuple[str | None, int, int]) -> dict[str | None, str]:
    """Return the segment of each city."""
    people = people_of(*groups)
    found = told(company_with(tmp_path, mine='kind = "values"\nattribute = "city"\n' + settings), lake, "mine", *people)
    return {person["city"]: segment for person, (segment, _) in zip(people, found.values(), strict=True)}


def test_what_the_source_calls_other_or_unknown_stands_in_one_row_with_ours(tmp_path: Path, lake: Lake) -> None:
    names = ("Other", "other", " OTHER ", "Unknown", "UNKNOWN", " ", "", None)
    found = cities_of(tmp_path, lake, "", ("Ulm", 6, 1), *((name, 6, 1) for name in names))
    assert found == {"Ulm": "Ulm", **dict.fromkeys(names[:3], "other"), **dict.fromkeys(names[3:], "unknown")}


def test_a_value_is_visible_by_its_customers_or_by_its_spend(tmp_path: Path, lake: Lake) -> None:
    groups = (("Ulm", 9, 1), ("Bonn", 8, 1), ("Aue", 7, 2), ("Hof", 6, 9), ("Rom", 5, 1))
    # By customers Ulm and Bonn, by spend Hof (54) and Aue (14).
    found = cities_of(tmp_path, lake, "most_segments = 2\n", *groups)
    assert found == {"Ulm": "Ulm", "Bonn": "Bonn", "Aue": "Aue", "Hof": "Hof", "Rom": "other"}


def test_few_customers_who_bring_much_of_the_spend_are_no_rest(tmp_path: Path, lake: Lake) -> None:
    groups = (
        ("Ulm", 9, 9),
        ("Eire", 3, 50),
        ("Rome", 1, 90),
        ("Gone", 3, -5),
        *((f"Place {number}", 6, 8) for number in range(4)),
        ("Last", 4, 1),
    )
    # By spend: Eire 150, Rome 90, Ulm 81, four places 48 each. Rome would be one customer.
    found = cities_of(tmp_path / "a", lake, "", *groups)
    assert {city for city, segment in found.items() if segment == "other"} == {"Rome", "Gone", "Last"}
    chosen = cities_of(tmp_path / "b", lake, "fewest_customers = 5\n", *groups)
    assert chosen["Eire"] == "other"
    assert cities_of(tmp_path / "c", lake, "fewest_customers = 5\nleading_values = 1\n", *groups)["Eire"] == "Eire"


def test_a_place_of_few_customers_is_of_the_last_tier(tmp_path: Path, lake: Lake) -> None:
    tiers = segment("large", more="below = 0.5") + segment("middle", more="below = 0.8") + segment("small", more=" ")
    mine = 'kind = "value_tiers"\nattribute = "city"\n' + tiers
    people = people_of(("Ulm", 8, 1), ("Bonn", 4, 1), *((f"Place {number}", 1, 1) for number in range(6)), ("Unknown", 9, 1), (" ", 1, 1))
    found = told(company_with(tmp_path, mine=mine), lake, "mine", *people)
    assert [segment for segment, _ in found.values()] == ["large"] * 8 + ["small"] * 10 + ["unknown"] * 10


@pytest.mark.parametrize("settings", ["leading_values = -1", "fewest_customers = 0", "most_segments = 0"])
def test_settings_of_values_that_cannot_be_are_refused(tmp_path: Path, settings: str) -> None:
    assert "must be 1 or more" in refusal(tmp_path, mine=f'kind = "values"\nattribute = "city"\n{settings}\n')

"""`segments explain`: why a customer is in their segments, what would take them elsewhere, and how they came there."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction
from functools import cache
from io import StringIO
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from support.builders import a_company, an_attribute, scored_features
from support.nights import run_night, write_shop
from typer.testing import CliRunner

from pipeline.cli import app
from pipeline.definitions.company import Company, load_company
from pipeline.definitions.schemes import Scheme, load_schemes, segments_statement
from pipeline.definitions.schemes.score_methods import ScoreMethod
from pipeline.errors import ConfigError
from pipeline.lake.engines.duckdb import DuckDBEngine
from pipeline.lake.lake import Lake, sorted_by
from pipeline.lake.tables import CUSTOMER_FEATURES, CUSTOMER_SEGMENTS, Column, Kind
from pipeline.reporting.explain import CustomerExplanation, ExplainedMembership, NearestSegment, WhatIf, explain_customer
from pipeline.reporting.explain.decide import SchemeCase
from pipeline.reporting.explain.explanation import nearest_segment
from pipeline.reporting.explain.scores import FigureRanks
from pipeline.reporting.explain.view import render
from pipeline.reporting.explain.what_if import what_ifs_of_rules
from pipeline.reporting.explain.words import change_words, value_words

FIRST, SECOND = date(2024, 12, 29), date(2024, 12, 30)
ATTRIBUTES = """
[attributes.town]
level = "geographic"
[attributes.income]
level = "demographic"
kind = "money"
[attributes.member_since]
level = "demographic"
kind = "date"
[attributes.is_subscriber]
level = "demographic"
kind = "flag"
"""
CUSTOMERS_SQL = """
SELECT
  CAST(id AS VARCHAR) AS customer_id, town, CAST(income AS DECIMAL(18, 4)) AS income,
  CAST(member_since AS DATE) AS member_since, CAST(is_subscriber AS BOOLEAN) AS is_subscriber
FROM customers
"""
HEAD = 'title = "T"\nlevel = "behavioural"\nquestion = "Q?"\nevidence = ["order_count"]\n'
GROUPS = """
kind = "rules"
decision = "highest_score"
floor = 0.4
[[segment]]
id = "keen"
title = "Keen"
description = "D."
signals = ["order_day_count >= 4", "recency_days <= 10", "spend_amount > 120.5"]
needed = 2
[[segment]]
id = "cautious"
title = "Cautious"
description = "D."
rule = "NOT is_prospect"
score = "1 - value_rank_share"
[[segment]]
id = "rest"
title = "Rest"
description = "D."
otherwise = true
"""
FOCUS = """
kind = "rules"
[parameters]
rich = 1000
[[segment]]
id = "court"
title = "Court them"
description = "D."
rule = "rfm.segment IN ('Champions', 'Loyal customers') AND income >= @rich"
[[segment]]
id = "locals"
title = "Locals"
description = "D."
rule = "town IN ('Bonn', 'Ulm') AND (is_subscriber OR member_since < DATE '2020-05-01')"
[[segment]]
id = "overspent"
title = "Overspent"
description = "D."
rule = "12 * average_order_amount > income"
[[segment]]
id = "rest"
title = "Rest"
description = "D."
otherwise = true
"""
TOWNS = 'kind = "values"\nattribute = "town"\nmost_segments = 3\nfewest_customers = 1\nrule = "order_count >= 1"\n'
TIERS = """
kind = "value_tiers"
attribute = "town"
[[segment]]
id = "large"
title = "Large"
description = "D."
below = 0.5
[[segment]]
id = "small"
title = "Small"
description = "D."
"""
PLACES = """
kind = "rules"
[[segment]]
id = "visit"
title = "Visit"
description = "D."
rule = "towns.segment IN ('Ulm', 'other') AND order_count >= 2"
[[segment]]
id = "write"
title = "Write"
description = "D."
rule = "tiers.segment = 'Small'"
[[segment]]
id = "rest"
title = "Rest"
description = "D."
otherwise = true
"""
NAMES = ("Aachen", "Bonn", "Bonn", "Ulm", "Ulm", "Ulm", "Jena", "", "Aachen", "Bonn", "Celle")
COUNT = 30


def write_company(folder: Path) -> Path:
    orders = [
        f"o{customer}-{number},1,c{customer},{SECOND - timedelta(days=(customer * 17 + number * (5 + customer % 9)) % 300)} 12:00,1,"
        f"{(customer * 7 + number * 3) % 60 + 5},{'abc'[number % 3]}"
        for customer in range(COUNT - 3)
        for number in range(customer % 6 + 1)
    ]
    write_shop(folder, orders, customers=[], settings=ATTRIBUTES)
    rows = [
        f"c{n},{NAMES[n % len(NAMES)]},{'' if n % 7 == 3 else n * 90},{date(2020, 4, 1) + timedelta(days=n * 3)},{n % 3 == 0}"
        for n in range(COUNT)
    ]
    (folder / "data/customers.csv").write_text("\n".join(["id,town,income,member_since,is_subscriber", *rows]) + "\n", "utf-8")
    (folder / "sources/customers.sql").write_text(CUSTOMERS_SQL, "utf-8")
    (folder / "segments").mkdir()
    for name, text in {"groups": GROUPS, "focus": FOCUS, "towns": TOWNS, "tiers": TIERS, "places": PLACES}.items():
        (folder / "segments" / f"{name}.toml").write_text(HEAD + text, "utf-8")
    return folder


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> tuple[Company, Lake]:
    """Two nights of a shop with every kind of scheme; on the second c1 has ordered again, for much money."""
    folder = write_company(tmp_path_factory.mktemp("explain") / "shop")
    lake = Lake(folder.parent / "lake")
    run_night(folder, lake, FIRST, until="segment")
    with (folder / "data/orders.csv").open("a", encoding="utf-8") as file:
        file.write(f"again,1,c1,{SECOND} 12:00,1,900,a\n")
    run_night(folder, lake, SECOND)
    return load_company(folder), lake


@pytest.fixture(scope="module")
def everybody(shop: tuple[Company, Lake]) -> list[CustomerExplanation]:
    return [explain_customer(*shop, f"c{number}", SECOND) for number in range(COUNT)]


def explanations(everybody: list[CustomerExplanation]) -> Iterator[tuple[str, ExplainedMembership]]:
    yield from ((found.customer_id, each) for found in everybody for each in found.memberships if each.explanation)


def test_the_segment_explained_is_the_published_one_of_every_customer_in_every_scheme(
    shop: tuple[Company, Lake], everybody: list[CustomerExplanation]
) -> None:
    stored = {(row["customer_id"], row["scheme"]): row["segment"] for row in shop[1].read(CUSTOMER_SEGMENTS, day=SECOND).to_pylist()}
    told = {(customer, each.scheme): each.explanation.segment_now for customer, each in explanations(everybody) if each.explanation}
    clusters = {key for key in stored if key[1] == "behaviour_clusters"}
    assert told.keys() == stored.keys() - clusters
    assert told == {key: segment for key, segment in stored.items() if key not in clusters}
    kinds = {(each.explanation.scheme.kind, each.explanation.scheme.decision) for _, each in explanations(everybody) if each.explanation}
    assert kinds == {("rules", "first_match"), ("rules", "highest_score"), ("values", "first_match"), ("value_tiers", "first_match")}


def test_an_engine_gives_the_nearest_segment_once_the_change_is_made(
    shop: tuple[Company, Lake], everybody: list[CustomerExplanation]
) -> None:
    proposed: dict[str, list[tuple[str, NearestSegment]]] = {}
    for customer, each in explanations(everybody):
        if each.explanation and each.explanation.nearest:
            proposed.setdefault(each.scheme, []).append((customer, each.explanation.nearest))
    assert proposed.keys() >= {"rfm", "lifecycle", "value_tier", "groups", "focus", "towns", "tiers", "places"}
    for name, changes in proposed.items():
        # Whose segment is their rank among others is changed alone.
        runs = [[change] for change in changes[:3]] if name in ("towns", "tiers", "places", "category_affinity") else [changes]
        for run in runs:
            found = segments_after(shop, {customer: nearest.change for customer, nearest in run}, name)
            assert {customer: found[customer] for customer, _ in run} == {customer: nearest.segment for customer, nearest in run}, name


def segments_after(shop: tuple[Company, Lake], changes: dict[str, WhatIf], name: str) -> dict[str, str]:
    """Return the segments of a scheme once each customer has changed, as the engine decides them."""
    company, lake = shop
    table = company.table(CUSTOMER_FEATURES)
    rows = lake.read(table, day=SECOND).to_pylist()
    changed = [{**row, **changed_values(changes[row["customer_id"]])} if row["customer_id"] in changes else row for row in rows]
    address = "changed.parquet"
    lake.write_file(table.schema, sorted_by(pa.Table.from_pylist(changed, schema=table.schema), table.key).to_batches(), address, {})
    schemes = load_schemes(company).schemes
    with closing(DuckDBEngine(lake.store, memory_limit="500MB", threads=1)) as engine:
        engine.register(table, [address])
        found = engine.run(segments_statement(schemes), {}).read_all().to_pylist()
    return {row["customer_id"]: row["segment"] for row in found if row["scheme"] == name}


def changed_values(change: WhatIf) -> dict[str, Any]:
    values = {change.feature: change.after, **change.follows}
    return {
        name: Decimal(float(value)).quantize(Decimal("0.0001")) if isinstance(value, Fraction) else value for name, value in values.items()
    }


def test_no_smaller_change_of_a_score_leads_elsewhere() -> None:
    """Try every figure that has another score on one axis, which is all that can be tried: of spend, the cent below a limit."""
    rfm = our_scheme("rfm")
    for r, f, m in ((r, f, m) for r in range(1, 6) for f in range(1, 6) for m in range(1, 6)):
        found = nearest_segment(SchemeCase(rfm, {}), scored(r, f, m), KINDS)
        own = SchemeCase(rfm, {}).segment_of(scored(r, f, m))
        tried = [({"recency_days": 5 - i}, 5 - r, 5 - i) for i in range(1, 6)] + [({"order_day_count": i}, f, i) for i in range(1, 6)]
        tried += [({"spend_amount": i}, m, i) for i in (*range(1, 6), *(limit - Fraction(1, 100) for limit in range(2, 6)))]
        elsewhere = [
            (before, after) for change, before, after in tried if SchemeCase(rfm, {}).segment_of({**scored(r, f, m), **change}) != own
        ]
        assert found is not None
        assert found.change.size == pytest.approx(min(float(abs(after - before) / max(before, after)) for before, after in elsewhere))


KINDS = {column.name: column.kind for column in CUSTOMER_FEATURES.columns}


def scored(r: int, f: int, m: int) -> dict[str, Any]:
    given = {**dict.fromkeys(KINDS), **scored_features(r, f, m)}
    return {name: Fraction(value) if isinstance(value, Decimal) else value for name, value in given.items()}


@cache
def our_scheme(name: str) -> Scheme:
    return next(scheme for scheme in load_schemes(a_company(Path("no-such-folder"))).schemes if scheme.name == name)


def test_a_score_changes_by_the_figure_that_it_tells_of() -> None:
    rfm = SchemeCase(our_scheme("rfm"), {})
    limits = {"r_2_limit_days": 400, "r_3_limit_days": 90, "r_4_limit_days": 40, "r_5_limit_days": 10}
    recently = {**scored(4, 4, 4), "recency_days": 12, **limits}
    found = nearest_segment(rfm, recently, KINDS)
    assert found is not None
    assert f"{found.title}, {change_words(found.change)}" == "Champions, if recency_days were 10 instead of 12"
    spending = {**scored(5, 1, 1), "spend_amount": Fraction(100), "m_2_limit_amount": Fraction("120.5"), "m_3_limit_amount": Fraction(900)}
    spending |= {"m_4_limit_amount": Fraction(999), "m_5_limit_amount": None, "f_2_limit_count": 9, "r_5_limit_days": 0}
    found = nearest_segment(rfm, spending, KINDS)
    assert found is not None
    assert f"{found.title}, {change_words(found.change)}" == "Potential loyalists, if spend_amount were 120.5 instead of 100"


def test_by_rank_the_date_goes_with_the_days() -> None:
    """Of four others, who ordered 1, 2, 3 and 4 days ago, two must not be later for a score of 3."""
    rank = replace(our_scheme("rfm"), score_methods={**our_scheme("rfm").score_methods, "r_score": ScoreMethod("rank")})
    ranks = {"r_score": FigureRanks.from_counts([(Fraction(days), 1) for days in (1, 2, 3, 4)])}
    low = {f"f_{score}_limit_count": 1 for score in range(2, 6)} | {f"m_{score}_limit_amount": Fraction(1, 100) for score in range(2, 6)}
    row = {**scored(1, 5, 5), **low, "recency_days": 5, "last_order_date": date(2024, 3, 1)}
    assert SchemeCase(rank, {}, score_ranks=ranks).with_references(row)["r_score"] == 1
    found = nearest_segment(SchemeCase(rank, {}, score_ranks=ranks), row, KINDS)
    assert found is not None
    assert change_words(found.change) == "if recency_days were 3 instead of 5 (last_order_date then 2024-03-03)"


def test_the_day_on_which_a_customer_will_be_at_risk_is_told() -> None:
    row = {**scored(3, 3, 3), "recency_days": 28, "lifetime_order_day_count": 2, "last_gap_days": 20}
    limits = {"rhythm_days": 20.0, "new_limit_days": 20.0, "active_limit_days": 30.5, "dormant_limit_days": 45.0}
    found = nearest_segment(SchemeCase(our_scheme("lifecycle"), {}), {**row, **limits}, KINDS)
    assert found is not None
    assert f"{found.title}, {change_words(found.change)}" == "At risk, if recency_days were 31 instead of 28"


def test_what_only_grows_is_never_to_become_less() -> None:
    row = {**scored(5, 3, 3), "recency_days": 7, "lifetime_order_day_count": 2, "last_gap_days": 20}
    limits = {"rhythm_days": 400.0, "new_limit_days": 400.0, "active_limit_days": 429.0, "dormant_limit_days": 500.0}
    found = nearest_segment(SchemeCase(our_scheme("lifecycle"), {}), {**row, **limits}, KINDS)
    assert found is not None
    assert found.change.feature != "lifetime_order_day_count"


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        ("NOT is_subscriber", "Yes, if is_subscriber were false instead of nothing"),
        ("is_subscriber", "Yes, if is_subscriber were true instead of nothing"),
        ("is_subscriber = FALSE", "Yes, if is_subscriber were false instead of nothing"),
        ("is_subscriber IS NOT TRUE", "No, if is_subscriber were true instead of nothing"),
    ],
)
def test_a_flag_that_is_empty_says_what_would_help(tmp_path: Path, rule: str, words: str) -> None:
    (tmp_path / "segments").mkdir()
    segments = f"""[[segment]]\nid = "yes"\ntitle = "Yes"\ndescription = "D."\nrule = "{rule}"\n
        [[segment]]\nid = "no"\ntitle = "No"\ndescription = "D."\notherwise = true\n"""
    (tmp_path / "segments" / "mine.toml").write_text(f'{HEAD}kind = "rules"\n{segments}')
    company = a_company(tmp_path, attributes=(an_attribute(Column("is_subscriber", Kind.FLAG, "")),))
    scheme = next(scheme for scheme in load_schemes(company).schemes if scheme.name == "mine")
    found = nearest_segment(SchemeCase(scheme, {}), {**scored(3, 3, 3), "is_subscriber": None}, {**KINDS, "is_subscriber": Kind.FLAG})
    assert found is not None
    assert f"{found.title}, {change_words(found.change)}" == words


def test_nothing_that_a_prospect_could_change_alone_is_proposed() -> None:
    nobody = {**dict.fromkeys(KINDS), "is_prospect": True, "spend_amount": Fraction(0), "lifetime_order_day_count": 0}
    assert nearest_segment(SchemeCase(our_scheme("rfm"), {}), nobody, KINDS) is None
    assert nearest_segment(SchemeCase(our_scheme("lifecycle"), {}), nobody, KINDS) is None


def test_an_amount_is_proposed_to_the_cent_and_a_count_whole(shop: tuple[Company, Lake]) -> None:
    case = case_of(shop[0], "groups")
    row = {**scored(3, 3, 3), "order_day_count": 4, "recency_days": 40, "spend_amount": Fraction(120), "value_rank_share": 0.9}
    found = nearest_segment(case, row, KINDS)
    assert found is not None
    assert f"{found.title}, {change_words(found.change)}" == "Keen, if spend_amount were 120.51 instead of 120"


def test_a_scheme_that_refers_to_another_may_change_by_what_that_one_goes_by(shop: tuple[Company, Lake]) -> None:
    row = {**scored(3, 4, 3), "town": "Köln", "is_subscriber": None, "member_since": None, "income": Fraction(2000)}
    found = nearest_segment(case_of(shop[0], "focus"), row, ATTRIBUTE_KINDS)
    assert found is not None
    # A cent below the limit of the monetary score 3, loyal customers are some who need attention.
    assert (found.segment, found.change.feature) == ("rest", "spend_amount")
    assert found.change.after == Fraction("2.99")


@cache
def schemes_of(folder: Path) -> dict[str, Scheme]:
    return {scheme.name: scheme for scheme in load_schemes(load_company(folder)).schemes}


ATTRIBUTE_KINDS = KINDS | {"town": Kind.TEXT, "is_subscriber": Kind.FLAG, "member_since": Kind.DATE, "income": Kind.MONEY}


def case_of(company: Company, name: str) -> SchemeCase:
    by_name = schemes_of(company.folder)
    return SchemeCase(by_name[name], by_name)


def test_a_text_or_a_day_is_changed_to_what_it_is_compared_with(shop: tuple[Company, Lake]) -> None:
    row = {**scored(1, 1, 1), "town": "Bonn", "is_subscriber": False, "member_since": date(2020, 5, 4), "income": Fraction(0)}
    found = nearest_segment(case_of(shop[0], "focus"), row, ATTRIBUTE_KINDS)
    assert found is not None
    assert change_words(found.change) == "if member_since were 2020-04-30 instead of 2020-05-04"
    left = nearest_segment(case_of(shop[0], "focus"), {**row, "is_subscriber": True, "member_since": None}, ATTRIBUTE_KINDS)
    assert left is not None
    assert (left.segment, change_words(left.change)) == ("rest", "if town were another one instead of 'Bonn'")


def asked(shop: tuple[Company, Lake], *words: str) -> Any:
    company, lake = shop
    return CliRunner().invoke(app, ["explain", *words, "--company", str(company.folder), "--lake", str(lake.root)], env={"COLUMNS": "200"})


def test_rules_that_are_left_out_of_a_try_could_not_have_held(shop: tuple[Company, Lake]) -> None:
    company, lake = shop
    kinds = {column.name: column.kind for column in company.table(CUSTOMER_FEATURES).columns}
    for stored in lake.read(company.table(CUSTOMER_FEATURES), day=SECOND).to_pylist():
        row = {name: Fraction(value) if isinstance(value, Decimal) else value for name, value in stored.items()}
        for case in (case_of(company, "focus"), case_of(company, "lifecycle"), case_of(company, "rfm")):
            for change in what_ifs_of_rules(case, row, kinds):
                narrowed = case.without_impossible_rules(row, (change.feature, *change.follows))
                assert narrowed.segment_of(change.apply_to(row)) == case.segment_of(change.apply_to(row))


EARLY = ("shopper_groups", "insufficient_evidence")


def test_the_command_fills_the_customers_values_into_the_rule_as_written(
    shop: tuple[Company, Lake], everybody: list[CustomerExplanation]
) -> None:
    run = asked(shop, "c1", "--json")
    schemes = {each["scheme"]: each for each in json.loads(run.stdout)["schemes"]}
    groups, towns = schemes["groups"], schemes["towns"]
    assert schemes["value_tier"]["rule"] == "value_score = 3"
    assert schemes["value_tier"]["values"] == {"value_score": 3, "spend_amount": 927}
    assert list(schemes["focus"]["values"]) == ["town", "is_subscriber", "member_since"]
    rest = next(each.explanation for _, each in explanations(everybody) if (each.scheme, each.segment) == ("focus", "rest"))
    assert rest is not None
    assert rest.values.keys() == {"rfm.segment", "income", "town", "is_subscriber", "member_since", "average_order_amount", "@rich"}
    early = next(each.explanation for _, each in explanations(everybody) if (each.scheme, each.segment) == EARLY)
    assert early is not None
    assert (early.scored_segments, early.values.keys()) == ((), {"order_count", "visit_count_90_days", "@fewest_orders", "@fewest_visits"})
    assert groups["decided_by"] == "highest_score"
    assert {score["segment"] for score in groups["scores"]} == {"keen", "cautious"}
    keen = next(score for score in groups["scores"] if score["segment"] == "keen")
    assert [signal["signal"] for signal in keen["signals"]][1:] == ["recency_days <= 10", "spend_amount > 120.5"]
    assert [signal["is_shown"] for signal in keen["signals"]][1:] == [True, True]
    assert towns["standing"]["place"] >= 1
    assert schemes["behaviour_clusters"]["decided_by"] == "clusters"
    assert schemes["behaviour_clusters"]["evidence"]


def test_without_a_day_the_live_night_is_explained(shop: tuple[Company, Lake]) -> None:
    assert json.loads(asked(shop, "c1", "--json").stdout)["day"] == str(SECOND)
    assert "as the live night was computed" in asked(shop, "c1").stdout
    assert "as that night was computed" in asked(shop, "c1", "--day", str(FIRST)).stdout


def test_moves_are_shown_with_their_reasons(shop: tuple[Company, Lake]) -> None:
    schemes = {each["scheme"]: each for each in json.loads(asked(shop, "c1", "--json").stdout)["schemes"]}
    entered, moved = schemes["value_tier"]["moves"]
    assert entered["from_segment"] is None
    assert moved == {"day": str(SECOND), "from_segment": entered["to_segment"], "to_segment": "a", "reason": "own_purchase"}
    assert f"{SECOND}  {entered['to_segment']} > a (own_purchase)" in asked(shop, "c1").stdout
    earlier = json.loads(asked(shop, "c1", "--json", "--day", str(FIRST)).stdout)["schemes"]
    assert all(len(each["moves"]) == 1 for each in earlier)


@pytest.mark.parametrize("words", [("nobody",), ("c1", "--day", "2024-12-01"), ("C1",)])
def test_an_unknown_customer_or_night_is_an_error_that_says_what_to_do(shop: tuple[Company, Lake], words: tuple[str, ...]) -> None:
    run = asked(shop, *words)
    assert isinstance(run.exception, ConfigError)
    assert run.exception.todo
    assert words[0] not in str(run.exception)


def test_nothing_published_is_an_error_unless_a_day_is_named(shop: tuple[Company, Lake], tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="nothing is published yet"):
        explain_customer(shop[0], Lake(tmp_path / "lake"), "c1", None)


def test_a_night_is_explained_by_the_definitions_that_were_valid_then(shop: tuple[Company, Lake]) -> None:
    file = shop[0].folder / "segments/groups.toml"
    text = file.read_text("utf-8")
    try:
        file.write_text(text.replace("spend_amount > 120.5", "spend_amount > 7"), "utf-8")
        schemes = {each["scheme"]: each for each in json.loads(asked(shop, "c1", "--json").stdout)["schemes"]}
        assert "spend_amount > 120.5" in [each["signal"] for score in schemes["groups"]["scores"] for each in score["signals"]]
    finally:
        file.write_text(text, "utf-8")


def test_a_night_of_another_version_is_not_explained_by_rules_that_say_otherwise(shop: tuple[Company, Lake]) -> None:
    found = explain_customer(*shop, "c1", SECOND)
    tier = next(each for each in found.memberships if each.scheme == "value_tier")
    assert tier.explanation is not None
    other = replace(tier, explanation=replace(tier.explanation, segment="c", nearest=None))
    assert "another version computed this night" in printed(replace(found, memberships=[other]))


def printed(found: CustomerExplanation) -> str:
    from rich.console import Console

    console = Console(width=200, record=True, file=StringIO())
    for part in render(found):
        console.print(part)
    return console.export_text()


def test_what_a_customer_wrote_cannot_steer_the_terminal(shop: tuple[Company, Lake]) -> None:
    found = explain_customer(*shop, "c1", SECOND)
    town = next(each for each in found.memberships if each.scheme == "towns")
    assert "\x1b" not in printed(replace(found, memberships=[replace(town, title="Ulm\x1b[2J", moves=[])]))


@pytest.mark.parametrize(
    ("value", "words"),
    [(None, "nothing"), (True, "true"), (Fraction(1, 3), "0.3333"), (7.0, "7"), (30, "30"), ("x", "'x'"), (date(2024, 1, 1), "2024-01-01")],
)
def test_values_read_like_people_write_them(value: Any, words: str) -> None:
    assert value_words(value) == words

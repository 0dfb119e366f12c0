"""Schemes: what our own say of a customer, and what a definition file may and may not hold."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import pytest
from sqlglot import exp
from support.builders import a_company, an_attribute

from pipeline.definitions.company import Company
from pipeline.definitions.company_sections import LEVELS
from pipeline.definitions.proofs import CELLS, Proof
from pipeline.definitions.rules import rule_value
from pipeline.definitions.schemes import Scheme, Schemes, load_schemes, segments_statement
from pipeline.errors import ConfigError
from pipeline.lake.tables import Column, Kind


def schemes_of(folder: Path, **definitions: str) -> Schemes:
    return load_schemes(company_with(folder, **definitions))


def company_with(folder: Path, *attributes: Any, **definitions: str) -> Company:
    (folder / "segments").mkdir(parents=True, exist_ok=True)
    for name, text in definitions.items():
        (folder / "segments" / f"{name}.toml").write_text(text, "utf-8")
    return a_company(folder, attributes=attributes)


@cache
def our_schemes() -> Schemes:
    return load_schemes(a_company(Path("no-such-folder")))


def scheme(name: str, loaded: Schemes | None = None) -> Scheme:
    return next(scheme for scheme in (loaded or our_schemes()).schemes if scheme.name == name)


def segment_of(name: str, **features: Any) -> str | None:
    """Return the segment that our scheme `name` gives to a customer."""
    row = {"is_prospect": False, "is_refund_only": False, **features}
    holding = (s.id for s in scheme(name).segments if s.rule is None or rule_value(s.rule, row) is True)
    return next(holding, None)


def definition(*segments: str, **keys: str) -> str:
    given = {
        "title": '"T"',
        "kind": '"rules"',
        "level": '"behavioural"',
        "question": '"Q?"',
        "evidence": '["r_score"]',
        **keys,
    }
    return "\n".join([*(f"{key} = {value}" for key, value in given.items()), *segments])


def segment(name: str, rule: str = "", extra: str = "") -> str:
    decision = f"rule = '''{rule}'''" if rule else "otherwise = true"
    return f'[[segment]]\nid = "{name}"\ntitle = "T"\ndescription = "D."\n{decision}\n{extra}\n'


def refusal(folder: Path, text: str) -> str:
    with pytest.raises(ConfigError) as caught:
        schemes_of(folder, mine=text)
    return str(caught.value)


RFM = {
    5: ["new", "potential_loyalist", "potential_loyalist", "champions", "champions"],
    4: ["promising", "potential_loyalist", "potential_loyalist", "loyal", "loyal"],
    3: ["about_to_sleep", "about_to_sleep", "needs_attention", "loyal", "loyal"],
    2: ["hibernating", "hibernating", "at_risk", "at_risk", "cant_lose_them"],
    1: ["lost", "lost", "at_risk", "at_risk", "cant_lose_them"],
}


@pytest.mark.parametrize(("r", "fm", "expected"), [(r, fm, name) for r, row in RFM.items() for fm, name in enumerate(row, 1)])
def test_each_of_the_25_rfm_cells_is_in_its_segment(r: int, fm: int, expected: str) -> None:
    assert segment_of("rfm", r_score=r, fm_score=fm) == expected


@pytest.mark.parametrize("cell", CELLS, ids=lambda cell: "-".join(str(value) for value in cell.values()))
def test_exactly_one_rfm_rule_holds_for_any_scores(cell: dict[str, Any]) -> None:
    assert sum(s.rule is not None and rule_value(s.rule, cell) is True for s in scheme("rfm").segments) == 1


def test_who_never_ordered_is_a_prospect_in_rfm_and_lifecycle_and_has_no_value() -> None:
    nothing = {"is_prospect": True, "r_score": None, "fm_score": None, "value_score": None}
    assert segment_of("rfm", **nothing) == "prospects"
    assert segment_of("lifecycle", **nothing) == "prospect"
    assert segment_of("value_tier", **nothing) == "none"


def test_who_only_gave_something_back_is_no_prospect_and_of_no_value() -> None:
    nothing = {"is_refund_only": True, "r_score": None, "fm_score": None, "value_score": None, "spend_amount": -80}
    assert segment_of("rfm", **nothing) == segment_of("lifecycle", **nothing) == "refund_only"
    assert segment_of("value_tier", **nothing) == "none"


def test_every_rfm_segment_says_what_shopify_calls_it() -> None:
    crosswalk = {s.id: dict(s.crosswalk) for s in scheme("rfm").segments}
    assert crosswalk["cant_lose_them"] == {"shopify": "PREVIOUSLY_LOYAL", "klaviyo": "At risk"}
    assert {names["shopify"] for names in crosswalk.values()} == {
        "CHAMPIONS", "LOYAL", "ACTIVE", "NEW", "PROMISING", "NEEDS_ATTENTION", "ALMOST_LOST", "AT_RISK", "PREVIOUSLY_LOYAL", "DORMANT",
        "PROSPECTS",
    }  # fmt: skip
    assert "klaviyo" not in crosswalk["prospects"]


LIMITS = {"rhythm_days": 20.0, "new_limit_days": 20.0, "active_limit_days": 30.0, "dormant_limit_days": 45.0}


@pytest.mark.parametrize(
    ("orders", "recency", "last_gap", "expected"),
    [
        (1, 0, None, "new"),
        (1, 20, None, "new"),
        (1, 21, None, "active"),
        (1, 30, None, "active"),
        (1, 31, None, "at_risk"),
        (1, 45, None, "at_risk"),
        (1, 46, None, "one_and_done"),
        (1, 900, None, "one_and_done"),
        (2, 0, 20, "active"),
        (2, 0, 45, "active"),
        (2, 0, 46, "reactivated"),
        (2, 20, 46, "reactivated"),
        (2, 21, 46, "active"),
        (2, 30, 20, "active"),
        (2, 31, 20, "at_risk"),
        (2, 45, 20, "at_risk"),
        (2, 46, 20, "dormant"),
        (2, 90, 20, "dormant"),
        (2, 91, 20, "lost"),
        (2, 91, 300, "lost"),
    ],
)
def test_lifecycle_changes_on_the_day_after_each_limit(orders: int, recency: int, last_gap: int | None, expected: str) -> None:
    features = {"lifetime_order_day_count": orders, "recency_days": recency, "last_gap_days": last_gap}
    assert segment_of("lifecycle", **features, **LIMITS) == expected


def test_lifecycle_cannot_be_told_while_nobody_has_ordered_twice() -> None:
    unknown = dict.fromkeys(LIMITS)
    assert segment_of("lifecycle", lifetime_order_day_count=1, recency_days=3, last_gap_days=None, **unknown) == "undetermined"


@pytest.mark.parametrize(("score", "expected"), [(3, "a"), (2, "b"), (1, "c"), (None, "none")])
def test_value_tiers_go_by_the_value_score(score: int | None, expected: str) -> None:
    assert segment_of("value_tier", value_score=score) == expected


def test_our_schemes_are_complete_and_in_words() -> None:
    loaded = our_schemes()
    assert {"lifecycle", "rfm", "value_tier"} <= {found.name for found in loaded.schemes}
    assert all(reason.startswith("needs ") for reason in loaded.not_computed.values())
    for found in loaded.schemes:
        assert found.level in LEVELS
        assert found.question.endswith("?")
        for each in found.segments:
            assert each.title[0].isupper()
            assert each.description.endswith(".")


def test_a_company_replaces_our_scheme_by_a_file_of_the_same_name(tmp_path: Path) -> None:
    loaded = schemes_of(tmp_path, rfm=definition(segment("good", "r_score >= 3"), segment("rest")))
    assert [each.id for each in scheme("rfm", loaded).segments] == ["good", "rest"]
    assert "lifecycle" in {found.name for found in loaded.schemes}


def test_a_file_of_clusters_is_left_to_the_clusters(tmp_path: Path) -> None:
    loaded = schemes_of(tmp_path, mine='kind = "clusters"\nanything = 1')
    assert "mine" not in {found.name for found in loaded.schemes} | loaded.not_computed.keys()


def test_a_scheme_whose_attribute_the_company_lacks_is_not_computed_and_says_why(tmp_path: Path) -> None:
    text = definition(segment("young", "age < 30"), segment("rest"), needs='{ age = "integer", phone = "text" }', evidence='["age"]')
    phone = an_attribute(Column("phone", Kind.TEXT, "", pii=True))
    loaded = load_schemes(company_with(tmp_path, phone, mine=text))
    assert loaded.not_computed["mine"] == "needs age, phone (held back as personal data)"
    assert "mine" not in {found.name for found in loaded.schemes}


def test_the_same_scheme_is_computed_where_the_company_has_the_attribute(tmp_path: Path) -> None:
    text = definition(segment("young", "age < 30"), segment("rest"), needs='{ age = "integer" }', evidence='["age"]')
    loaded = load_schemes(company_with(tmp_path, an_attribute(Column("age", Kind.INTEGER, "Age.")), mine=text))
    assert scheme("mine", loaded).missing == ()


def test_an_attribute_of_another_kind_than_the_scheme_needs_is_refused(tmp_path: Path) -> None:
    text = definition(segment("young", "age < 30"), segment("rest"), needs='{ age = "integer" }', evidence='["age"]')
    with pytest.raises(ConfigError, match=r"`needs\.age` is whole number"):
        load_schemes(company_with(tmp_path, an_attribute(Column("age", Kind.TEXT, "Age.")), mine=text))


def test_a_segment_behind_one_that_always_comes_first_is_refused_by_name(tmp_path: Path) -> None:
    text = definition(segment("all_good", "r_score >= 3"), segment("best", "r_score = 5 AND f_score = 5"), segment("rest"))
    message = refusal(tmp_path, text)
    assert "nobody can ever be in `best`: `all_good` comes first wherever its rule holds" in message
    assert f"{tmp_path}/segments/mine.toml:17" in message


def test_a_segment_hidden_by_several_others_together_is_refused(tmp_path: Path) -> None:
    text = definition(
        segment("high", "m_score >= 3"),
        segment("low", "m_score <= 2"),
        segment("some", "spend_amount > 10"),
        segment("p", "is_prospect OR is_refund_only"),
    )
    assert "without a segment" not in refusal(tmp_path, definition(*[segment("high", "r_score >= 3")] * 2, segment("rest")))
    schemes_of(tmp_path, mine=text)
    text = definition(
        segment("p", "is_prospect OR is_refund_only"),
        segment("high", "m_score >= 3"),
        segment("low", "m_score <= 2"),
        segment("some", "spend_amount > 10"),
    )
    assert "nobody can ever be in `some`: `p`, `high`, `low` comes first" in refusal(tmp_path, text)


def test_a_combination_of_scores_that_no_customer_can_have_makes_a_dead_segment(tmp_path: Path) -> None:
    text = definition(segment("odd", "f_score = 1 AND m_score = 1 AND fm_score = 3"), segment("rest"))
    assert "nobody can ever be in `odd`: its rule never holds" in refusal(tmp_path, text)


def test_frequency_and_spend_scores_are_averaged_by_rounding_half_up(tmp_path: Path) -> None:
    schemes_of(tmp_path, mine=definition(segment("half_up", "f_score = 1 AND m_score = 2 AND fm_score = 2"), segment("rest")))
    assert "its rule never holds" in refusal(
        tmp_path, definition(segment("down", "f_score = 1 AND m_score = 2 AND fm_score = 1"), segment("rest"))
    )


def test_the_same_rule_twice_is_refused_whatever_it_looks_at(tmp_path: Path) -> None:
    text = definition(segment("x", "spend_amount > 10"), segment("y", "(spend_amount) > 10"), segment("rest"))
    assert "nobody can ever be in `y`: `x` comes first" in refusal(tmp_path, text)


def test_an_otherwise_that_nothing_is_left_for_is_refused(tmp_path: Path) -> None:
    text = definition(segment("p", "is_prospect"), segment("buyer", "NOT is_prospect"), segment("rest"))
    assert "nobody can ever be in `rest`: the rules leave nobody over" in refusal(tmp_path, text)


def test_rules_that_leave_somebody_over_need_an_otherwise(tmp_path: Path) -> None:
    message = refusal(tmp_path, definition(segment("p", "is_prospect OR is_refund_only"), segment("good", "r_score > 1")))
    assert "without a segment, such as one with is_prospect = False, is_refund_only = False, r_score = 1" in message
    refunds = refusal(tmp_path, definition(segment("p", "is_prospect"), segment("good", "r_score >= 1")))
    assert "without a segment, such as one with is_prospect = False, r_score = nothing" in refunds
    assert "otherwise = true" in message


def test_rules_over_ranges_are_proven_total_or_name_who_is_left_over(tmp_path: Path) -> None:
    def split(low: str, high: str) -> str:
        return definition(segment("low", low), segment("high", high))

    schemes_of(tmp_path, mine=split("spend_amount <= 10", "spend_amount > 10"))
    schemes_of(tmp_path, mine=split("order_count < 3", "order_count > 2"))
    assert "such as one with spend_amount = 10" in refusal(tmp_path, split("spend_amount < 10", "spend_amount > 10"))
    assert "such as one with order_count = 3" in refusal(tmp_path, split("order_count < 3", "order_count > 3"))
    assert "such as one with gap_mean_days = nothing" in refusal(tmp_path, split("gap_mean_days < 3", "gap_mean_days >= 3"))
    assert "such as one with main_channel = ''" in refusal(tmp_path, split("main_channel = 'web'", "main_channel IS NULL"))


@pytest.mark.parametrize(
    ("earlier", "dead"),
    [
        ("spend_amount > 10", "spend_amount > 20"),
        ("spend_amount > 10 OR is_prospect", "spend_amount >= 10.0001 AND category_count > 2"),
        ("order_count > 3", "order_count >= 4"),
        ("last_order_date >= DATE '2024-02-29'", "last_order_date > DATE '2024-02-28'"),
        ("main_channel = 'web'", "main_channel IN ('web') AND r_score = 5"),
        ("recency_days <= active_limit_days", "NOT recency_days > active_limit_days"),
        ("NOT is_prospect", "category_count > 3 AND category_count < 3"),
        ("NOT is_prospect", "order_count < 0"),
        ("NOT is_prospect", "order_count > 2 AND order_count < 3"),
        ("NOT is_prospect", "discount_share > 30"),
        ("NOT is_prospect", "weekend_share >= 2"),
        ("NOT is_prospect", "return_share < 0"),
        ("NOT is_prospect", "1.5 <= full_price_share"),
        ("NOT is_prospect", "add_on_share BETWEEN 5 AND 10"),
        ("NOT is_prospect", "category_concentration > 1"),
        ("NOT is_prospect", "gap_mean_days < 0"),
        ("NOT is_prospect", "refund_amount < 0"),
        ("main_channel <> 'web'", "main_channel IS NOT NULL AND main_channel IS DISTINCT FROM 'web'"),
        ("main_channel IS NOT 'web'", "main_channel IS NULL"),
    ],
)
def test_a_segment_that_nobody_can_be_in_is_found_over_ranges_too(tmp_path: Path, earlier: str, dead: str) -> None:
    assert "nobody can ever be in `dead`" in refusal(
        tmp_path, definition(segment("first", earlier), segment("dead", dead), segment("rest"))
    )


@pytest.mark.parametrize(
    "rule",
    [
        "discount_share >= 1",
        "discount_share > 0.99",
        "discount_share <= 0",
        "return_share > 1.5",
        "spend_amount < 0",
        "average_order_amount < -5",
        "lifetime_spend_amount <= 0",
    ],
)
def test_what_a_feature_can_be_makes_no_dead_segment(tmp_path: Path, rule: str) -> None:
    schemes_of(tmp_path, mine=definition(segment("some", rule), segment("rest")))


@pytest.mark.parametrize("text", ["", "   ", "x" * 5000, "a\\u0000b", "a\\nb", "a\\u202eb", "a\\u001b[2Jb", "a\\u2028b"])
@pytest.mark.parametrize("key", ["title", "description", "question"])
def test_a_text_that_cannot_be_shown_is_refused(tmp_path: Path, text: str, key: str) -> None:
    whole = definition(segment("some", "order_count > 3"), segment("rest"))
    line = next(line for line in whole.splitlines() if line.startswith(f"{key} = "))
    message = refusal(tmp_path, whole.replace(line, f'{key} = "{text}"', 1))
    assert f"{key}` must be a text of 1 to" in message
    assert "\x1b" not in message


def test_a_title_may_be_of_any_language(tmp_path: Path) -> None:
    whole = definition(segment("some", "order_count > 3"), segment("rest"))
    line = next(line for line in whole.splitlines() if line.startswith("title = "))
    for title in ("می‌روم", "თბილისი", "👨‍👩‍👧", "İ"):
        schemes_of(tmp_path, mine=whole.replace(line, f'title = "{title}"', 1))


def test_is_and_is_not_divide_everybody(tmp_path: Path) -> None:
    schemes_of(tmp_path, mine=definition(segment("web", "main_channel IS 'web'"), segment("others", "main_channel IS NOT 'web'")))
    message = refusal(tmp_path, definition(segment("web", "main_channel = 'web'"), segment("others", "main_channel <> 'web'")))
    assert "such as one with main_channel = nothing" in message


@pytest.mark.parametrize("column", ["spend_amount", "recency_days", "gap_mean_days"])
def test_among_many_ranges_the_one_that_others_cover_is_found_and_no_other(tmp_path: Path, column: str) -> None:
    ranges = [segment(f"s{n}", f"{column} >= {10 * n} AND {10 * n + 10} > {column}") for n in range(100)]
    schemes_of(tmp_path, mine=definition(*ranges, segment("beyond", f"{column} >= 1000.5"), segment("rest")))
    covered = segment("covered", f"{column} > 15 AND {column} <= 994")
    message = refusal(tmp_path, definition(*ranges, covered, segment("rest")))
    assert "nobody can ever be in `covered`" in message
    assert "`s1`, `s2`" in message
    assert "`s0`" not in message


def test_a_scheme_says_how_it_is_proven_and_what_only_customers_can_tell(tmp_path: Path) -> None:
    proofs = {name: scheme(name).proof for name in ("rfm", "value_tier", "lifecycle")}
    assert proofs["rfm"] == Proof("enumeration")
    assert proofs["value_tier"] == Proof("intervals")
    lifecycle = proofs["lifecycle"]
    assert lifecycle is not None
    assert lifecycle.method == "features"
    assert "prospect" not in lifecycle.undecided
    text = definition(
        *(segment(f"s{n}", f"recency_days = {n} AND main_channel = 'c{n}' AND spend_amount > {n}") for n in range(200)), segment("rest")
    )
    many = scheme("mine", schemes_of(tmp_path, mine=text)).proof
    assert many is not None
    assert many.method == "features"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("title = ", "not valid TOML"),
        (
            definition(segment("x", "r_score = 1"), segment("rest"), evidense="[]"),
            "`evidense` is not a known setting (did you mean `evidence`?)",
        ),
        (
            definition(segment("x", "r_score = 1", 'ruel = "x"'), segment("rest")),
            "`segment 1: ruel` is not a known setting (did you mean `rule`?)",
        ),
        (definition(segment("x", "r_score = 1"), segment("rest"), kind='"rule"'), "did you mean `rules`?"),
        (definition(segment("x", "r_score = 1"), segment("rest"), level='"behavioral"'), "did you mean `behavioural`?"),
        (
            definition(segment("x", "r_score = 1"), segment("rest"), evidence='["r_scor"]'),
            "evidence `r_scor` is unknown (did you mean `r_score`?)",
        ),
        (definition(segment("x", "r_score = 1"), segment("rest"), evidence='["recency_days"]'), "`recency_days` cannot be evidence"),
        (definition(segment("x", "r_score = 1"), segment("rest"), evidence='["rhythm_days"]'), "`rhythm_days` cannot be evidence"),
        (definition(segment("x", "r_score = 1"), segment("rest"), evidence="[]"), "`evidence` is empty"),
        (definition(segment("x", "r_score = 1"), segment("rest"), evidence="[1]"), "`evidence` holds something that is not text"),
        (definition(segment("x", "r_score = 1"), segment("rest"), needs='{ age = "int" }'), "`needs.age` is `int`"),
        (definition(segment("X y", "r_score = 1"), segment("rest")), "`id` is `X y`"),
        (definition(segment("x", "r_score = 1"), segment("x")), "two segments are called `x`"),
        (definition(segment("rest"), segment("x", "r_score = 1")), "`otherwise` of `rest` hides the segments after it"),
        (definition(segment("x", "r_score = 1", "otherwise = true"), segment("rest")), "either a `rule` or `otherwise = true`"),
        (definition(segment("x", "r_score = 1", "crosswalk.shopify = 3"), segment("rest")), "`crosswalk` holds something that is not text"),
        (definition(segment("x", "recncy_days = 1"), segment("rest")), "did you mean `recency_days`?"),
        (definition(segment("x", "age < 30"), segment("rest")), "unknown name `age`"),
        (definition(segment("x", "r_score = '1'"), segment("rest")), "cannot compare: whole number with text"),
        (definition(), "`segment` is missing"),
        (definition(segment="[]"), "without a segment"),
        (definition(segment="[1]"), "`segment` is no list of tables"),
        (definition('[[segment]]\nid = "x"'), "`segment 1: title` is missing"),
    ],
)
def test_a_wrong_definition_is_refused_in_words(tmp_path: Path, text: str, message: str) -> None:
    refused = refusal(tmp_path, text)
    assert message in refused
    assert f"{tmp_path}/segments/mine.toml" in refused


def test_a_wrong_rule_is_refused_with_its_line_in_the_file(tmp_path: Path) -> None:
    message = refusal(tmp_path, definition(segment("x", "r_score = 1"), segment("y", "r_scor = 2"), segment("rest")))
    assert f"{tmp_path}/segments/mine.toml:17, column 1 of the rule" in message


def test_a_scheme_is_a_file_with_a_plain_name(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="the file's name is `My-Scheme`"):
        schemes_of(tmp_path, **{"My-Scheme": definition(segment("x", "r_score = 1"), segment("rest"))})


def test_evidence_is_written_as_name_and_value_pairs(tmp_path: Path) -> None:
    text = definition(segment("x", "r_score = 1"), segment("rest"), evidence='["r_score", "last_order_date"]')
    (select,) = (s for s in segments_statement(schemes_of(tmp_path, mine=text).schemes).find_all(exp.Select) if "'mine'" in s.sql())
    assert "'r_score=' || COALESCE(CAST(\"r_score\" AS TEXT), '-') || ', last_order_date='" in select.sql("duckdb")


def test_the_statement_has_one_part_per_scheme() -> None:
    schemes = our_schemes().schemes
    statement = segments_statement(schemes)
    assert [column.alias_or_name for column in statement.selects] == ["customer_id", "scheme", "segment", "evidence"]
    parts = [select for select in statement.find_all(exp.Select) if select.named_selects == statement.named_selects]
    assert len(parts) == len(schemes)
    assert not any(query.args.get("order") for query in (statement, *parts))

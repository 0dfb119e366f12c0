"""The rule language: what it takes, what it makes of it, and how it refuses the rest."""

from __future__ import annotations

from datetime import date

import pytest
from sqlglot import exp

from pipeline.definitions.rules import StayColumn, Vocabulary, joined_column, parse_rule, parse_score, rule_value
from pipeline.errors import ConfigError
from pipeline.lake.tables import Kind

NAMES = {
    "is_prospect": Kind.FLAG,
    "r_score": Kind.INTEGER,
    "order_count": Kind.INTEGER,
    "spend_amount": Kind.MONEY,
    "refund_amount": Kind.MONEY,
    "gap_mean_days": Kind.NUMBER,
    "value_rank_share": Kind.NUMBER,
    "favourite_category": Kind.TEXT,
    "last_order_date": Kind.DATE,
    "created_at": Kind.INSTANT,
    "date": Kind.DATE,
    'odd "name"': Kind.TEXT,
    "ქალაქი": Kind.TEXT,
}


def sql(text: str, dialect: str = "duckdb") -> str:
    return parse_rule(text, Vocabulary(NAMES), where="segments/x.toml:7").sql(dialect)


def refusal(text: str) -> str:
    with pytest.raises(ConfigError) as caught:
        sql(text)
    return str(caught.value)


@pytest.mark.parametrize(
    ("segment", "column"),
    [
        ("towns.rome", "LAST_IN(towns.rome)"),
        ("towns.rome_2", "LAST_IN(towns.rome_2)"),
        ("towns.null", "LAST_IN(towns.null)"),
        ("towns.თბილისი", "LAST_IN(towns.თბილისი)"),
        ("towns.'New York-2'", "LAST_IN(towns.'New York-2')"),
        ('towns."New York-2"', "LAST_IN(towns.'New York-2')"),
        ("towns.'rome'", "LAST_IN(towns.rome)"),
        ("towns.'24 hours'", "LAST_IN(towns.'24 hours')"),
        ("towns.'L''Aquila'", "LAST_IN(towns.'L''Aquila')"),
        ('towns."a ""b"" (c).d"', "LAST_IN(towns.'a \"b\" (c).d')"),
        ("rfm.at_risk", "LAST_IN(rfm.at_risk)"),
        ("rfm.'At risk'", "LAST_IN(rfm.at_risk)"),
        ("in.'AND'", "LAST_IN(in.AND)"),
    ],
)
def test_a_segment_that_is_no_plain_word_stands_in_quotes(segment: str, column: str) -> None:
    schemes = {"towns": {}, "in": {}, "rfm": {"At risk": "at_risk", "at_risk": "at_risk"}}
    vocabulary = Vocabulary({"as_of_date": Kind.DATE}, schemes=schemes)
    for rule in (f"LAST_IN({segment}) IS NULL", f"WAS IN {segment} WITHIN 30 DAYS"):
        [name] = {each.name for each in parse_rule(rule, vocabulary, where="x").find_all(exp.Column)} - {"as_of_date"}
        assert name == column
        found = joined_column(name)
        assert isinstance(found, StayColumn)
        assert found.column == column


@pytest.mark.parametrize("name", ["was", "list", "in", "today", "within", "select"])
def test_a_name_that_is_a_word_of_the_language_stands_in_quotes(name: str) -> None:
    vocabulary = Vocabulary({name: Kind.TEXT, "as_of_date": Kind.DATE})
    assert parse_rule(f"\"{name}\" IN ('a')", vocabulary, where="x").sql("duckdb") == f"\"{name}\" IN ('a')"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("WAS IN towns.'New York WITHIN 3 DAYS", "quotes around"),
        ("WAS IN towns.New-York WITHIN 3 DAYS", "quotes around"),
        ("WAS IN towns.24h WITHIN 3 DAYS", "quotes around"),
        ("WAS IN towns.New York WITHIN 3 DAYS", "quotes around"),
        ("WAS IN towns.'' WITHIN 3 DAYS", "quotes around"),
    ],
)
def test_a_segment_without_its_quotes_is_refused_with_the_way_to_write_it(text: str, said: str) -> None:
    with pytest.raises(ConfigError) as error:
        parse_rule(text, Vocabulary({"as_of_date": Kind.DATE}, schemes={"towns": {}}), where="x")
    assert said in error.value.todo
    assert error.value.what.splitlines()[1].strip() == text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("is_prospect", '"is_prospect"'),
        ("r_score = 5", '"r_score" = 5'),
        ("r_score <> 5 and not is_prospect", '("r_score" <> 5) AND (NOT "is_prospect")'),
        ("is_prospect OR r_score = 1 AND order_count = 2", '"is_prospect" OR (("r_score" = 1) AND ("order_count" = 2))'),
        ("(is_prospect OR r_score = 1) AND order_count = 2", '("is_prospect" OR ("r_score" = 1)) AND ("order_count" = 2)'),
        ("((((r_score)))) = (5)", '"r_score" = 5'),
        ("r_score BETWEEN 3 AND 4", '("r_score" >= 3) AND ("r_score" <= 4)'),
        ("r_score NOT IN (1, -2)", 'NOT ("r_score" IN (1, -2))'),
        ("gap_mean_days IS NOT NULL", 'NOT ("gap_mean_days" IS NULL)'),
        ("created_at IS NULL", '"created_at" IS NULL'),
        ("created_at IS DISTINCT FROM NULL", 'NOT ("created_at" IS NULL)'),
        ("is_prospect IS TRUE", '("is_prospect" = TRUE) AND (NOT ("is_prospect" IS NULL))'),
        ("is_prospect IS NOT TRUE", 'NOT (("is_prospect" = TRUE) AND (NOT ("is_prospect" IS NULL)))'),
        ("favourite_category IS 'a'", '("favourite_category" = \'a\') AND (NOT ("favourite_category" IS NULL))'),
        ("r_score IS DISTINCT FROM 5", 'NOT (("r_score" = 5) AND (NOT ("r_score" IS NULL)))'),
        ("r_score IS NOT DISTINCT FROM 5", '("r_score" = 5) AND (NOT ("r_score" IS NULL))'),
        ("is_prospect = (r_score > 2)", '"is_prospect" = ("r_score" > 2)'),
        ("favourite_category = 'it''s'", "\"favourite_category\" = 'it''s'"),
        ("last_order_date >= DATE '2024-02-29'", "\"last_order_date\" >= CAST('2024-02-29' AS DATE)"),
        ("date < date'2024-01-01'", "\"date\" < CAST('2024-01-01' AS DATE)"),
        ('"odd ""name""" = \'x\'', '"odd ""name""" = \'x\''),
        ("ქალაქი = 'თბილისი'", "\"ქალაქი\" = 'თბილისი'"),
        ("r_score\n  >=\t007", '"r_score" >= 7'),
    ],
)
def test_a_rule_is_built_anew_with_quoted_names(text: str, expected: str) -> None:
    assert sql(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("value_rank_share < 0.80", '"value_rank_share" < CAST(0.80 AS DOUBLE)'),
        ("order_count > gap_mean_days", 'CAST("order_count" AS DOUBLE) > "gap_mean_days"'),
        ("spend_amount > 0", '"spend_amount" > CAST(0 AS DECIMAL(18, 4))'),
        ("spend_amount > refund_amount", '"spend_amount" > "refund_amount"'),
        ("order_count > 2.5", 'CAST("order_count" AS DECIMAL(20, 1)) > CAST(2.5 AS DECIMAL(20, 1))'),
        ("order_count <= 2 * gap_mean_days", 'CAST("order_count" AS DOUBLE) <= (CAST(2 AS DOUBLE) * "gap_mean_days")'),
    ],
)
def test_unlike_numbers_are_cast_in_the_open_so_that_no_engine_chooses(text: str, expected: str) -> None:
    assert sql(text) == expected


def test_a_backslash_is_escaped_where_an_engine_reads_it_as_more() -> None:
    assert sql("favourite_category = 'x\\'") == "\"favourite_category\" = 'x\\'"
    assert sql("favourite_category = 'x\\'", "spark") == "`favourite_category` = 'x\\\\'"


@pytest.mark.parametrize(
    "text", ["spend_amount - refund_amount = 0", "spend_amount * 0.5 > refund_amount", "order_count * order_count > 4"]
)
def test_exact_numbers_stay_exact_decimals_in_sums_and_products(text: str) -> None:
    assert "DECIMAL" in sql(text)
    assert "DOUBLE" not in sql(text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "the rule is empty"),
        ("   \n ", "the rule is empty"),
        ("recency_day > 3", "unknown name `recency_day`"),
        ("spend_amout > 3", "did you mean `spend_amount`?"),
        ("R_SCORE = 3", "unknown name `R_SCORE`"),
        ("r_score", "a rule must be true or false, but this is: whole number"),
        ("'yes'", "a rule must be true or false, but this is: text"),
        ("r_score AND is_prospect", "AND and OR take true or false"),
        ("NOT r_score", "NOT takes true or false"),
        ("favourite_category = 3", "cannot compare: text with whole number"),
        ("r_score = '3'", "cannot compare: whole number with text"),
        ("last_order_date > '2024-01-01'", "cannot compare: date with text"),
        ("last_order_date > 20240101", "cannot compare: date with whole number"),
        ("created_at > DATE '2024-01-01'", "cannot compare: instant (UTC) with date"),
        ("created_at = created_at", "cannot compare: instant"),
        ("is_prospect = 1", "cannot compare: true or false with whole number"),
        ("r_score IN (1, 'a')", "cannot compare: whole number with text"),
        ("1 < r_score < 3", "cannot compare: true or false with whole number"),
        ("is_prospect > FALSE", "true and false have no order"),
        ("is_prospect BETWEEN FALSE AND TRUE", "true and false have no order"),
        ("r_score = NULL", "nothing equals NULL"),
        ("r_score IN (NULL)", "IN takes a list"),
        ("r_score IN ()", "IN takes a list"),
        ("r_score IN (order_count)", "IN takes a list"),
        ("r_score IN order_count", "not part of the rule language"),
        ("is_prospect IS NOT 5", "cannot compare: true or false with whole number"),
        ("created_at IS NOT DATE '2024-01-01'", "cannot compare: instant (UTC) with date"),
        ("r_score IS NOT (SELECT 1)", "does not fit here"),
        ("last_order_date + r_score > last_order_date", "to a date only a whole number of days, written out, is added"),
        ("last_order_date + 1.5 > last_order_date", "to a date only a whole number of days"),
        ("last_order_date + date > last_order_date", "to a date only a whole number of days"),
        ("1 - last_order_date > last_order_date", "to a date only a whole number of days"),
        ("last_order_date + 40000 > last_order_date", "more than 36,525 days"),
        ("last_order_date > DATE '9999-12-31' + 1", "this day lies outside the calendar"),
        ("favourite_category + 1 = 2", "only numbers can be added"),
        ("last_order_date = DATE '2024-02-30'", "this is no date"),
        ("last_order_date = DATE '20240201'", "this is no date"),
        ("last_order_date = DATE '2024-W05-1'", "this is no date"),
        ("-r_score = 1", "a minus sign stands before a number"),
        ("- -1 = r_score", "a minus sign stands before a number"),
        ("r_score / last_order_date = 1", "only numbers can be divided"),
        ("r_score % 2 = 1", "`%` is not part"),
        ("r_score = 1 --1", "comments are not part"),
        ("r_score = 1 /* one */", "comments are not part"),
        ("r_score = 1; TRUE", "a rule is one condition"),
        ("abs(r_score) = 1", "there is no function `ABS`"),
        ("r_score = 1 AND (SELECT TRUE)", "this is not part of the rule language"),
        ("`r_score` = 1", "names are not quoted like this"),
        ("r_score = '1'::INTEGER", "casts are not part"),
        ("fav\u200bourite = 'a'", "an invisible character"),
        ("(" * 11 + "is_prospect" + ")" * 11, "too many nested parentheses"),
        ("+".join(["r_score"] * 50) + " = 1", "too many operations in a row"),
        ("is_prospect" + " " * 4_000, "longer than 4000 characters"),
        ("r_score = 1_000", "`_000` does not fit here"),
        ("r_score = 1e3", "`e3` does not fit here"),
        ("value_rank_share > .5", "a point stands within a number or between a scheme"),
        ("r_score = 1234567890123456", "more than 15 digits"),
        ("spend_amount * spend_amount * spend_amount > 0", "more than 38 digits"),
        ("favourite_category LIKE 'a%'", "`LIKE` does not fit here"),
        ("favourite_category = 'a' 'b'", "not part of the rule language"),
        ("r_score BETWEEN SYMMETRIC 2 AND 1", "unknown name `SYMMETRIC`"),
        ("r_score = 1 OR", "`OR` does not fit here"),
        ("(r_score = 1", "does not fit here"),
        ("r_score = 1)", "`)` does not fit here"),
        ("r_score = 1,", "`,` does not fit here"),
        ("(r_score, order_count) = (1, 2)", "not part of the rule language"),
        ("favourite_category = 'open", "this text is not closed"),
        ('"r_score = 1', "this name is not closed"),
    ],
)
def test_what_is_not_a_condition_is_refused_in_words(text: str, message: str) -> None:
    assert message in refusal(text)


@pytest.mark.parametrize("text", ["r_score = $n", "r_score = :n", "r_score = ?", "r_score = @", "r_score = @1"])
def test_other_kinds_of_parameters_are_refused(text: str) -> None:
    assert refusal(text)


WORDS = Vocabulary(
    {**NAMES, "recency_days": Kind.INTEGER, "last_order_date": Kind.DATE, "rfm.segment": Kind.TEXT},
    {"high": 500, "share": 0.25, "low": -3, "since": date(2024, 2, 29), "place": "it's", "wanted": True},
    {"rfm.segment": {"Champions": "champions", "champions": "champions", "lost": "lost"}},
)


@pytest.mark.parametrize(
    ("text", "spelt_out"),
    [
        ("recency_days >= @high", "recency_days >= 500"),
        ("value_rank_share < @share", "value_rank_share < 0.25"),
        ("recency_days BETWEEN @low AND @high", "recency_days BETWEEN -3 AND 500"),
        ("recency_days - @low > 0", "recency_days - -3 > 0"),
        ("last_order_date >= @since", "last_order_date >= DATE '2024-02-29'"),
        ("favourite_category IN (@place, 'b')", "favourite_category IN ('it''s', 'b')"),
        ("is_prospect = @wanted", "is_prospect = TRUE"),
    ],
)
def test_a_parameter_reads_as_if_its_value_stood_there(text: str, spelt_out: str) -> None:
    assert parse_rule(text, WORDS, where="x") == parse_rule(spelt_out, WORDS, where="x")


@pytest.mark.parametrize("value", ["a", "b", None])
@pytest.mark.parametrize("other", ["a", None])
def test_is_tells_true_or_false_even_of_the_unknown(value: str | None, other: str | None) -> None:
    names = Vocabulary({"x": Kind.TEXT, "y": Kind.TEXT})
    row = {"x": value, "y": other}
    answers = {
        text: rule_value(parse_rule(text, names, where="x"), row)
        for text in ("x IS 'a'", "x IS NOT 'a'", "x IS DISTINCT FROM y", "x IS NOT DISTINCT FROM y", "x IS NOT y", "y IS x", "NOT x IS 'a'")
    }
    is_a, is_same = value == "a", value == other
    assert list(answers.values()) == [is_a, not is_a, not is_same, is_same, not is_same, is_same, not is_a]


def test_an_unknown_parameter_is_answered_with_the_nearest() -> None:
    with pytest.raises(ConfigError, match=r"unknown parameter `@hihg` \(did you mean `high`\?\)"):
        parse_rule("recency_days > @hihg", WORDS, where="x")


def test_a_segment_of_another_scheme_goes_by_its_id_or_its_title() -> None:
    by_title, by_id = (parse_rule(f"rfm.segment IN ('{name}', 'lost')", WORDS, where="x") for name in ("Champions", "champions"))
    assert by_title == by_id


def test_an_unknown_segment_of_another_scheme_is_answered_with_the_nearest() -> None:
    with pytest.raises(ConfigError, match=r"no such segment: `champion` \(did you mean `champions`\?\)"):
        parse_rule("rfm.segment = 'champion'", WORDS, where="x")


def test_a_score_is_a_number() -> None:
    assert parse_score("2 * r_score + 1", WORDS, where="x").sql().endswith("AS DOUBLE)")
    with pytest.raises(ConfigError, match="a score must be a number"):
        parse_score("is_prospect", WORDS, where="x")


def test_a_refusal_names_the_file_the_place_and_what_to_do() -> None:
    assert refusal("is_prospect\n  OR r_scor = 1") == (
        "unknown name `r_scor` (did you mean `r_score`?)\n"
        "      OR r_scor = 1\n"
        "         ^\n"
        "  where: segments/x.toml:7, line 2, column 6 of the rule\n"
        "  next:  Use a feature, a declared attribute, or the segment of another scheme, such as rfm.segment."
    )


def test_a_caret_stays_under_its_word_in_a_long_line() -> None:
    lines = refusal(" OR ".join(["is_prospect"] * 50) + " OR is_prospekt OR " + " OR ".join(["is_prospect"] * 50)).splitlines()
    assert lines[1][lines[2].index("^") :].startswith("is_prospekt")
    assert len(lines[1]) < 140


def test_hundreds_of_conditions_in_a_row_are_one_rule() -> None:
    assert sql(" OR ".join(["r_score = 1"] * 200)).count(" OR ") == 199


def test_equal_rules_written_differently_are_equal_trees() -> None:
    left, right = (
        parse_rule(text, Vocabulary(NAMES), where="x") for text in ("(r_score)=5 and (is_prospect)", '"r_score" = 005\nAND is_prospect')
    )
    assert left == right

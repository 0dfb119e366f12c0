"""What an audience file may say, and how a wrong one is refused."""

from __future__ import annotations

import re
from datetime import date
from pathlib import Path

import pytest
from support.builders import a_company, an_attribute
from support.schemes import yes_or_no_scheme

from pipeline.definitions.audiences import MEMBER, has_expired, load_audiences
from pipeline.definitions.company import Company, with_declared_features
from pipeline.definitions.rules import Vocabulary, calls_in, parse_rule, rule_value
from pipeline.definitions.schemes import Scheme, load_schemes, without_unknown
from pipeline.errors import ConfigError
from pipeline.lake.tables import Column, Kind

HEAD = 'title = "Big"\npurpose = "Invite."\nowner = "CRM"\n'
RULE = 'rule = "spend_amount >= 100"\n'
CARD = """
[strategy]
message = {en = "Hello.", tr = "Merhaba."}
promotion = "P."
product_offer = "O."
price = "P."
channel = "C."
service = "S."
priority = 2
budget_share = 0.1
"""


def company_with(folder: Path, text: str, *, name: str = "big") -> Company:
    (folder / "audiences").mkdir(exist_ok=True)
    (folder / "audiences" / f"{name}.toml").write_text(text)
    return a_company(folder, attributes=(an_attribute(Column("city", Kind.TEXT, "City.")),))


def test_without_files_there_are_none(tmp_path: Path) -> None:
    assert load_audiences(a_company(tmp_path)).schemes == ()


def test_an_audience_is_a_scheme_of_one_segment_for_those_whom_its_rule_takes(tmp_path: Path) -> None:
    text = HEAD + 'expires = 2026-12-31\napplies_to = "NOT is_prospect"\n' + RULE + CARD
    [audience] = load_audiences(company_with(tmp_path, text)).schemes
    assert [segment.id for segment in audience.segments] == [MEMBER]
    assert audience.applies_to_text == "(NOT is_prospect) AND (spend_amount >= 100)"
    assert audience.audience
    assert (audience.audience.owner, audience.audience.expires) == ("CRM", date(2026, 12, 31))
    assert audience.strategy
    assert audience.strategy.texts("tr")["message"] == "Merhaba."


def test_the_last_day_is_the_last_night_on_which_it_is_published(tmp_path: Path) -> None:
    [audience] = load_audiences(company_with(tmp_path, HEAD + RULE + "expires = 2026-12-31\n")).schemes
    assert not has_expired(audience, date(2026, 12, 31))
    assert has_expired(audience, date(2027, 1, 1))


def test_a_segment_of_a_scheme_is_an_audience_by_name_and_brings_its_card(tmp_path: Path) -> None:
    company = company_with(tmp_path, HEAD + 'segment = "lifecycle.at_risk"\n')
    [audience] = load_audiences(company).schemes
    lifecycle = next(scheme for scheme in load_schemes(company).schemes if scheme.name == "lifecycle")
    assert audience.audience
    assert audience.audience.rule_text == "lifecycle.segment = 'at_risk'"
    assert audience.references == ("lifecycle",)
    assert audience.strategy == next(segment.strategy for segment in lifecycle.segments if segment.id == "at_risk")


def test_a_card_of_a_segment_is_taken_by_name(tmp_path: Path) -> None:
    company = company_with(tmp_path, HEAD + RULE + 'strategy = "rfm.champions"\n')
    rfm = next(scheme for scheme in load_schemes(company).schemes if scheme.name == "rfm")
    champions = next(segment for segment in rfm.segments if segment.id == "champions")
    assert load_audiences(company).schemes[0].strategy == champions.strategy


def test_what_a_company_lacks_is_named_as_for_schemes(tmp_path: Path) -> None:
    found = load_audiences(company_with(tmp_path, HEAD + 'rule = "income > 5"\n[needs]\nincome = "money"\n'))
    assert (found.schemes, found.not_computed) == ((), {"big": "needs income"})


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (HEAD, "an audience has either a `rule` or a `segment`"),
        (HEAD + RULE + 'segment = "lifecycle.at_risk"\n', "an audience has either a `rule` or a `segment`"),
        (HEAD + 'segment = "lifecycle.at_rsk"\n', "no such segment: `at_rsk` (did you mean `at_risk`?)"),
        (HEAD + 'segment = "lifecicle.at_risk"\n', "did you mean `lifecycle.at_risk`?"),
        (HEAD + RULE + 'strategy = "lifecycle.nobody"\n', "`strategy` is `lifecycle.nobody`, which has no card"),
        (HEAD + RULE + 'expires = "soon"\n', "`expires` has the wrong type: str"),
        (HEAD + RULE + "expires = 2026-01-01T00:00:00\n", "`expires` has the wrong type: datetime"),
        (HEAD + RULE + 'ownr = "x"\n', "`ownr` is not a known setting (did you mean `owner`?)"),
        (RULE + 'title = "T"\npurpose = "P."\n', "`owner` is missing"),
        (HEAD + 'rule = "order_count >= 2 AND order_count < 1"\n', "never"),
        (HEAD + RULE + "[parameters]\nlimit = 5\n", "no rule names the parameter `@limit`"),
    ],
)
def test_a_wrong_file_is_refused(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(ConfigError) as error:
        load_audiences(company_with(tmp_path, text))
    assert said in str(error.value)
    assert "big.toml" in error.value.where


def test_an_error_in_a_rule_points_at_its_place(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as error:
        load_audiences(company_with(tmp_path, HEAD + 'rule = "spend_amont >= 100"\n'))
    assert "unknown name `spend_amont` (did you mean `spend_amount`?)\n    spend_amont >= 100\n    ^" in error.value.what
    assert error.value.where.endswith("big.toml:4, column 1 of the rule")


def test_an_audience_may_not_have_the_name_of_a_scheme(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="the audience `rfm` has the name of a scheme"):
        load_audiences(company_with(tmp_path, HEAD + RULE, name="rfm"))


def test_an_audience_may_name_others_and_is_then_never_unknown_by_them(tmp_path: Path) -> None:
    company_with(tmp_path, HEAD + "rule = \"city = 'Berlin' OR rfm.segment = 'champions'\"\n", name="z_berlin")
    company = company_with(tmp_path, HEAD + 'rule = "spend_amount >= 100 AND NOT IN AUDIENCE z_berlin"\n')
    audience = next(each for each in load_audiences(company).schemes if each.name == "big")
    assert audience.references == ("rfm",)
    assert audience.applies_to is not None
    found = {
        (city, segment): rule_value(audience.applies_to, {"city": city, "rfm.segment": segment, "spend_amount": 100})
        for city in ("Berlin", "Bonn", None)
        for segment in ("champions", None)
    }
    assert [pair for pair, is_member in found.items() if is_member] == [("Bonn", None), (None, None)]
    assert None not in found.values()


@pytest.mark.parametrize(
    ("rule", "other", "message"),
    [
        ("IN AUDIENCE smal", RULE, "there is no audience `smal` (did you mean `small`?)"),
        ("IN AUDIENCE small", 'rule = "IN AUDIENCE big"', "audiences name each other in a circle: "),
        ("city IN AUDIENCE small", RULE, "IN AUDIENCE takes the name of an audience, and no value"),
        (
            "IN AUDIENCE small",
            'rule = "income > @limit"\nneeds = {income = "money"}\nparameters = {limit = {quantile = 0.5, of = "income"}}',
            "the audience `small` has a quantile, and cannot be named by another one",
        ),
    ],
)
def test_an_audience_that_cannot_be_named_is_told_of(tmp_path: Path, rule: str, other: str, message: str) -> None:
    company_with(tmp_path, f"{HEAD}{other}\n", name="small")
    with pytest.raises(ConfigError) as told:
        load_audiences(company_with(tmp_path, f'{HEAD}rule = "{rule}"\n'))
    assert message in str(told.value)
    assert "audiences/" in told.value.where


def test_a_circle_is_told_of_with_file_and_line(tmp_path: Path) -> None:
    company_with(tmp_path, HEAD + 'rule = "IN AUDIENCE big"\n', name="small")
    with pytest.raises(ConfigError, match="name each other in a circle: ") as told:
        load_audiences(company_with(tmp_path, HEAD + 'rule = "IN AUDIENCE small"\n'))
    assert re.search(r"audiences/(big|small)\.toml:4$", told.value.where)


def test_audiences_that_double_each_other_are_refused_before_they_fill_the_memory(tmp_path: Path) -> None:
    company_with(tmp_path, HEAD + 'rule = "order_count > 1"\n', name="a0")
    for each in range(30):
        rule = f"order_count = {each} OR (IN AUDIENCE a{each} AND NOT IN AUDIENCE a{each})"
        company_with(tmp_path, f'{HEAD}rule = "{rule}"\n', name=f"a{each + 1}")
    with pytest.raises(ConfigError, match="say too much together"):
        load_audiences(a_company(tmp_path))


def test_a_scheme_looks_at_no_audience(tmp_path: Path) -> None:
    company = company_with(tmp_path, HEAD + RULE)
    (tmp_path / "segments").mkdir()
    (tmp_path / "segments" / "mine.toml").write_text(yes_or_no_scheme("IN AUDIENCE big"))
    with pytest.raises(ConfigError, match="only the rule of an audience looks at others"):
        load_schemes(company)


def test_who_is_not_in_an_audience_that_cannot_be_computed_cannot_be_told_either(tmp_path: Path) -> None:
    company_with(tmp_path, HEAD + "rule = \"city = 'Berlin'\"\n", name="z_berlin")
    audiences = load_audiences(company_with(tmp_path, HEAD + 'rule = "NOT IN AUDIENCE z_berlin"\n'))
    assert without_unknown(audiences, {"city": "city"}).not_computed == {"big": "needs city", "z_berlin": "needs city"}


def audiences_saying(folder: Path, rules: dict[str, str]) -> dict[str, Scheme]:
    """Load audiences, each by a rule that is written to its file as it is."""
    for name, rule in rules.items():
        company_with(folder, f"{HEAD}rule = '''{rule}'''\n", name=name)
    company = a_company(folder, attributes=(an_attribute(Column("city", Kind.TEXT, "City.")),))
    return {audience.name: audience for audience in load_audiences(company).schemes}


@pytest.mark.parametrize("other", ["a_small", "z_small"])  # files are found before and after the one that names them
@pytest.mark.parametrize("name", ["{}", '"{}"'])
@pytest.mark.parametrize("written", ["IN AUDIENCE {}", "in  Audience {}", "NOT IN AUDIENCE {}", "NOT (IN\nAUDIENCE {})"])
def test_an_audience_is_named_with_quotes_and_without(tmp_path: Path, written: str, name: str, other: str) -> None:
    rule = written.format(name.format(other))
    found = audiences_saying(tmp_path, {"big": rule, other: "spend_amount < 100 AND rfm.segment = 'champions'"})
    assert found["big"].references == ("rfm",)
    assert found["big"].applies_to is not None
    customers = [{"spend_amount": spend, "rfm.segment": "champions"} for spend in (50, 150)]
    said = [rule_value(found["big"].applies_to, customer) for customer in customers]
    assert said == ([False, True] if rule.startswith("NOT") else [True, False])


@pytest.mark.parametrize(
    "rules",
    [
        {"big": 'IN AUDIENCE "big"'},
        {"big": 'spend_amount > 1 OR NOT IN AUDIENCE "big"'},
        {"big": 'IN AUDIENCE "small"', "small": "IN AUDIENCE big"},
        {"big": "IN AUDIENCE small", "small": 'spend_amount > 1 OR IN AUDIENCE "big"'},
    ],
)
def test_a_circle_of_names_in_quotes_is_told_of(tmp_path: Path, rules: dict[str, str]) -> None:
    with pytest.raises(ConfigError, match="name each other in a circle: ") as told:
        audiences_saying(tmp_path, rules)
    assert re.search(r"audiences/(big|small)\.toml:4$", told.value.where)


def test_a_name_is_seen_however_the_file_writes_it(tmp_path: Path) -> None:
    company_with(tmp_path, f'{HEAD}rule = "IN \\u0041UDIENCE \\"small\\""\n', name="big")
    found = audiences_saying(tmp_path, {"small": "spend_amount < 100"})
    assert found["big"].applies_to is not None
    assert not rule_value(found["big"].applies_to, {"spend_amount": 100})


def test_words_within_a_text_name_no_audience(tmp_path: Path) -> None:
    found = audiences_saying(tmp_path, {"big": "city = 'IN AUDIENCE big' OR city = 'IN AUDIENCE a_small'", "a_small": "IN AUDIENCE big"})
    assert found["a_small"].applies_to is not None
    assert rule_value(found["a_small"].applies_to, {"city": "IN AUDIENCE big"})
    assert not rule_value(found["a_small"].applies_to, {"city": "big"})


def test_an_audience_that_was_not_read_is_refused_and_never_everybody() -> None:
    words = Vocabulary({"spend_amount": Kind.MONEY}, audiences={"small": None})
    with pytest.raises(ConfigError, match="the audience `small` is not known yet"):
        parse_rule("IN AUDIENCE small", words, where="audiences/big.toml:4")


def test_a_list_that_an_audience_names_must_be_sound(tmp_path: Path) -> None:
    (tmp_path / "lists").mkdir()
    (tmp_path / "lists" / "vip.csv").write_text("")
    assert audiences_saying(tmp_path, {"big": "city = 'IN LIST vip'"})
    for rule in ("IN LIST vip", "city IN LIST 'vip'", 'NOT IN LIST "vip"'):
        with pytest.raises(ConfigError, match="this list is empty"):
            audiences_saying(tmp_path, {"big": rule})


@pytest.mark.parametrize(
    "rule", ["wine_orders >= 1", 'IN AUDIENCE "other"', "other_orders >= 1", "EXISTS(order_lines WHERE category = 'Wine')"]
)
def test_an_edited_feature_changes_the_audiences_that_name_it_within_one_process(tmp_path: Path, rule: str) -> None:
    (tmp_path / "features").mkdir()
    feature = "[wine_orders]\nfrom = 'order_lines'\nwhere = \"category = '{}'\"\nvalue = 'COUNT(*)'\ndescription = 'Orders.'\n"
    behind = "[other_orders]\nvalue = 'wine_orders + 1'\ndescription = 'More.'\n"
    company_with(tmp_path, f'{HEAD}rule = "wine_orders >= 1"\n', name="other")
    company_with(tmp_path, f'{HEAD}rule = """{rule}"""\n')
    found = []
    for category in ("Wine", "Beer"):
        (tmp_path / "features" / "own.toml").write_text(feature.format(category) + behind)
        company = with_declared_features(a_company(tmp_path))
        found.append({audience.name: dict(audience.declared) for audience in load_audiences(company).schemes})
    before, after = found
    assert all(each for each in (*before.values(), *after.values()))
    assert before["other"] != after["other"]
    assert (before["big"] != after["big"]) is not rule.startswith("EXISTS")


def test_a_rule_of_hundreds_of_conditions_is_read_as_a_night_reads_it(tmp_path: Path) -> None:
    company_with(tmp_path, HEAD + f'rule = "{" OR ".join(["a"] * 789)} OR COALESCE(b, 0) = 1"\n')
    attributes = (an_attribute(Column("a", Kind.FLAG, "A.")), an_attribute(Column("b", Kind.INTEGER, "B.")))
    audiences = load_audiences(a_company(tmp_path, attributes=attributes))
    assert without_unknown(audiences, {"a": "a"}).not_computed == {"big": "needs a"}
    [audience] = audiences.schemes
    assert audience.applies_to is not None
    assert [call.text for call in calls_in(audience.applies_to)] == ["COALESCE(b, 0)"]

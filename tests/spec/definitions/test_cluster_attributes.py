"""Attributes in a cluster scheme: what may be named, the words for titles, and where an error points."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.builders import a_company, an_attribute

from pipeline.definitions.company import Company
from pipeline.definitions.schemes import ClusterScheme, load_cluster_schemes
from pipeline.errors import ConfigError
from pipeline.lake.tables import Column, Kind

HEAD = """kind = "clusters"
title = "Travel motives"
level = "psychographic"
question = "What do people travel for?"
cluster_count_min = 3
cluster_count_max = 8
smallest_share = 0.03
jaccard_floor = 0.5
seed = 1
sample_rows = 1_000
"""
KINDS = {
    "likes_sports": Kind.FLAG,
    "likes_nature": Kind.FLAG,
    "region": Kind.TEXT,
    "age_years": Kind.INTEGER,
    "yearly_income": Kind.MONEY,
    "born_on": Kind.DATE,
}


def travel_company(folder: Path, text: str) -> Company:
    (folder / "segments").mkdir(exist_ok=True)
    (folder / "segments" / "travel_motives.toml").write_text(HEAD + text, "utf-8")
    attributes = [an_attribute(Column(name, kind, "")) for name, kind in KINDS.items()]
    return a_company(folder, attributes=(*attributes, an_attribute(Column("phone", Kind.TEXT, "", pii=True))))


def read(folder: Path, text: str) -> ClusterScheme:
    [scheme] = [each for each in load_cluster_schemes(travel_company(folder, text)) if each.name == "travel_motives"]
    return scheme


def test_flags_texts_and_numbers_may_be_named(tmp_path: Path) -> None:
    scheme = read(tmp_path, 'attributes = ["likes_sports", "region", "age_years", "yearly_income"]\n')
    assert [(each.name, each.encoding, each.fill) for each in scheme.features] == [
        ("likes_sports", "flag", None),
        ("region", "text", None),
        ("age_years", "number", None),
        ("yearly_income", "number", None),
    ]
    assert scheme.columns == ("likes_sports", "region", "age_years", "yearly_income")
    assert not scheme.goes_by_orders


def test_a_scheme_of_both_goes_by_orders(tmp_path: Path) -> None:
    scheme = read(tmp_path, 'attributes = ["likes_sports"]\n[[features]]\nname = "spend_amount"\ntransform = "log1p"\n')
    assert scheme.columns == ("order_day_count", "spend_amount", "likes_sports")
    assert scheme.attributes == ("likes_sports",)
    assert scheme.goes_by_orders


def test_words_are_made_of_the_name_where_none_are_given(tmp_path: Path) -> None:
    flag, text, number = read(tmp_path, 'attributes = ["likes_sports", "region", "age_years"]\n').features
    assert (flag.high, flag.low) == ("mostly answers yes to likes sports", "mostly answers no to likes sports")
    assert (text.high, text.low, text.highest) == ("region mostly {value}", "region rarely {value}", "region most often {value}")
    assert (number.high, number.lowest) == ("high age years", "lowest age years")


def test_words_and_transforms_are_given_in_a_table(tmp_path: Path) -> None:
    text = """
[[attributes]]
name = "likes_sports"
high = { en = "sporty", de = "sportlich" }

[[attributes]]
name = "region"
high = "mostly from {value}"

[[attributes]]
name = "yearly_income"
transform = "log1p"
"""
    flag, region, income = read(tmp_path, text).features
    assert (flag.high, flag.highs, region.high, income.transform) == ("sporty", {"de": "sportlich"}, "mostly from {value}", "log1p")


@pytest.mark.parametrize(
    ("text", "message", "todo", "line"),
    [
        (
            'attributes = [\n  "likes_sports",\n  "likes_natur",\n]\n',
            "`attributes` names `likes_natur`, which company.toml does not declare (did you mean `likes_nature`?)",
            (
                "Correct the name, or declare it there: [attributes.likes_natur]. "
                "It declares likes_sports, likes_nature, region, age_years, yearly_income, born_on."
            ),
            13,
        ),
        (
            'attributes = ["spend_amount"]\n',
            "`attributes` names `spend_amount`, which is a feature of customers",
            "Name it under [[features]], with a transform.",
            11,
        ),
        (
            'attributes = ["phone"]\n',
            "`attributes` names `phone`, which is personal data and never enters the features",
            "Leave it out, or declare it without `pii` in company.toml where it is none.",
            11,
        ),
        (
            '# not "born_on"\nattributes = ["born_on"]\n',
            "the attribute `born_on` is a date; clusters take numbers, flags and texts of a few values",
            "Name another one, or have the source give what it stands for, such as an age in years.",
            12,
        ),
        (
            '[[features]]\nname = "likes_sports"\ntransform = "none"\n',
            "`features` names `likes_sports`, which is an attribute of the company",
            "Name it under `attributes`.",
            12,
        ),
        ('attributes = ["region",\n"region"]\n', "`attributes` names a column twice: `region`", None, 12),
        (
            '[[attributes]]\nname = "region"\nhigh = "from there"\n',
            "`attributes.region.high` must say where the text goes, as in `mostly from {value}`",
            None,
            12,
        ),
        (
            '[[attributes]]\nname = "region"\ntransform = "log1p"\n',
            "`attributes.region.transform` is not a known key of an attribute",
            None,
            12,
        ),
        ('[[attributes]]\nname = "age_years"\nfill = 0\n', "`attributes.age_years.fill` is not a known key of an attribute", None, 12),
        ("attributes = [3]\n", "`attributes[0]` must be the name of an attribute, or a table with its `name`", None, None),
        ('[[attributes]]\nhigh = "x"\n', "`attributes.name` is missing", None, None),
        ("", "there is nothing to cluster by: name `features`, `attributes` or both", None, None),
        ("attributes = []\n", "there is nothing to cluster by: name `features`, `attributes` or both", None, None),
    ],
)
def test_a_wrong_attribute_is_refused_with_file_line_and_remedy(
    tmp_path: Path, text: str, message: str, todo: str | None, line: int | None
) -> None:
    company = travel_company(tmp_path, text)
    with pytest.raises(ConfigError) as refusal:
        load_cluster_schemes(company)
    file = tmp_path / "segments" / "travel_motives.toml"
    assert refusal.value.what == message
    assert refusal.value.where == (f"{file}:{line}" if line else str(file))
    assert todo is None or refusal.value.todo == todo


def test_more_attributes_than_a_model_can_take_are_refused(tmp_path: Path) -> None:
    names = [f"q{number}" for number in range(61)]
    company = travel_company(tmp_path, f"attributes = {names}\n")
    with pytest.raises(ConfigError, match="must have at most 60 entries, not 61"):
        load_cluster_schemes(company)

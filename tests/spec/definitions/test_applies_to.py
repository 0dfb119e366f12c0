"""Whom a scheme applies to: proven when it loads, total and disjoint among them, and refused where it makes no sense."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.builders import a_company, an_attribute

from pipeline.definitions.company import PROJECT_ROOT
from pipeline.definitions.schemes import Scheme, load_cluster_schemes, load_schemes
from pipeline.errors import ConfigError
from pipeline.lake.tables import Column, Kind

SCHEME = """
title = "T"
kind = "rules"
level = "behavioural"
question = "Q?"
applies_to = "{applies_to}"
evidence = ["order_count"]
segment = [
{segments}
]
"""
SEGMENT = '  {{id = "{id}", title = "T", description = "D.", {how}}},'


def loaded(folder: Path, applies_to: str, *rules: str, **others: str) -> Scheme:
    """Return the scheme `mine` with a segment for each of `rules`; an empty one takes everybody left over."""
    hows = [f'rule = "{rule}"' if rule else "otherwise = true" for rule in rules]
    segments = "\n".join(SEGMENT.format(id=f"s{number}", how=how) for number, how in enumerate(hows, 1))
    (folder / "segments").mkdir(parents=True, exist_ok=True)
    for name, text in {"mine": SCHEME.format(applies_to=applies_to, segments=segments), **others}.items():
        (folder / "segments" / f"{name}.toml").write_text(text, "utf-8")
    company = a_company(folder, attributes=(an_attribute(Column("business_type", Kind.TEXT, "")),))
    return next(scheme for scheme in load_schemes(company).schemes if scheme.name == "mine")


def test_rules_need_to_divide_those_alone_whom_the_scheme_applies_to(tmp_path: Path) -> None:
    scheme = loaded(tmp_path, "order_count >= 1", "order_count = 1", "order_count >= 2")
    assert scheme.proof is not None
    assert scheme.proof.method == "intervals"


@pytest.mark.parametrize(
    ("applies_to", "rules", "what"),
    [
        ("order_count >= 1", ("order_count = 1", "order_count >= 3"), "without a segment of those whom the scheme applies to"),
        ("order_count >= 1", ("order_count = 0", ""), "nobody can ever be in `s1`: its rule never holds"),
        ("order_count >= 1", ("order_count >= 1", ""), "nobody can ever be in `s2`: the rules leave nobody over of those whom the scheme"),
        ("order_count < 0", ("order_count = 1", ""), "`applies_to` never holds, so the scheme is for nobody"),
        ("order_count", ("order_count = 1", ""), "a rule must be true or false"),
        ("no_such_feature = 1", ("order_count = 1", ""), "unknown name `no_such_feature`"),
        ("NOT is_firm AND business_type = 'Shop'", ("order_count = 1", ""), "`applies_to` never holds"),
    ],
)  # fmt: skip
def test_what_cannot_be_meant_is_refused_with_its_line(tmp_path: Path, applies_to: str, rules: tuple[str, ...], what: str) -> None:
    with pytest.raises(ConfigError, match=r"mine\.toml") as caught:
        loaded(tmp_path, applies_to, *rules)
    assert what in str(caught.value)


def test_a_misspelt_name_is_pointed_at_where_it_stands(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"mine\.toml:6") as caught:
        loaded(tmp_path, "is_frim", "order_count = 1", "")
    assert "did you mean `is_firm`" in str(caught.value)


def test_who_refers_to_a_scheme_for_some_must_reckon_with_those_in_none(tmp_path: Path) -> None:
    (tmp_path / "segments").mkdir()
    some = SCHEME.format(
        applies_to="order_count >= 1",
        segments="\n".join(
            SEGMENT.format(id=name, how=how) for name, how in (("a", 'rule = \\"order_count = 1\\"'), ("b", "otherwise = true"))
        ),
    ).replace('\\"', '"')
    with pytest.raises(ConfigError, match="without a segment"):
        loaded(tmp_path, "NOT is_prospect", "some.segment = 'a'", "some.segment = 'b'", some=some)
    assert loaded(tmp_path, "some.segment IS NOT NULL", "some.segment = 'a'", "some.segment = 'b'", some=some).proof


def test_a_scheme_of_values_that_applies_to_nobody_is_refused_too(tmp_path: Path) -> None:
    (tmp_path / "segments").mkdir()
    text = 'title = "T"\nkind = "values"\nlevel = "behavioural"\nquestion = "Q?"\napplies_to = "order_count < 0"\n'
    (tmp_path / "segments" / "mine.toml").write_text(f'{text}evidence = ["favourite_category"]\nattribute = "favourite_category"\n')
    with pytest.raises(ConfigError, match="the scheme is for nobody"):
        load_schemes(a_company(tmp_path))


def test_clusters_say_whom_they_are_for_by_within(tmp_path: Path) -> None:
    (tmp_path / "segments").mkdir()
    ours = (PROJECT_ROOT / "segments" / "behaviour_clusters.toml").read_text("utf-8")
    (tmp_path / "segments" / "behaviour_clusters.toml").write_text(f'applies_to = "order_count >= 1"\n{ours}', "utf-8")
    with pytest.raises(ConfigError, match=r"`applies_to` is for schemes of rules and values.*`within`"):
        load_cluster_schemes(a_company(tmp_path))

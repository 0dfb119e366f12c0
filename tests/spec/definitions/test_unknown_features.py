"""Schemes of a company whose source lacks a column: what is left out, what stays, and what it is said to need."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.builders import a_company

from pipeline.definitions.schemes import Schemes, load_schemes, without_unknown

HEAD = 'title = "T"\nkind = "rules"\nlevel = "behavioural"\nquestion = "Q?"\nevidence = ["order_count"]\n'
OTHERS = '[[segment]]\nid = "others"\ntitle = "Others"\ndescription = "D."\notherwise = true\n'
UNKNOWN = {"favourite_category": "category", "discount_share": "discount_amount", "shrunk_discount_share": "discount_amount on 2024-03-01"}


def segment(name: str, rule: str) -> str:
    return f'[[segment]]\nid = "{name}"\ntitle = "{name.title()}"\ndescription = "D."\nrule = "{rule}"\n'


def told(folder: Path, **files: str) -> Schemes:
    (folder / "segments").mkdir()
    for name, text in files.items():
        (folder / "segments" / f"{name}.toml").write_text(HEAD + text, "utf-8")
    return without_unknown(load_schemes(a_company(folder)), UNKNOWN)


def segments_of(found: Schemes, name: str) -> list[str]:
    return [each.id for scheme in found.schemes if scheme.name == name for each in scheme.segments]


@pytest.mark.parametrize(
    ("rule", "needs"),
    [
        ("favourite_category = 'wine'", "needs category"),
        ("favourite_category <> 'wine'", "needs category"),
        # Nobody knows who buys wine among those who spend less.
        ("favourite_category = 'wine' OR spend_amount > 100", "needs category"),
        ("NOT discount_share > 0.5", "needs discount_amount"),
        ("discount_share > 0.5 AND favourite_category = 'wine'", "needs category, discount_amount"),
        ("shrunk_discount_share > 0.5", "needs discount_amount on 2024-03-01"),
        ("favourite_category IS 'wine'", "needs category"),
        ("favourite_category IS NOT NULL AND spend_amount > 60", "needs category"),
        ("favourite_category IS NOT 'wine' AND spend_amount > 60", None),
        ("favourite_category IS NULL OR favourite_category = 'wine'", None),
        ("spend_amount > 200", None),
        ("CONTAINS(favourite_category, 'wine')", "needs category"),
        ("COALESCE(favourite_category, 'none') = 'none' AND spend_amount > 60", None),
    ],
)
def test_a_segment_that_looks_at_what_nobody_has_is_left_out_and_the_others_stay(tmp_path: Path, rule: str, needs: str | None) -> None:
    found = told(tmp_path, mine=segment("some", rule) + segment("poor", "spend_amount < 50") + OTHERS)
    assert segments_of(found, "mine") == (["poor", "others"] if needs else ["some", "poor", "others"])
    assert found.not_computed.get("mine.some") == needs
    assert "mine" not in found.not_computed


def test_a_scheme_that_tells_nobody_apart_any_more_is_left_out_as_a_whole(tmp_path: Path) -> None:
    found = told(tmp_path, mine=segment("wine", "favourite_category = 'wine'") + segment("cheap", "discount_share > 0.5") + OTHERS)
    assert found.not_computed["mine"] == "needs category, discount_amount"
    assert "mine" not in [scheme.name for scheme in found.schemes]
    assert "mine" in [scheme.name for scheme in found.uncomputed]


def test_a_scheme_whose_other_segments_would_leave_somebody_out_is_left_out_as_a_whole(tmp_path: Path) -> None:
    rules = ("discount_share > 0.5", "discount_share <= 0.5", "discount_share IS NULL")
    found = told(tmp_path, mine="".join(segment(f"s{place}", rule) for place, rule in enumerate(rules)))
    assert found.not_computed["mine"] == "needs discount_amount"


def test_a_scheme_whose_values_or_members_are_unknown_is_left_out(tmp_path: Path) -> None:
    applies = 'applies_to = "discount_share > 0.1"\n' + segment("rich", "spend_amount > 300") + OTHERS
    found = told(tmp_path, mine=applies)
    assert (found.not_computed["mine"], found.not_computed["category_affinity"]) == ("needs discount_amount", "needs category")


def test_who_looks_at_a_segment_that_is_left_out_needs_the_same(tmp_path: Path) -> None:
    first = segment("wine", "favourite_category = 'wine'") + segment("rich", "spend_amount > 300") + OTHERS
    second = segment("far", "first.segment = 'wine'") + segment("near", "first.segment = 'rich'") + OTHERS
    third = segment("few", "order_count = 3") + segment("last", "second.segment = 'far'")
    third += segment("rest", "second.segment <> 'far' AND order_count = 2") + OTHERS
    found = told(tmp_path, first=first, second=second, third=third)
    own = {name: reason for name, reason in found.not_computed.items() if name.partition(".")[0] in ("first", "second", "third")}
    assert own == dict.fromkeys(("first.wine", "second.far", "third.last", "third.rest"), "needs category")


def test_nothing_is_left_out_where_nothing_is_unknown(tmp_path: Path) -> None:
    loaded = load_schemes(a_company(tmp_path))
    assert without_unknown(loaded, {}) is loaded

"""`[scores]` of a scheme: which method scores customers, and what a wrong one is told."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.builders import a_company

from pipeline.definitions.company import PROJECT_ROOT, Company
from pipeline.definitions.schemes import Scheme, load_schemes
from pipeline.errors import ConfigError

HEAD = 'title = "T"\nkind = "rules"\nlevel = "behavioural"\nquestion = "Q?"\nevidence = ["order_count"]\n'
BEST = '[[segment]]\nid = "best"\ntitle = "B"\ndescription = "B."\nrule = "{}"\n'
REST = '[[segment]]\nid = "rest"\ntitle = "R"\ndescription = "R."\notherwise = true\n'


def company_with(folder: Path, **texts: str) -> Company:
    (folder / "segments").mkdir(exist_ok=True)
    for name, text in texts.items():
        (folder / "segments" / f"{name}.toml").write_text(text, "utf-8")
    return a_company(folder)


def our_file(name: str, scores: str) -> str:
    ours = (PROJECT_ROOT / "segments" / f"{name}.toml").read_text("utf-8")
    return ours.replace("[[segment]]", f"[scores]\n{scores}\n[[segment]]", 1)


def best(rule: str, scores: str = "") -> str:
    return HEAD + (f"[scores]\n{scores}\n" if scores else "") + BEST.format(rule) + REST


def methods(company: Company, name: str) -> dict[str, str]:
    found: Scheme = next(scheme for scheme in load_schemes(company).schemes if scheme.name == name)
    return {score: str(method) for score, method in found.score_methods.items()}


def test_scores_are_frozen_unless_a_definition_says_otherwise(tmp_path: Path) -> None:
    company = company_with(tmp_path)
    assert methods(company, "rfm") == dict.fromkeys(("r_score", "f_score", "m_score"), "frozen")
    assert methods(company, "value_tier") == {"value_score": "frozen"}
    assert methods(company, "lifecycle") == {}


def test_a_scheme_without_methods_goes_by_those_of_rfm_and_value_tier(tmp_path: Path) -> None:
    rfm, tiers = our_file("rfm", 'f_score = "rank"'), our_file("value_tier", "value_score = { thresholds = [50, 99.5] }")
    company = company_with(tmp_path, rfm=rfm, value_tier=tiers, mine=best("fm_score = 5 AND value_score > 1"))
    assert methods(company, "mine") == {"f_score": "rank", "m_score": "frozen", "value_score": "thresholds 50, 99.5"}


def test_a_scheme_may_have_methods_of_its_own(tmp_path: Path) -> None:
    own = best("r_score = 5", "r_score = { thresholds = [7, 30, 90, 180] }")
    company = company_with(tmp_path, rfm=our_file("rfm", 'r_score = "rank"'), mine=own)
    assert methods(company, "mine") == {"r_score": "thresholds 7, 30, 90, 180"}
    assert methods(company, "rfm")["r_score"] == "rank"


@pytest.mark.parametrize(
    ("scores", "message"),
    [
        ('r_score = "ranks"', "`scores.r_score` names no method"),
        ('r_score = "ranks"', 'Write r_score = "frozen", "rank" or { thresholds = [7, 30, 90, 180] }.'),
        ("r_score = [7, 30, 90, 180]", "`scores.r_score` names no method"),
        ('r_score = { thresholds = [7, 30, 90, 180], method = "rank" }', "`scores.r_score` names no method"),
        ("fm_score = 3", "scores.fm_score` is not a known setting"),
        (
            "r_score = { thresholds = [7, 30, 90] }",
            "`scores.r_score.thresholds` must have 4 whole numbers, each larger than the one before",
        ),
        ("r_score = { thresholds = [180, 90, 30, 7] }", "must have 4 whole numbers, each larger than the one before"),
        ("r_score = { thresholds = [7, 7, 30, 90] }", "must have 4 whole numbers, each larger than the one before"),
        ("r_score = { thresholds = [7.5, 30, 90, 180] }", "must have 4 whole numbers"),
        ("r_score = { thresholds = [-1, 30, 90, 180] }", "must have 4 whole numbers"),
        ("r_score = { thresholds = [true, 30, 90, 180] }", "must have 4 whole numbers"),
        ('r_score = { thresholds = "7" }', "must have 4 whole numbers"),
        ("m_score = { thresholds = [1, 2, 3, 4.00001] }", "`scores.m_score.thresholds` must have 4 amounts"),
        ("m_score = { thresholds = [1, 2, 3, inf] }", "must have 4 amounts"),
        ("m_score = { thresholds = [1, 2, 3, nan] }", "must have 4 amounts"),
        ("value_score = { thresholds = [1, 2, 3] }", "must have 2 amounts"),
    ],
)
def test_a_wrong_method_is_refused(tmp_path: Path, scores: str, message: str) -> None:
    company = company_with(tmp_path, mine=best("r_score = 5 AND m_score = 5 AND value_score = 3", scores))
    with pytest.raises(ConfigError) as caught:
        load_schemes(company)
    assert message in str(caught.value)
    assert "mine.toml" in str(caught.value)


def test_a_method_of_a_score_that_the_scheme_does_not_name_is_refused(tmp_path: Path) -> None:
    company = company_with(tmp_path, mine=best("r_score = 5", 'm_score = "rank"'))
    with pytest.raises(ConfigError, match=r"`scores\.m_score` has no effect: no rule or evidence of this scheme names it"):
        load_schemes(company)


@pytest.mark.parametrize("rule", ["value_score = 4", "value_score < 1"])
def test_a_value_score_is_1_to_3(tmp_path: Path, rule: str) -> None:
    with pytest.raises(ConfigError, match="nobody can ever be in `best`"):
        load_schemes(company_with(tmp_path, mine=best(rule)))

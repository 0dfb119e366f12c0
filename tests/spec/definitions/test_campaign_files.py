"""Campaign files: what they say, what they leave out, and what is refused with words for whoever wrote them."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest

from pipeline.definitions.campaigns import CampaignDefinition, load_campaign, read_campaign
from pipeline.definitions.definition_files import Definition
from pipeline.errors import ConfigError

SMALLEST = 'audience = "win_back"\nstart_day = 2026-10-01\nend_day = 2026-10-28\n'


def campaign(text: str = "", *, name: str = "autumn", head: str = SMALLEST) -> CampaignDefinition:
    return read_campaign(Definition(Path(f"campaigns/{name}.toml"), head + text))


def refusal(text: str, **given: str) -> ConfigError:
    with pytest.raises(ConfigError) as refused:
        campaign(text, **given)
    return refused.value


def test_the_smallest_file_holds_back_a_tenth_and_is_judged_by_orders() -> None:
    read = campaign()
    assert [(arm.name, arm.share, arm.is_control) for arm in read.arms] == [("treated", 0.9, False), ("control", 0.1, True)]
    assert (read.campaign_id, read.title, read.scheme, read.primary_metric) == ("autumn", "autumn", "rfm", "ordered")
    assert (read.day_count, read.look_count, read.is_exclusive, read.is_holdout) == (28, 1, True, False)
    assert (read.fixed_cost, read.margin_share) == (0, None)


def test_amounts_are_exact_and_the_control_costs_nothing() -> None:
    read = campaign("cost_per_contact = 0.1\nfixed_cost = 500\n[arms.mail]\n[arms.call]\ncost_per_contact = 2.35\nshare = 0.05\n")
    assert {arm.name: arm.cost_per_contact for arm in read.arms} == {"mail": Decimal("0.1"), "call": Decimal("2.35"), "control": 0}
    assert read.fixed_cost == Decimal(500)


@pytest.mark.parametrize(
    ("arms", "shares"),
    [
        ("[arms.a]\n[arms.b]\n", {"a": 450_000, "b": 450_000, "control": 100_000}),
        ("[arms.a]\n[arms.b]\n[arms.c]\n[arms.control]\nshare = 0.3\n", {"a": 233_333, "b": 233_333, "c": 233_334, "control": 300_000}),
        ("[arms.a]\nshare = 0.6\n[arms.rest]\nis_control = true\nshare = 0.4\n", {"a": 600_000, "rest": 400_000}),
        ("[arms.control]\nshare = 0.5\n", {"treated": 500_000, "control": 500_000}),
    ],
)
def test_what_shares_leave_is_divided_among_arms_without_one_and_adds_up_exactly(arms: str, shares: dict[str, int]) -> None:
    read = campaign(arms)
    assert {arm.name: arm.share_parts for arm in read.arms} == shares
    assert sum(shares.values()) == 1_000_000


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[arms.a]\nshare = 0.5\n[arms.b]\nshare = 0.5\n", "add up to 1.1, the control's included"),
        ("[arms.a]\nshare = 0.9\n[arms.b]\n", "add up to 1"),
        ("[arms.a]\nshare = 0.333334\n[arms.b]\nshare = 0.333334\n[arms.control]\nshare = 0.333334\n", "add up to 1.000002, the control's"),
        ("[arms.a]\nis_control = true\n[arms.b]\nis_control = true\n", "more than one control"),
        ("[arms.treated]\nis_control = true\n", "calls the control `treated`, as the other arm is called"),
        ("[arms.control]\nis_control = false\n", "calls an arm `control` that is none"),
        ("[arms.a]\nshare = 0\n", "`arms.a.share` must be a number from 0.001 to 0.999"),
        ("[arms.a]\nshares = 0.5\n", "`arms.a.shares` is not a known setting (did you mean `share`?)"),
        ("looks = 5\n", "`looks` must be 4, or be left out"),
        ("holdout = true\n", '`holdout` needs audience = "everybody"'),
        ("cost_per_contact = 0.00001\n", "money has 4 decimals"),
        ("margin_share = 40\n", "`margin_share` must be a number from 0 to 1"),
        ('primary_metric = "orders"\n', "`primary_metric` is `orders` (did you mean `ordered`?)"),
        ('audiense = "x"\n', "`audiense` is not a known setting (did you mean `audience`?)"),
    ],
)
def test_what_is_wrong_is_refused_by_its_name(text: str, words: str) -> None:
    error = refusal(text)
    assert words in error.what
    assert error.where == "campaigns/autumn.toml"


def test_looks_need_four_weeks() -> None:
    head = SMALLEST.replace("10-28", "10-27")
    assert "needs a campaign of 28 days or more: this one has 27" in refusal("looks = 4\n", head=head).what
    assert campaign("looks = 4\n").look_count == 4


@pytest.mark.parametrize("end", ["2026-09-30", "2028-01-01"])
def test_an_end_before_the_start_or_years_after_it_is_refused(end: str) -> None:
    assert "`end_day` must be" in refusal("", head=SMALLEST.replace("2026-10-28", end)).what


def test_a_holdout_is_about_everybody_and_keeps_nobody_from_campaigns() -> None:
    read = campaign("holdout = true\n", head=SMALLEST.replace("win_back", "everybody"))
    assert (read.is_holdout, read.is_exclusive) == (True, False)
    assert "cannot be exclusive" in refusal("holdout = true\nexclusive = true\n", head=SMALLEST.replace("win_back", "everybody")).what


def test_the_name_of_the_file_is_the_id_and_must_be_one() -> None:
    assert "the campaign's name is `Autumn 26`" in refusal("", name="Autumn 26").what
    with pytest.raises(ConfigError, match="no such file"):
        load_campaign(Path("campaigns/nowhere.toml"))


def test_days_that_overlap_are_seen_at_either_end() -> None:
    read = campaign()
    assert read.overlaps(date(2026, 10, 28), date(2026, 11, 3))
    assert read.overlaps(date(2026, 9, 1), date(2026, 10, 1))
    assert not read.overlaps(date(2026, 10, 29), date(2026, 11, 3))

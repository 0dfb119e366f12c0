"""A campaign from its file to its results: planned, assigned once, left alone, measured on its day."""

from __future__ import annotations

import shutil
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from support.campaigns import (
    CAMPAIGN,
    CUSTOMERS,
    DUE,
    END,
    EVE,
    START,
    add_orders,
    arms_of,
    command,
    run_campaign,
    shown,
    start,
    write_campaign_shop,
)
from support.killing import copied
from support.nights import run_night, tree_bytes

from pipeline.definitions.company import load_company
from pipeline.errors import ConfigError
from pipeline.lake.lake import Lake
from pipeline.lake.tables import (
    CAMPAIGN_ARMS,
    CAMPAIGN_CHECKS,
    CAMPAIGN_RESULTS,
    CAMPAIGN_SUMMARIES,
    CAMPAIGN_VALUES,
    CUSTOMER_FEATURES,
    Table,
)
from pipeline.operations.deployment import Deployment
from pipeline.operations.erasure.erase import erase_customers
from pipeline.reporting.campaigns import campaign_report, campaign_reports
from pipeline.reporting.campaigns.view import render

TABLES = tuple(f"tables/{table.name}" for table in (CAMPAIGN_SUMMARIES, CAMPAIGN_RESULTS, CAMPAIGN_CHECKS, CAMPAIGN_VALUES))


@pytest.fixture(scope="module")
def after_eve(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a shop and of its lake after the night before the campaign."""
    folder = tmp_path_factory.mktemp("eve")
    run_night(write_campaign_shop(folder / "shop"), Lake(folder / "lake"), EVE)
    return folder


def copy_of(folder: Path, new: Path) -> tuple[Path, Lake]:
    return Path(shutil.copytree(folder / "shop", new / "shop")), Lake(copied(folder / "lake", new / "lake"))


@pytest.fixture
def eve(after_eve: Path, tmp_path: Path) -> tuple[Path, Lake]:
    """Return a copy of the shop and its lake, to be changed."""
    return copy_of(after_eve, tmp_path)


@pytest.fixture(scope="module")
def measured(after_eve: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Lake]:
    """A campaign whose mail made half of its customers buy, where a fifth of the control did."""
    shop, lake = copy_of(after_eve, tmp_path_factory.mktemp("campaign"))
    run_campaign(shop, lake, lambda arm, place: place % 10 < (5 if arm == "treated" else 2))
    return shop, lake


def headline(lake: Lake, metric: str) -> dict[str, Any]:
    rows = lake.read(CAMPAIGN_RESULTS, day=DUE).to_pylist()
    [row] = [row for row in rows if row["metric"] == metric and row["segment"] == "all" and row["is_headline"]]
    return row


def test_arms_are_halves_of_every_stratum_and_stored_once(measured: tuple[Path, Lake]) -> None:
    shop, lake = measured
    arms = arms_of(lake)
    assert sorted(arms) == CUSTOMERS
    assert [sum(arm == name for arm in arms.values()) for name in ("treated", "control")] == [200, 200]
    again = command(shop, lake, "start", str(shop / "campaigns" / "spring.toml"))
    assert "was started already" in str(again.exception)
    assert arms_of(lake) == arms


def test_what_the_mail_did_is_found_and_told_in_money(measured: tuple[Path, Lake]) -> None:
    _, lake = measured
    arms = arms_of(lake)
    bought = {arm: sum(1 for place, name in enumerate(sorted(arms)) if arms[name] == arm and place % 10 < n) for arm, n in RATES.items()}
    row = headline(lake, "ordered")
    assert (row["arm_value"], row["control_value"]) == (bought["treated"] / 200, bought["control"] / 200)
    assert row["low"] < bought["treated"] / 200 - bought["control"] / 200 < row["high"]
    assert row["is_significant"]
    assert row["adjusted_p_value"] < 1e-6
    spend, [value] = headline(lake, "spend"), lake.read(CAMPAIGN_VALUES, day=DUE).to_pylist()
    assert value["incremental_amount"] == pytest.approx(200 * spend["difference"])
    assert value["cost_amount"] == 20
    assert value["profit"] == pytest.approx(0.4 * value["incremental_amount"] - 20)
    assert value["verdict"] == "paid"
    assert spend["p_value"] is None, "only the primary metric has a p-value"


RATES = {"treated": 5, "control": 2}


def test_the_command_says_it_and_ends_with_0(measured: tuple[Path, Lake]) -> None:
    shop, lake = measured
    said = command(shop, lake, "results", "spring")
    assert said.exit_code == 0
    assert "it paid (probability more than 99%)" in said.stdout.replace("\n", " ")
    row = headline(lake, "ordered")
    assert f"a difference of {100 * row['difference']:+.2f} points, between {100 * row['low']:+.2f} points and" in " ".join(
        said.stdout.split()
    )
    [told] = shown(command(shop, lake, "results", "--json"))["campaigns"]
    assert (told["state"], told["left_count"], told["night"]) == ("final", 0, "2024-03-06")
    assert "did you mean `spring`" not in str(command(shop, lake, "results", "autumn").exception)
    assert "there is no campaign `autumn`" in str(command(shop, lake, "results", "autumn").exception)


def test_the_night_again_says_the_same_bytes(measured: tuple[Path, Lake]) -> None:
    shop, lake = measured
    before = tree_bytes(lake, *TABLES)
    run_night(shop, lake, DUE, until="segment")
    assert tree_bytes(lake, *TABLES) == before


def test_a_campaign_that_the_newest_night_tells_no_more_is_listed_as_it_ended(measured: tuple[Path, Lake], tmp_path: Path) -> None:
    shop, lake = measured[0], Lake(copied(measured[1].root, tmp_path / "lake"))
    before = DUE - timedelta(days=1)
    for table in (CAMPAIGN_SUMMARIES, CAMPAIGN_RESULTS, CAMPAIGN_CHECKS, CAMPAIGN_VALUES):
        rows = lake.read(table, day=DUE)
        lake.write(table, rows.to_batches(), day=before)
        lake.write(table, rows.slice(0, 0).to_batches(), day=DUE)
    [report] = campaign_reports(load_company(shop), lake)
    assert (report.night, report.summary["state"]) == (before, "final")
    assert report == campaign_report(load_company(shop), lake, "spring")


def test_campaigns_that_no_night_tells_of_are_looked_for_once_and_by_their_ids_alone(
    measured: tuple[Path, Lake], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop, lake = copied(measured[0], tmp_path / "shop"), Lake(copied(measured[1].root, tmp_path / "lake"))
    for night in range(1, 4):
        for name in TABLES:
            copied(lake.root / name / f"day={DUE}", lake.root / name / f"day={DUE - timedelta(days=night)}")
    for name in ("summer", "autumn"):
        (shop / "campaigns" / f"{name}.toml").write_text((shop / "campaigns" / "spring.toml").read_text("utf-8"), "utf-8")
    read, reads = Lake.read, list[str]()

    def counted_read(lake: Lake, table: Table, **options: Any) -> pa.Table:
        reads.append(table.name)
        return read(lake, table, **options)

    monkeypatch.setattr(Lake, "read", counted_read)
    states = {report.summary["campaign_id"]: report.summary["state"] for report in campaign_reports(load_company(shop), lake)}
    assert states == {"autumn": "not started", "spring": "final", "summer": "not started"}
    assert reads.count(CAMPAIGN_RESULTS.name) == 1


def test_nothing_is_shown_before_its_date_and_nobody_is_kept_to_an_arm_after_the_end(eve: tuple[Path, Lake]) -> None:
    shop, lake = eve
    assert not lake.nights(CAMPAIGN_SUMMARIES), "the night before a campaign knows nothing of it"
    start(shop, lake)
    assert command(shop, lake, "results", "spring").exit_code == 2
    for day, state, is_kept in ((START, "running", True), (END, "running", True), (DUE - timedelta(days=1), "running", False)):
        run_night(shop, lake, day, until="segment")
        [summary] = lake.read(CAMPAIGN_SUMMARIES, day=day).to_pylist()
        assert (summary["state"], summary["due_date"]) == (state, DUE)
        assert lake.read(CAMPAIGN_RESULTS, day=day).num_rows == 0
        assert lake.has(CAMPAIGN_ARMS, day=day) == is_kept
    assert command(shop, lake, "results", "spring").exit_code == 2
    assert lake.read(CAMPAIGN_ARMS, day=START).num_rows == 400


def test_who_is_erased_leaves_the_arm_and_is_counted(eve: tuple[Path, Lake]) -> None:
    shop, lake = eve
    start(shop, lake)
    treated = [name for name, arm in sorted(arms_of(lake).items()) if arm == "treated"][:3]
    erase_customers(Deployment.of(shop, lake.root), treated)
    assert not set(treated) & set(arms_of(lake))
    run_night(shop, lake, DUE, until="segment")
    [summary] = lake.read(CAMPAIGN_SUMMARIES, day=DUE).to_pylist()
    assert (summary["assigned_count"], summary["customer_count"], summary["left_count"]) == (400, 397, 3)


def test_an_arm_that_lost_its_customers_withholds_all_results(eve: tuple[Path, Lake]) -> None:
    """Somebody takes customers of one arm out of the source: what is left of it are others than were drawn."""
    shop, lake = eve
    start(shop, lake)
    gone = {name for name, arm in sorted(arms_of(lake).items()) if arm == "control"}
    left = [name for name in CUSTOMERS if name not in sorted(gone)[:80]]
    (shop / "data" / "customers.csv").write_text("\n".join(["id", *left]) + "\n")
    run_night(shop, lake, DUE)
    [summary] = lake.read(CAMPAIGN_SUMMARIES, day=DUE).to_pylist()
    assert (summary["state"], summary["left_count"]) == ("sample ratio", 80)
    assert {row["difference"] for row in lake.read(CAMPAIGN_RESULTS, day=DUE).to_pylist()} == {None}
    assert lake.read(CAMPAIGN_VALUES, day=DUE).num_rows == 0
    checks = {row["check"]: row["is_passed"] for row in lake.read(CAMPAIGN_CHECKS, day=DUE).to_pylist()}
    assert (checks["sample_ratio_assigned"], checks["sample_ratio_measured"]) == (True, False)
    said = command(shop, lake, "results", "spring")
    assert said.exit_code == 6
    assert "nothing is told" in said.stdout


def test_one_exclusive_campaign_at_a_time_and_the_holdout_in_none(eve: tuple[Path, Lake]) -> None:
    shop, lake = eve
    days = f"start_day = {START}\nend_day = {END}\n"
    for name, text in {
        "quarter": f'audience = "everybody"\nholdout = true\n{days}',
        "second": f'audience = "lifetime_order_count >= 1"\n{days}',
        "news": f'audience = "lifetime_order_count >= 2"\nexclusive = false\n{days}',
        "later": f'audience = "lifetime_order_count >= 2"\nstart_day = {END + timedelta(days=1)}\nend_day = {END + timedelta(days=9)}\n',
    }.items():
        (shop / "campaigns" / f"{name}.toml").write_text(text)
    (shop / "campaigns" / "spring.toml").write_text(CAMPAIGN.replace("lifetime_order_count >= 1", "lifetime_order_count = 1"))
    start(shop, lake, "quarter")
    held_out = {name for name, arm in arms_of(lake, "quarter").items() if arm == "control"}
    assert len(held_out) == 40
    spring = start(shop, lake)
    assert spring["excluded"] == {"holdout": len(held_out) - sum(int(name[1:]) % 3 == 0 for name in held_out)}
    second = start(shop, lake, "second")
    assert second["excluded"] == {"holdout": 40, "other_campaign": len(arms_of(lake))}
    assert not held_out & (set(arms_of(lake)) | set(arms_of(lake, "second")))
    assert not set(arms_of(lake)) & set(arms_of(lake, "second"))
    assert set(start(shop, lake, "news")["excluded"]) == {"holdout"}, "one that is not exclusive may take anybody else"
    assert start(shop, lake, "later")["excluded"] == {}, "by then the others are over"


def test_an_audience_a_segment_and_a_rule_each_take_their_customers(eve: tuple[Path, Lake]) -> None:
    shop, lake = eve
    (shop / "audiences").mkdir()
    (shop / "audiences" / "twice.toml").write_text('title = "T"\npurpose = "P."\nowner = "O"\nrule = "lifetime_order_count >= 2"\n')
    counts = {}
    for audience in ("twice", "lifetime_order_count >= 2", "rfm.loyal", "everybody"):
        (shop / "campaigns" / "spring.toml").write_text(CAMPAIGN.replace("lifetime_order_count >= 1", audience))
        plan = shown(command(shop, lake, "plan", str(shop / "campaigns" / "spring.toml"), "--json"))
        counts[audience] = plan["audience_count"]
    assert counts["twice"] == counts["lifetime_order_count >= 2"] == sum(place % 3 == 0 for place in range(400))
    assert 0 < counts["rfm.loyal"] < counts["everybody"] == 400
    assert not lake.list_addresses("tables/campaign_assignments/"), "a plan writes nothing"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (("lifetime_order_count >= 1", "twise"), "`audience` is `twise`, which is no audience of this company"),
        (("lifetime_order_count >= 1", "rfm.champs"), "`audience`: "),
        (("lifetime_order_count >= 1", "lifetime_order_coun >= 1"), "`audience`: "),
        (("lifetime_order_count >= 1", "lifetime_order_count > 99"), "the arm `treated` would have no customer"),
        (("share = 0.5", "share = 0.003"), "the arm `control` would have 1 customer"),
        (
            ('title = "Spring mail"', 'scheme = "rfmm"'),
            "does not have (did you mean `rfm`?)",
        ),
        ((f"start_day = {START}", f"start_day = {EVE}"), "knows of that day already"),
    ],
)
def test_what_cannot_be_started_says_why_with_the_file(began: tuple[Path, Lake], change: tuple[str, str], words: str) -> None:
    shop, lake = began
    file = shop / "campaigns" / "spring.toml"
    file.write_text(CAMPAIGN.replace(*change))
    refused = command(shop, lake, "start", str(file))
    assert words in str(refused.exception)
    assert "spring.toml" in str(refused.exception)


@pytest.fixture(scope="module")
def began(after_eve: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Lake]:
    """Return a shop whose campaign is written anew by each test, and never started."""
    return copy_of(after_eve, tmp_path_factory.mktemp("began"))


def test_a_plan_ends_with_the_command_that_starts_it(began: tuple[Path, Lake]) -> None:
    shop, lake = began
    file = shop / "campaigns" / "spring.toml"
    file.write_text(CAMPAIGN)
    said = command(shop, lake, "plan", str(file)).stdout
    assert f"segments campaign start {file} --company {shop} --lake {lake.root}\n" in said, "on one line, to be pasted"
    assert ".." not in said.replace("../", "")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ((f"start_day = {START}", f"start_day = {EVE}"), f"`start_day` is {EVE}, but the night of {EVE} knows of that day already"),
        (("lifetime_order_count >= 1", "lifetime_order_count > 99"), "the arm `treated` would have no customer"),
        (("share = 0.5", "share = 0.003"), "the arm `control` would have 1 customer"),
    ],
)
def test_a_plan_that_start_would_refuse_says_why_and_leads_nowhere(began: tuple[Path, Lake], change: tuple[str, str], words: str) -> None:
    shop, lake = began
    file = shop / "campaigns" / "spring.toml"
    file.write_text(CAMPAIGN.replace(*change))
    planned = command(shop, lake, "plan", str(file))
    assert planned.exit_code == 0, "it says what would be"
    said = " ".join(planned.stdout.split())
    refused = command(shop, lake, "start", str(file)).exception
    assert isinstance(refused, ConfigError)
    assert words in refused.what
    assert f"It cannot be started: {refused.what}. {refused.todo}" in said
    assert "campaign start" not in said
    assert shown(command(shop, lake, "plan", str(file), "--json"))["refusal"] == {"what": refused.what, "todo": refused.todo}


def test_a_campaign_that_was_started_is_not_offered_again(measured: tuple[Path, Lake]) -> None:
    shop, lake = measured
    said = " ".join(command(shop, lake, "plan", str(shop / "campaigns" / "spring.toml")).stdout.split())
    assert "It cannot be started: the campaign `spring` was started already. A campaign is assigned once." in said
    assert "campaign start" not in said


@pytest.mark.parametrize("control_share", [0.9, 0.5, 0.2])
def test_a_plan_counts_the_buyers_of_the_smaller_arm_as_results_do(began: tuple[Path, Lake], control_share: float) -> None:
    shop, lake = began
    file = shop / "campaigns" / "spring.toml"
    file.write_text(CAMPAIGN.replace("share = 0.5", f"share = {control_share}"))
    plan = shown(command(shop, lake, "plan", str(file), "--json"))
    smaller = min(control_share, 1 - control_share)
    assert plan["expected_buyers"] == pytest.approx(plan["metric_value"] * 400 * smaller)
    assert plan["needed_buyers"] == {0.9: 50, 0.5: 30, 0.2: 30}[control_share]


@pytest.mark.parametrize("metric", ["ordered", "spend"])
def test_what_several_arms_can_show_goes_by_the_strictest_limit_of_holm(began: tuple[Path, Lake], metric: str) -> None:
    shop, lake = began
    file = shop / "campaigns" / "spring.toml"
    three = CAMPAIGN.replace("[arms.control]\nshare = 0.5", "[arms.mail]\n[arms.call]\n[arms.control]\nshare = 0.5")
    plans = []
    for text in (CAMPAIGN.replace("share = 0.5", "share = 0.5\n[arms.mail]\n[arms.rest]\nshare = 0.25\n"), three):
        file.write_text(f'primary_metric = "{metric}"\n' + text)
        plans.append(shown(command(shop, lake, "plan", str(file), "--json")))
    for plan in plans:
        n = [arm["customer_count"] for arm in plan["arms"] if not arm["is_control"]]
        assert n == [100, 100]
        value, gain = plan["metric_value"], plan["visible_value"] - plan["metric_value"]
        # Two p-values: the smaller has to be below half of 5 %, which is 2.2414 standard errors; and 0.8416 more, so that 4 of 5 are.
        if metric == "ordered":
            error = (value * (1 - value) / 200 + plan["visible_value"] * (1 - plan["visible_value"]) / 100) ** 0.5
            assert gain / error == pytest.approx(2.2414 + 0.8416, rel=1e-3)
            assert plan["visible_spend"] > 0
        else:
            usual = plan["visible_spend"] * (2.2414 + 0.8416) / (1.9600 + 0.8416)
            assert gain == pytest.approx(usual, rel=1e-3), "what is told without a p-value goes by 5 %"


def test_what_nobody_did_lately_is_not_called_impossible(began: tuple[Path, Lake]) -> None:
    """Customers who have not ordered for long did nothing lately by definition: what they will do is not known, rather than nothing."""
    shop, lake = began
    file = shop / "campaigns" / "spring.toml"
    file.write_text(CAMPAIGN.replace("lifetime_order_count >= 1", "recency_days >= 30"))
    said = command(shop, lake, "plan", str(file)).stdout.replace("\n", " ")
    assert "None of them ordered in the 7 days before, so what it could show is not known" in said
    assert "could show no effect" not in said
    assert "would buy" not in said, "nor how many of the control will buy"


def test_a_campaign_is_not_judged_by_visits_that_nobody_counts(began: tuple[Path, Lake]) -> None:
    shop, lake = began
    file = shop / "campaigns" / "spring.toml"
    file.write_text('primary_metric = "visited"\n' + CAMPAIGN)
    for verb in ("plan", "start"):
        refused = command(shop, lake, verb, str(file)).exception
        assert "`primary_metric` is `visited`, but this company does not say who visits" in str(refused)


def test_a_loss_is_told_as_less_and_not_as_minus_more(measured: tuple[Path, Lake]) -> None:
    shop, lake = measured
    report = campaign_report(Deployment.of(shop, lake.root).company, lake, "spring")
    [value] = report.values
    loss = {"incremental_amount": -5.0, "incremental_low": -9.0, "incremental_high": 1.0}
    said = [str(part) for part in render(replace(report, values=({**value, **loss},)), currency="EUR")]
    assert "  treated: 5.00 EUR less than without it (difference between -9.00 EUR and 1.00 EUR)." in said


def test_what_lapsed_customers_will_do_is_reckoned_from_those_who_had_lapsed_before(tmp_path: Path, lake: Lake) -> None:
    """Of customers without an order for 30 days nobody ordered in the last 7; of those a week ago, a tenth did in the week after."""
    shop = write_campaign_shop(tmp_path / "shop")
    file = shop / "campaigns" / "spring.toml"
    file.write_text(CAMPAIGN.replace("lifetime_order_count >= 1", "recency_days >= 30"))
    earlier = EVE - timedelta(days=7)
    run_night(shop, lake, earlier)
    lapsed = sorted(lake.read(CUSTOMER_FEATURES, day=earlier).filter(pc.field("recency_days") >= 30)["customer_id"].to_pylist())
    # Beside those whom the shop has on the first two days of that week.
    back = {*lapsed[::10], *(name for place, name in enumerate(CUSTOMERS) if place % 3 == 0 and place % 20 in (18, 19))} & {*lapsed}
    add_orders(shop, [f"r{place},1,{name},{EVE - timedelta(days=3)} 10:00,1,9,tea" for place, name in enumerate(lapsed[::10])])
    run_night(shop, lake, EVE)
    plan = shown(command(shop, lake, "plan", str(file), "--json"))
    assert plan["reckoned_from"] == str(earlier)
    assert plan["metric_value"] == pytest.approx(len(back) / len(lapsed))
    assert plan["visible_value"] > plan["metric_value"]
    said = " ".join(command(shop, lake, "plan", str(file)).stdout.split())
    assert f"Reckoned from what the same audience of {earlier} did in the 7 days after it." in said

"""What `segments status` says of a lake, and the exit code that a monitor goes by."""

from __future__ import annotations

import json
import shutil
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families
from support.events import ANY_SHARE, write_email_shop
from support.nights import night_environment, night_of, run_night, write_shop
from support.published_nights import no_connections

from pipeline.cli import run_command_line
from pipeline.definitions.company import load_company
from pipeline.errors import GateClosed, PipelineError
from pipeline.lake.lake import Lake
from pipeline.lake.tables import EXTRACTIONS
from pipeline.operations import steps
from pipeline.publication.rollback import roll_back
from pipeline.reporting.metrics.prometheus import to_prometheus
from pipeline.reporting.metrics.status_samples import segment_size_samples

pytestmark = pytest.mark.usefixtures("own_logging")

GOOD, NEXT, LATER = date(2024, 3, 1), date(2024, 3, 2), date(2024, 3, 3)
END_OF_GOOD = 1_709_334_000  # 2024-03-01 23:00 UTC, midnight in Berlin
ORDERS = [f"o{n},1,c{n % 7},2024-02-{n % 28 + 1:02} 10:00:00,1,{n}.25,a" for n in range(40)] + ["p1,1,c1,2024-03-02 09:00:00,1,5,a"]


@pytest.fixture(scope="module")
def good_night(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("good")
    run_night(write_shop(folder / "shop", ORDERS, customers=[f"c{n}" for n in range(7)]), Lake(folder / "lake"), GOOD)
    return folder


@pytest.fixture
def shop(good_night: Path, tmp_path: Path) -> Path:
    return shutil.copytree(good_night / "shop", tmp_path / "shop")


@pytest.fixture
def published(good_night: Path, tmp_path: Path) -> Lake:
    return Lake(shutil.copytree(good_night / "lake", tmp_path / "lake", symlinks=True))


def asked(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], shop: Path, lake: Lake, *words: str) -> tuple[int, str]:
    """Return the exit code of `segments status` and what it printed."""
    monkeypatch.setattr("sys.argv", ["segments", "status", *words])
    with night_environment(shop, lake), pytest.raises(SystemExit) as ended:
        run_command_line()
    return int(ended.value.code or 0), capsys.readouterr().out


def status(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], shop: Path, lake: Lake) -> dict[str, Any]:
    code, text = asked(monkeypatch, capsys, shop, lake, "--json")
    content: dict[str, Any] = json.loads(text)
    assert content["exit_code"] == code
    return content


def test_a_lake_without_nights_is_not_finished_and_nothing_is_made(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], shop: Path, lake: Lake
) -> None:
    code, text = asked(monkeypatch, capsys, shop, Lake(lake.root.parent / "nothing"))
    assert code == 7
    assert "no night was run yet" in text
    assert not (lake.root.parent / "nothing").exists()


def test_a_published_night_is_live_and_ends_with_0(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], shop: Path, published: Lake
) -> None:
    found = status(monkeypatch, capsys, shop, published)
    assert found["exit_code"] == 0
    assert (found["live"]["day"], found["newest"]["day"], found["newest"]["outcome"]) == ("2024-03-01", "2024-03-01", "live")
    assert found["live"]["rows"]["customer_features"] == 7
    assert found["bytes"]["tables"] == sum(path.stat().st_size for path in (published.root / "tables").rglob("*") if path.is_file())
    code, text = asked(monkeypatch, capsys, shop, published)
    assert code == 0
    assert found["live"]["publication_id"] in text


def test_a_night_that_is_still_under_way_is_not_finished(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], shop: Path, published: Lake
) -> None:
    run_night(shop, published, NEXT, until="extract")
    found = status(monkeypatch, capsys, shop, published)
    assert (found["exit_code"], found["newest"]["day"], found["newest"]["outcome"]) == (7, "2024-03-02", "not_finished")
    assert found["live"]["day"] == "2024-03-01"


def test_a_night_begun_before_a_rollback_is_refused_until_it_is_begun_again(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], shop: Path, published: Lake
) -> None:
    run_night(shop, published, NEXT)
    run_night(shop, published, LATER, until="extract")
    roll_back(load_company(shop), published, connections=no_connections)
    found = status(monkeypatch, capsys, shop, published)
    assert (found["exit_code"], found["newest"]["day"], found["newest"]["outcome"]) == (6, "2024-03-03", "refused")
    steps.extract(night_of(shop, published, LATER))
    found = status(monkeypatch, capsys, shop, published)
    assert (found["exit_code"], found["newest"]["outcome"]) == (7, "not_finished")


def test_a_night_whose_source_could_not_be_read_was_begun_all_the_same(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], shop: Path, published: Lake
) -> None:
    (shop / "data" / "orders.csv").unlink()
    with pytest.raises(PipelineError):
        steps.extract(night_of(shop, published, NEXT))
    found = status(monkeypatch, capsys, shop, published)
    assert (found["exit_code"], found["newest"]["day"]) == (7, "2024-03-02")


def test_a_night_with_too_many_rejected_rows_is_held_back_by_that_gate(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], shop: Path, published: Lake
) -> None:
    with (shop / "data" / "orders.csv").open("a") as file:
        file.writelines(f"q{n},1,,2024-03-02 11:00:00,1,5,a\n" for n in range(30))
    with pytest.raises(PipelineError):
        run_night(shop, published, NEXT)
    found = status(monkeypatch, capsys, shop, published)
    assert (found["exit_code"], found["newest"]["outcome"]) == (6, "gate_closed")
    [closed] = [gate for gate in found["newest"]["gates"] if gate["state"] == "closed"]
    assert (closed["gate"], closed["subject"], closed["limit"]) == ("rejected", "raw_order_lines", 0.05)
    assert closed["measured"] > 0.5
    assert found["rejected_rows"] == {"raw_order_lines": 30, "raw_customers": 0}
    gauges = gauges_of(asked(monkeypatch, capsys, shop, published, "--prometheus")[1])
    assert gauges["segments_newest_night_state", "gate_closed"] == 1
    assert sum(value for (name, *_), value in gauges.items() if name == "segments_newest_night_state") == 1
    assert gauges["segments_gates", "closed"] == 1
    rejected = {key[1:]: value for key, value in gauges.items() if key[0] == "segments_rejected_rows"}
    assert {key: value for key, value in rejected.items() if value} == {("raw_order_lines", "customer_id_is_given"): 30}
    assert len(rejected) > 10  # of every rule, so that yesterday's count does not stay
    assert gauges["segments_checked_rows", "raw_order_lines"] > 30
    assert gauges["segments_closed_gates", "rejected"] == 1
    assert sum(value for (name, *_), value in gauges.items() if name == "segments_closed_gates") == 1
    assert gauges["segments_status_code",] == 6
    assert gauges["segments_live_until_timestamp_seconds",] == END_OF_GOOD
    assert gauges["segments_newest_night_until_timestamp_seconds",] == END_OF_GOOD + 86_400


def test_gauges_of_a_live_night_withhold_small_segments(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], shop: Path, published: Lake
) -> None:
    code, text = asked(monkeypatch, capsys, shop, published, "--prometheus")
    gauges = gauges_of(text)
    assert code == gauges["segments_status_code",] == 0
    assert gauges["segments_live_until_timestamp_seconds",] == END_OF_GOOD
    assert gauges["segments_live_rows", "customer_features"] == gauges["segments_night_customers",] == 7
    assert gauges["segments_read_rows", "raw_customers"] == 7
    assert gauges["segments_newest_order_age_days",] == 2
    assert gauges["segments_memberships", "rfm"] == 7
    assert gauges["segments_free_bytes",] > 0
    assert gauges["segments_newest_night_state", "live"] == 1
    told = [value for (name, *_), value in gauges.items() if name == "segments_customers"]
    assert set(told) == {0}
    assert gauges["segments_withheld", "value_tier"] > 0


def test_the_only_small_segment_takes_the_next_larger_one_along_and_names_are_escaped() -> None:
    sizes = {'a "b"\\\n': {"x": 120, "y": 9, "z": 40, "none": 0}, "two": {"x": 120, "y": 9, "z": 1}}
    gauges = gauges_of(to_prometheus(segment_size_samples(sizes)))
    told = {key[1:]: value for key, value in gauges.items() if key[0] == "segments_customers"}
    assert told == {('a "b"\\\n', "x"): 120, ('a "b"\\\n', "none"): 0, ("two", "x"): 120}
    assert {key[1]: value for key, value in gauges.items() if key[0] == "segments_withheld"} == {'a "b"\\\n': 2, "two": 2}


def test_hidden_segments_are_ten_customers_together_or_more() -> None:
    sizes = {"few": {"a": 1, "b": 1, "c": 50, "d": 60}, "all": {"a": 1, "b": 2}}
    gauges = gauges_of(to_prometheus(segment_size_samples(sizes)))
    assert {key[1:]: value for key, value in gauges.items() if key[0] == "segments_customers"} == {("few", "d"): 60}


def test_a_monitor_may_ask_whether_the_last_day_is_live(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], shop: Path, published: Lake
) -> None:
    # The shop goes on to this day, and its newest night is years old: without the question all is well.
    assert asked(monkeypatch, capsys, shop, published)[0] == 0
    code, text = asked(monkeypatch, capsys, shop, published, "--up-to-date")
    assert code == 7
    assert "is not live" in text
    (shop / "company.toml").write_text((shop / "company.toml").read_text().replace("first_day", "last_day = 2024-03-01\nfirst_day"))
    code, text = asked(monkeypatch, capsys, shop, published, "--up-to-date", "--json")
    found = json.loads(text)
    assert (code, found["exit_code"], found["due"], found["is_due"]) == (0, 0, "2024-03-01", False)


def test_it_says_where_iceberg_tables_lead(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], shop: Path, published: Lake
) -> None:
    assert status(monkeypatch, capsys, shop, published)["iceberg"] is None
    with (shop / "company.toml").open("a") as file:
        file.write('\n[publish.iceberg]\ncatalog = "warehouse"\n')
    assert "warehouse.segments leads to nothing, behind what is live" in " ".join(asked(monkeypatch, capsys, shop, published)[1].split())
    monkeypatch.setenv("SEGMENTS_CATALOG_WAREHOUSE", f"sqlite:///{published.root}/catalog.db")
    steps.publish(night_of(shop, published, GOOD))
    found = status(monkeypatch, capsys, shop, published)
    live = found["live"]["publication_id"]
    assert found["iceberg"] == {"catalog": "warehouse", "namespace": "segments", "publication_ids": [live], "is_in_step": True}
    assert f"warehouse.segments leads to {live}" in asked(monkeypatch, capsys, shop, published)[1]


def gauges_of(text: str) -> dict[tuple[str, ...], float]:
    """Return what Prometheus reads: values by name and labels."""
    families = list(text_string_to_metric_families(text))
    assert {family.type for family in families} == {"gauge"}
    assert all(family.documentation for family in families)
    return {(sample.name, *sample.labels.values()): sample.value for family in families for sample in family.samples}


def test_a_gate_that_is_off_says_so_in_the_status(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], shop: Path, published: Lake
) -> None:
    with (shop / "company.toml").open("a") as file:
        file.write('[gates]\noff = ["rejected"]\n')
    run_night(shop, published, NEXT)
    found = status(monkeypatch, capsys, shop, published)
    assert {gate["state"] for gate in found["newest"]["gates"] if gate["gate"] == "rejected"} == {"off"}


def test_rejected_rows_can_be_let_pass_by_name_and_a_rerun_keeps_that(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], shop: Path, published: Lake
) -> None:
    with (shop / "data" / "orders.csv").open("a") as file:
        file.writelines(f"q{n},1,,2024-03-02 11:00:00,1,5,a\n" for n in range(30))
    monkeypatch.setattr("sys.argv", ["segments", "run", "--day", str(NEXT), "--override-gate", "rejected", "--reason", "tills down"])
    with night_environment(shop, published):
        main_code = ended_with(run_command_line)
    assert main_code == 0
    capsys.readouterr()
    gauges = gauges_of(asked(monkeypatch, capsys, shop, published, "--prometheus")[1])
    assert all(gauges["segments_step_seconds", name] > 0 for name in steps.STEPS)
    assert all(gauges["segments_step_cpu_seconds", name] >= 0 for name in steps.STEPS)
    moves = {key[1:]: value for key, value in gauges.items() if key[0] == "segments_moves"}
    assert moves["rfm", "own_purchase"] <= 1  # c1 alone bought
    assert moves["rfm", "model_refit"] == 0
    run_night(shop, published, NEXT)
    found = status(monkeypatch, capsys, shop, published)
    assert found["newest"]["outcome"] == "live"
    assert [gate["reason"] for gate in found["newest"]["gates"] if gate["state"] == "overridden"] == ["tills down"]


def test_a_night_stopped_by_a_critical_rule_ends_with_4_and_names_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], shop: Path, published: Lake
) -> None:
    (shop / "data" / "customers.csv").write_text("id\n")
    with pytest.raises(PipelineError):
        run_night(shop, published, NEXT)
    code, text = asked(monkeypatch, capsys, shop, published)
    assert code == 4
    assert "raw_customers breaks `" in text


def test_a_rerun_of_the_live_night_that_a_gate_holds_back_is_told_with_the_gate(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], shop: Path, published: Lake
) -> None:
    with (shop / "company.toml").open("a") as file:
        file.write("[gates]\nsmallest_population = 1\nchurn_share_limit = 0.5\n")
    text = (shop / "data" / "orders.csv").read_text()
    (shop / "data" / "orders.csv").write_text(text.replace(",c1,", ",c2,").replace(",c3,", ",c2,").replace(",c4,", ",c2,"))
    read_again(shop, published)
    with pytest.raises(GateClosed):
        run_night(shop, published, GOOD)
    found = status(monkeypatch, capsys, shop, published)
    assert (found["exit_code"], found["newest"]["outcome"]) == (6, "rerun_gate_closed")
    assert found["live"]["day"] == found["newest"]["day"] == "2024-03-01"
    assert {gate["gate"] for gate in found["newest"]["gates"] if gate["state"] == "closed"} == {"churn"}
    code, printed = asked(monkeypatch, capsys, shop, published)
    assert code == 6
    assert "its rerun is held back by a closed gate" in " ".join(printed.split())
    (shop / "data" / "orders.csv").write_text(text)
    read_again(shop, published)
    run_night(shop, published, GOOD)
    assert status(monkeypatch, capsys, shop, published)["newest"]["outcome"] == "live"


def test_a_rerun_of_the_live_night_that_validation_stops_is_told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], shop: Path, published: Lake
) -> None:
    text = (shop / "data" / "orders.csv").read_text()
    with (shop / "data" / "orders.csv").open("a") as file:
        file.writelines(f"q{n},1,,2024-03-01 11:00:00,1,5,a\n" for n in range(30))
    for customers, outcome in ((None, (6, "rerun_gate_closed")), ("id\n", (4, "rerun_stopped"))):
        if customers:
            (shop / "data" / "customers.csv").write_text(customers)
            (shop / "data" / "orders.csv").write_text(text)
        read_again(shop, published)
        with pytest.raises(PipelineError):
            steps.validate(night_of(shop, published, GOOD))
        found = status(monkeypatch, capsys, shop, published)
        assert (found["exit_code"], found["newest"]["outcome"]) == outcome


def test_a_rerun_of_the_live_night_whose_reading_broke_off_is_not_finished(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], shop: Path, published: Lake
) -> None:
    published.remove(EXTRACTIONS, day=GOOD)
    found = status(monkeypatch, capsys, shop, published)
    assert (found["exit_code"], found["newest"]["outcome"]) == (7, "rerun_not_finished")


def test_a_limit_that_is_lowered_later_says_nothing_of_the_night_that_is_live(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], shop: Path, published: Lake
) -> None:
    with (shop / "data" / "orders.csv").open("a") as file:
        file.write("q1,1,,2024-03-02 11:00:00,1,5,a\n")
    (shop / "company.toml").write_text(f"{(shop / 'company.toml').read_text()}[gates]\nrejected_share_limit = 0.9\n")
    run_night(shop, published, NEXT)
    (shop / "company.toml").write_text((shop / "company.toml").read_text().replace("0.9", "0.01"))
    found = status(monkeypatch, capsys, shop, published)
    assert (found["exit_code"], found["newest"]["outcome"]) == (0, "live")


def read_again(shop: Path, lake: Lake) -> None:
    steps.extract(night_of(shop, lake, GOOD), reread=True)


def ended_with(command: Any) -> int:
    with pytest.raises(SystemExit) as ended:
        command()
    return int(ended.value.code or 0)


def test_events_are_counted_with_their_days_where_a_company_has_them(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path, published: Lake, shop: Path
) -> None:
    assert status(monkeypatch, capsys, shop, published)["events"] == []
    rows = ["m1,sent,ann,2024-03-26 10:00,,,,,", "m1,opened,ann,2024-03-27 10:00,,,,,", "m2,opened,,2024-03-27 10:00,,,,,"]
    emails = write_email_shop(tmp_path / "emails", rows, settings=ANY_SHARE)
    lake = Lake(tmp_path / "lake of e-mails")
    run_night(emails, lake, date(2024, 3, 28), until="validate")
    known = {"name": "email", "row_count": 2, "first_day": "2024-03-26", "last_day": "2024-03-27"}
    assert status(monkeypatch, capsys, emails, lake)["events"] == [known]
    assert "email: 2 rows from 2024-03-26 to 2024-03-27" in asked(monkeypatch, capsys, emails, lake)[1]

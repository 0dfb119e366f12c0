"""A closed gate keeps the last good night live, says which and by how much, and opens only for a recorded reason."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from support.nights import night_environment, night_of, run_night, tree_bytes, write_shop
from support.published_nights import manifest, published_segments, target_rows

from pipeline.cli import run_command_line
from pipeline.errors import GateClosed
from pipeline.lake.lake import Lake
from pipeline.operations import steps
from pipeline.publication.gates import GateResult, GateState
from pipeline.publication.gates.results import stored_gates

pytestmark = pytest.mark.usefixtures("own_logging")

GOOD, NEXT, LATER = date(2024, 3, 27), date(2024, 3, 28), date(2024, 3, 29)
CUSTOMERS = [f"c{n}" for n in range(100)]
LIVE = ("publications", "current", "models")
DAYS = [date(2024, 1, 20) + timedelta(offset) for offset in range((LATER - date(2024, 1, 20)).days + 1)]
ORDERS = [f"o{day}-{n},1,c{(day.toordinal() * 2 + n) % 100},{day} 10:00:00,1,{10 + n}.50,a" for day in DAYS for n in range(2)]


@pytest.fixture(scope="module")
def good_night(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("good")
    run_night(write_shop(folder / "shop", ORDERS, customers=CUSTOMERS), Lake(folder / "lake"), GOOD)
    return folder


@pytest.fixture
def shop(good_night: Path, tmp_path: Path) -> Path:
    return shutil.copytree(good_night / "shop", tmp_path / "shop")


@pytest.fixture
def published(good_night: Path, tmp_path: Path) -> Lake:
    return Lake(shutil.copytree(good_night / "lake", tmp_path / "lake", symlinks=True))


def half_of_the_customers_vanish(shop: Path) -> None:
    """Half of them are gone with all their lines, as after a source was cut in two."""
    write_shop(shop, [line for line in ORDERS if int(line.split(",")[2][1:]) < 50], customers=CUSTOMERS[:50])


def everybody_buys_at_once(shop: Path) -> None:
    everybody = [f"all{n},1,c{n},{NEXT} 10:00:00,1,{n + 1}00,a" for n in range(100)]
    write_shop(shop, [*ORDERS, *everybody], customers=CUSTOMERS)


def steps_until_audit(shop: Path, lake: Lake, day: date, **options: Any) -> None:
    run_night(shop, lake, day, until="segment")
    steps.audit(night_of(shop, lake, day), **options)


def gates(lake: Lake, day: date, state: GateState) -> dict[tuple[str, str], GateResult]:
    record = stored_gates(lake, day)
    assert record is not None
    return {(result.gate, result.subject): result for result in record.results if result.state is state}


def live(lake: Lake) -> Mapping[str, Any]:
    return {**tree_bytes(lake, *LIVE), "target": target_rows(lake.root / "segments.sqlite"), "link": (lake.root / "current").readlink()}


def segments(monkeypatch: pytest.MonkeyPatch, company: Path, lake: Lake, *words: str) -> int:
    monkeypatch.setattr("sys.argv", ["segments", *words])
    with night_environment(company, lake), pytest.raises(SystemExit) as ended:
        run_command_line()
    return int(ended.value.code or 0)


def test_half_of_the_customers_vanish_and_the_last_good_night_stays_live_until_the_source_is_mended(
    shop: Path, published: Lake, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    before = live(published)
    half_of_the_customers_vanish(shop)
    again = ("run", "--since", "2024-01-01", "--day", NEXT.isoformat())
    assert segments(monkeypatch, shop, published, *again) == 6
    said = capsys.readouterr().err
    assert "GateClosed: 2024-03-28 is not published, the last good night stays live:\n  vanished (customers): " in said
    assert "vanished (customers): 50.00% of the 100 customers of 2024-03-27 are gone; the limit is 10.00%" in said
    assert "--override-gate vanished" in said
    assert "Traceback" not in said
    assert live(published) == before
    assert gates(published, NEXT, GateState.CLOSED)["vanished", "customers"].measured == 0.5
    assert segments(monkeypatch, shop, published, "status") == 6
    assert "held back by a closed gate" in capsys.readouterr().out
    write_shop(shop, ORDERS, customers=CUSTOMERS)
    assert segments(monkeypatch, shop, published, *again) == 0
    assert len(published_segments(published)) == 100
    assert gates(published, NEXT, GateState.CLOSED) == {}
    assert segments(monkeypatch, shop, published, "status") == 0


def test_a_night_that_died_right_after_the_database_is_taken_out_of_it_when_its_retry_is_refused(
    shop: Path, published: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = live(published)
    with monkeypatch.context() as dying:
        dying.setattr("pipeline.publication.publish.make_current", unplugged)
        with pytest.raises(SystemError):
            run_night(shop, published, NEXT)
    assert live(published)["target"] != before["target"]
    assert live(published)["link"] == before["link"]
    half_of_the_customers_vanish(shop)
    steps.extract(night_of(shop, published, NEXT), since=date(2024, 1, 1))
    with pytest.raises(GateClosed):
        steps_until_audit(shop, published, NEXT)
    assert live(published)["target"] == before["target"]


def unplugged(*_: object) -> None:
    raise SystemError("the plug is pulled")


def test_a_closed_gate_is_passed_only_by_name_and_the_reason_is_kept_for_good(
    shop: Path, published: Lake, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    everybody_buys_at_once(shop)
    before = live(published)
    with pytest.raises(GateClosed) as caught:
        run_night(shop, published, NEXT)
    assert "churn (rfm)" in caught.value.what
    with pytest.raises(GateClosed, match="churn"):
        steps.publish(night_of(shop, published, NEXT))
    assert live(published) == before
    night = ("run", "--day", NEXT.isoformat())
    options = ("--override-gate", "churn", "--override-gate", "swallowed", "--reason", "new shop opened")
    assert segments(monkeypatch, shop, published, *night, *options) == 0
    assert "overridden: new shop opened" in " ".join(capsys.readouterr().out.split())
    record = gates(published, NEXT, GateState.OVERRIDDEN)["churn", "rfm"]
    assert record.reason == "new shop opened"
    assert record.measured is not None
    assert record.measured > 0.25
    told = {(result["gate"], result["subject"]): result for result in manifest(published)["gates"]["results"]}["churn", "rfm"]
    assert (told["state"], told["measured"], told["reason"]) == ("overridden", record.measured, "new shop opened")
    assert manifest(published)["gates"]["compared_with"].startswith(GOOD.isoformat())
    assert "new shop opened" in (published.root / "reports" / f"day={NEXT}" / "validation.html").read_text()
    overridden = tree_bytes(published, "tables", *LIVE)
    run_night(shop, published, NEXT)
    assert tree_bytes(published, "tables", *LIVE) == overridden


def test_an_override_of_one_gate_does_not_open_another(shop: Path, published: Lake) -> None:
    half_of_the_customers_vanish(shop)
    steps.extract(night_of(shop, published, NEXT), since=date(2024, 1, 1))
    with pytest.raises(GateClosed) as caught:
        steps_until_audit(shop, published, NEXT, override_gates="churn, swallowed", override_reason="new shop opened")
    assert "vanished" in caught.value.what
    assert "churn" not in caught.value.what


def test_two_quiet_days_are_published_and_a_third_is_not(shop: Path, published: Lake) -> None:
    write_shop(shop, [line for line in ORDERS if line.split(",")[3][:10] <= GOOD.isoformat()], customers=CUSTOMERS)
    run_night(shop, published, LATER)
    assert manifest(published)["day"] == LATER.isoformat()
    words = r"freshness \(order_lines\): the newest order lines are of 2024-03-27, 3 days back; the limit is 2"
    with pytest.raises(GateClosed, match=words):
        run_night(shop, published, LATER + timedelta(1))
    assert manifest(published)["day"] == LATER.isoformat()


def test_an_older_night_is_not_judged_and_keeps_what_was_said_of_it(shop: Path, published: Lake) -> None:
    run_night(shop, published, LATER)
    before = tree_bytes(published, "tables/gate_results", *LIVE)
    for day in (GOOD, NEXT):
        run_night(shop, published, day)
    assert tree_bytes(published, "tables/gate_results", *LIVE) == before
    assert stored_gates(published, NEXT) is None


def test_a_changed_rule_explains_the_moves_of_its_own_scheme_alone(shop: Path, published: Lake) -> None:
    everybody_buys_at_once(shop)
    ours = (Path(__file__).parents[2] / "segments" / "rfm.toml").read_text()
    (shop / "segments").mkdir()
    changed = ours.replace('rule = "r_score = 5 AND fm_score >= 4"', 'rule = "fm_score >= 4 AND r_score = 5"')
    assert changed != ours
    (shop / "segments" / "rfm.toml").write_text(changed)
    with pytest.raises(GateClosed) as caught:
        run_night(shop, published, NEXT)
    assert "churn (rfm)" not in caught.value.what
    assert "churn (" in caught.value.what
    assert ("churn", "rfm") in gates(published, NEXT, GateState.NOT_MEASURED)


def test_nothing_that_a_gate_stores_or_says_names_a_customer(shop: Path, published: Lake) -> None:
    everybody_buys_at_once(shop)
    write_shop(shop, (shop / "data" / "orders.csv").read_text().replace(",c", ",CANARY").splitlines()[1:], customers=["CANARY1"])
    steps.extract(night_of(shop, published, NEXT), since=date(2024, 1, 1))
    with pytest.raises(GateClosed) as caught:
        run_night(shop, published, NEXT)
    page = (published.root / "reports" / f"day={NEXT}" / "validation.html").read_text()
    assert "CANARY" not in "".join((str(caught.value), str(stored_gates(published, NEXT)), page))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--override-gate", "churn"), "an override needs a reason"),
        (("--override-gate", "chrun", "--reason", "x"), "did you mean `churn`?"),
        (("--reason", "x"), "no gate to override"),
    ],
)
def test_an_override_that_cannot_be_meant_is_refused_before_anything_runs(
    shop: Path, lake: Lake, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], options: tuple[str, ...], words: str
) -> None:
    lake = Lake(lake.root.parent / "untouched")
    assert segments(monkeypatch, shop, lake, "run", "--day", NEXT.isoformat(), *options) == 3
    assert words in capsys.readouterr().err
    assert not lake.root.exists()

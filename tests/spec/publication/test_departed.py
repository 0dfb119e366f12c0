"""Customers whom the source lists no more: counted as vanished, left out of what is published, remembered in features."""

from __future__ import annotations

import json
import shutil
from datetime import date, timedelta
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from support.nights import night_of, run_night, tree_bytes, write_shop
from support.published_nights import manifest, published_segments, target_rows

from pipeline.errors import GateClosed
from pipeline.lake.lake import Lake
from pipeline.lake.tables import CUSTOMER_FEATURES, DEPARTED_CUSTOMERS, EXTRACTIONS
from pipeline.operations.steps import STEPS
from pipeline.publication.gates import GateState
from pipeline.publication.gates.results import stored_gates
from pipeline.reporting.source_notices import source_notices

MONDAY = date(2024, 3, 4)
TUESDAY, WEDNESDAY = MONDAY + timedelta(days=1), MONDAY + timedelta(days=2)
NAMES = [f"c{number:02}" for number in range(20)]
ORDERS = [f"o-{name},1,{name},2024-03-0{1 + place % 4} 12:00:00,1,10,tea" for place, name in enumerate(NAMES)]
GUEST = "o-guest,1,guest,2024-03-02 12:00:00,1,10,tea"
QUIET = "[gates]\nquiet_days = 30\n"


def write(tmp_path: Path, customers: list[str], settings: str = QUIET, orders: list[str] | None = None) -> Path:
    return write_shop(tmp_path / "shop", [*(orders or ORDERS), GUEST], customers=customers, settings=settings)


@pytest.fixture(scope="module")
def monday(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("monday")
    run_night(write(folder, NAMES), Lake(folder / "lake"), MONDAY)
    return folder / "lake"


@pytest.fixture
def lake(monday: Path, tmp_path: Path) -> Lake:
    """Return a lake in which Monday is live, with 20 customers and a guest who is on no list."""
    return Lake(shutil.copytree(monday, tmp_path / "lake", symlinks=True))


def departed(lake: Lake, night: date) -> list[str]:
    return lake.read(DEPARTED_CUSTOMERS, known_on=night)["customer_id"].to_pylist()


def vanished(lake: Lake, night: date) -> float | None:
    record = stored_gates(lake, night)
    assert record
    return next(result.measured for result in record.results if (result.gate, result.subject) == ("vanished", "customers"))


def test_who_is_gone_is_left_out_of_publication_and_target_counted_and_named_and_keeps_features(lake: Lake, tmp_path: Path) -> None:
    company = write(tmp_path, NAMES[2:])
    run_night(company, lake, TUESDAY)
    assert departed(lake, TUESDAY) == NAMES[:2]
    assert set(published_segments(lake)) == {*NAMES[2:], "guest"}
    assert {row[0] for row in target_rows(lake.root / "segments.sqlite")["customer_segments"]} == {*NAMES[2:], "guest"}
    assert set(lake.read(CUSTOMER_FEATURES, day=TUESDAY)["customer_id"].to_pylist()) == {*NAMES, "guest"}
    assert manifest(lake)["departed"] == {"customers": 2}
    assert vanished(lake, TUESDAY) == 2 / 21
    notices = source_notices(night_of(company, lake, TUESDAY).deployment.company, lake, TUESDAY)
    assert notices == ["2 customers are left out of what is published: they are not in the source any more"]


def test_they_stay_left_out_are_not_counted_anew_and_come_back_with_the_list(lake: Lake, tmp_path: Path) -> None:
    run_night(write(tmp_path, NAMES[2:]), lake, TUESDAY)
    run_night(write(tmp_path, NAMES[3:]), lake, WEDNESDAY)
    assert departed(lake, WEDNESDAY) == NAMES[:3]
    assert (vanished(lake, WEDNESDAY), manifest(lake)["departed"]) == (1 / 19, {"customers": 3})
    thursday = WEDNESDAY + timedelta(days=1)
    run_night(write(tmp_path, NAMES[1:]), lake, thursday)
    assert departed(lake, thursday) == NAMES[:1]
    assert set(published_segments(lake)) == {*NAMES[1:], "guest"}


def test_too_many_close_the_gate_though_all_of_them_have_ordered(lake: Lake, tmp_path: Path) -> None:
    with pytest.raises(GateClosed, match=r"vanished \(customers\): 33.33% of the 21 customers of 2024-03-04 are gone") as refused:
        run_night(write(tmp_path, NAMES[7:]), lake, TUESDAY)
    assert "append" not in str(refused.value)  # 13 of 21 are more than those of one day
    run_night(write(tmp_path, NAMES), lake, WEDNESDAY)
    assert set(published_segments(lake)) == {*NAMES, "guest"}


def test_a_night_read_again_after_the_list_was_mended_misses_nobody(lake: Lake, tmp_path: Path) -> None:
    with pytest.raises(GateClosed):
        run_night(write(tmp_path, NAMES[7:]), lake, TUESDAY)
    night = night_of(write(tmp_path, NAMES), lake, TUESDAY)
    STEPS["extract"](night, reread=True)
    for name in ("validate", "features", "segment", "audit", "publish"):
        STEPS[name](night)
    assert (departed(lake, TUESDAY), vanished(lake, TUESDAY)) == ([], 0.0)


def test_a_company_may_keep_them_and_then_counts_each_of_them_once(tmp_path: Path) -> None:
    keeping = f"{QUIET}[publish]\nremove_departed = false\n"
    lake = Lake(tmp_path / "lake")
    run_night(write(tmp_path, NAMES, keeping), lake, MONDAY)
    run_night(write(tmp_path, NAMES[2:], keeping), lake, TUESDAY)
    assert set(published_segments(lake)) == {*NAMES, "guest"}
    assert ("departed" in manifest(lake), vanished(lake, TUESDAY)) == (False, 2 / 21)
    run_night(write(tmp_path, NAMES[3:], keeping), lake, WEDNESDAY)
    assert vanished(lake, WEDNESDAY) == 1 / 21


def test_of_a_source_that_gives_only_new_customers_nobody_departs(tmp_path: Path) -> None:
    appending = f'{QUIET}[source]\ncustomers = "append"\n'
    lake = Lake(tmp_path / "lake")
    run_night(write(tmp_path, NAMES, appending), lake, MONDAY)
    run_night(write(tmp_path, ["new"], appending), lake, TUESDAY)
    assert departed(lake, TUESDAY) == []
    assert set(published_segments(lake)) == {*NAMES, "guest", "new"}


def test_nothing_is_worked_out_on_a_night_whose_list_is_the_same(lake: Lake, tmp_path: Path) -> None:
    run_night(write(tmp_path, NAMES), lake, TUESDAY, until="validate")
    assert lake.snapshots(DEPARTED_CUSTOMERS) == []


def test_who_has_departed_does_not_depend_on_the_order_in_which_nights_are_computed(lake: Lake, tmp_path: Path) -> None:
    other = Lake(shutil.copytree(lake.root, tmp_path / "other", symlinks=True))
    for each in (lake, other):
        for night, names in ((TUESDAY, NAMES[1:]), (WEDNESDAY, [*NAMES[2:], "new"])):
            run_night(write(tmp_path, names), each, night, until="extract")
    for night in (WEDNESDAY, TUESDAY):
        STEPS["extract"](night_of(write(tmp_path, NAMES), other, night))
    assert tree_bytes(other, "tables/departed_customers") == tree_bytes(lake, "tables/departed_customers")
    assert (departed(lake, TUESDAY), departed(lake, WEDNESDAY)) == (NAMES[:1], NAMES[:2])


def test_lines_that_vanished_on_purpose_are_recorded_with_the_reason(lake: Lake, tmp_path: Path) -> None:
    company = write(tmp_path, NAMES, orders=["o-new,1,c01,2024-03-05 12:00:00,1,10,tea"])
    night = night_of(company, lake, TUESDAY)
    with pytest.raises(GateClosed, match=r"the source has 1 of the 21 order lines known of 2024-03-01 to 2024-03-04"):
        STEPS["extract"](night)
    assert not lake.has(EXTRACTIONS, day=TUESDAY)
    override = {"override_gates": ["vanished"], "override_reason": "history was archived"}
    for name, step in STEPS.items():
        step(night, **(override if name in ("extract", "validate", "audit") else {}))
    gates = json.loads((lake.root / "current" / "manifest.json").read_text())["gates"]["results"]
    found = next(gate for gate in gates if (gate["gate"], gate["subject"]) == ("vanished", "order_lines"))
    assert (found["state"], found["reason"]) == (GateState.OVERRIDDEN, "history was archived")
    assert pq.read_table(lake.root / "current" / "customer_features.parquet").num_rows == 21

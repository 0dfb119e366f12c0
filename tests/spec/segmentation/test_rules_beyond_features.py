"""Rules over the night's day, lists, tags, earlier nights and predictions, from the source to who is in which segment, and why."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, ClassVar
from unittest.mock import MagicMock

import pytest
from support.nights import NO_GATES, night_environment, night_of, run_night, tree_bytes, write_shop
from typer.testing import CliRunner

from pipeline.cli import app
from pipeline.definitions.company import load_company
from pipeline.definitions.history import company_on
from pipeline.definitions.schemes import load_schemes
from pipeline.errors import ConfigError
from pipeline.lake.lake import Lake
from pipeline.lake.tables import CUSTOMER_SEGMENTS, SEGMENT_MOVES
from pipeline.operations.backfill import BackfillRequest, plan_backfill, running
from pipeline.operations.backfill.night import StageResult, StageTask
from pipeline.operations.backfill.running import run_backfill
from pipeline.operations.deployment import Deployment
from pipeline.operations.erasure.erase import erase_customers
from pipeline.operations.steps import STEPS
from pipeline.reporting.explain.customer import explain_customer
from pipeline.reporting.explain.view import render
from pipeline.reporting.explain.words import change_words
from pipeline.reporting.plan import plan_change

FIRST = date(2024, 2, 26)
SETTINGS = f"""
{NO_GATES}
[attributes.born]
kind = "date"
level = "demographic"
[attributes.city]
level = "geographic"
[attributes.tags]
kind = "list"
separator = ";"
level = "behavioural"
"""
CUSTOMERS_SQL = "SELECT CAST(id AS VARCHAR) AS customer_id, TRY_CAST(born AS DATE) AS born, city, tags FROM customers"
PEOPLE = [
    "id,born,city,tags",
    "ann,2000-02-29,İzmir,vip; press;vip",
    "bob,1990-03-01,Izmir,",
    "cem,,,staff",
    "dee,1985-12-31,New York-2,vip;staff",
]
ORDERS = ["o1,1,ann,2024-02-20 10:00:00,1,10.00,a", "o2,1,bob,2024-02-25 10:00:00,1,20.00,a", "o3,1,dee,2024-01-05 10:00:00,2,30.00,b"]
SCHEME = """
title = "{name}"
kind = "rules"
level = "behavioural"
question = "Q?"
evidence = ["order_count"]
[[segment]]
id = "yes"
title = "Yes"
description = "Y."
rule = "{rule}"
[[segment]]
id = "no"
title = "No"
description = "N."
otherwise = true
"""


def write_shop_with(folder: Path, rules: dict[str, str], lists: dict[str, str] | None = None) -> Path:
    shop = write_shop(folder / "shop", ORDERS, customers=[], settings=SETTINGS)
    (shop / "sources" / "customers.sql").write_text(CUSTOMERS_SQL, "utf-8")
    (shop / "data" / "customers.csv").write_text("\n".join(PEOPLE) + "\n", "utf-8")
    for kind, texts in (("segments", {n: SCHEME.format(name=n, rule=r) for n, r in rules.items()}), ("lists", lists or {})):
        (shop / kind).mkdir(exist_ok=True)
        for name, text in texts.items():
            (shop / kind / f"{name}.{'toml' if kind == 'segments' else 'csv'}").write_text(text, "utf-8")
    return shop


def run_nights(shop: Path, lake: Lake, count: int, first: date = FIRST) -> None:
    for number in range(count):
        run_night(shop, lake, first + timedelta(days=number), until="segment")


def members(lake: Lake, scheme: str, day: date) -> set[str]:
    rows = lake.read(CUSTOMER_SEGMENTS, day=day).to_pylist()
    return {row["customer_id"] for row in rows if row["scheme"] == scheme and row["segment"] == "yes"}


def reasons(lake: Lake, scheme: str, day: date) -> dict[str, str]:
    return {row["customer_id"]: row["reason"] for row in lake.read(SEGMENT_MOVES, day=day).to_pylist() if row["scheme"] == scheme}


RULES = {
    "recent": "DAYS_SINCE(last_order_date) <= 2",
    "birthday": "DAYS_UNTIL_ANNIVERSARY(born) <= 1",
    "monday": "WEEKDAY(TODAY) = 1",
    "izmir": "LOWER(city) = 'izmir'",
    "tagged": "ANY(tags) = 'vip' AND NONE(tags) = 'press'",
    "staff": "ALL(tags) = 'staff'",
    "on_list": "IN LIST vip",
    "in_places": "city IN LIST places",
    "not_on_list": "NOT IN LIST vip AND RANDOM_SHARE('test') >= 0",
    "was": "WAS IN recent.yes WITHIN 2 DAYS",
    "since": "DAYS_SINCE(IN_SINCE(recent.no)) >= 1",
    "was_there": "WAS IN towns.'New York-2' WITHIN 2 DAYS",
    "was_titled": "WAS IN recent.'Yes' WITHIN 2 DAYS",
    "on_dashed_list": "IN LIST 'early-birds 2024'",
    "predicted": "repeat_probability IS NULL",
}
TOWNS = """
title = "Towns"
kind = "values"
level = "geographic"
question = "Q?"
attribute = "city"
fewest_customers = 1
evidence = ["city"]
"""
LISTS = {"early-birds 2024": "cem\n", "vip": "customer_id\nann\ndee\nnobody\n", "places": 'İzmir\n"a, b"\n\n'}


@pytest.fixture(scope="module")
def nights(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Lake]:
    root = tmp_path_factory.mktemp("beyond")
    shop, lake = write_shop_with(root, RULES, LISTS), Lake(root / "lake")
    (shop / "segments" / "towns.toml").write_text(TOWNS, "utf-8")
    run_nights(shop, lake, 4)
    return shop, lake


@pytest.mark.parametrize(
    ("scheme", "expected"),
    [
        ("recent", [{"bob"}, {"bob"}, set(), set()]),
        ("birthday", [set(), set(), {"ann"}, {"ann", "bob"}]),
        ("monday", [{"ann", "bob", "cem", "dee"}, set(), set(), set()]),
        ("izmir", [{"ann", "bob"}] * 4),
        ("tagged", [{"dee"}] * 4),
        ("staff", [{"cem"}] * 4),
        ("on_list", [{"ann", "dee"}] * 4),
        ("in_places", [{"ann"}] * 4),
        ("not_on_list", [{"bob", "cem"}] * 4),
        ("was", [set(), {"bob"}, {"bob"}, {"bob"}]),
        ("since", [set(), {"ann", "cem", "dee"}, {"ann", "cem", "dee"}, {"ann", "bob", "cem", "dee"}]),
        ("was_there", [set(), {"dee"}, {"dee"}, {"dee"}]),
        ("was_titled", [set(), {"bob"}, {"bob"}, {"bob"}]),
        ("on_dashed_list", [{"cem"}] * 4),
        ("predicted", [{"ann", "bob", "cem", "dee"}] * 4),
    ],
)
def test_who_is_in_night_by_night(nights: tuple[Path, Lake], scheme: str, expected: list[set[str]]) -> None:
    _, lake = nights
    assert [members(lake, scheme, FIRST + timedelta(days=number)) for number in range(4)] == expected


def test_whom_only_time_moves_is_moved_by_ageing(nights: tuple[Path, Lake]) -> None:
    _, lake = nights
    assert reasons(lake, "recent", FIRST + timedelta(days=2)) == {"bob": "ageing"}
    assert reasons(lake, "birthday", FIRST + timedelta(days=2)) == {"ann": "ageing"}
    assert set(reasons(lake, "monday", FIRST + timedelta(days=1)).values()) == {"ageing"}
    assert reasons(lake, "was", FIRST + timedelta(days=1)) == {"bob": "ageing"}


def test_an_order_is_the_reason_where_without_it_nobody_had_moved(tmp_path: Path) -> None:
    shop, lake = (
        write_shop_with(tmp_path, {"recent": RULES["recent"], "listed": "DAYS_SINCE(last_order_date) <= 2 OR IN LIST vip"}, LISTS),
        Lake(tmp_path / "lake"),
    )
    run_nights(shop, lake, 1, date(2024, 2, 28))
    with (shop / "data" / "orders.csv").open("a") as file:
        file.write("o9,1,cem,2024-02-29 10:00:00,1,5.00,a\n")
    run_night(shop, lake, date(2024, 2, 29), until="segment")
    assert reasons(lake, "recent", date(2024, 2, 29)) == {"cem": "own_purchase"}
    assert reasons(lake, "listed", date(2024, 2, 29)) == {"cem": "own_purchase"}


def test_a_night_run_again_never_reads_what_later_nights_say(nights: tuple[Path, Lake]) -> None:
    shop, lake = nights
    before = tree_bytes(lake, "tables/customer_segments", "tables/segment_moves")
    for number in (1, 0, 2):
        STEPS["segment"](night_of(shop, lake, FIRST + timedelta(days=number)))
    assert tree_bytes(lake, "tables/customer_segments", "tables/segment_moves") == before


def test_an_edited_list_is_a_changed_rule_in_the_plan_the_night_and_history(tmp_path: Path) -> None:
    shop, lake = (
        write_shop_with(tmp_path, {"on_list": "IN LIST vip", "was": RULES["was"], "recent": RULES["recent"]}, LISTS),
        Lake(tmp_path / "lake"),
    )
    run_nights(shop, lake, 1)
    run_night(shop, lake, FIRST + timedelta(days=1))
    assert plan_change(load_company(shop), lake).changes.is_nothing
    (shop / "lists" / "vip.csv").write_text("bob\ndee\n", "utf-8")
    plan = plan_change(load_company(shop), lake)
    assert plan.changes.decided_otherwise == ("on_list",)
    flows = {(flow.from_segment, flow.to_segment): flow.customer_count for flow in plan.schemes[0].moving_flows}
    assert flows == {("yes", "no"): 1, ("no", "yes"): 1}
    next_night = FIRST + timedelta(days=2)
    run_night(shop, lake, next_night, until="segment")
    assert members(lake, "on_list", next_night) == {"bob", "dee"}
    assert reasons(lake, "on_list", next_night) == {"ann": "rule_change", "bob": "rule_change"}
    # The old night is computed again by the list as it was then.
    before = tree_bytes(lake, "tables/customer_segments")
    STEPS["segment"](night_of(shop, lake, FIRST + timedelta(days=1)))
    assert tree_bytes(lake, "tables/customer_segments") == before
    assert company_on(lake, load_company(shop), FIRST).list_files()["vip"].read_text("utf-8") == LISTS["vip"]


def test_a_new_rule_over_earlier_nights_is_planned_from_what_is_stored(tmp_path: Path) -> None:
    shop, lake = write_shop_with(tmp_path, {"recent": RULES["recent"]}, LISTS), Lake(tmp_path / "lake")
    run_nights(shop, lake, 1, FIRST + timedelta(days=1))
    run_night(shop, lake, FIRST + timedelta(days=2))
    (shop / "segments" / "was.toml").write_text(SCHEME.format(name="was", rule=RULES["was"]), "utf-8")
    [planned] = plan_change(load_company(shop), lake).schemes
    assert {(flow.to_segment, flow.customer_count) for flow in planned.moving_flows} == {("yes", 1), ("no", 3)}
    with night_environment(shop, lake):
        assert CliRunner().invoke(app, ["apply", plan_change(load_company(shop), lake).plan_id]).exit_code == 0
    assert members(lake, "was", FIRST + timedelta(days=2)) == {"bob"}


def test_explain_speaks_of_lists_days_and_earlier_nights(nights: tuple[Path, Lake]) -> None:
    shop, lake = nights
    explained = explain_customer(load_company(shop), lake, "bob", FIRST + timedelta(days=3))
    by_scheme: dict[str, Any] = {each.scheme: each.explanation for each in explained.memberships}
    on_list, recent = by_scheme["on_list"].nearest.change, by_scheme["recent"].nearest.change
    assert on_list.feature.startswith("customer_id IN LIST vip")
    assert on_list.after is True
    assert (recent.feature, recent.after) == ("last_order_date", date(2024, 2, 27))
    assert by_scheme["was"].values["LAST_IN(recent.yes)"] == date(2024, 2, 27)
    words = {name: change_words(each.nearest.change) for name, each in by_scheme.items() if each and each.nearest}
    assert words["on_list"] == "if they were on the list vip"
    assert words["in_places"] == "if city were on the list places"
    assert words["monday"] == "in 4 days, on 2024-03-04 (recency_days then 8, tenure_days then 8)"
    assert words["birthday"] == "if born were 1990-02-28 instead of 1990-03-01"
    assert words["tagged"] == "if tags were 'vip' instead of nothing"
    assert words["was"] == "in 1 day, on 2024-03-01 (recency_days then 5, tenure_days then 5)"
    text = "".join(str(part) for part in render(explained))
    assert "vip@" not in text


def test_the_catalogue_lineage_and_plan_take_such_schemes(nights: tuple[Path, Lake]) -> None:
    shop, lake = nights
    with night_environment(shop, lake):
        for command in (["catalog", "--scheme", "was"], ["catalog", "--markdown"], ["catalog", "--lineage", "born"], ["catalog", "--json"]):
            result = CliRunner().invoke(app, command)
            assert result.exit_code == 0, result.output
        assert "birthday" in CliRunner().invoke(app, ["catalog", "--lineage", "born"]).output


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "this list is empty"),
        ("customer_id\n", "this list is empty"),
        ("ann,1\n", "line 1 of this list has 2 columns"),
        ('ann\n"bob\n', "line 2 of this list has a quote that is not closed"),
        ("ann\nbo\0b\n", "line 2 of this list has a NUL character"),
    ],
)
def test_a_list_that_cannot_be_read_is_refused_with_its_line(tmp_path: Path, text: str, message: str) -> None:
    shop = write_shop_with(tmp_path, {"on_list": "IN LIST vip"}, {"vip": text})
    with pytest.raises(ConfigError, match=message):
        load_schemes(load_company(shop))


def test_a_list_that_is_no_text_or_not_there_is_refused(tmp_path: Path) -> None:
    shop = write_shop_with(tmp_path, {"on_list": "IN LIST vipp"}, LISTS)
    with pytest.raises(ConfigError, match=r"there is no list `vipp` \(did you mean `vip`\?\)"):
        load_schemes(load_company(shop))
    (shop / "segments" / "on_list.toml").write_text(SCHEME.format(name="x", rule="IN LIST vip"), "utf-8")
    (shop / "lists" / "vip.csv").write_bytes(b"ann\nb\xff\n")
    with pytest.raises(ConfigError, match="line 2 of this list is not UTF-8 text"):
        load_schemes(load_company(shop))


def test_an_erased_customer_leaves_the_kept_lists(tmp_path: Path) -> None:
    shop, lake = write_shop_with(tmp_path, {"on_list": "IN LIST vip"}, LISTS), Lake(tmp_path / "lake")
    run_night(shop, lake, FIRST, until="segment")
    assert any(b"ann" in content for content in tree_bytes(lake, "lists").values())
    erase_customers(Deployment.of(shop, lake.root), ["ann"])
    assert not any(b"ann" in content for content in tree_bytes(lake, "lists").values())
    kept: Any = json.loads(next(iter(tree_bytes(lake, "definitions").values())))
    assert kept["lists"].keys() == LISTS.keys()
    # Nor does an edited list bring them back that still names them.
    (shop / "lists" / "vip.csv").write_text("ann\nbob\n", "utf-8")
    run_night(shop, lake, FIRST + timedelta(days=1), until="segment")
    assert any(b"bob" in content for content in tree_bytes(lake, "lists").values())
    assert not any(b"ann" in content for content in tree_bytes(lake, "lists").values())


class RecordingPool:
    """Takes the tasks of a backfill, and notes which nights each worker would get for their segments."""

    segments: ClassVar[list[list[date]]] = []

    def __init__(self, _count: int, _print_line: Any) -> None:
        self.segments.clear()

    def run_tasks(self, chunks: Iterable[Sequence[StageTask]]) -> Iterator[StageResult]:
        self.segments.extend([task.night.day for task in chunk] for chunk in chunks if chunk and chunk[0].stage == "segments")
        return iter(())

    def stop(self) -> None:
        pass


@pytest.mark.parametrize(("rule", "workers"), [("was", 1), ("recent", 2)])
def test_a_backfill_side_by_side_takes_nights_that_look_back_in_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rule: str, workers: int
) -> None:
    shop, lake = write_shop_with(tmp_path, {"recent": RULES["recent"], rule: RULES[rule]}), Lake(tmp_path / "lake")
    monkeypatch.setattr(running, "_has_models", lambda _: True)
    monkeypatch.setattr(running, "WorkerPool", RecordingPool)
    request = BackfillRequest(FIRST, FIRST + timedelta(days=3))
    deployment = Deployment.of(shop, lake.root)
    plan = plan_backfill(deployment.company, lake, request, now=datetime(2024, 6, 1, tzinfo=UTC))
    run_backfill(deployment, plan, parallel=2, watch=MagicMock())
    assert len(RecordingPool.segments) == workers
    assert [day for days in RecordingPool.segments for day in days] == [FIRST + timedelta(days=number) for number in range(4)]

"""`segments plan` and `segments apply`: what a plan says is what the night then does, to the customer."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from contextlib import closing
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from support.nights import night_environment, run_night, write_shop
from typer.testing import CliRunner

from pipeline.cli import app, run_command_line
from pipeline.definitions.company import PROJECT_ROOT, load_company
from pipeline.definitions.schemes import UnprovenSegment, load_schemes
from pipeline.errors import ConfigError, DataError
from pipeline.lake import addresses
from pipeline.lake.engines.duckdb import DuckDBEngine
from pipeline.lake.lake import Lake
from pipeline.lake.tables import CUSTOMER_FEATURES, CUSTOMER_SEGMENTS, SEGMENT_MOVES
from pipeline.operations.apply import apply_plan
from pipeline.operations.deployment import Deployment
from pipeline.reporting.plan import SegmentPlan, plan_change
from pipeline.reporting.plan.moves import LiveTables, moves_between
from pipeline.reporting.plan.plan import live_night
from pipeline.segmentation import schemes_of_night

NIGHT, NEXT = date(2024, 3, 1), date(2024, 3, 2)
ORDERS = [f"o{n}-{k},1,c{n},2024-02-{1 + 2 * n + k:02} 10:00:00,1,{10 * n + k}.25,a" for n in range(8) for k in range(n % 4)]
MINE = """
title = "Size"
kind = "rules"
level = "behavioural"
question = "How much?"
evidence = ["order_count"]
[parameters]
many = {many}
[[segment]]
id = "many"
title = "Many"
description = "Many orders."
rule = "order_count >= @many"
[[segment]]
id = "few"
title = "Few"
description = "Few orders."
otherwise = true
"""
DEPENDENT = """
title = "Care"
kind = "rules"
level = "behavioural"
question = "Who gets a call?"
evidence = ["order_count"]
[[segment]]
id = "call"
title = "Call"
description = "Many orders, and prospects."
rule = "size.segment = 'Many' OR is_prospect"
[[segment]]
id = "rest"
title = "Rest"
description = "All others."
otherwise = true
"""


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a shop and a lake whose first night is live."""
    root = tmp_path_factory.mktemp("live")
    write_shop(root / "shop", ORDERS, customers=[f"c{n}" for n in range(8)], settings='[gates]\noff = ["freshness"]\n')
    (root / "shop" / "segments").mkdir()
    write(root, "size", MINE.format(many=2))
    write(root, "care", DEPENDENT)
    run_night(root / "shop", Lake(root / "lake"), NIGHT)
    return root


@pytest.fixture
def place(live: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(live, tmp_path / "place", symlinks=True))


def write(root: Path, name: str, text: str) -> None:
    (root / "shop" / "segments" / f"{name}.toml").write_text(text, "utf-8")


def plan(root: Path) -> SegmentPlan:
    return plan_change(load_company(root / "shop"), Lake(root / "lake"))


def memberships(root: Path, scheme: str, day: date = NIGHT) -> dict[str, str]:
    rows = Lake(root / "lake").read(CUSTOMER_SEGMENTS, day=day).to_pylist()
    return {row["customer_id"]: row["segment"] for row in rows if row["scheme"] == scheme}


def command(root: Path, *words: str) -> Any:
    return CliRunner().invoke(app, [*words, "--company", str(root / "shop"), "--lake", str(root / "lake")])


def moved(found: SegmentPlan, scheme: str) -> dict[tuple[str | None, str | None], int]:
    (part,) = (part for part in found.schemes if part.scheme == scheme)
    return {(flow.from_segment, flow.to_segment): flow.customer_count for flow in part.moving_flows}


def test_nothing_would_change_where_nothing_was_edited(place: Path) -> None:
    assert plan(place).changes.is_nothing
    assert command(place, "plan").exit_code == 0


@pytest.mark.parametrize(
    "edited",
    [
        "# a remark\n" + MINE.format(many=2),
        MINE.format(many=2).replace("order_count >= @many", "(order_count) >= ( 2 )").replace("[parameters]\nmany = 2\n", ""),
        MINE.format(many=2).replace("@many", "@most").replace("many = 2", "most   =   2"),
    ],
)
def test_an_edit_that_means_the_same_plans_no_change(place: Path, edited: str) -> None:
    write(place, "size", edited)
    assert plan(place).changes.is_nothing


def test_a_changed_threshold_shows_who_moves_why_and_what_else_changes(place: Path) -> None:
    write(place, "size", MINE.format(many=3))
    found = plan(place)
    assert found.changes.decided_otherwise == ("care", "size")
    assert moved(found, "size") == {("many", "few"): 2}
    assert moved(found, "care") == {("call", "rest"): 2}
    size = found.schemes[1]
    assert size.downstream == ("care",)
    assert [(mover.customer_id, mover.from_segment, mover.to_segment) for mover in size.sample] == [
        ("c2", "many", "few"),
        ("c6", "many", "few"),
    ]
    assert size.moving_flows[0].spend_amount == sum(10 * n + k + 0.25 for n in (2, 6) for k in range(2))
    assert found.write_count == 4
    assert command(place, "plan").exit_code == 2


def test_the_next_night_does_what_the_plan_said_to_the_customer(place: Path) -> None:
    before = memberships(place, "size")
    write(place, "size", MINE.format(many=3))
    found = plan(place)
    run_night(place / "shop", Lake(place / "lake"), NEXT)
    after = memberships(place, "size", NEXT)
    assert {(before[name], after[name]) for name in before if before[name] != after[name]} == set(moved(found, "size"))
    assert sorted(name for name in before if before[name] != after[name]) == [mover.customer_id for mover in found.schemes[1].sample]


def test_applying_publishes_the_planned_change_and_then_nothing_is_left_to_plan(place: Path) -> None:
    write(place, "size", MINE.format(many=3))
    planned = json.loads(command(place, "plan", "--json").stdout)
    kept = {name: memberships(place, name) for name in ("rfm", "value_tier", "lifecycle")}
    with night_environment(place / "shop", Lake(place / "lake")):
        applied = command(place, "apply", planned["plan_id"])
    assert applied.exit_code == 0, applied.output
    assert list(memberships(place, "size").values()).count("many") == 2
    assert {name: memberships(place, name) for name in kept} == kept
    assert plan(place).changes.is_nothing


def test_another_method_of_scoring_is_planned_and_once_applied_features_have_the_same_scores(place: Path) -> None:
    ours = (PROJECT_ROOT / "segments" / "rfm.toml").read_text("utf-8")
    method = "scores.m_score = { thresholds = [50, 100, 200, 300] }\nevidence ="
    write(place, "rfm", ours.replace("evidence =", method, 1))
    planned = json.loads(command(place, "plan", "--json").stdout)
    with night_environment(place / "shop", Lake(place / "lake")):
        assert command(place, "apply", planned["plan_id"]).exit_code == 0
    rows = {row["customer_id"]: row for row in Lake(place / "lake").read(CUSTOMER_FEATURES, day=NIGHT).to_pylist()}
    found = {name: row["m_score"] for name, row in rows.items()}
    assert found == {"c0": None, "c1": 1, "c2": 1, "c3": 2, "c4": None, "c5": 2, "c6": 3, "c7": 4}
    shown = Lake(place / "lake").read(CUSTOMER_SEGMENTS, day=NIGHT).to_pylist()
    evidence = {row["customer_id"]: row["evidence"] for row in shown if row["scheme"] == "rfm"}
    assert all(f"m_score={'-' if score is None else score}," in evidence[name] for name, score in found.items())


def test_a_plan_is_not_applied_once_definitions_or_data_moved(place: Path) -> None:
    write(place, "size", MINE.format(many=3))
    shown = plan(place).plan_id
    write(place, "size", MINE.format(many=1))
    lake = Lake(place / "lake")
    with pytest.raises(ConfigError, match="definitions or data moved since plan"):
        apply_plan(Deployment(load_company(place / "shop"), lake), shown)
    write(place, "size", MINE.format(many=3))
    with (place / "shop" / "data" / "orders.csv").open("a") as file:
        file.write("late,1,c0,2024-03-02 10:00:00,1,5,a\n")
    run_night(place / "shop", lake, NEXT)
    with pytest.raises(ConfigError, match="definitions or data moved since plan"):
        apply_plan(Deployment(load_company(place / "shop"), lake), shown)


def test_a_new_scheme_one_that_is_gone_and_other_words_are_told_apart(place: Path) -> None:
    write(place, "size", MINE.format(many=2).replace('title = "Many"', 'title = "Lots"'))
    write(place, "more", MINE.format(many=1))
    (place / "shop" / "segments" / "care.toml").unlink()
    found = plan(place)
    assert (found.changes.added, found.changes.removed, found.changes.worded_otherwise) == (("more",), ("care",), ("size",))
    assert moved(found, "more") == {(None, "many"): 6, (None, "few"): 2}
    assert set(moved(found, "care")) == {("call", None), ("rest", None)}
    assert command(place, "plan").exit_code == 2


def test_an_error_ends_with_its_own_code_and_says_where(
    place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ended_with(monkeypatch, "plan", "--company", str(place / "shop"), "--lake", str(tmp_path / "empty")) == DataError.exit_code
    assert "nothing is published yet" in capsys.readouterr().err
    write(place, "size", MINE.format(many=2).replace("order_count", "order_cont"))
    assert ended_with(monkeypatch, "plan", "--company", str(place / "shop"), "--lake", str(place / "lake")) == ConfigError.exit_code
    assert "did you mean `order_count`?" in capsys.readouterr().err


def ended_with(monkeypatch: pytest.MonkeyPatch, *words: str) -> int:
    """Return the exit code of a command as a shell sees it."""
    monkeypatch.setattr("sys.argv", ["segments", *words])
    with pytest.raises(SystemExit) as ended:
        run_command_line()
    return int(ended.value.code or 0)


UNDECIDED = """
title = "Back"
kind = "rules"
level = "behavioural"
question = "Who came back?"
evidence = ["order_count"]
[[segment]]
id = "odd"
title = "Odd"
description = "More categories than lines, which nothing but customers can refute."
rule = "category_count > line_count"
[[segment]]
id = "even"
title = "Even"
description = "As many orders as days."
rule = "order_count = order_day_count"
[[segment]]
id = "rest"
title = "Rest"
description = "All others."
otherwise = true
"""


def test_a_segment_that_could_not_be_proven_is_looked_up_among_customers(place: Path) -> None:
    write(place, "back", UNDECIDED)
    assert plan(place).unmet == (UnprovenSegment("back", "odd"),)
    told = command(place, "plan")
    assert told.exit_code == 2
    assert "back: nobody is in `odd`, and that anybody can be could not be proven." in " ".join(told.stdout.split())
    assert {"scheme": "back", "segment": "odd"} in json.loads(command(place, "plan", "--json").stdout)["unmet"]


def test_a_threshold_on_values_of_another_scheme_is_planned_to_the_customer(place: Path) -> None:
    towns = (
        MINE.format(many=2).partition("kind")[0] + 'kind = "values"\nlevel = "behavioural"\nquestion = "?"\nevidence = ["order_count"]\n'
    )
    write(place, "kinds", towns + 'attribute = "favourite_category"\nfewest_customers = 1\nrule = "order_count >= 1"\n')
    write(place, "care", DEPENDENT.replace("size.segment = 'Many' OR is_prospect", "kinds.segment = 'a'"))
    run_night(place / "shop", Lake(place / "lake"), NIGHT)
    write(place, "kinds", towns + 'attribute = "favourite_category"\nfewest_customers = 1\nrule = "order_count >= 2"\n')
    found = plan(place)
    (kinds,) = (part for part in found.schemes if part.scheme == "kinds")
    assert kinds.downstream == ("care",)
    before = memberships(place, "care")
    run_night(place / "shop", Lake(place / "lake"), NEXT)
    after = memberships(place, "care", NEXT)
    moves = Counter((before[customer], after[customer]) for customer in before if before[customer] != after[customer])
    assert moved(found, "care") == moves == {("call", "rest"): 2}
    told = Lake(place / "lake").read(SEGMENT_MOVES, day=NEXT).to_pylist()
    assert [row["reason"] for row in told if row["scheme"] == "care"] == ["rule_change"] * 2


EDITS = {
    "size": ('evidence = ["order_count"]', 'evidence = ["order_count", "spend_amount"]'),
    "rfm": ('evidence = ["r_score"', 'scores.r_score = "rank"\nscores.m_score = { thresholds = [1, 2, 3, 4] }\nevidence = ["r_score"'),
    "value_tier": ('evidence = ["spend_amount"]', 'scores.value_score = { thresholds = [1, 2] }\nevidence = ["spend_amount"]'),
    "shopper_groups": ("fewest_orders = 3", "fewest_orders = 1"),
    "category_affinity": ('rule = "order_day_count >= 2"', 'rule = "order_day_count >= 1"\nfewest_customers = 1'),
    "care": ("size.segment = 'Many' OR is_prospect", "rfm.segment = 'lost' OR shopper_groups.segment = 'loyal' OR size.segment = 'Few'"),
}


def test_where_customers_are_live_is_the_same_worked_out_again_or_read_from_what_is_stored(place: Path) -> None:
    company, lake = load_company(place / "shop"), Lake(place / "lake")
    before = {scheme.name: scheme for scheme in schemes_of_night(company, lake, NIGHT).schemes}
    for name, edit in EDITS.items():
        text = before[name].file.read_text("utf-8")
        assert edit[0] in text
        write(place, name, text.replace(*edit))
    after = {scheme.name: scheme for scheme in schemes_of_night(company, lake, NIGHT).schemes}
    features = addresses.partition(CUSTOMER_FEATURES, day=NIGHT)
    _, facts = live_night(lake)
    known, unknown = (LiveTables(lake, NIGHT, features, each) for each in (facts, {**facts, "features": "others"}))
    assert all(known.is_computed_by(name, before) and not unknown.is_computed_by(name, before) for name in EDITS)
    found = []
    for live in (known, unknown):
        with closing(DuckDBEngine(lake.store)) as engine:
            engine.register(company.table(CUSTOMER_FEATURES), [features])
            found.append(moves_between(engine, live, sorted(EDITS), before, after))
    assert found[0] == found[1]
    assert {row["scheme"] for row in found[0] if row["customer_ids"]} >= EDITS.keys() - {"size", "rfm"}


def test_what_was_stored_by_other_definitions_is_read_and_not_worked_out(place: Path) -> None:
    company = load_company(place / "shop")
    lake = Lake(place / "lake")
    features = addresses.partition(CUSTOMER_FEATURES, day=NIGHT)
    live = LiveTables(lake, NIGHT, features, {**live_night(lake)[1], "schemes": {"size": "another"}})
    by_name = {scheme.name: scheme for scheme in load_schemes(company).schemes}
    assert not live.is_computed_by("size", by_name)
    assert not live.is_computed_by("care", by_name)


def test_an_attribute_that_goes_with_the_rule_that_named_it_is_planned(tmp_path: Path) -> None:
    customers = [f"c{n},{('Berlin', 'Ulm')[n % 2]}" for n in range(8)]
    write_shop(tmp_path / "shop", ORDERS, customers=customers, settings='[attributes.city]\nlevel = "geographic"\n')
    (tmp_path / "shop" / "data" / "customers.csv").write_text("\n".join(["id,city", *customers]) + "\n", "utf-8")
    (tmp_path / "shop" / "sources" / "customers.sql").write_text("SELECT CAST(id AS VARCHAR) AS customer_id, city FROM customers", "utf-8")
    (tmp_path / "shop" / "segments").mkdir()
    write(tmp_path, "size", MINE.format(many=2).replace("order_count >= @many", "city = 'Ulm' OR order_count > 5 + @many"))
    run_night(tmp_path / "shop", Lake(tmp_path / "lake"), NIGHT)
    write(tmp_path, "size", MINE.format(many=2))
    settings = tmp_path / "shop" / "company.toml"
    settings.write_text(settings.read_text("utf-8").replace('[attributes.city]\nlevel = "geographic"\n', ""), "utf-8")
    assert moved(plan(tmp_path), "size") == {("few", "many"): 2, ("many", "few"): 2}


def test_without_a_live_night_there_is_nothing_to_plan_on(place: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="nothing is published yet"):
        plan_change(load_company(place / "shop"), Lake(tmp_path / "empty"))


def test_plan_and_its_json_name_ids_and_amounts_only(place: Path) -> None:
    write(place, "size", MINE.format(many=3))
    told = json.loads(command(place, "plan", "--json").stdout)
    assert set(told["schemes"][1]["sample"][0]) == {"customer_id", "from_segment", "to_segment", "reason"}
    assert told["schemes"][1]["flows"][0]["spend_amount"]
    assert "segments apply" in command(place, "plan").stdout


NO_WINE = """
title = "No wine"
kind = "rules"
level = "behavioural"
question = "Who buys none?"
evidence = ["order_count"]
[[segment]]
id = "first"
title = "First"
description = "Comes before."
rule = "order_count > 2"
[[segment]]
id = "none"
title = "None"
description = "Buys no wine."
rule = "{rule}"
[[segment]]
id = "rest"
title = "Rest"
description = "All others."
otherwise = true
"""


@pytest.mark.parametrize(
    ("rule", "left_out"),
    [
        ("favourite_category <> 'wine'", 2),  # the two who never bought anything
        ("NOT favourite_category = 'wine'", 2),
        ("favourite_category NOT IN ('wine', 'beer')", 2),
        ("order_count < 2 AND NOT (favourite_category = 'wine' OR order_count > 9)", 2),
        ("NOT (NOT favourite_category = 'a')", 0),  # says that something is so
        ("NOT favourite_category <> 'a'", 0),
        ("NOT gap_mean_days > 3", 4),  # and the two with a single order
        ("favourite_category <> 'wine' AND is_prospect", 2),
        ("favourite_category <> 'wine' OR favourite_category IS NULL", 0),
        ("favourite_category <> 'wine' AND favourite_category IS NOT NULL", 0),
        ("favourite_category IS NOT 'wine'", 0),
        ("favourite_category IS DISTINCT FROM 'wine'", 0),
        ("NOT favourite_category IS NULL", 0),
        ("NOT is_prospect", 0),
        ("favourite_category = 'a'", 0),
        ("rfm.segment <> 'lost'", 0),
    ],
)
def test_whom_a_rule_leaves_out_because_nothing_is_known_is_counted(place: Path, rule: str, left_out: int) -> None:
    write(place, "no_wine", NO_WINE.format(rule=rule))
    found = {(each.scheme, each.segment): each.customer_count for each in plan(place).left_out}
    assert found == ({("no_wine", "none"): left_out} if left_out else {})


def test_whom_an_earlier_rule_takes_is_not_left_out(place: Path) -> None:
    write(
        place,
        "no_wine",
        NO_WINE.format(rule="main_channel <> 'a' OR favourite_category <> 'wine'").replace("order_count > 2", "is_prospect"),
    )
    assert plan(place).left_out == ()


def test_a_plan_says_whom_a_rule_leaves_out_even_where_nothing_would_change(place: Path) -> None:
    write(place, "no_wine", NO_WINE.format(rule="favourite_category <> 'wine'"))
    run_night(place / "shop", Lake(place / "lake"), NEXT)
    shown = command(place, "plan")
    assert shown.exit_code == 0
    words = " ".join(shown.output.split())
    assert "no_wine: `none` leaves out 2 customers, of whom a value is not known" in words
    assert "write `x IS NOT 'a'`" in words
    assert json.loads(command(place, "plan", "--json").output)["left_out"] == [
        {"scheme": "no_wine", "segment": "none", "customer_count": 2}
    ]


def test_the_remedy_takes_them_in(place: Path) -> None:
    write(place, "no_wine", NO_WINE.format(rule="favourite_category IS NOT 'wine'"))
    run_night(place / "shop", Lake(place / "lake"), NEXT)
    found = memberships(place, "no_wine", NEXT)
    assert {name for name, segment in found.items() if segment == "none"} == {f"c{n}" for n in range(8) if n % 4 < 3}

"""Whom a rule takes on the last stored night, before it is in any file."""

from __future__ import annotations

import json
import re
import shutil
from datetime import date
from decimal import Decimal
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console
from support.nights import run_night, write_shop
from typer.testing import CliRunner

from pipeline.cli import app
from pipeline.definitions.company import PROJECT_ROOT, load_company
from pipeline.errors import ConfigError, DataError
from pipeline.lake import addresses
from pipeline.lake.lake import Lake
from pipeline.lake.tables import AUDIENCE_MEMBERS
from pipeline.reporting.plan import plan_change
from pipeline.reporting.preview import Preview, preview_rule
from pipeline.reporting.preview.json import to_json
from pipeline.reporting.preview.view import render

NIGHT = date(2024, 3, 31)
ORDERS = [
    "o1,1,ann,2024-03-20 10:00,1,10.50,tea",
    "o2,1,ann,2024-03-21 10:00,1,30,tea",
    "o3,1,bob,2024-03-20 10:00,1,59.50,wine",
]
AUDIENCE = 'title = "Tea"\npurpose = "P."\nowner = "O"\nrule = "order_count >= 2"\n'


@pytest.fixture(scope="module")
def night(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Lake]:
    folder = tmp_path_factory.mktemp("preview")
    shop = write_shop(folder / "shop", ORDERS, customers=["ann", "bob", "cem", "dea"])
    (shop / "audiences").mkdir()
    (shop / "audiences" / "tea.toml").write_text(AUDIENCE)
    run_night(shop, Lake(folder / "lake"), NIGHT)
    return shop, Lake(folder / "lake")


def preview(night: tuple[Path, Lake], rule: str) -> Preview:
    return preview_rule(load_company(night[0]), night[1], rule)


def test_customers_revenue_and_ids_are_those_of_the_rule(night: tuple[Path, Lake]) -> None:
    found = preview(night, "spend_amount >= 40")
    assert (found.day, found.customer_count, found.customer_share) == (NIGHT, 2, 0.5)
    assert (found.spend_amount, found.spend_share) == (Decimal("100.0000"), 1.0)
    assert found.customer_ids == ("ann", "bob")
    assert found.unknown_count == 0


def test_of_whom_it_is_unknown_is_counted_apart(night: tuple[Path, Lake]) -> None:
    found = preview(night, "recency_days <= 10")
    assert (found.customer_ids, found.unknown_count) == (("ann",), 2)


def test_overlap_is_told_of_segments_and_audiences(night: tuple[Path, Lake]) -> None:
    overlaps = {(each.scheme, each.segment): (each.customer_count, each.size) for each in preview(night, "spend_amount >= 40").overlaps}
    assert overlaps["tea", "member"] == (1, 1)
    assert ("lifecycle", "prospect") not in overlaps
    assert {each.scheme for each in preview(night, "spend_amount >= 40").overlaps if each.is_audience} == {"tea"}


def test_a_rule_may_look_at_the_segment_of_a_scheme(night: tuple[Path, Lake]) -> None:
    assert preview(night, "lifecycle.segment = 'prospect'").customer_ids == ("cem", "dea")
    in_rfm = {each.segment: each.size for each in preview(night, "spend_amount IS NOT NULL").overlaps if each.scheme == "rfm"}
    assert {name: preview(night, f"rfm.segment = '{name}'").customer_count for name in in_rfm} == in_rfm, "its scores count too"


def test_nobody_is_told_of_as_nobody(night: tuple[Path, Lake]) -> None:
    found = preview(night, "order_count >= 50")
    assert (found.customer_count, found.customer_ids, found.overlaps) == (0, (), ())
    assert (found.customer_share, found.spend_share) == (0.0, 0.0)


def test_a_wrong_name_is_shown_with_a_caret_and_the_nearest(night: tuple[Path, Lake]) -> None:
    with pytest.raises(ConfigError) as error:
        preview(night, "order_count >= 2 AND spend_amont > 5")
    assert "did you mean `spend_amount`?" in error.value.what
    assert error.value.what.endswith(f"\n    {' ' * 21}^")


def test_what_the_night_cannot_tell_is_named(night: tuple[Path, Lake]) -> None:
    with pytest.raises(ConfigError, match="needs visits"):
        preview(night, "visit_count_90_days >= 1")


@pytest.mark.parametrize(
    ("rule", "needs"),
    [
        ("COUNT(visits LAST 7 DAYS) = 0", "visits"),
        ("NOT EXISTS(visits)", "visits"),
        ("COUNT(order_lines PRECEDED BY visits WITHIN 3 DAYS) = 0", "visits"),
        ("rfm.segment = 'champions' AND NOT EXISTS(visits)", "visits"),
        ("COUNT(order_lines WHERE channel = 'web') = 0", "order_lines.channel"),
    ],
)
def test_what_the_source_does_not_give_counts_nobody(night: tuple[Path, Lake], rule: str, needs: str) -> None:
    with pytest.raises(ConfigError, match=f"needs {needs}"):
        preview(night, rule)


def test_the_night_leaves_out_an_audience_for_the_same_reason_as_its_plan(night: tuple[Path, Lake], tmp_path: Path) -> None:
    shop, lake = shutil.copytree(night[0], tmp_path / "shop"), Lake(shutil.copytree(night[1].root, tmp_path / "lake", symlinks=True))
    rules = {"gone": "NOT EXISTS(visits LAST 60 DAYS)", "by_web": "COUNT(order_lines WHERE channel = 'web') = 0", "one": "order_count = 1"}
    for name, rule in rules.items():
        (shop / "audiences" / f"{name}.toml").write_text(AUDIENCE.replace("order_count >= 2", rule))
    planned = plan_change(load_company(shop), lake)
    lacking = {"gone": "needs visits", "by_web": "needs order_lines.channel"}
    assert planned.changes.added == ("one",)
    assert {name: planned.not_computed[name] for name in lacking} == lacking
    run_night(shop, lake, NIGHT)
    manifest = lake.manifest(addresses.partition(AUDIENCE_MEMBERS, day=NIGHT))
    assert manifest["not_computed"] == lacking
    assert manifest["audiences"].keys() == {"one", "tea"}


def test_without_a_night_the_next_step_is_named(night: tuple[Path, Lake], tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no night is stored"):
        preview((night[0], Lake(tmp_path / "lake")), "order_count >= 2")


def test_the_terminal_and_an_editor_are_told_the_same(night: tuple[Path, Lake]) -> None:
    found = preview(night, "recency_days <= 10")
    console = Console(width=120, record=True, file=StringIO())
    for part in render(found):
        console.print(part)
    text = console.export_text()
    assert "1 customer of 2024-03-31 (25.0% of all): recency_days <= 10" in text
    assert "Of 2 customers the rule is unknown" in text
    content = json.loads(to_json(found))
    assert (content["customer_count"], content["unknown_count"], content["spend_amount"]) == (1, 2, "40.5000")


def test_the_keys_for_machines_are_those_of_the_documentation(night: tuple[Path, Lake]) -> None:
    page = (PROJECT_ROOT / "docs" / "guides" / "editors.md").read_text("utf-8").partition("<!-- keys of a preview -->")[2]
    told = re.findall(
        r"`([\w.\[\]]+)`", "".join(line.split("|")[1] for line in page.partition("\n\nA wrong rule")[0].splitlines() if "| `" in line)
    )
    content = json.loads(to_json(preview(night, "spend_amount >= 40")))
    keys = [*content, *(f"overlaps[].{key}" for key in content["overlaps"][0])]
    assert sorted(name if name[0] != "." else f"overlaps[]{name}" for name in told) == sorted(keys)


@pytest.mark.parametrize(
    ("rule", "line", "column"),
    [
        ("order_count >= 2 AND spend_amont > 5", 1, 22),
        ("order_count >= 2\n  AND spend_amont > 5", 2, 7),
        ("COUNT(order_lines WHERE categry = 'a') > 5", 1, 25),
        ("order_count < 0", None, None),
        ("visit_count_90_days >= 1", None, None),
    ],
)
def test_an_editor_is_told_where_a_rule_is_wrong(night: tuple[Path, Lake], rule: str, line: int | None, column: int | None) -> None:
    command = ["preview", rule, "--company", str(night[0]), "--lake", str(night[1].root), "--json"]
    found = CliRunner().invoke(app, command)
    assert isinstance(found.exception, ConfigError)
    told = json.loads(found.stdout)["error"]
    assert (told["line"], told["column"]) == (line, column)
    assert told["what"] == found.exception.what.splitlines()[0]
    assert told["next"]


def test_an_aggregate_within_the_rule_is_worked_out_from_stored_events(night: tuple[Path, Lake]) -> None:
    found = preview(night, "COUNT(order_lines WHERE category = 'wine' LAST 90 DAYS) >= 1")
    assert found.customer_ids == ("bob",)


def test_the_value_that_may_be_on_a_list_is_read_too(night: tuple[Path, Lake], tmp_path: Path) -> None:
    shop = Path(shutil.copytree(night[0], tmp_path / "shop"))
    (shop / "lists").mkdir()
    (shop / "lists" / "drinks.csv").write_text("value\nwine\nbeer\n")
    assert preview((shop, night[1]), "favourite_category IN LIST drinks").customer_ids == ("bob",)
    (shop / "audiences" / "drinkers.toml").write_text(AUDIENCE.replace("order_count >= 2", "favourite_category IN LIST drinks"))
    [plan] = plan_change(load_company(shop), night[1]).schemes
    assert {flow.to_segment: flow.customer_count for flow in plan.flows} == {"member": 1, None: 3}

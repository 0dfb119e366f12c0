"""The best customers, as the guide to audiences writes them: who is in them, and in the parts below."""

from __future__ import annotations

import re
from datetime import date
from pathlib import Path

import pytest
from support.nights import run_night, write_shop

from pipeline.definitions.company import PROJECT_ROOT, load_company
from pipeline.lake.lake import Lake
from pipeline.lake.tables import AUDIENCE_MEMBERS
from pipeline.reporting.preview import preview_rule

NIGHT = date(2024, 3, 31)
GUIDE = (PROJECT_ROOT / "docs" / "guides" / "audiences.md").read_text("utf-8").partition("## Best customers")[2].partition("\n## ")[0]
FILE = GUIDE.partition("# file: my_shop/audiences/best_customers.toml\n")[2].partition("```")[0]


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Lake]:
    """Forty customers who spent 1 to 40, one who spent 39 as well, and one who never ordered."""
    folder = tmp_path_factory.mktemp("best")
    orders = [f"o{number},1,c{number:02},2024-03-20 10:00,1,{number},tea" for number in range(1, 41)]
    customers = ["never", "twin", *(f"c{number:02}" for number in range(1, 41))]
    made = write_shop(folder / "shop", [*orders, "o99,1,twin,2024-03-20 10:00,1,39,tea"], customers=customers)
    (made / "audiences").mkdir()
    (made / "audiences" / "best_customers.toml").write_text(FILE)
    run_night(made, Lake(folder / "lake"), NIGHT)
    return made, Lake(folder / "lake")


def test_the_top_five_percent_are_those_whom_fewer_than_that_outspend(shop: tuple[Path, Lake]) -> None:
    rows = shop[1].read(AUDIENCE_MEMBERS, day=NIGHT).to_pylist()
    # Of 41 spenders one spent more than the two of 39, and three more than the one of 38: 0.024 and 0.073.
    assert {(row["audience"], row["customer_id"]) for row in rows} == {("best_customers", name) for name in ("c40", "c39", "twin")}


@pytest.mark.parametrize(
    ("rule", "count"),
    [
        ("spend_rank_share < 0.05", 3),
        ("spend_rank_share >= 0.05 AND spend_rank_share < 0.2", 6),  # 38 to 33, the last of whom 8 of 41 outspend
        ("spend_rank_share >= 0.5", 20),  # the first of them, who spent 20, is outspent by 21 of 41
        ("m_score = 5", 8),  # 34 and above: at least four fifths of 41, that is 33, spent less
        ("value_rank_share < 0.5", 13),  # 40, twice 39, 38 ... 29 make 455 of 859; those above 29 make 426
        ("spend_amount >= 1000", 0),
    ],
)
def test_each_way_to_say_it_takes_so_many(shop: tuple[Path, Lake], rule: str, count: int) -> None:
    assert f"`{rule}`" in GUIDE or f'"{rule}"' in GUIDE
    assert preview_rule(load_company(shop[0]), shop[1], rule).customer_count == count


def test_every_rule_of_the_guide_is_tried() -> None:
    told = {text for text in re.findall(r"`([^`\n]+)`", GUIDE) if re.search(r"[<>=]", text)}
    [tried] = [mark.args[1] for mark in test_each_way_to_say_it_takes_so_many.pytestmark]  # type: ignore[attr-defined]
    assert told == {rule for rule, _ in tried}

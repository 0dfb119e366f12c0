"""Scores by each method over a turn of the month: who moves, and for which reason."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta
from pathlib import Path

import pytest
from support.nights import run_night, write_shop

from pipeline.definitions.company import load_company
from pipeline.lake.lake import Lake
from pipeline.lake.tables import CUSTOMER_SEGMENTS, SEGMENT_MOVES
from pipeline.operations.deployment import Deployment
from pipeline.operations.erasure.erase import erase_customers

FIRST = date(2024, 3, 1)
# Days before FIRST on which c0 to c9 ordered, each ten coins more than the one before. By rank they score 5, 5, 4, 4, 3, 3, 2, 2, 1, 1 in
# recency, so that whoever has waited as long as c4 is no longer among the best; and c8 and c9, from 90 coins on, score 5 in spend.
WAITED = (5, 16, 25, 35, 45, 55, 65, 75, 85, 95)
FRIDAY, SATURDAY, MONDAY = date(2024, 3, 29), date(2024, 3, 30), date(2024, 4, 1)
SCHEME = """
title = "T"
kind = "rules"
level = "behavioural"
question = "Q?"
evidence = ["order_count"]
[scores]
{score} = {method}
[[segment]]
id = "best"
title = "B"
description = "B."
rule = "{score} {rule}"
[[segment]]
id = "rest"
title = "R"
description = "R."
otherwise = true
"""
METHODS = {"frozen": '"frozen"', "rank": '"rank"'}
THRESHOLDS = {"r_score": "{ thresholds = [40, 45, 60, 70] }", "m_score": "{ thresholds = [20, 30, 40, 95] }"}
RULES = {"r_score": ">= 4", "m_score": "= 5"}


def an_order(customer: str, day: date, paid: int) -> str:
    return f"o{customer}{day:%m%d},1,{customer},{day} 10:00,1,{paid},tea"


def write(folder: Path, orders: list[str]) -> Path:
    shop = write_shop(folder, orders, customers=[f"c{n}" for n in range(10)], settings="[gates]\nquiet_days = 99\n")
    settings = shop / "company.toml"
    settings.write_text(settings.read_text().replace("2024-01-01", "2023-11-01"))
    (shop / "segments").mkdir(exist_ok=True)
    for score, rule in RULES.items():
        for name, method in {**METHODS, "thresholds": THRESHOLDS[score]}.items():
            text = SCHEME.format(score=score, method=method, rule=rule)
            (shop / "segments" / f"{score[0]}_{name}.toml").write_text(text)
    return shop


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    """On Saturday c5 orders again and a stranger spends more than all; on Monday nobody does anything, and limits are frozen anew."""
    folder = tmp_path_factory.mktemp("scores")
    lake = Lake(folder / "lake")
    history = [an_order(f"c{n}", FIRST - timedelta(days=waited), 10 + 10 * n) for n, waited in enumerate(WAITED)]
    saturday = [*history, an_order("c5", SATURDAY, 45), an_order("stranger", SATURDAY, 999)]
    run_night(write(folder / "shop", history), lake, FRIDAY, until="segment")
    run_night(write(folder / "shop", saturday), lake, SATURDAY, until="segment")
    run_night(write(folder / "shop", saturday), lake, MONDAY, until="segment")
    return lake


def moves(lake: Lake, day: date, scheme: str) -> Mapping[str, tuple[str | None, str | None, str]]:
    rows = lake.read(SEGMENT_MOVES, day=day).to_pylist()
    return {row["customer_id"]: (row["from_segment"], row["to_segment"], row["reason"]) for row in rows if row["scheme"] == scheme}


def best(lake: Lake, day: date, scheme: str) -> set[str]:
    rows = lake.read(CUSTOMER_SEGMENTS, day=day).to_pylist()
    return {row["customer_id"] for row in rows if row["scheme"] == scheme and row["segment"] == "best"}


RICHER, NEW = ("rest", "best", "own_purchase"), (None, "best", "new_customer")
OVERTAKEN = ("best", "rest", "population_shift")


def test_by_frozen_limits_nobody_falls_because_others_ordered(told: Lake) -> None:
    """c1 has waited 45 days on Saturday, as long as c4 had on the first."""
    assert best(told, FRIDAY, "r_frozen") == {"c0", "c1"}
    assert moves(told, SATURDAY, "r_frozen") == {"c5": RICHER, "stranger": NEW, "c1": ("best", "rest", "ageing")}
    assert best(told, FRIDAY, "m_frozen") == {"c8", "c9"}
    assert moves(told, SATURDAY, "m_frozen") == {"c5": RICHER, "stranger": NEW}


def test_by_rank_whoever_is_overtaken_falls(told: Lake) -> None:
    """Of eleven, c3 is now the sixth from below in recency, which scores 3; c8 and c9 have 7 and 8 below them, which scores 4."""
    assert best(told, FRIDAY, "r_rank") == {"c0", "c1", "c2", "c3"}
    assert moves(told, SATURDAY, "r_rank") == {"c5": RICHER, "stranger": NEW, "c3": OVERTAKEN}
    assert moves(told, SATURDAY, "m_rank") == {"c5": RICHER, "stranger": NEW, "c8": OVERTAKEN, "c9": OVERTAKEN}


def test_by_thresholds_only_what_a_customer_does_and_time_count(told: Lake) -> None:
    assert best(told, FRIDAY, "r_thresholds") == {"c0", "c1"}
    assert moves(told, SATURDAY, "r_thresholds") == {"c5": RICHER, "stranger": NEW}
    assert moves(told, MONDAY, "r_thresholds") == {"c1": ("best", "rest", "ageing")}
    assert best(told, FRIDAY, "m_thresholds") == {"c9"}
    assert moves(told, SATURDAY, "m_thresholds") == {"c5": RICHER, "stranger": NEW}


def test_a_refreeze_moves_whom_the_new_limits_move(told: Lake) -> None:
    """Of eleven on 1 April, c1 and c2 score 4 in recency. In spend 105 coins are needed for 5, which c8 and c9 do not have."""
    risen, fallen = ("rest", "best", "threshold_refreeze"), ("best", "rest", "threshold_refreeze")
    assert moves(told, MONDAY, "r_frozen") == {"c1": risen, "c2": risen}
    assert moves(told, MONDAY, "m_frozen") == {"c8": fallen, "c9": fallen}


def test_where_nobody_did_anything_ranks_move_nobody(told: Lake) -> None:
    assert not moves(told, MONDAY, "r_rank")
    assert not moves(told, MONDAY, "m_rank")


def test_who_made_a_limit_and_is_erased_moves_others_for_that_reason(tmp_path: Path, lake: Lake) -> None:
    """Without c4 it is c5, who had waited 55 days on the first, up to whom recency scores 4; c2 waits 54 days on Saturday."""
    shop = write(tmp_path / "shop", [an_order(f"c{n}", FIRST - timedelta(days=waited), 10 + 10 * n) for n, waited in enumerate(WAITED)])
    run_night(shop, lake, FRIDAY, until="segment")
    erase_customers(Deployment(load_company(shop), lake, lambda name: name), ["c4"])
    run_night(shop, lake, SATURDAY, until="segment")
    assert moves(lake, SATURDAY, "r_frozen") == {"c2": ("rest", "best", "erasure")}


def test_limits_that_are_not_frozen_yet_move_customers_because_others_did_something(tmp_path: Path, lake: Lake) -> None:
    """A shop of two months: limits are tonight's, and c3 is overtaken as by rank."""
    recent = [an_order(f"c{n}", FIRST - timedelta(days=waited // 2), 10 + 10 * n) for n, waited in enumerate(WAITED)]
    run_night(write(tmp_path / "shop", recent), lake, FRIDAY, until="segment")
    overtaking = [*recent, an_order("c5", SATURDAY, 45), an_order("stranger", SATURDAY, 999)]
    run_night(write(tmp_path / "shop", overtaking), lake, SATURDAY, until="segment")
    assert moves(lake, SATURDAY, "r_frozen") == {"c5": RICHER, "stranger": NEW, "c3": OVERTAKEN} == moves(lake, SATURDAY, "r_rank")

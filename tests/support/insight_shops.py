"""A made-up shop whose customers have habits: tea drinkers of two kinds, one of whom spends a hundred times as much."""

from __future__ import annotations

import random
from datetime import date, timedelta
from pathlib import Path

from pipeline.lake.lake import Lake
from support.nights import NO_GATES, run_night, write_shop
from support.schemes import yes_or_no_scheme

FORMED, REFINED, NEXT, NEXT_MONTH = date(2024, 2, 20), date(2024, 5, 21), date(2024, 5, 22), date(2024, 6, 1)
CUSTOMERS = [f"c{number:03}" for number in range(360)]


def write_insight_shop(folder: Path) -> Path:
    """Write a shop of 360 customers, half of whom buy dear tea and, after some weeks, dear pots; the others buy cheap salt as often."""
    chance, lines = random.Random(8), []
    for place, customer in enumerate(CUSTOMERS):
        is_rich = place % 2 == 0
        for number in range(chance.randrange(1, 6)):
            day = date(2024, 1, 2) + timedelta(chance.randrange(150))
            first = "tea" if is_rich else "salt"
            category = first if number == 0 or chance.random() < 0.5 else "pots" if is_rich else "oil"
            paid = chance.randrange(900, 1_100) if is_rich else chance.randrange(9, 11)
            lines.append(f"o{customer}-{number},1,{customer},{day} 10:00:00,1,{paid},{category}")
    return write_shop(folder, lines, customers=CUSTOMERS, settings=NO_GATES)


def run_insight_nights(shop: Path, lake: Lake, *days: date) -> Lake:
    """Run nights of the shop up to their segments."""
    for day in days:
        run_night(shop, lake, day, until="segment")
    return lake


EARLIER, EARLY, LATE = date(2024, 3, 31), date(2024, 6, 29), date(2024, 9, 27)
"""Nights 90 days apart."""
THIRDS = """
title = "T"
kind = "rules"
level = "behavioural"
question = "Q?"
evidence = ["m_score"]
segment = [
  {id = "a", title = "A", description = "A.", rule = "third = 'a'"},
  {id = "b", title = "B", description = "B.", rule = "third = 'b'"},
  {id = "rest", title = "R", description = "R.", otherwise = true},
]
"""


def write_alike_shop(folder: Path) -> Path:
    """Write a shop of 1,200 customers in three thirds that are alike in all they do, by the attribute `third`.

    Half of each third orders every 30 days for 1,000 or so. The others order once before EARLIER for 50 or so, and three in ten of them
    once in each 90 days after it. The scheme `thirds` has a segment for each of two thirds, and one for the rest; `fresh` parts customers
    by a recency of 130 days, though nobody of more than 90 ever orders again.
    """
    chance, lines, numbers = random.Random(5), [], range(1_200)
    for number in numbers:
        is_often, place = number % 2 == 0, number // 6
        if is_often:
            days = [place % 30 + 30 * each for each in range(9)]
        else:
            days = [chance.randrange(90), *(90 * (1 + each) + chance.randrange(90) for each in range(2) if place % 10 < 3)]
        for each in days:
            paid = (1_000 if is_often else 50) + place % 11
            lines.append(f"o{number}-{each},1,c{number:04},{date(2024, 1, 2) + timedelta(each)} 10:00:00,1,{paid},tea")
    shop = write_shop(folder, lines, customers=[f"c{number:04}" for number in numbers], settings=NO_GATES)
    with (shop / "company.toml").open("a", encoding="utf-8") as file:
        file.write('[attributes.third]\nlevel = "demographic"\n')
    third = "SUBSTR('abc', CAST(SUBSTR(id, 2) AS INTEGER) // 2 % 3 + 1, 1)"
    (shop / "sources" / "customers.sql").write_text(f"SELECT id AS customer_id, {third} AS third FROM customers")
    (shop / "segments").mkdir()
    (shop / "segments" / "thirds.toml").write_text(THIRDS)
    (shop / "segments" / "fresh.toml").write_text(yes_or_no_scheme("recency_days <= 130 AND spend_rank_share >= 0"))
    return shop

"""A made-up shop whose customers have habits: tea drinkers of two kinds, one of whom spends a hundred times as much."""

from __future__ import annotations

import random
from datetime import date, timedelta
from pathlib import Path

from pipeline.lake.lake import Lake
from support.nights import NO_GATES, run_night, write_shop

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

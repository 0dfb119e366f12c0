"""Random nights of a shop: what the source gives, night after night, with late versions of days long gone."""

from __future__ import annotations

import random
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

from pipeline.lake.lake import Lake
from support.builders import an_order_line, write_order_lines

OPENING, FIRST = date(2023, 12, 20), date(2024, 2, 10)  # twenty-two nights and thirty lead over 29 February
NAMES = [f"c{number}" for number in range(14)]
QUIET = [f"q{number}" for number in range(50)]  # who bought once, long ago: a fifth of everyone is more than a night changes


class Shop:
    """Random nights of a lake: late versions inside and beyond the window, refunds of old orders, cancellations, newcomers."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.days: dict[date, list[dict[str, Any]]] = {}
        self.numbers = iter(range(1, 100_000))

    def lines_of(self, day: date) -> list[dict[str, Any]]:
        newcomers = [f"n{day:%m%d}"] if self.chance.random() < 0.3 else []
        return [self.line(day, self.chance.choice([*NAMES, *newcomers])) for _ in range(self.chance.randrange(5))]

    def line(self, day: date, customer: str) -> dict[str, Any]:
        kind = self.chance.choices(["order", "refund", "cancelled"], [8, 2, 1])[0]
        amount = Decimal(self.chance.randrange(1, 5000)) / 100
        is_linked = kind == "refund" and self.chance.random() < 0.7
        number = next(self.numbers)
        return an_order_line(
            number,
            day=day,
            # Morning, noon and evening, and every time of the day several times.
            ordered_at=datetime(day.year, day.month, day.day, (6, 12, 19)[number % 3], tzinfo=UTC),
            customer_id=customer,
            order_id=f"o{day}{customer}{self.chance.randrange(2)}",
            line_kind=kind,
            net_amount=-amount if kind == "refund" else amount,
            discount_amount=Decimal(self.chance.choice(["0", "0", "1"])),
            category=self.chance.choice(["a", "b", "ä"]),
            channel=self.chance.choice(["web", "store"]),
            order_day=day - timedelta(self.chance.choice([1, 8, 30, 60])) if is_linked else day,
        )

    def open(self, lake: Lake) -> None:
        """Write the history that the first night finds, known the night before."""
        self.days[OPENING] = [self.line(OPENING, name) for name in QUIET]
        for offset in range((FIRST - OPENING).days):
            self.learn(lake, OPENING + timedelta(offset), FIRST - timedelta(1))

    def night(self, lake: Lake, day: date) -> None:
        """Write what the night learns: its own day, and sometimes another version of days long or shortly gone."""
        self.learn(lake, day, day)
        for ago in (1, 6, 12, 45):
            if self.chance.random() < 0.12:
                self.learn(lake, day - timedelta(ago), day)

    def learn(self, lake: Lake, day: date, known_on: date) -> None:
        before = self.days.get(day, [])
        kept = [line for line in before if self.chance.random() < 0.8]
        self.days[day] = kept + self.lines_of(day)
        write_order_lines(lake, self.days[day], known_on=known_on)
        if not self.days[day]:
            write_order_lines(lake, [an_order_line(next(self.numbers), day=day, line_kind="cancelled")], known_on=known_on)

"""Scores by each method: an oracle in plain Python scores every customer from the words of docs/reference/definitions.md."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, timedelta
from decimal import Decimal
from math import ceil, floor
from pathlib import Path
from random import Random
from typing import Any

import pytest
from support.builders import a_company, an_order_line, features_by_customer, write_order_lines

from pipeline.definitions.company import PROJECT_ROOT
from pipeline.lake.lake import Lake
from pipeline.lake.tables import POPULATION_BASELINES

FIRST, NIGHT = date(2024, 3, 1), date(2024, 3, 20)
Customers = Mapping[str, Sequence[tuple[date, int]]]
Figures = dict[str, tuple[int, int, Decimal]]


def figures_on(day: date, customers: Customers) -> Figures:
    """Return recency, order-days and spend of everybody with an order-day in the 365 days up to `day`."""
    found = {}
    for name, orders in customers.items():
        seen = [(on, amount) for on, amount in orders if day - timedelta(days=364) <= on <= day]
        if seen:
            days = {on for on, _ in seen}
            found[name] = ((day - max(days)).days, len(days), Decimal(sum(amount for _, amount in seen)))
    return found


def ranked(among: Figures) -> dict[str, tuple[int, int, int, int]]:
    """Return the r, f, m and value score of each by rank among all: ties share the highest of recency, the lowest of the rest."""
    n, total = len(among), sum(spend for _, _, spend in among.values())
    scores = {}
    for name, (recency, frequency, spend) in among.items():
        later = sum(r < recency for r, _, _ in among.values())
        rarer, poorer = sum(f < frequency for _, f, _ in among.values()), sum(m < spend for _, _, m in among.values())
        richer = sum(m for _, _, m in among.values() if m > spend)
        value = 3 if richer < Decimal("0.8") * total else 2 if richer < Decimal("0.95") * total else 1
        scores[name] = (ceil(5 * (n - later) / n), 1 + floor(5 * rarer / n), 1 + floor(5 * poorer / n), value)
    return scores


def frozen(tonight: Figures, then: Figures) -> dict[str, tuple[int, int, int, int]]:
    """Return the scores of tonight by those of `then`.

    Days score less once they reach those of somebody who scored less; the rest scores more once it reaches those who scored more.
    """
    scored = ranked(then)

    def days(recency: int) -> int:
        return max(s for s in range(1, 6) if all(recency < r for name, (r, _, _) in then.items() if scored[name][0] < s))

    def risen(axis: int, best: int, figure: Any) -> int:
        reached = [s for s in range(2, best + 1) if any(figure >= then[name][min(axis, 2)] for name in then if scored[name][axis] >= s)]
        return max([1, *reached])

    return {name: (days(r), risen(1, 5, f), risen(2, 5, m), risen(3, 3, m)) for name, (r, f, m) in tonight.items()}


def lines_of(customers: Customers) -> list[dict[str, Any]]:
    orders = [(name, on, amount) for name, orders in customers.items() for on, amount in orders]
    return [
        an_order_line(number, day=on, customer_id=name, net_amount=amount, order_id=f"o{number}")
        for number, (name, on, amount) in enumerate(orders, 1)
    ]


def scores_on(day: date, lake: Lake, customers: Customers, *, settings: str = "", first_seen: date = FIRST) -> dict[str, tuple[int, ...]]:
    """Return the four scores that the pipeline gives on `day` to those with an order-day in the window."""
    shop = a_company(lake.root / "shop")
    if settings:
        write_methods(shop.folder, settings)
    write_order_lines(lake, lines_of(customers), known_on=first_seen)
    found = features_by_customer(shop, lake, day)
    return {
        name: tuple(row[f"{axis}_score"] for axis in ("r", "f", "m", "value")) for name, row in found.items() if row["order_day_count"] > 0
    }


def write_methods(shop: Path, settings: str) -> None:
    """Write our schemes rfm and value_tier with `[scores]` of their own: lines such as `r_score = "rank"`."""
    (shop / "segments").mkdir(parents=True, exist_ok=True)
    for scheme, scores in (("rfm", ("r_", "f_", "m_")), ("value_tier", ("value_",))):
        own = "\n".join(line for line in settings.splitlines() if line.startswith(scores))
        ours = (PROJECT_ROOT / "segments" / f"{scheme}.toml").read_text("utf-8")
        (shop / "segments" / f"{scheme}.toml").write_text(ours.replace("[[segment]]", f"[scores]\n{own}\n[[segment]]", 1), "utf-8")


def a_shop(seed: int, size: int = 60) -> Customers:
    """Return customers of the last 400 days with few different figures, so that many are alike, and some who came this month."""
    chance = Random(seed)
    spread = [*range(0, 400, 7), *range(20)]
    return {
        f"c{number:02}": [
            (NIGHT - timedelta(days=chance.choice(spread)), chance.choice((10, 20, 20, 50, 500))) for _ in range(chance.randint(1, 5))
        ]
        for number in range(size)
    }


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_frozen_scores_are_those_of_the_months_first_day(lake: Lake, seed: int) -> None:
    customers = a_shop(seed)
    expected = frozen(figures_on(NIGHT, customers), figures_on(FIRST, customers))
    assert scores_on(NIGHT, lake, customers) == expected
    assert {score for scores in expected.values() for score in scores} == {1, 2, 3, 4, 5}


def test_what_arrives_late_counts_for_its_customer_and_not_for_limits_that_are_frozen(lake: Lake) -> None:
    customers = a_shop(7)
    old = min(on for orders in customers.values() for on, _ in orders if on > NIGHT - timedelta(days=300))
    late = {name: [*orders, *([(old, 400)] if name in ("c03", "c17", "c31") else [])] for name, orders in customers.items()}
    write_order_lines(lake, lines_of(customers), known_on=FIRST)
    write_order_lines(lake, [line for line in lines_of(late) if line["day"] == old], known_on=FIRST + timedelta(days=2))
    found = features_by_customer(a_company(lake.root / "shop"), lake, NIGHT)
    scores = {
        name: tuple(row[f"{axis}_score"] for axis in ("r", "f", "m", "value")) for name, row in found.items() if row["order_day_count"]
    }
    tonight = figures_on(NIGHT, late)
    assert scores == frozen(tonight, figures_on(FIRST, customers))
    assert scores != frozen(tonight, figures_on(FIRST, late))


def test_on_the_first_day_of_a_month_frozen_scores_are_ranks(lake: Lake) -> None:
    customers = a_shop(4)
    assert scores_on(FIRST, lake, customers) == ranked(figures_on(FIRST, customers))


def test_ranks_are_those_among_tonights_customers(lake: Lake) -> None:
    customers = a_shop(5)
    settings = "\n".join(f'{axis}_score = "rank"' for axis in ("r", "f", "m", "value"))
    assert scores_on(NIGHT, lake, customers, settings=settings) == ranked(figures_on(NIGHT, customers))


def test_thresholds_are_reached_by_whoever_has_that_figure(lake: Lake) -> None:
    days = {"a": (0, 1, 9), "b": (7, 2, 10), "c": (8, 3, 11), "d": (30, 4, 12), "e": (31, 5, 100)}
    customers = {
        name: [(NIGHT - timedelta(days=last + 40 * n), money if n == 0 else 0) for n in range(count)]
        for name, (last, count, money) in days.items()
    }
    settings = """
r_score = { thresholds = [0, 7, 8, 30] }
f_score = { thresholds = [2, 3, 4, 5] }
m_score = { thresholds = [10, 10.5, 12, 100] }
value_score = { thresholds = [10, 100] }
""".strip()
    assert scores_on(NIGHT, lake, customers, settings=settings) == {
        "a": (5, 1, 1, 1),
        "b": (4, 2, 2, 2),
        "c": (3, 3, 3, 2),
        "d": (2, 4, 4, 2),
        "e": (1, 5, 5, 3),
    }


def test_a_method_may_differ_from_axis_to_axis(lake: Lake) -> None:
    customers = a_shop(6)
    tonight = figures_on(NIGHT, customers)
    by_rank, by_then = ranked(tonight), frozen(tonight, figures_on(FIRST, customers))
    found = scores_on(NIGHT, lake, customers, settings='f_score = "rank"\nm_score = { thresholds = [20, 30, 50, 500] }')
    thresholds = (20, 30, 50, 500)
    expected = {
        name: (by_then[name][0], by_rank[name][1], 1 + sum(spend >= limit for limit in thresholds), by_then[name][3])
        for name, (_, _, spend) in tonight.items()
    }
    assert found == expected


def test_forty_customers_of_the_opening_day_are_all_most_recent(lake: Lake) -> None:
    customers = {f"c{number:02}": [(date(2024, 3, 5), 20 + number)] for number in range(40)}
    found = scores_on(date(2024, 3, 5), lake, customers, first_seen=date(2024, 3, 5))
    assert {scores[:2] for scores in found.values()} == {(5, 1)}
    assert sorted(scores[2] for scores in found.values()) == sorted(1 + number * 5 // 40 for number in range(40))


def subscribers(months: Iterable[date]) -> Customers:
    """Return 200 subscribers who were all charged on each of `months`, and thirty who gave up one by one in earlier years."""
    charged = {f"s{number:03}": [(on, 10) for on in months] for number in range(200)}
    return charged | {f"g{number:02}": [(date(2023, 4, 1) + timedelta(days=7 * number), 10)] for number in range(30)}


@pytest.mark.parametrize("night", [date(2024, 3, day) for day in (1, 2, 15, 31)])
def test_subscribers_who_are_charged_on_one_day_are_never_lost_between_two_charges(lake: Lake, night: date) -> None:
    """On the month's first day all of them ordered that day: a day later nobody has overtaken them."""
    found = scores_on(night, lake, subscribers([date(2024, month, 1) for month in (1, 2, 3)]))
    assert {found[f"s{number:03}"][0] for number in range(200)} == {5}
    assert {found[f"s{number:03}"][1] for number in range(200)} == {1}


@pytest.mark.parametrize(("opened", "is_frozen"), [(date(2023, 12, 3), True), (date(2023, 12, 4), False)])
def test_limits_are_frozen_once_a_quarter_of_orders_lies_behind_them(lake: Lake, opened: date, is_frozen: bool) -> None:
    """2023-12-03 to 2024-03-01 are 90 days, both included."""
    customers = {f"c{n}": [(opened + timedelta(days=7 * n), 10 * n), (NIGHT - timedelta(days=n), 5)] for n in range(8)}
    tonight = figures_on(NIGHT, customers)
    expected = frozen(tonight, figures_on(FIRST, customers)) if is_frozen else ranked(tonight)
    assert expected != (ranked(tonight) if is_frozen else frozen(tonight, figures_on(FIRST, customers)))
    assert scores_on(NIGHT, lake, customers, first_seen=opened) == expected
    [row] = lake.read(POPULATION_BASELINES, day=NIGHT).to_pylist()
    assert row["limits_day"] == (FIRST if is_frozen else NIGHT)


@pytest.mark.parametrize("count", [4, 5])
def test_fewer_than_five_buyers_of_the_first_day_freeze_nothing(lake: Lake, count: int) -> None:
    old = {f"c{n}": [(date(2023, 6, 1) + timedelta(days=n), 10 * n + 1)] for n in range(count)}
    customers = old | {f"new{n}": [(NIGHT - timedelta(days=n), 7 * n + 1)] for n in range(9)}
    tonight = figures_on(NIGHT, customers)
    expected = ranked(tonight) if count < 5 else frozen(tonight, figures_on(FIRST, customers))
    assert scores_on(NIGHT, lake, customers, first_seen=date(2023, 6, 1)) == expected


def test_where_nobody_had_spent_anything_value_goes_by_tonight(lake: Lake) -> None:
    customers = {f"c{n}": [(date(2023, 6, 1) + timedelta(days=n), 0), (NIGHT, 10 * n)] for n in range(9)}
    tonight = figures_on(NIGHT, customers)
    found = scores_on(NIGHT, lake, customers, first_seen=date(2023, 6, 1))
    assert found["c0"][3] is None
    assert {name: scores[3] for name, scores in found.items() if name != "c0"} == {
        name: scores[3] for name, scores in ranked(tonight).items() if name != "c0"
    }

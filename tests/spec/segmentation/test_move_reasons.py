"""The reason of a move where a customer did something and time passed, or others did something: what would not have happened without."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from support.builders import a_company, an_order_line, features_by_customer, write_customers, write_order_lines, write_rows
from support.schemes import yes_or_no_scheme

from pipeline.definitions.company import Company, with_declared_features
from pipeline.lake.engines.duckdb import DuckDBEngine
from pipeline.lake.lake import Lake
from pipeline.lake.tables import ORDER_LINES, SEGMENT_MOVES, VISITS
from pipeline.segmentation import write_memberships, write_moves

BEFORE, NIGHT = date(2024, 3, 13), date(2024, 3, 14)
Visit = tuple[str, date]
"""Of a customer on a day."""
RULES = {
    "recent": "recency_days <= 5",
    "rich": "spend_amount >= 100",
    "poor": "spend_amount < 50",
    "giver": "refund_amount > 0",
    "twice": "order_count >= 2",
    "thrice": "order_count >= 3",
    "leading": "value_rank_share < 0.5",
    "watcher": "visit_count_90_days >= 2",
    "warm": "recency_days <= 5 AND spend_amount >= 100",
    "wide": "category_count >= 2",
}

DECLARED_RULES = {
    "jam_lately": "COUNT(order_lines WHERE category = 'jam' LAST 7 DAYS) >= 1",
    "two_kinds": "COUNT(DISTINCT order_lines.category) >= 2",
    "jam_money": "SUM(order_lines.net_amount WHERE category = 'jam') >= 50",
    "first_jam": "FIRST(order_lines.category) = 'jam'",
    "jam_a_week_ago": "COUNT(order_lines WHERE category = 'jam' LAST 7 DAYS BEFORE 7 DAYS AGO) >= 1",
    "came": "COUNT(visits LAST 3 DAYS) >= 1",
    "came_thrice": "COUNT(visits) >= 3",
}


@dataclass(frozen=True)
class Line:
    """An order line or, with a negative amount, a refund; `late` is learned on NIGHT although of an earlier day."""

    day: str
    amount: str
    customer: str = "ann"
    category: str = "tea"
    late: bool = False


def tell(folder: Path, lines: list[Line], visits: Mapping[Visit, int], rules: Mapping[str, str]) -> dict[str, dict[str, str]]:
    """Return the reasons of the moves on NIGHT by customer and scheme."""
    (folder / "segments").mkdir()
    for name, rule in rules.items():
        (folder / "segments" / f"{name}.toml").write_text(yes_or_no_scheme(rule))
    company, lake = with_declared_features(a_company(folder, window_days=30)), Lake(folder / "lake")
    for line in lines:
        if line.late:  # its day was read on BEFORE, without the line
            write_rows(lake, ORDER_LINES, [], day=date.fromisoformat(line.day), known_on=BEFORE)
    for known in (BEFORE, NIGHT):
        learned = [line for line in lines if (NIGHT if line.late else max(BEFORE, date.fromisoformat(line.day))) == known]
        days = {line.day for line in learned}
        rows = [_row(number, line) for number, line in enumerate(lines) if line.day in days and (known == NIGHT or line in learned)]
        write_order_lines(lake, rows, known_on=known)
        write_customers(lake, company, [{"customer_id": name} for name in {line.customer for line in lines}], known_on=known)
        for day in {day for _, day in visits if (BEFORE if day < NIGHT else NIGHT) == known}:
            came = [
                {"visit_id": f"{name}-{day}-{number}", "customer_id": name, "visited_at": None}
                for (name, visited), count in visits.items()
                for number in range(count)
                if visited == day
            ]
            write_rows(lake, VISITS, came, day=day, known_on=known)
        _run(lake, company, known)
    told: dict[str, dict[str, str]] = {}
    for row in lake.read(SEGMENT_MOVES, day=NIGHT).to_pylist():
        told.setdefault(row["customer_id"], {})[row["scheme"]] = row["reason"]
    return told


def _row(number: int, line: Line) -> dict[str, Any]:
    kind = "refund" if line.amount.startswith("-") else "order"
    facts = {"customer_id": line.customer, "day": line.day, "net_amount": line.amount, "line_kind": kind, "category": line.category}
    return an_order_line(number, order_id=f"o{number}", **facts)


def _run(lake: Lake, company: Company, day: date) -> None:
    with closing(DuckDBEngine(lake.store, memory_limit="500MB", threads=1)) as engine:
        features_by_customer(company, lake, day, engine=engine)
        write_memberships(company, lake, engine, day)
        write_moves(company, lake, engine, day)


TODAY, YESTERDAY = "2024-03-14", "2024-03-13"


OF_OWN_FIGURES = [
    pytest.param([Line("2024-03-08", "150"), Line(TODAY, "-5")], {}, "recent", "ageing", id="5.00 back on the day that she gets old"),
    pytest.param([Line("2024-03-08", "150"), Line(TODAY, "-5")], {}, "giver", "refund", id="the same refund where it matters"),
    pytest.param([Line("2024-03-08", "102"), Line(TODAY, "-5")], {}, "rich", "refund", id="5.00 back that takes her below a limit"),
    pytest.param([Line("2024-03-08", "150"), Line(TODAY, "-5")], {}, "warm", "ageing", id="5.00 back, still above the limit, too old"),
    pytest.param(
        [Line("2024-02-13", "30"), Line("2024-03-08", "80"), Line(TODAY, "-5")], {}, "rich", "ageing", id="refund, and an old order"
    ),
    pytest.param(
        [Line("2024-02-13", "60"), Line("2024-03-08", "30"), Line(TODAY, "10")], {}, "poor", "ageing", id="order, and an old one"
    ),
    pytest.param(
        [Line("2024-02-13", "60"), Line("2024-03-08", "30"), Line(TODAY, "30", category="jam")],
        {},
        "wide",
        "own_purchase",
        id="order of another category while one leaves the window",
    ),
    pytest.param([Line("2024-03-07", "90"), Line(TODAY, "20")], {}, "recent", "own_purchase", id="an order"),
    pytest.param([Line("2024-03-12", "90"), Line("2024-03-11", "5", late=True)], {}, "twice", "late_data", id="a line learned late"),
    pytest.param(
        [Line("2024-03-08", "90"), Line("2024-03-07", "5", late=True)], {}, "recent", "ageing", id="a line learned late, and too old"
    ),
    pytest.param(
        [Line("2024-03-08", "90"), Line("2024-03-07", "5", late=True), Line(TODAY, "9")],
        {},
        "thrice",
        "own_purchase",
        id="a late line and an order, both needed",
    ),
    pytest.param(
        [Line("2024-03-08", "90"), Line("2024-03-07", "50", late=True), Line(TODAY, "9")],
        {},
        "rich",
        "late_data",
        id="a late line that does it, and an order that does not",
    ),
    pytest.param([Line("2024-03-08", "90"), Line(TODAY, "9"), Line(TODAY, "-5")], {}, "giver", "refund", id="order and refund at once"),
    pytest.param(
        [Line("2024-03-08", "90"), Line(TODAY, "9"), Line(TODAY, "-5")], {}, "twice", "own_purchase", id="refund and order at once"
    ),
    pytest.param([Line("2024-03-08", "90")], {date(2024, 3, 8): 1, NIGHT: 1}, "watcher", "own_event", id="a visit"),
    pytest.param([Line("2024-03-08", "90")], {date(2024, 3, 8): 1, NIGHT: 1}, "recent", "ageing", id="a visit on the day she gets old"),
    pytest.param(
        [Line("2024-03-08", "90"), Line(TODAY, "20")], {date(2024, 3, 8): 1, NIGHT: 1}, "watcher", "own_event", id="visit, order"
    ),
    pytest.param(
        [Line("2024-03-08", "90"), Line(TODAY, "20")], {date(2024, 3, 8): 1, NIGHT: 1}, "twice", "own_purchase", id="order, visit"
    ),
]  # fmt: skip
OF_OTHERS = [
    pytest.param(
        [Line("2024-03-08", "200"), Line(YESTERDAY, "190", "bob"), Line(TODAY, "900", "bob"), Line(TODAY, "-5")],
        {},
        "leading",
        "population_shift",
        id="5.00 back on the day that somebody else gets rich",
    ),
    pytest.param(
        [Line("2024-03-08", "200"), Line(YESTERDAY, "190", "bob"), Line(TODAY, "-20")],
        {},
        "leading",
        "refund",
        id="a refund that lets somebody else overtake",
    ),
]  # fmt: skip
OF_DECLARED_FEATURES = [
    pytest.param([Line("2024-03-01", "9"), Line(TODAY, "9", category="jam")], {}, "jam_lately", "own_purchase", id="an order"),
    pytest.param([Line("2024-03-07", "9", category="jam")], {}, "jam_lately", "ageing", id="the last jam leaves the days"),
    pytest.param([Line("2024-03-07", "9", category="jam"), Line(TODAY, "9")], {}, "jam_lately", "ageing", id="it leaves, an order"),
    pytest.param([Line("2024-03-07", "9", category="jam")], {}, "jam_a_week_ago", "ageing", id="a line enters the days before"),
    pytest.param([Line("2024-03-12", "9"), Line("2024-03-11", "5", category="jam", late=True)], {}, "two_kinds", "late_data"),
    pytest.param([Line("2024-03-12", "9"), Line("2024-03-11", "5", category="jam", late=True)], {}, "first_jam", "late_data"),
    pytest.param(
        [Line("2024-03-12", "52", category="jam"), Line(TODAY, "-5", category="jam")], {}, "jam_money", "refund", id="5.00 back"
    ),
    pytest.param(
        [Line("2024-03-12", "45", category="jam"), Line(TODAY, "-5", category="jam"), Line(TODAY, "20", category="jam")],
        {},
        "jam_money",
        "own_purchase",
        id="5.00 back, and an order that matters more",
    ),
    pytest.param([Line("2024-03-12", "9")], {date(2024, 1, 1): 1, NIGHT: 1}, "came", "own_event", id="a visit"),
    pytest.param([Line("2024-03-01", "9")], {date(2024, 3, 11): 1}, "came", "ageing", id="the last visit leaves the days"),
    pytest.param([Line("2024-03-12", "9"), Line(TODAY, "9")], {date(2024, 1, 1): 2, NIGHT: 1}, "came_thrice", "own_event"),
]  # fmt: skip
# Where nobody else did anything, features without it are worked out in a shorter way.
DONE_ALONE = [case for case in OF_OWN_FIGURES if case.id in ("the same refund where it matters", "an order", "a line learned late")]
CASE = ("lines", "visits", "scheme", "reason")
Told = Mapping[str, Mapping[str, str]]


def told_together(folder: Path, cases: list[Any], rules: Mapping[str, str]) -> Told:
    """Return the reasons of all cases, by `case_name`, of one lake in which each of them is a customer of her own."""
    found = {case_name(*case.values[:2]): case.values[:2] for case in cases}
    names = {case: f"ann{place}" for place, case in enumerate(found)}
    lines = [replace(line, customer=names[case]) for case, (own, _) in found.items() for line in own]
    visits = {(names[case], day): count for case, (_, own) in found.items() for day, count in own.items()}
    told = tell(folder, lines, visits, rules)
    return {case: told.get(name, {}) for case, name in names.items()}


def case_name(lines: list[Line], visits: Mapping[date, int]) -> str:
    return repr((lines, visits))


@pytest.fixture(scope="module")
def of_own_figures(tmp_path_factory: pytest.TempPathFactory) -> Told:
    return told_together(tmp_path_factory.mktemp("own"), OF_OWN_FIGURES, RULES)


@pytest.fixture(scope="module")
def of_declared_features(tmp_path_factory: pytest.TempPathFactory) -> Told:
    return told_together(tmp_path_factory.mktemp("declared"), OF_DECLARED_FEATURES, DECLARED_RULES)


@pytest.mark.parametrize(CASE, OF_OWN_FIGURES)
def test_the_reason_is_that_without_which_the_move_is_not(
    of_own_figures: Told, lines: list[Line], visits: dict[date, int], scheme: str, reason: str
) -> None:
    assert of_own_figures[case_name(lines, visits)].get(scheme) == reason


@pytest.mark.parametrize(CASE, [*OF_OTHERS, *DONE_ALONE])
def test_the_reason_of_a_customer_in_a_shop_of_her_own_and_of_one_who_is_ranked_among_others(
    tmp_path: Path, lines: list[Line], visits: dict[date, int], scheme: str, reason: str
) -> None:
    assert not visits
    assert tell(tmp_path, lines, {}, RULES)["ann"].get(scheme) == reason


@pytest.mark.parametrize(CASE, OF_DECLARED_FEATURES)
def test_declared_features_move_customers_for_the_same_reasons(
    of_declared_features: Told, lines: list[Line], visits: dict[date, int], scheme: str, reason: str
) -> None:
    assert of_declared_features[case_name(lines, visits)].get(scheme) == reason


def test_a_feature_that_is_counted_otherwise_moves_by_its_declaration(tmp_path: Path) -> None:
    folder = tmp_path / "features"
    folder.mkdir()
    (tmp_path / "segments").mkdir()
    (tmp_path / "segments" / "often.toml").write_text(yes_or_no_scheme("jams >= 2"))
    lake, moved = Lake(tmp_path / "lake"), {}
    for known, days in ((BEFORE, 5), (NIGHT, 50)):
        definition = f"[jams]\nfrom = 'order_lines'\nvalue = 'COUNT(*)'\nlast_days = {days}\ndescription = 'x'\n"
        (folder / "own.toml").write_text(definition)
        company = with_declared_features(a_company(tmp_path, window_days=30))
        write_order_lines(lake, [_row(number, Line("2024-02-01", "9")) for number in range(2)], known_on=BEFORE)
        write_customers(lake, company, [{"customer_id": "ann"}], known_on=known)
        _run(lake, company, known)
        moved = {row["scheme"]: (row["to_segment"], row["reason"]) for row in lake.read(SEGMENT_MOVES, day=known).to_pylist()}
    assert moved["often"] == ("yes", "rule_change")


def test_a_random_share_is_the_same_in_every_trial(tmp_path: Path) -> None:
    rules = {f"share_{salt}": f"RANDOM_SHARE('{salt}') < 0.5 OR recency_days <= 5" for salt in range(12)}
    reasons = [*tell(tmp_path, [Line("2024-03-08", "150"), Line(TODAY, "-5")], {}, rules)["ann"].values()]
    assert set(reasons) == {"ageing"}
    assert 2 < len(reasons) < 10

"""Law 8 on any shop: what a customer did is the reason of exactly those moves that would not be without it."""

from __future__ import annotations

import shutil
from contextlib import closing
from datetime import date, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.builders import a_company, an_order_line, features_by_customer, write_order_lines
from support.schemes import yes_or_no_scheme

from pipeline.definitions.company import Company
from pipeline.lake.engines.duckdb import DuckDBEngine
from pipeline.lake.lake import Lake
from pipeline.lake.tables import SEGMENT_MOVES
from pipeline.segmentation import write_memberships, write_moves

BEFORE, NIGHT = date(2024, 3, 13), date(2024, 3, 14)
# Limits beside which time alone, an act alone, or both take a customer who acts.
RULES = {
    "recent": "recency_days <= 9",
    "warm": "recency_days <= 9 AND spend_amount >= 20",
    "rich": "spend_amount >= 20",
    "busy": "order_count >= 2",
    "leading": "value_rank_share < 0.5",
    "top": "spend_rank_share < 0.2",
}
# Enough buyers, long enough before the first of the month, that limits of scores are frozen: nothing that happens in March changes them.
SETTLED = [(f"q{number}", back, amount) for number, amount in enumerate(["5", "20", "20", "25", "300"]) for back in (54, 20 + number)]
EVENTS = {
    "own_purchase": (NIGHT, "20"),
    "refund": (NIGHT, "-5"),
    "late_data": (date(2024, 3, 10), "300"),
}
ACTING, OTHERS = ("c0", "c1", "c2"), ("c3", "c4", "c5")
histories = st.lists(
    st.tuples(st.sampled_from([*ACTING, *OTHERS]), st.integers(0, 45), st.sampled_from(["5", "20", "300"])), min_size=6, max_size=40
)
acts = st.lists(st.tuples(st.sampled_from(OTHERS), st.sampled_from([*EVENTS])), max_size=8)

Moves = dict[tuple[str, str], tuple[str, str, str]]


def run(lake: Lake, company: Company, day: date) -> None:
    with closing(DuckDBEngine(lake.store, memory_limit="500MB", threads=1)) as engine:
        features_by_customer(company, lake, day, engine=engine)
        write_memberships(company, lake, engine, day)
        write_moves(company, lake, engine, day)


def moves_when_learned(before: Lake, company: Company, lines: list[dict[str, Any]], events: list[dict[str, Any]]) -> Moves:
    """Return start, end and reason of the moves on NIGHT by customer and scheme, when `events` are learned beside the `lines` of BEFORE."""
    lake = Lake(before.root.parent / "night")
    shutil.copytree(before.root, lake.root)
    learned = {event["day"] for event in events}
    write_order_lines(lake, [*events, *(line for line in lines if line["day"] in learned)], known_on=NIGHT)
    run(lake, company, NIGHT)
    rows = lake.read(SEGMENT_MOVES, day=NIGHT).to_pylist()
    shutil.rmtree(lake.root)
    return {(row["customer_id"], row["scheme"]): (row["from_segment"], row["to_segment"], row["reason"]) for row in rows}


def a_line(number: int, customer: str, day: date, amount: str) -> dict[str, Any]:
    kind = "refund" if amount.startswith("-") else "order"
    return an_order_line(number, customer_id=customer, day=day, net_amount=amount, line_kind=kind)


@settings(max_examples=3, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(history=histories, reasons=st.permutations([*EVENTS]), others=acts)
def test_what_a_customer_did_is_the_reason_of_a_move_if_and_only_if_without_it_there_is_no_such_move(
    history: list[tuple[str, int, str]], reasons: list[str], others: list[tuple[str, str]]
) -> None:
    beside_limits = [("c0", 9, "20"), ("c1", 9, "20"), ("c2", 9, "20"), ("c3", 3, "5")]
    lines = [
        an_order_line(number, customer_id=customer, day=BEFORE - timedelta(back), net_amount=amount, order_id=f"o{number}")
        for number, (customer, back, amount) in enumerate([*beside_limits, *SETTLED, *history])
    ]
    acted = [a_line(200 + place, customer, *EVENTS[kind]) for place, (customer, kind) in enumerate(others)]
    events = {customer: a_line(100 + place, customer, *EVENTS[reasons[place]]) for place, customer in enumerate(ACTING)}
    with TemporaryDirectory() as folder:
        company, before = a_company(Path(folder), window_days=30), Lake(Path(folder) / "before")
        (company.folder / "segments").mkdir()
        for name, rule in RULES.items():
            (company.folder / "segments" / f"{name}.toml").write_text(yes_or_no_scheme(rule))
        write_order_lines(before, lines, known_on=BEFORE)
        run(before, company, BEFORE)
        moves = moves_when_learned(before, company, lines, [*events.values(), *acted])
        for customer, reason in zip(ACTING, reasons, strict=True):
            of_others = [event for name, event in events.items() if name != customer]
            without = moves_when_learned(before, company, lines, [*of_others, *acted])
            for (_, scheme), (start, end, found) in ((key, move) for key, move in moves.items() if key[0] == customer):
                _, other_end, _ = without.get((customer, scheme), (start, start, ""))
                assert (found == reason) == (other_end != end), (customer, scheme, reason, start, end, found, other_end)

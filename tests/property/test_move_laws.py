"""Law 8 on any shop: the moves of a night turn the night before into it, each has a reason, and no order of nights tells others."""

from __future__ import annotations

from contextlib import closing
from datetime import date, timedelta
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.builders import a_company, an_attribute, an_order_line, features_by_customer, write_customers, write_order_lines
from support.nights import tree_bytes
from support.schemes import yes_or_no_scheme

from pipeline.definitions.company import Company
from pipeline.lake.engines.duckdb import DuckDBEngine
from pipeline.lake.lake import Lake
from pipeline.lake.tables import CUSTOMER_SEGMENTS, SEGMENT_MOVES, Column, Kind
from pipeline.segmentation import REASONS, write_memberships, write_moves

NIGHTS = [date(2024, 2, 29) + timedelta(offset) for offset in (0, 1, 3)]
CUSTOMERS = [f"c{number}" for number in range(6)]
TABLE = f"tables/{SEGMENT_MOVES.name}"

days = st.integers(0, 40).map(lambda back: NIGHTS[-1] - timedelta(back))
amounts = st.sampled_from(["5", "20", "300", "-20"])
bought = st.tuples(st.sampled_from(CUSTOMERS), days, amounts, st.integers(0, 2))
cities = st.lists(st.sampled_from(["Bonn", "Ulm", "Rom"]), min_size=len(CUSTOMERS), max_size=len(CUSTOMERS))


def store(lake: Lake, company: Company, lines: list[tuple[str, date, str, int]], places: list[list[str]]) -> None:
    """Store lines as versions of the nights that learned of them: the day's own night, or a later one."""
    for place, known in enumerate(NIGHTS):
        learned = {day for _, day, _, late in lines if _night_of(day, late) == known}
        seen = [line for line in lines if _night_of(line[1], line[3]) <= known and line[1] in learned]
        rows = [_line(number, *line[:3]) for number, line in enumerate(seen)]
        write_order_lines(lake, rows, known_on=known)
        rows = [{"customer_id": customer, "country": city} for customer, city in zip(CUSTOMERS, places[place], strict=True)]
        write_customers(lake, company, rows[: 4 + place], known_on=known)


def _night_of(day: date, late: int) -> date:
    own = next(place for place, night in enumerate(NIGHTS) if night >= day)
    return NIGHTS[min(own + late, len(NIGHTS) - 1)]


def _line(number: int, customer: str, day: date, amount: str) -> dict[str, Any]:
    kind = "refund" if amount.startswith("-") else "order"
    return an_order_line(number, customer_id=customer, day=day, net_amount=amount, line_kind=kind)


def run(lake: Lake, company: Company, day: date) -> None:
    with closing(DuckDBEngine(lake.store, memory_limit="500MB", threads=1)) as engine:
        features_by_customer(company, lake, day, engine=engine)
        write_memberships(company, lake, engine, day)
        write_moves(company, lake, engine, day)


def memberships(lake: Lake, day: date) -> dict[tuple[str, str], str]:
    return {(row["customer_id"], row["scheme"]): row["segment"] for row in lake.read(CUSTOMER_SEGMENTS, day=day).to_pylist()}


@settings(max_examples=4, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(lines=st.lists(bought, min_size=4, max_size=25), places=st.lists(cities, min_size=3, max_size=3), order=st.permutations(NIGHTS))
def test_moves_turn_the_night_before_into_the_night_in_whatever_order_nights_came(
    lines: list[tuple[str, date, str, int]], places: list[list[str]], order: list[date]
) -> None:
    with TemporaryDirectory() as folder:
        company = a_company(Path(folder), attributes=(an_attribute(Column("country", Kind.TEXT, "Country."), "geographic"),))
        here, there = Lake(Path(folder) / "here"), Lake(Path(folder) / "there")
        for lake, nights in ((here, NIGHTS), (there, order)):
            store(lake, company, lines, places)
            for night in nights:
                run(lake, company, night)
        assert tree_bytes(there, TABLE) == tree_bytes(here, TABLE)
        for before, night in pairwise(NIGHTS):
            rows = here.read(SEGMENT_MOVES, day=night).to_pylist()
            said = memberships(here, before)
            assert all(said.get((row["customer_id"], row["scheme"])) == row["from_segment"] for row in rows)
            said |= {(row["customer_id"], row["scheme"]): row["to_segment"] for row in rows}
            assert {key: segment for key, segment in said.items() if segment is not None} == memberships(here, night)
            assert {row["reason"] for row in rows} <= {*REASONS} - {"rule_change", "erasure"}


BEFORE, NIGHT = date(2024, 3, 13), date(2024, 3, 14)
# Limits beside which time alone, an act alone, or both take customer c0.
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
histories = st.lists(
    st.tuples(st.sampled_from(CUSTOMERS), st.integers(0, 45), st.sampled_from(["5", "20", "300"])), min_size=6, max_size=25
)


acts = st.lists(st.tuples(st.sampled_from(CUSTOMERS[1:]), st.sampled_from([*EVENTS])), max_size=8)


def tell(lake: Lake, company: Company, lines: list[dict[str, Any]], events: list[dict[str, Any]]) -> dict[str, tuple[str, str, str]]:
    """Return the moves of customer c0 on NIGHT, when `events` are learned beside the `lines` that were known on BEFORE."""
    write_order_lines(lake, lines, known_on=BEFORE)
    run(lake, company, BEFORE)
    learned = {event["day"] for event in events}
    write_order_lines(lake, [*events, *(line for line in lines if line["day"] in learned)], known_on=NIGHT)
    run(lake, company, NIGHT)
    rows = lake.read(SEGMENT_MOVES, day=NIGHT).to_pylist()
    return {row["scheme"]: (row["from_segment"], row["to_segment"], row["reason"]) for row in rows if row["customer_id"] == "c0"}


@settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(history=histories, reason=st.sampled_from([*EVENTS]), others=acts)
def test_what_a_customer_did_is_the_reason_of_a_move_if_and_only_if_without_it_there_is_no_such_move(
    history: list[tuple[str, int, str]], reason: str, others: list[tuple[str, str]]
) -> None:
    lines = [
        an_order_line(number, customer_id=customer, day=BEFORE - timedelta(back), net_amount=amount, order_id=f"o{number}")
        for number, (customer, back, amount) in enumerate([("c0", 9, "20"), ("c1", 3, "5"), *SETTLED, *history])
    ]
    acted = [_line(100 + place, customer, *EVENTS[kind]) for place, (customer, kind) in enumerate(others)]
    event = _line(99, "c0", *EVENTS[reason])
    with TemporaryDirectory() as folder:
        company = a_company(Path(folder), window_days=30)
        for name, rule in RULES.items():
            (company.folder / "segments").mkdir(exist_ok=True)
            (company.folder / "segments" / f"{name}.toml").write_text(yes_or_no_scheme(rule))
        told = tell(Lake(Path(folder) / "with"), company, lines, [event, *acted])
        without = tell(Lake(Path(folder) / "without"), company, lines, acted)
    for scheme, (start, end, found) in told.items():
        assert (found == reason) == (without.get(scheme, (start, start))[1] != end), (scheme, told[scheme], without.get(scheme))

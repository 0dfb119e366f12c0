"""Law 8 and audiences on any shop: members are those of the bare rule, moves add up, and nothing depends on the order of nights."""

from __future__ import annotations

from contextlib import closing
from datetime import date, timedelta
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import duckdb
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.builders import a_company, an_attribute, an_order_line, features_by_customer, write_customers, write_order_lines
from support.nights import tree_bytes

from pipeline.lake.engines.duckdb import DuckDBEngine
from pipeline.lake.lake import Lake
from pipeline.lake.tables import (
    AUDIENCE_MEMBERS,
    AUDIENCE_MOVES,
    AUDIENCES,
    CUSTOMER_FEATURES,
    CUSTOMER_SEGMENTS,
    SEGMENT_MOVES,
    Column,
    Kind,
)
from pipeline.segmentation import REASONS, write_audiences, write_intervals, write_memberships, write_moves

if TYPE_CHECKING:
    from pipeline.definitions.company import Company

NIGHTS = [date(2024, 2, 29) + timedelta(offset) for offset in (0, 1, 3)]
CUSTOMERS = [f"c{number}" for number in range(10)]
# Written so that DuckDB reads them as they are: three comparisons, some of them of what may be unknown.
COMPARISONS = st.sampled_from(
    [
        "recency_days <= 9",
        "spend_amount >= 20",
        "order_count >= 2",
        "country = 'Bonn'",
        "country <> 'Ulm'",
        "country IN ('Bonn', 'Rom')",
        "recency_days IS NULL",
        "lifetime_spend_amount > 25.5",
    ]
)
# Definitions refuse a rule that nobody can meet.
CONTRADICTION = {"recency_days IS NULL", "recency_days <= 9"}
RULES = st.one_of(
    COMPARISONS,
    st.tuples(COMPARISONS, COMPARISONS).filter(lambda pair: set(pair) != CONTRADICTION).map(" AND ".join),
    st.builds("{} OR {}".format, COMPARISONS, COMPARISONS),
    st.builds("NOT ({})".format, COMPARISONS),
)
AUDIENCE = 'title = "T"\npurpose = "P."\nowner = "O"\nrule = "{rule}"\n'
# The same rule as that of a scheme for some: its moves are proven by what customers did.
SCHEME = """
title = "T"
kind = "rules"
level = "behavioural"
question = "Q?"
evidence = ["order_count"]
applies_to = "{rule}"
segment = [{{id = "member", title = "M", description = "D.", otherwise = true}}]
"""


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
        write_customers(lake, company, rows[: len(rows) - 2 + place], known_on=known)


def _night_of(day: date, late: int) -> date:
    own = next(place for place, night in enumerate(NIGHTS) if night >= day)
    return NIGHTS[min(own + late, len(NIGHTS) - 1)]


def _line(number: int, customer: str, day: date, amount: str) -> dict[str, Any]:
    kind = "refund" if amount.startswith("-") else "order"
    return an_order_line(number, customer_id=customer, day=day, net_amount=amount, line_kind=kind)


def write_definitions(folder: Path, rules: list[str]) -> Company:
    for kind in ("audiences", "segments"):
        (folder / kind).mkdir()
    for place, rule in enumerate(rules):
        (folder / "audiences" / f"audience_{place}.toml").write_text(AUDIENCE.format(rule=rule))
        (folder / "segments" / f"scheme_{place}.toml").write_text(SCHEME.format(rule=rule))
    return a_company(folder, attributes=(an_attribute(Column("country", Kind.TEXT, "Country."), "geographic"),))


def run(lake: Lake, company: Company, day: date) -> None:
    with closing(DuckDBEngine(lake.store, memory_limit="500MB", threads=1)) as engine:
        features_by_customer(company, lake, day, engine=engine)
        write_memberships(company, lake, engine, day)
        write_audiences(company, lake, engine, day)
        write_intervals(lake, engine, day)
        write_moves(company, lake, engine, day)


def segments(lake: Lake, day: date) -> dict[tuple[str, str], str]:
    return {(row["customer_id"], row["scheme"]): row["segment"] for row in lake.read(CUSTOMER_SEGMENTS, day=day).to_pylist()}


def members(lake: Lake, day: date) -> set[tuple[str, str]]:
    return {(row["customer_id"], row["audience"]) for row in lake.read(AUDIENCE_MEMBERS, day=day).to_pylist()}


@settings(max_examples=3, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    lines=st.lists(bought, min_size=8, max_size=50),
    places=st.lists(cities, min_size=3, max_size=3),
    rules=st.lists(RULES, min_size=3, max_size=5, unique=True),
    order=st.permutations(NIGHTS),
)
def test_moves_turn_the_night_before_into_the_night_and_audiences_are_those_of_their_rules_in_whatever_order_nights_came(
    lines: list[tuple[str, date, str, int]], places: list[list[str]], rules: list[str], order: list[date]
) -> None:
    with TemporaryDirectory() as folder:
        company = write_definitions(Path(folder), rules)
        here, there = Lake(Path(folder) / "here"), Lake(Path(folder) / "there")
        for lake, nights in ((here, NIGHTS), (there, [*order, order[0]])):
            store(lake, company, lines, places)
            for night in nights:
                run(lake, company, night)
        for table in (SEGMENT_MOVES, AUDIENCE_MEMBERS, AUDIENCE_MOVES, AUDIENCES):
            assert tree_bytes(there, f"tables/{table.name}") == tree_bytes(here, f"tables/{table.name}")
        for night in NIGHTS:
            _require_members_of_the_bare_rules(here, night, rules)
        for before, night in pairwise(NIGHTS):
            _require_moves_of_segments_that_add_up(here, before, night)
            _require_moves_of_audiences_that_add_up(here, before, night)


def _require_members_of_the_bare_rules(lake: Lake, night: date, rules: list[str]) -> None:
    features, found = lake.path(CUSTOMER_FEATURES, day=night), set[tuple[str, str]]()
    sizes = {row["audience"]: row for row in lake.read(AUDIENCES, day=night).to_pylist()}
    for place, rule in enumerate(rules):
        name = f"audience_{place}"
        taken = duckdb.sql(f"SELECT customer_id FROM '{features}' WHERE {rule}").fetchall()
        [unknown] = duckdb.sql(f"SELECT COUNT(*) FROM '{features}' WHERE ({rule}) IS NULL").fetchall()
        found |= {(customer, name) for (customer,) in taken}
        assert (sizes[name]["customer_count"], sizes[name]["unknown_count"]) == (len(taken), *unknown)
    assert members(lake, night) == found


def _require_moves_of_segments_that_add_up(lake: Lake, before: date, night: date) -> None:
    rows = lake.read(SEGMENT_MOVES, day=night).to_pylist()
    held = segments(lake, before)
    assert all(held.get((row["customer_id"], row["scheme"])) == row["from_segment"] for row in rows)
    held |= {(row["customer_id"], row["scheme"]): row["to_segment"] for row in rows}
    assert {key: segment for key, segment in held.items() if segment is not None} == segments(lake, night)
    assert {row["reason"] for row in rows} <= {*REASONS} - {"rule_change", "erasure"}


def _require_moves_of_audiences_that_add_up(lake: Lake, before: date, night: date) -> None:
    rows = lake.read(AUDIENCE_MOVES, day=night).to_pylist()
    entered, left = ({(row["customer_id"], row["audience"]) for row in rows if row["move"] == move} for move in ("entered", "left"))
    assert (members(lake, before) - left) | entered == members(lake, night)
    assert left <= members(lake, before)
    assert not entered & members(lake, before)
    told = {(row["customer_id"], row["audience"].replace("audience", "scheme"), row["move"], row["reason"]) for row in rows}
    of_schemes = {
        (row["customer_id"], row["scheme"], "entered" if row["to_segment"] else "left", row["reason"])
        for row in lake.read(SEGMENT_MOVES, day=night).to_pylist()
        if row["scheme"].startswith("scheme_")
    }
    assert told == of_schemes

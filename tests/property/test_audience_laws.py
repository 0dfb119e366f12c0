"""Audiences on any shop: members are those of the bare rule, moves add up, and nothing depends on the order of nights."""

from __future__ import annotations

from contextlib import closing
from datetime import date
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import duckdb
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from property.test_move_laws import NIGHTS, bought, cities, store
from support.builders import a_company, an_attribute, features_by_customer
from support.nights import tree_bytes

from pipeline.lake.engines.duckdb import DuckDBEngine
from pipeline.lake.lake import Lake
from pipeline.lake.tables import AUDIENCE_MEMBERS, AUDIENCE_MOVES, AUDIENCES, CUSTOMER_FEATURES, SEGMENT_MOVES, Column, Kind
from pipeline.segmentation import write_audiences, write_intervals, write_memberships, write_moves

if TYPE_CHECKING:
    from pipeline.definitions.company import Company

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


def members(lake: Lake, day: date) -> set[tuple[str, str]]:
    return {(row["customer_id"], row["audience"]) for row in lake.read(AUDIENCE_MEMBERS, day=day).to_pylist()}


@settings(max_examples=3, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    lines=st.lists(bought, min_size=4, max_size=25),
    places=st.lists(cities, min_size=3, max_size=3),
    rules=st.lists(RULES, min_size=3, max_size=5, unique=True),
    order=st.permutations(NIGHTS),
)
def test_members_are_those_of_the_rule_and_moves_those_of_a_scheme_with_it(
    lines: list[tuple[str, date, str, int]], places: list[list[str]], rules: list[str], order: list[date]
) -> None:
    with TemporaryDirectory() as folder:
        company = write_definitions(Path(folder), rules)
        here, there = Lake(Path(folder) / "here"), Lake(Path(folder) / "there")
        for lake, nights in ((here, NIGHTS), (there, [*order, order[0]])):
            store(lake, company, lines, places)
            for night in nights:
                run(lake, company, night)
        for table in (AUDIENCE_MEMBERS, AUDIENCE_MOVES, AUDIENCES):
            assert tree_bytes(there, f"tables/{table.name}") == tree_bytes(here, f"tables/{table.name}")
        for night in NIGHTS:
            _require_members_of_the_bare_rules(here, night, rules)
        for before, night in pairwise(NIGHTS):
            _require_moves_that_add_up(here, before, night)


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


def _require_moves_that_add_up(lake: Lake, before: date, night: date) -> None:
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

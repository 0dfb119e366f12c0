"""Moves with their reasons, and next actions, have the same bytes whichever engine computed them."""

from __future__ import annotations

import shutil
from contextlib import closing
from datetime import UTC, date, datetime
from pathlib import Path

from support.builders import a_company, an_attribute, an_order_line, features_by_customer, write_customers, write_order_lines, write_rows
from support.local_spark import SparkOver
from support.nights import tree_bytes

from pipeline.lake.engines.duckdb import DuckDBEngine
from pipeline.lake.lake import Lake
from pipeline.lake.tables import CUSTOMER_MERGES, CUSTOMER_NEXT_ACTIONS, SEGMENT_MOVES, Column, Kind
from pipeline.segmentation import write_memberships, write_moves, write_next_actions

NIGHTS = date(2024, 2, 29), date(2024, 3, 1)
FOR_SOME = """
title = "Some"
kind = "rules"
level = "behavioural"
question = "Q?"
applies_to = "order_count >= 2 OR main_channel IS NULL"
evidence = ["order_count"]
segment = [
  {id = "rich", title = "Rich", description = "D.", rule = "spend_amount >= 50"},
  {id = "rest", title = "Rest", description = "D.", otherwise = true},
]
"""
CITIES = {
    NIGHTS[0]: {"c1": "Bonn", "C1": "Ulm", "ı": "Ulm", "ann": "Rom", "Ann": "Rom"},
    NIGHTS[1]: {"c1": "Ulm", "C1": "Ulm", "i": "ქ", "ann": "Rom"},
}
MERGE = {"customer_id": "Ann", "merged_into": "ann", "merged_at": datetime(2024, 3, 1, 9, tzinfo=UTC)}


def test_every_engine_tells_the_same_moves(tmp_path: Path, spark: SparkOver) -> None:
    company = a_company(tmp_path, attributes=(an_attribute(Column('Größe "x"', Kind.TEXT, "City."), "geographic"),))
    (tmp_path / "segments").mkdir()
    (tmp_path / "segments" / "for_some.toml").write_text(FOR_SOME)
    here = Lake(tmp_path / "duckdb")
    for night, cities in CITIES.items():
        bought = [("c1", date(2024, 2, 1), 9), ("C1", date(2024, 2, 20), 90), ("c1", date(2024, 2, 11), 20), ("C1", date(2024, 3, 1), 50)]
        bought += [(name, date(2024, 1, day), day) for name in ("ann", "Ann") for day in (3, 20)]
        lines = [an_order_line(place, customer_id=name, day=day, net_amount=paid) for place, (name, day, paid) in enumerate(bought)]
        write_order_lines(here, [line for line in lines if line["day"] <= night], known_on=night)
        write_customers(here, company, [{"customer_id": name, 'Größe "x"': city} for name, city in cities.items()], known_on=night)
        if night == MERGE["merged_at"].date():
            write_rows(here, CUSTOMER_MERGES, [MERGE], known_on=night)
        with closing(DuckDBEngine(here.store, memory_limit="500MB", threads=1)) as engine:
            features_by_customer(company, here, night, engine=engine)
            write_memberships(company, here, engine, night)
            write_next_actions(company, here, engine, night)
            write_moves(company, here, engine, night)
    there = Lake(tmp_path / "spark")
    shutil.copytree(here.root, there.root)
    for table in (SEGMENT_MOVES, CUSTOMER_NEXT_ACTIONS):
        there.remove(table, day=NIGHTS[1])
    write_moves(company, there, spark(there), NIGHTS[1])
    write_next_actions(company, there, spark(there), NIGHTS[1])
    moves = here.read(SEGMENT_MOVES, day=NIGHTS[1]).to_pylist()
    assert {row["reason"] for row in moves if row["scheme"] == "for_some"} == {"own_purchase", "new_customer", "left", "identity_merge"}
    by_merge = {(row["customer_id"], row["to_segment"] is None) for row in moves if row["reason"] == "identity_merge"}
    assert by_merge == {("Ann", True), ("ann", False)}
    for table in (SEGMENT_MOVES, CUSTOMER_NEXT_ACTIONS):
        assert tree_bytes(there, f"tables/{table.name}") == tree_bytes(here, f"tables/{table.name}")

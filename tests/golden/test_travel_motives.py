"""A company that knows little but survey answers has psychographic clusters: the travel motives of 1,000 people.

The data are `vacmot` of the R package flexclust (GPL-2, so not part of this repository): 20 yes-or-no answers, and six published
segments; see Dolnicar, Grün & Leisch (2018), "Market Segmentation Analysis". k-means has several solutions for six clusters of them
whose sums of squares differ by a few thousandths. Their adjusted Rand indexes against the published segments lie between 0.78 and
0.90, and the smallest sum of squares that we found has 0.78.
"""

from __future__ import annotations

import csv
import json
from collections import Counter
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import pyarrow.parquet as pq
import pytest
from sklearn.metrics import adjusted_rand_score
from support.nights import NO_GATES, run_night
from typer.testing import CliRunner

from pipeline.cli import app
from pipeline.lake.lake import Lake
from pipeline.lake.tables import CLUSTER_DRIFTS, SEGMENT_MOVES
from pipeline.models.refits.model_store import stored_model

NIGHT = date(2024, 3, 30)
QUESTIONS = [f"q{number}" for number in range(1, 21)]
SILENT, WITH_ORDERS = 25, 40
SCHEME = f"""
kind = "clusters"
title = "Travel motives"
level = "psychographic"
question = "What do people travel for?"
cluster_count_min = 3
cluster_count_max = 8
smallest_share = 0.03
jaccard_floor = 0.5
seed = 20240101
sample_rows = 100_000
attributes = {json.dumps(QUESTIONS)}
"""
SETTINGS = """
name = "Travellers"
time_zone = "Australia/Sydney"
currency = "AUD"
first_day = 2024-03-01
"""
ORDER_LINES = """
SELECT order_id, CAST(1 AS BIGINT) AS line_number, customer AS customer_id,
  CAST(sold_at AS TIMESTAMP) AT TIME ZONE 'Australia/Sydney' AS ordered_at,
  CAST(1 AS DECIMAL(18, 4)) AS quantity, CAST(paid AS DECIMAL(18, 4)) AS net_amount
FROM orders
"""


class Travellers:
    """The company's folder and lake, and the published segment of each customer."""

    def __init__(self, root: Path, data: Path) -> None:
        self.folder, self.lake = root / "company", Lake(root / "lake")
        answers = duckdb.sql(f"FROM '{data / 'vacmot' / 'vacmot.parquet'}'").fetchall()
        published = duckdb.sql(f"FROM '{data / 'vacmot' / 'vacmot6.parquet'}'").fetchall()
        self.answers = {f"t{place:04}": ["yes" if said else "no" for said in row] for place, row in enumerate(answers)}
        self.published = {f"t{place:04}": row[0] for place, row in enumerate(published)}
        attributes = "".join(f'[attributes.{name}]\nlevel = "psychographic"\nkind = "flag"\n' for name in QUESTIONS)
        flags = ", ".join(f"CASE {name} WHEN 'yes' THEN TRUE WHEN 'no' THEN FALSE END AS {name}" for name in QUESTIONS)
        orders = [f"o{number},t{number:04},2024-03-{1 + number % 28:02} 10:00,{50 + number}" for number in range(WITH_ORDERS)]
        for name, text in {
            "company.toml": f"{SETTINGS}\n{NO_GATES}\n{attributes}",
            "segments/travel_motives.toml": SCHEME,
            "sources/customers.sql": f"SELECT id AS customer_id, {flags} FROM customers",
            "sources/order_lines.sql": ORDER_LINES,
            "data/orders.csv": "\n".join(["order_id,customer,sold_at,paid", *orders]) + "\n",
        }.items():
            (self.folder / name).parent.mkdir(parents=True, exist_ok=True)
            (self.folder / name).write_text(text, "utf-8")

    def write_customers(self) -> None:
        """Write the source's customers: those of the survey, and some whom nobody asked."""
        silent = {f"s{number:04}": [""] * len(QUESTIONS) for number in range(SILENT)}
        with (self.folder / "data" / "customers.csv").open("w", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows([["id", *QUESTIONS], *([name, *said] for name, said in {**self.answers, **silent}.items())])

    def command(self, *words: str) -> str:
        """Return what a command prints; it must end well."""
        done = CliRunner().invoke(app, [*words, "--company", str(self.folder), "--lake", str(self.lake.root)])
        assert done.exit_code == 0, done.output
        return done.output

    def segments(self) -> dict[str, str]:
        """Return the published cluster of each customer."""
        rows = pq.read_table(self.lake.root / "current" / "customer_segments.parquet").to_pylist()
        return {row["customer_id"]: row["segment"] for row in rows if row["scheme"] == "travel_motives"}


@pytest.fixture(scope="module")
def travellers(tmp_path_factory: pytest.TempPathFactory, shared_data: Path) -> Travellers:
    company = Travellers(tmp_path_factory.mktemp("travellers"), shared_data)
    company.write_customers()
    company.command("run", "--day", NIGHT.isoformat())
    return company


def test_the_published_segments_are_found_among_people_of_whom_few_ever_ordered(travellers: Travellers) -> None:
    found = travellers.segments()
    assert Counter(found.values())["insufficient_evidence"] == SILENT
    clustered = {name: segment for name, segment in found.items() if segment.startswith("cluster_")}
    assert clustered.keys() == travellers.answers.keys()
    assert len(set(clustered.values())) == 6
    likeness = adjusted_rand_score([travellers.published[name] for name in clustered], list(clustered.values()))
    assert likeness == pytest.approx(0.795, abs=0.03)


def test_the_clusters_are_stable_and_tighter_than_answers_of_one_common_trait(travellers: Travellers) -> None:
    model = stored_model(travellers.lake, "travel_motives", NIGHT.isoformat())
    assert (model.customer_count, len(model.features), model.attributes) == (1000, 20, tuple(QUESTIONS))
    assert min(cluster.jaccard for cluster in model.clusters) > 0.6
    assert all("ostly answers" in cluster.title for cluster in model.clusters)


def test_a_customer_and_the_catalogue_are_told_by_answers(travellers: Travellers) -> None:
    told = json.loads(travellers.command("explain", "t0500", "--json"))
    [motives] = [each for each in told["schemes"] if each["scheme"] == "travel_motives"]
    assert motives["values"].keys() == set(QUESTIONS)
    assert motives["centres"][0]["segment"] == motives["segment"]
    silent = json.loads(travellers.command("explain", "s0001", "--json"))
    [unknown] = [each for each in silent["schemes"] if each["scheme"] == "travel_motives"]
    assert (unknown["segment"], unknown["evidence"]) == ("insufficient_evidence", "not known: q1")
    assert unknown["nearest_words"].startswith("a cluster, once q1 and q2 and")
    catalogue: dict[str, Any] = json.loads(travellers.command("catalog", "--scheme", "travel_motives", "--json"))
    [scheme] = catalogue["schemes"]
    words = {segment["segment"]: segment["words"] for segment in scheme["segments"]}
    assert words["insufficient_evidence"] == "an attribute that the clusters go by is not known"
    assert words["unclustered"] == "no model yet"


def test_an_answer_that_changes_is_the_reason_of_a_move_and_a_refit_to_the_same_people_moves_nobody(travellers: Travellers) -> None:
    before = travellers.segments()
    first, other = next((a, b) for a in before for b in before if before[a] == "cluster_1" and before[b] == "cluster_5")
    kept = travellers.answers[first]
    travellers.answers[first] = travellers.answers[other]
    travellers.write_customers()
    run_night(travellers.folder, travellers.lake, date(2024, 3, 31))
    moves = [row for row in travellers.lake.read(SEGMENT_MOVES, day=date(2024, 3, 31)).to_pylist() if row["scheme"] == "travel_motives"]
    assert [(row["customer_id"], row["to_segment"], row["reason"]) for row in moves] == [(first, "cluster_5", "attribute_change")]
    drifts = [row for row in travellers.lake.read(CLUSTER_DRIFTS, day=date(2024, 3, 31)).to_pylist() if row["scheme"] == "travel_motives"]
    assert {row["subject"] for row in drifts if row["measure"] == "feature"} == set(QUESTIONS)
    assert not any(row["is_beyond"] for row in drifts)
    travellers.answers[first] = kept
    told = travellers.command("refit", "--day", NIGHT.isoformat(), "--scheme", "travel_motives")
    assert "nobody would move and no title would change" in told

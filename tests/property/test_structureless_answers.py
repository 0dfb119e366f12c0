"""No clusters are made of answers that one trait, or chance, explains; planted groups of answers are found: kinds by sizes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from sklearn.metrics import adjusted_rand_score
from support.builders import a_company, an_attribute

from pipeline.definitions.schemes import ClusterScheme, load_cluster_schemes
from pipeline.lake.tables import Column, Kind
from pipeline.models.clusters import ClusterModel, NotFitted, fit_model, nearest_clusters
from pipeline.models.clusters.encoding import Numbers

DAY = date(2024, 3, 31)
Columns = dict[str, Any]
KIND_OF_ARROW = {pa.bool_(): Kind.FLAG, pa.string(): Kind.TEXT, pa.int64(): Kind.INTEGER, pa.float64(): Kind.NUMBER}
HEAD = """kind = "clusters"
title = "Motives"
level = "psychographic"
question = "What do people want?"
cluster_count_min = 3
cluster_count_max = 8
smallest_share = 0.03
jaccard_floor = 0.5
seed = 20240101
sample_rows = 100_000
"""


def scheme_of(folder: Path, table: pa.Table) -> ClusterScheme:
    kinds = {field.name: KIND_OF_ARROW[field.type] for field in table.schema if field.name != "customer_id"}
    (folder / "segments").mkdir(exist_ok=True)
    (folder / "segments" / "motives.toml").write_text(f"{HEAD}attributes = {list(kinds)}\n", "utf-8")
    attributes = tuple(an_attribute(Column(name, kind, "")) for name, kind in kinds.items())
    [scheme] = [each for each in load_cluster_schemes(a_company(folder, attributes=attributes)) if each.name == "motives"]
    return scheme


def a_table(columns: Columns) -> pa.Table:
    size = len(next(iter(columns.values())))
    return pa.table({"customer_id": [f"c{number:05}" for number in range(size)], **columns})


def flags(said: np.ndarray) -> Columns:
    return {f"q{place}": pa.array(column.astype(bool)) for place, column in enumerate(said.T)}


def coins(customers: int, random: np.random.Generator, questions: int = 12) -> np.ndarray:
    return random.random((customers, questions)) < random.uniform(0.06, 0.94, questions)


def one_trait(customers: int, random: np.random.Generator, questions: int = 15) -> Numbers:
    """Return how strongly each customer agrees with each question, by one trait and chance."""
    loadings = random.uniform(0.4, 0.8, questions)
    chance = random.normal(size=(customers, questions)) * np.sqrt(1 - loadings**2)
    return np.asarray(random.normal(size=(customers, 1)) * loadings + chance)


def yes_of_one_trait(customers: int, random: np.random.Generator) -> Columns:
    return flags(one_trait(customers, random) > random.uniform(-1.2, 1.2, 15))


def five_points_of_one_trait(customers: int, random: np.random.Generator) -> Columns:
    points = np.clip(np.round(1.2 * one_trait(customers, random, 12) + 3 + random.uniform(-0.8, 0.8, 12)), 1, 5)
    return {f"q{place}": pa.array(column.astype(np.int64)) for place, column in enumerate(points.T)}


def one_rare_flag(customers: int, random: np.random.Generator) -> Columns:
    return flags(np.column_stack([random.random(customers) < 0.07, random.random((customers, 4)) < 0.5]))


def copies_of_a_flag(customers: int, random: np.random.Generator) -> Columns:
    one, other = random.random(customers) < 0.4, random.random(customers) < 0.6
    return flags(np.column_stack([one, one, one, other, ~other, coins(customers, random, 5)]))


def random_texts(customers: int, random: np.random.Generator) -> Columns:
    return {f"t{place}": pa.array([f"v{value}" for value in random.integers(0, 5, customers)]) for place in range(4)}


def demographics(customers: int, random: np.random.Generator) -> Columns:
    """Return people of any age, of whom older ones earn more and are more often married."""
    age = random.normal(45, 15, customers).clip(18, 95).round()
    older = (age - 45) / 15
    return {
        "age": pa.array(age.astype(np.int64)),
        "income": pa.array(np.exp(10 + 0.3 * older + random.normal(0, 0.5, customers)).round()),
        "is_married": pa.array(older + random.normal(size=customers) > 0),
        "has_car": pa.array(older / 2 + random.normal(size=customers) > -0.5),
        "region": pa.array([f"region {value}" for value in random.integers(0, 6, customers)]),
    }


STRUCTURELESS: Mapping[str, Callable[[int, np.random.Generator], Columns]] = {
    "coins of different shares": lambda n, random: flags(coins(n, random)),
    "yes to anything, by one trait": yes_of_one_trait,
    "one to five, by one trait": five_points_of_one_trait,
    "one rare flag among coins": one_rare_flag,
    "copies of two flags": copies_of_a_flag,
    "random texts": random_texts,
    "texts and coins": lambda n, random: {**random_texts(n, random), **flags(coins(n, random, 8))},
    "age, income and what comes with them": demographics,
}


@pytest.mark.parametrize("customers", [120, 400])
@pytest.mark.parametrize("kind", STRUCTURELESS)
def test_no_groups_are_made_up_where_answers_have_none(tmp_path: Path, kind: str, customers: int) -> None:
    table = a_table(STRUCTURELESS[kind](customers, np.random.default_rng(customers)))
    model = fit_model(table, scheme_of(tmp_path, table), day=DAY)
    assert isinstance(model, NotFitted), [cluster.title for cluster in model.clusters]


def yes_to_other_questions(group: np.ndarray, random: np.random.Generator) -> Columns:
    likely = np.where(np.arange(16) % 4 == np.arange(4)[:, None], 0.85, random.uniform(0.1, 0.3, 16))
    return flags(random.random((len(group), 16)) < likely[group])


def other_texts(group: np.ndarray, random: np.random.Generator) -> Columns:
    columns = {}
    for place in range(5):
        usual = random.permutation(4)
        held = np.where(random.random(len(group)) < 0.75, usual[group], random.integers(0, 4, len(group)))
        columns[f"t{place}"] = pa.array([f"v{value}" for value in held])
    return columns


def other_people(group: np.ndarray, random: np.random.Generator) -> Columns:
    age = np.array([25, 40, 55, 75])[group] + random.normal(0, 5, len(group))
    return {**other_texts(group, random), "age": pa.array(age.round())}


@pytest.mark.parametrize("customers", [200, 600])
@pytest.mark.parametrize("kind", [yes_to_other_questions, other_texts, other_people])
def test_planted_groups_of_answers_are_found(
    tmp_path: Path, kind: Callable[[np.ndarray, np.random.Generator], Columns], customers: int
) -> None:
    random = np.random.default_rng(customers)
    group = random.integers(0, 4, customers)
    table = a_table(kind(group, random))
    model = fit_model(table, scheme_of(tmp_path, table), day=DAY)
    assert isinstance(model, ClusterModel), model
    assert adjusted_rand_score(group, nearest_clusters(table, model)) > 0.7

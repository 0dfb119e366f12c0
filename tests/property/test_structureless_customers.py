"""No clusters are made of customers who differ in degree alone, and planted groups are found: kinds of data by sizes."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from sklearn.metrics import adjusted_rand_score
from support.builders import a_company

from pipeline.definitions.schemes import ClusterScheme, load_cluster_schemes
from pipeline.models.clusters import ClusterModel, NotFitted, fit_model, nearest_clusters
from pipeline.models.clusters.encoding import Numbers

DAY = date(2024, 3, 31)
WINDOW = 365


@pytest.fixture(scope="module")
def scheme() -> ClusterScheme:
    [found] = load_cluster_schemes(a_company(Path("no such folder")))
    return found


def random_shop(customers: int, random: np.random.Generator, *, discounts: bool = False) -> dict[str, list[float]]:
    """Return the features of customers who order on random days, for random amounts, from random categories."""
    columns: dict[str, list[float]] = {name: [] for name in ("order_day_count", "spend_amount", "recency_days", "tenure_days")}
    columns |= {"category_count": [], "discount_share": [], "return_share": []}
    for rate in random.uniform(0.2, 3, customers) if discounts else random.uniform(1, 8, customers):
        days = np.unique(random.integers(0, WINDOW, 1 + random.poisson(rate)))
        columns["order_day_count"].append(len(days))
        columns["spend_amount"].append(float(random.uniform(5, 200, len(days)).sum()))
        columns["recency_days"].append(float(WINDOW - 1 - days[-1]))
        columns["tenure_days"].append(float(WINDOW - 1 - days[0]))
        columns["category_count"].append(len(set(random.integers(0, 4, len(days)).tolist())))
        columns["discount_share"].append(float((random.random(len(days)) < 0.3).mean()) if discounts else 0.0)
        columns["return_share"].append(0.0)
    return columns


def one_column(name: str, values: Numbers) -> dict[str, list[float]]:
    """Return customers who differ in one feature alone."""
    same = dict.fromkeys(("spend_amount", "tenure_days", "category_count", "discount_share", "return_share", "recency_days"), 1.0)
    return {feature: [value] * len(values) for feature, value in {**same, "order_day_count": 1.0}.items()} | {name: values.tolist()}


def seven_columns(points: Numbers, scheme_names: tuple[str, ...]) -> dict[str, list[float]]:
    return {name: column.tolist() for name, column in zip(scheme_names, points.T, strict=True)}


Columns = dict[str, list[float]]
NAMES = ("spend_amount", "order_day_count", "recency_days", "tenure_days", "category_count", "discount_share", "return_share")


def trait(customers: int, random: np.random.Generator) -> Numbers:
    return np.asarray(0.8 * random.normal(size=(customers, 1)) + 0.6 * random.normal(size=(customers, 7)))


STRUCTURELESS: dict[str, Callable[[int, np.random.Generator], Columns]] = {
    "a random shop": random_shop,
    "a random shop with discounts": lambda n, random: random_shop(n, random, discounts=True),
    "uniform": lambda n, random: seven_columns(random.uniform(1, 100, (n, 7)), NAMES),
    "normal": lambda n, random: seven_columns(random.normal(50, 10, (n, 7)).clip(1), NAMES),
    "log-normal": lambda n, random: seven_columns(1 + random.lognormal(3, 1, (n, 7)), NAMES),
    "correlated": lambda n, random: seven_columns(np.exp(trait(n, random)) + 1, NAMES),
    "few values": lambda n, random: seven_columns(random.integers(1, 4, (n, 7)).astype(float), NAMES),
    "heavy ties": lambda n, random: seven_columns(1 + np.where(random.random((n, 7)) < 0.7, 0, random.integers(1, 30, (n, 7))), NAMES),
    "one uniform column": lambda n, random: one_column("spend_amount", random.uniform(1, 500, n)),
    "one log-normal column": lambda n, random: one_column("spend_amount", random.lognormal(4, 1.5, n)),
    "one skewed column, as it stands": lambda n, random: one_column("recency_days", (random.pareto(1.5, n) * 10).round()),
    "one column of shares of a few": lambda n, random: one_column("discount_share", random.binomial(5, 0.3, n) / 5),
}


def a_table(columns: Columns) -> pa.Table:
    size = len(columns["order_day_count"])
    return pa.table({"customer_id": [f"c{number:05}" for number in range(size)], **columns})


@pytest.mark.parametrize("customers", [120, 400])
@pytest.mark.parametrize("kind", STRUCTURELESS)
def test_customers_without_groups_are_not_clustered(scheme: ClusterScheme, kind: str, customers: int) -> None:
    table = a_table(STRUCTURELESS[kind](customers, np.random.default_rng(customers)))
    model = fit_model(table, scheme, day=DAY)
    assert isinstance(model, NotFitted), [cluster.title for cluster in model.clusters]
    assert model.reason.startswith("no clusters: ")


@pytest.mark.parametrize(
    ("customers", "apart", "likeness"),
    [(400, 8.0, 0.99), (400, 5.0, 0.9), (1_500, 5.0, 0.9)],
    ids=["well apart", "moderately apart", "many, moderately apart"],
)
def test_planted_groups_are_found(scheme: ClusterScheme, customers: int, apart: float, likeness: float) -> None:
    random = np.random.default_rng([7, customers])
    group = random.integers(0, 4, customers)
    centres = np.linalg.qr(random.normal(size=(7, 7)))[0][:4] * apart / np.sqrt(2)  # each as far from each other
    points = centres[group] + random.normal(size=(customers, 7)) + 12
    columns = {
        feature.name: np.expm1(column / 2).tolist() if feature.transform == "log1p" else column.tolist()
        for feature, column in zip(scheme.features, points.T, strict=True)
    }
    table = a_table(columns)
    model = fit_model(table, scheme, day=DAY)
    assert isinstance(model, ClusterModel), model
    assert adjusted_rand_score(group, nearest_clusters(table, model)) > likeness

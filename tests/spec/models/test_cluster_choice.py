"""Groups are found wherever they show, and none are made up where customers differ in degree alone."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from datetime import date
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from sklearn.metrics import adjusted_rand_score, silhouette_score
from support.builders import a_company

from pipeline.definitions.schemes import ClusterScheme, load_cluster_schemes
from pipeline.models.clusters import ClusterModel, NotFitted, fit_model, nearest_clusters
from pipeline.models.clusters.algorithms import mean_silhouette
from pipeline.models.clusters.encoding import Numbers
from pipeline.models.clusters.unimodality import has_several_peaks, spread_ties

DAY = date(2024, 3, 31)


@pytest.fixture(scope="module")
def scheme() -> ClusterScheme:
    [found] = load_cluster_schemes(a_company(Path("no such folder")))
    return found


def customers_at(points: Numbers, scheme: ClusterScheme) -> pa.Table:
    """Return customers whose features, transformed as the scheme says, are the columns of `points`."""
    columns = {
        feature.name: np.expm1(column) if feature.transform == "log1p" else column
        for feature, column in zip(scheme.features, points.T, strict=True)
    }
    columns["order_day_count"] = np.maximum(columns["order_day_count"], 1)
    return pa.table({"customer_id": [f"c{number:05}" for number in range(len(points))], **columns})


def groups_in(telling: int, *, customers: int = 600, seed: int = 3) -> tuple[Numbers, np.ndarray]:
    """Return three groups apart in so many of seven features, which are otherwise related noise; and the group of each point."""
    random = np.random.default_rng(seed)
    group = random.integers(0, 3, customers)
    points = random.normal(size=(customers, 7)) + random.normal(size=(customers, 1))
    for place in range(telling):
        points[:, place + 2] = random.permutation(3)[group] * 6 + random.normal(size=customers)
    return points / 2 + 6, group


@pytest.mark.parametrize("telling", [1, 2, 3])
def test_groups_that_show_in_a_few_of_seven_features_are_found_again(scheme: ClusterScheme, telling: int) -> None:
    points, group = groups_in(telling)
    customers = customers_at(points, scheme)
    model = fit_model(customers, scheme, day=DAY)
    assert isinstance(model, ClusterModel), model
    assert adjusted_rand_score(group, nearest_clusters(customers, model)) > 0.95
    assert [feature.name for feature in model.features] == [feature.name for feature in scheme.features[2 : 2 + telling]]


def test_the_silhouette_is_that_of_the_textbook() -> None:
    points = np.array([[0.0], [1.0], [4.0], [5.0]])
    # Both outer points are 1 from their own and 4.5 from the others on average, both inner ones 1 and 3.5.
    assert mean_silhouette(points, np.array([0, 0, 1, 1]), seed=1) == pytest.approx((3.5 / 4.5 + 2.5 / 3.5) / 2, abs=1e-6)


@pytest.mark.parametrize("labels", [[0, 0, 0, 0], [0, 1, 2, 3]])
def test_one_group_or_a_group_for_each_customer_is_not_apart(labels: list[int]) -> None:
    assert mean_silhouette(np.array([[0.0], [1.0], [4.0], [5.0]]), np.array(labels), seed=1) == 0


@pytest.mark.parametrize("count", [2, 5, 40])
def test_the_silhouette_is_that_of_scikit_learn(count: int) -> None:
    random = np.random.default_rng(count)
    labels = np.append(random.integers(count, size=1_200), count)  # the last is alone in its group
    points = random.normal(size=(len(labels), 7)) + labels[:, None] / count
    assert mean_silhouette(points, labels, seed=1) == pytest.approx(silhouette_score(points, labels), abs=1e-6)


def test_measuring_how_far_clusters_are_apart_does_not_load_scikit_learn() -> None:
    program = (
        "import sys, numpy; from pipeline.models.clusters.algorithms import mean_silhouette;"
        "print(mean_silhouette(numpy.array([[0.0], [1.0], [4.0], [5.0]]), numpy.array([0, 0, 1, 1]), seed=1), 'sklearn' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout == "0.746032 False\n"


def related(random: np.random.Generator) -> Numbers:
    return np.asarray(0.8 * random.normal(size=(1_000, 1)) + 0.6 * random.normal(size=(1_000, 7)))


STRUCTURELESS: dict[str, Callable[[np.random.Generator], Numbers]] = {
    "independent": lambda random: random.normal(8, 1, (1_000, 7)),
    "related": lambda random: related(random) + 8,
    "related, with heavy tails": lambda random: np.exp(related(random)),
    "half with one order": lambda random: np.maximum(related(random) + 0.7, 0.7) + 2,
    "nearly all zero": lambda random: np.where(random.random((1_000, 7)) < 0.7, 0, random.beta(1, 2, (1_000, 7))),
    "steps": lambda random: np.log(random.geometric(0.4, (1_000, 7)) + 1.0),
}


@pytest.mark.parametrize("kind", STRUCTURELESS)
def test_customers_who_differ_in_degree_alone_are_not_clustered(scheme: ClusterScheme, kind: str) -> None:
    points = STRUCTURELESS[kind](np.random.default_rng(4))
    model = fit_model(customers_at(points, scheme), scheme, day=DAY)
    assert isinstance(model, NotFitted)
    assert model.reason.startswith("no clusters")


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (lambda random: random.normal(size=2_000), False),
        (lambda random: random.lognormal(size=2_000), False),
        (lambda random: np.log(random.geometric(0.4, 2_000) + 1.0), False),
        (lambda random: np.where(random.random(2_000) < 0.6, 0.0, random.random(2_000)), False),
        (lambda random: random.choice([0.0, 4.0], 2_000) + random.normal(size=2_000), True),
        (lambda random: np.where(random.random(2_000) < 0.2, random.integers(30, 40, 2_000), random.integers(1, 4, 2_000)), True),
    ],
    ids=["bell", "skewed", "steps of a logarithm", "many zeros", "two bells", "few orders and many"],
)
def test_hollows_make_peaks_and_skew_and_steps_do_not(values: Callable[[np.random.Generator], Numbers], *, expected: bool) -> None:
    random = np.random.default_rng(5)
    [column] = spread_ties(np.asarray(values(random), dtype=np.float64)[:, None], random).T
    assert has_several_peaks(column, random) is expected

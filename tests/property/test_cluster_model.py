from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.builders import a_company

from pipeline.definitions.fields import LARGEST_NUMBER
from pipeline.definitions.schemes import ClusterScheme, load_cluster_schemes
from pipeline.models.clusters import (
    Cluster,
    ClusterModel,
    ModelFeature,
    assignment_statement,
    fit_model,
    model_from_json,
    to_json,
)
from pipeline.models.clusters.algorithms import nearest_centres
from pipeline.models.clusters.model import WIDEST_SCALES

DAY = date(2024, 3, 31)
DATABASE = duckdb.connect(config={"threads": 1})
FEATURES = ("spend_amount", "recency_days", "discount_share")

figures = st.floats(-1e6, 1e6).map(lambda value: round(value, 6) + 0.0)
coordinates = st.floats(-50, 50).map(lambda value: round(value, 6) + 0.0)


@cache
def scheme() -> ClusterScheme:
    (found,) = load_cluster_schemes(a_company(Path("no such folder")))
    return replace(found, cluster_count_max=4)


def a_population(customers: int, *, seed: int = 5) -> pa.Table:
    """Return customers of three kinds with some overlap, and some who bought nothing in the window."""
    random = np.random.default_rng(seed)
    kind = random.choice(3, customers, p=(0.2, 0.3, 0.5))
    spend = random.lognormal(np.array([7.0, 4.5, 3.0])[kind], 0.4)
    return pa.table(
        {
            "customer_id": [f"c{number}" for number in range(customers)],
            "order_day_count": pa.array(np.array([20, 4, 1])[kind] + random.integers(-1, 3, customers), pa.int64()),
            "spend_amount": pa.array(np.round(spend, 2)).cast(pa.decimal128(18, 4)),
            "recency_days": pa.array(random.integers(0, np.array([40, 120, 365])[kind]), pa.int64()),
            "tenure_days": pa.array(random.integers(300, 900, customers), pa.int64()),
            "category_count": pa.array(np.array([9, 3, 1])[kind] + random.integers(0, 2, customers), pa.int64()),
            "discount_share": pa.array(random.random(customers), mask=random.random(customers) < 0.05),
            "return_share": pa.array(np.zeros(customers)),
        }
    )


@st.composite
def features(draw: st.DrawFn, name: str) -> ModelFeature:
    low, mean, high = sorted(draw(st.lists(figures, min_size=3, max_size=3)))
    # A narrower scale would be refused: a fit has none.
    narrowest = max(1e-3, (high - low) / WIDEST_SCALES)
    scale = draw(st.floats(narrowest, 1e6).map(lambda value: round(value + 1e-6, 6)))
    return ModelFeature(name, draw(st.sampled_from(["log1p", "none"])), draw(figures), low, high, mean, scale)


@st.composite
def models(draw: st.DrawFn) -> ClusterModel:
    width = draw(st.integers(1, len(FEATURES)))
    centroids = draw(st.lists(st.tuples(*[coordinates] * width), min_size=2, max_size=6, unique=True))
    numbers = draw(st.lists(st.integers(1, 9999), min_size=len(centroids), max_size=len(centroids), unique=True))
    printable = st.text(st.characters(codec="utf-8", categories=["L", "N", "P", "S"]), min_size=1, max_size=40)
    clusters = [
        Cluster(f"cluster_{number}", f"{draw(printable)} {number}", draw(st.integers(1, 10**9)), draw(st.floats(0, 1)), centroid)
        for number, centroid in zip(numbers, centroids, strict=True)
    ]
    return ClusterModel(
        scheme="behaviour_clusters",
        day=draw(st.dates(date(1000, 1, 1))),
        algorithm=draw(printable),
        library=draw(printable),
        seed=draw(st.integers(0, 2**31 - 1)),
        inputs_digest=draw(st.text("0123456789abcdef", min_size=64, max_size=64)),
        customer_count=draw(st.integers(1, 10**9)),
        silhouette=draw(st.floats(-1, 1)),
        features=tuple(draw(features(name)) for name in FEATURES[:width]),
        constant_features=tuple(draw(st.lists(st.sampled_from(["return_share", "tenure_days"]), unique=True))),
        clusters=tuple(clusters),
    )


customers = st.lists(
    st.tuples(
        st.one_of(st.none(), st.integers(0, 3)),
        st.one_of(st.none(), st.floats(-1e9, 1e9)),
        st.one_of(st.none(), st.integers(-10, 10**6)),
        st.one_of(st.none(), st.floats(0, 1), st.sampled_from([float("nan"), float("inf"), -float("inf"), LARGEST_NUMBER])),
    ),
    max_size=20,
)


def a_table(rows: list[tuple[Any, ...]]) -> pa.Table:
    names = ("order_day_count", *FEATURES)
    types = (pa.int64(), pa.float64(), pa.int64(), pa.float64())
    columns = {name: pa.array([row[place] for row in rows], kind) for place, (name, kind) in enumerate(zip(names, types, strict=True))}
    return pa.table({"customer_id": pa.array([f"c{place:03}" for place in range(len(rows))], pa.string()), **columns})


def assigned(table: pa.Table, model: ClusterModel) -> list[dict[str, Any]]:
    DATABASE.register("customer_features", table)
    statement = assignment_statement(scheme(), model).sql("duckdb")
    return DATABASE.sql(f"SELECT * FROM ({statement}) ORDER BY customer_id").to_arrow_table().to_pylist()


def document(table: pa.Table) -> str:
    model = fit_model(table, scheme(), day=DAY)
    assert isinstance(model, ClusterModel), model
    return to_json(model)


@settings(max_examples=100, deadline=None, derandomize=True)
@given(models())
def test_a_model_reads_back_as_it_was_written(model: ClusterModel) -> None:
    text = to_json(model)
    assert model_from_json(text, where="here") == model
    assert to_json(model_from_json(text, where="here")) == text


@settings(max_examples=50, deadline=None, derandomize=True)
@given(models(), customers)
def test_every_customer_gets_exactly_one_segment_of_the_scheme(model: ClusterModel, rows: list[tuple[Any, ...]]) -> None:
    found = assigned(a_table(rows), model)
    assert [row["customer_id"] for row in found] == [f"c{place:03}" for place in range(len(rows))]
    known = {cluster.id for cluster in model.clusters}
    for (orders, *_), row in zip(rows, found, strict=True):
        assert row["segment"] in (known if orders else {"unclustered"})
        assert row["evidence"] in ({"margin=high", "margin=medium", "margin=low"} if orders else {"no order in the window"})


@settings(max_examples=50, deadline=None, derandomize=True)
@given(models(), customers)
def test_the_segment_is_the_cluster_with_the_nearest_centre(model: ClusterModel, rows: list[tuple[Any, ...]]) -> None:
    for (orders, *values), row in zip(rows, assigned(a_table(rows), model), strict=True):
        if orders:
            point = np.array([_coordinate(feature, value) for feature, value in zip(model.features, values, strict=False)])
            distances = {cluster.id: float(np.linalg.norm(point - cluster.centroid)) for cluster in model.clusters}
            assert distances[row["segment"]] <= min(distances.values()) + 1e-6 * (1 + float(np.linalg.norm(point)))


@settings(max_examples=25, deadline=None, derandomize=True)
@given(models(), customers)
def test_equal_customers_get_equal_clusters(model: ClusterModel, rows: list[tuple[Any, ...]]) -> None:
    found = assigned(a_table([*rows, *rows]), model)
    pairs = zip(found[: len(rows)], found[len(rows) :], strict=True)
    assert all((one["segment"], one["evidence"]) == (other["segment"], other["evidence"]) for one, other in pairs)


@pytest.mark.parametrize("sample_rows", [1_000, 100_000])
def test_the_order_of_rows_and_chunks_does_not_change_a_byte_of_the_model(sample_rows: int) -> None:
    table = a_population(1_500)
    shuffled = table.take(np.random.default_rng(9).permutation(1_500))
    chunked = pa.concat_tables([shuffled.slice(1_000), shuffled.slice(0, 300), shuffled.slice(300, 700)])
    wanted = replace(scheme(), sample_rows=sample_rows)
    first, second = (fit_model(rows, wanted, day=DAY) for rows in (table, chunked))
    assert isinstance(first, ClusterModel)
    assert isinstance(second, ClusterModel)
    assert to_json(first) == to_json(second)


def test_threads_and_hash_seeds_do_not_change_a_byte_of_the_model() -> None:
    program = "import test_cluster_model as t; print(t.document(t.a_population(1_500)), end='')"
    here = Path(__file__).parent
    # This process has a hash seed of its own, and a thread for each processor.
    limits = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "PYTHONHASHSEED": "77"}
    paths = {"PYTHONPATH": os.pathsep.join(str(path) for path in (here, here.parent, here.parent.parent))}
    alone = subprocess.run([sys.executable, "-c", program], env={**os.environ, **limits, **paths}, capture_output=True, check=True)
    assert alone.stdout.decode() == document(a_population(1_500))


def test_a_refit_on_the_same_customers_moves_nobody() -> None:
    table = a_population(1_200)
    first, second = (model_from_json(document(rows), where="here") for rows in (table, table.take(np.arange(1_200)[::-1])))
    assert assigned(table, first) == assigned(table, second)


def test_the_nearest_centre_on_a_tie_is_the_first() -> None:
    assert nearest_centres(np.array([[0.0], [4.9], [5.0], [5.1]]), np.array([[0.0], [10.0]])).tolist() == [0, 0, 0, 1]


def _coordinate(feature: ModelFeature, value: float | None) -> float:
    """Return the coordinate by the words of the model; not a number is larger than every number, as in SQL."""
    number = feature.fill if value is None else float(value)
    if np.isnan(number):
        number = np.inf
    if feature.transform == "log1p":
        number = float(np.log1p(max(number, 0)))
    return (min(max(number, feature.low), feature.high) - feature.mean) / feature.scale

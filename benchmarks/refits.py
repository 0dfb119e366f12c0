"""What clusters promise: nobody moves for nothing, assignment costs less than predicting, a fit stays bounded at any size."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import date, timedelta
from functools import partial
from itertools import pairwise
from pathlib import Path
from statistics import mean
from tempfile import TemporaryDirectory

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from measure import Result, compared, cost, peak_memory
from refit_sameness import other_models, pinned
from refit_shops import Shop, scheme, stored_shops
from sklearn.cluster import KMeans
from sklearn.metrics import adjusted_rand_score

from pipeline.definitions.schemes import ClusterScheme
from pipeline.lake import addresses
from pipeline.lake.engines.duckdb import DuckDBEngine
from pipeline.lake.lake import Lake
from pipeline.lake.tables import CUSTOMER_FEATURES, Kind, Table
from pipeline.models.clusters import (
    ClusterModel,
    assignment_statement,
    fit_model,
    fit_with_report,
    model_from_json,
    nearest_clusters,
    to_json,
)
from pipeline.models.clusters.algorithms import Labels, sum_of_squares
from pipeline.models.clusters.encoding import feature_coordinates
from pipeline.models.refits.candidate import compare_candidate
from pipeline.models.refits.verdict import RefitVerdict, verdict
from pipeline.models.sample import CustomerSample, sample_customers

NIGHT_BAR, ASSIGN_BAR, SECONDS_BAR, GIB_BAR, INERTIA_BAR, RAND_BAR = 0.5, 0.7, 60, 2, 0.001, 0.95
DAY = date(2025, 11, 25)
MANY = 100_000
ALL_FEATURES = (
    "spend_amount", "order_day_count", "recency_days", "tenure_days", "category_count",
    "discount_share", "return_share", "line_count", "weekend_share", "lifetime_spend_amount",
)  # fmt: skip
MEMORY_LIMIT = "1GB"


def results(folder: Path, *, customers: int, nights: int, rounds: int) -> list[Result]:
    """Return what refits of CDNOW move, and what fitting and assigning `customers` customers cost."""
    found = [*_planted(min(customers, 20_000)), *(result for shop in stored_shops() for result in _stability(shop, nights))]
    with TemporaryDirectory(dir=folder) as scratch:
        return [*found, *_at_size(Path(scratch), customers, rounds)]


def aligned_nights(features: Sequence[pa.Table], days: Sequence[date]) -> tuple[list[float], list[float]]:
    """Return the shares of customers whose id is another than the night before, refitting every night as we do, and of those by the refit.

    The others would have changed by the pinned model too: they did something. A candidate that is refused, or that a person
    would have to approve, leaves the model as it is; how it would have told spend apart is not asked.
    """
    model = _fitted(features[0], days[0], scheme())
    changed, moved = [], []
    for before, table, day in zip(features, features[1:], days[1:], strict=False):
        told = fit_with_report(table, scheme(), day=day, current=model)
        found = compare_candidate(told, model, scheme(), model.highest_number)
        is_kept = verdict(found.measures, scheme(), is_same=False)[0] is not RefitVerdict.PROMOTE
        valid = model if is_kept else found.candidate
        ids = _ids(table, valid)
        changed.append(_changed(_ids(before, model), ids))
        moved.append(_changed(_ids(table, model), ids))
        model = valid
    return changed, moved


def plain_nights(features: Sequence[pa.Table], days: Sequence[date]) -> list[float]:
    """Return the same, refitting every night as most do: anew with another seed, numbered as k-means numbers them."""
    first = _fitted(features[0], days[0], scheme())
    labels = []
    for seed, table in enumerate(features):
        points = feature_coordinates(table, first.features)
        labels.append(_by_id(table, KMeans(len(first.clusters), n_init=10, random_state=seed).fit_predict(points)))
    return [_changed(one, other) for one, other in pairwise(labels)]


def _stability(shop: Shop, nights: int) -> Iterator[Result]:
    days = [shop.last_night - timedelta(days=nights - place) for place in range(nights + 1)]
    features = [shop.features(day) for day in days]
    model = _fitted(features[-1], days[-1], scheme())
    again = fit_with_report(features[-1], scheme(), day=days[-1], current=model)
    same = compare_candidate(again, model, scheme(), model.highest_number)
    yield _none(f"{shop.name}: customers moved by a refit on the same data", same.measures.moved_share * 100, "%")
    (changed, moved), plain = aligned_nights(features, days), plain_nights(features, days)
    refits = f"{shop.name}, {nights} nightly refits: customers"
    yield _shares(f"{refits} moved by a refit / without alignment", moved, plain, bar=NIGHT_BAR)
    yield _shares(f"{refits} changing id per night, also by what they did / without alignment", changed, plain, bar=shop.changes_bar)
    yield from pinned(shop.name, features[-2], features[-1], scheme())
    yield _none(f"{shop.name}: other models for shuffled rows, 1 or 2 threads, any hash seed", other_models(shop.name), "models")


def _none(name: str, found: float, unit: str) -> Result:
    """Return a result that is met by nothing at all."""
    return Result(name, found, 0, unit, ratio=found, bar=0)


def _shares(name: str, ours: Sequence[float], plain: Sequence[float], *, bar: float | None) -> Result:
    """Return the mean share in percent beside that without alignment; with a bar in percent, the ratio is against it."""
    share, other = mean(ours) * 100, mean(plain) * 100
    if bar is None:
        return Result(name, share, other, "% a night")
    return Result(f"{name} (bar {bar} %)", share, other, "% a night", ratio=share / bar, bar=1)


def _planted(customers: int) -> Iterator[Result]:
    random = np.random.default_rng(7)
    group = random.choice(5, customers, p=(0.1, 0.15, 0.2, 0.25, 0.3))
    centres = random.uniform(-4, 4, (5, 7))
    table = _table(centres[group] + random.normal(0, 0.6, (customers, 7)))
    model = _fitted(table, DAY, scheme())
    found = adjusted_rand_score(group, nearest_clusters(table, model))
    yield Result("planted clusters: 1 - adjusted Rand index", 1 - found, 1 - RAND_BAR, "", bar=1)
    noise = fit_model(_table(random.normal(0, 1, (customers, 7))), scheme(), day=DAY)
    yield _none("clusters made of noise", float(isinstance(noise, ClusterModel)), "")


def _table(points: np.ndarray) -> pa.Table:
    ids = [f"c{number:06}" for number in range(len(points))]
    plain = replace(scheme()).features
    columns = {
        feature.name: np.expm1(column + 8) if feature.transform == "log1p" else column
        for feature, column in zip(plain, points.T, strict=True)
    }
    columns["order_day_count"] = np.maximum(columns["order_day_count"], 1)
    return pa.table({"customer_id": ids, **columns})


def _at_size(root: Path, customers: int, rounds: int) -> Iterator[Result]:
    lake = Lake(root / "lake")
    _write_features(lake, customers)
    model = fit_sample(lake).model
    (root / "model.json").write_text(to_json(model), "utf-8")
    ours, theirs, fits = [], [], []
    for _ in range(rounds):
        ours.append(cost(partial(assign, root)))
        theirs.append(cost(partial(predict, root)))
        fits.append(cost(partial(fit_sample, lake)))
    yield compared(f"assign {customers:,} customers x {len(ALL_FEATURES)} in SQL / scikit-learn's predict", ours, theirs, bar=ASSIGN_BAR)
    differ = _labels_that_differ(root)
    yield _none("labels that differ from scikit-learn's", differ, "customers")
    # One thread: CPU seconds are what it takes on a machine with nothing else to do.
    seconds = min(one.cpu_seconds for one in fits)
    yield Result(f"fit and choose k on a sample of {customers:,}", seconds, SECONDS_BAR, "CPU s", bar=1)
    yield Result("the same, by the clock", min(one.wall_seconds for one in fits), SECONDS_BAR, "s", bar=1)
    yield peak_memory("the same, peak memory", fits, bar_gib=GIB_BAR)
    yield _inertia(lake, model)


@dataclass(frozen=True, slots=True)
class Fitted:
    """A model and the sample it was fitted to."""

    model: ClusterModel
    sample: CustomerSample


def fit_sample(lake: Lake) -> Fitted:
    """Read a sample of the lake's customers and fit a model to it, k chosen."""
    wide = _wide()
    with closing(DuckDBEngine(lake.store, memory_limit=MEMORY_LIMIT)) as engine:
        engine.register(_columns(), [addresses.partition(CUSTOMER_FEATURES, day=DAY)])
        sample = sample_customers(engine, wide)
    model = fit_model(sample.features, wide, day=DAY, customer_count=sample.customer_count)
    assert isinstance(model, ClusterModel), model  # noqa: S101
    return Fitted(model, sample)


def assign(root: Path) -> None:
    """Write everybody's cluster, Parquet to Parquet, by the statement of the model."""
    lake, model = Lake(root / "lake"), _model(root)
    with duckdb.connect(config={"memory_limit": "3GB"}) as connection:
        connection.execute(f"CREATE VIEW customer_features AS SELECT * FROM '{lake.path(CUSTOMER_FEATURES, day=DAY)}'")
        text = assignment_statement(_wide(), model).sql("duckdb")
        connection.execute(
            f"COPY (SELECT customer_id, segment FROM ({text})) TO '{root / 'ours.parquet'}' (FORMAT parquet, COMPRESSION zstd)"
        )


def predict(root: Path) -> None:
    """Do the same with scikit-learn: read, prepare, predict, write."""
    lake, model = Lake(root / "lake"), _model(root)
    table = pq.read_table(lake.path(CUSTOMER_FEATURES, day=DAY), columns=["customer_id", *ALL_FEATURES])
    points = feature_coordinates(table, model.features)
    centres = np.array([cluster.centroid for cluster in model.clusters])
    estimator = KMeans(len(centres), init=centres, n_init=1, max_iter=1).fit(centres)
    estimator.cluster_centers_ = centres
    names = pa.array([cluster.id for cluster in model.clusters])
    labels = pa.DictionaryArray.from_arrays(pa.array(estimator.predict(points)), names)
    pq.write_table(
        pa.table({"customer_id": table["customer_id"], "segment": labels.cast(pa.string())}), root / "theirs.parquet", compression="zstd"
    )


def _labels_that_differ(root: Path) -> int:
    query = f"""SELECT count(*) FROM '{root}/ours.parquet' AS a
        JOIN '{root}/theirs.parquet' AS b USING (customer_id) WHERE a.segment <> b.segment"""
    with duckdb.connect() as connection:
        [(count,)] = connection.sql(query).fetchall()
    return int(count)


def _inertia(lake: Lake, model: ClusterModel) -> Result:
    """Return how much farther customers are from the sample's centres than from those of a fit to everybody."""
    table = pq.read_table(lake.path(CUSTOMER_FEATURES, day=DAY), columns=list(ALL_FEATURES))
    points = feature_coordinates(table, model.features)
    centres = np.array([cluster.centroid for cluster in model.clusters])
    whole = KMeans(len(centres), init=centres, n_init=1).fit(points)
    lost = sum_of_squares(points, centres) / sum_of_squares(points, whole.cluster_centers_) - 1
    return Result("distance to the centres lost by the sample", lost * 100, INERTIA_BAR * 100, "%", bar=1)


def _wide() -> ClusterScheme:
    plain = {feature.name: feature for feature in scheme().features}
    some = next(iter(plain.values()))
    features = [
        plain.get(name, replace(some, name=name, transform="none", high=f"high {name}", low=f"low {name}")) for name in ALL_FEATURES
    ]
    return scheme(features=tuple(features))


def _write_features(lake: Lake, customers: int) -> None:
    """Write a night of customers of six kinds with a good deal of overlap; the same number gives the same bytes."""
    kind = "CAST(hash(n) % 6 AS INTEGER) + 1"
    unit = "((hash(n * 3 + {p} * 100007) % 10000 + hash(n * 5 + {p} * 300007) % 10000 + hash(n * 7 + {p} * 500009) % 10000) / 30000.0)"
    centre = "((hash({kind} + {p} * 7919) % 1000) / 1000.0)"
    coordinate = f"({centre} * 0.7 + {unit} * 0.6)"
    shapes = {
        Kind.INTEGER: "CAST(1 + FLOOR(EXP(4 * {z})) AS BIGINT)",
        Kind.NUMBER: "LEAST({z}, 1.0)",
        Kind.MONEY: "CAST(EXP(7 * {z}) AS DECIMAL(18, 4))",
    }
    columns = ["printf('c%08d', n) AS customer_id"] + [
        f"{shapes[column.kind].format(z=coordinate.format(kind=kind, p=place))} AS {column.name}"
        for place, column in enumerate(_columns().columns, 1)
        if column.name != "customer_id"
    ]
    with duckdb.connect() as connection:
        rows = connection.sql(f"SELECT {', '.join(columns)} FROM range({customers}) AS numbers(n)").to_arrow_reader(131_072)
        lake.write(_columns(), rows, day=DAY)


def _model(root: Path) -> ClusterModel:
    return model_from_json((root / "model.json").read_text("utf-8"), where="bench")


def _fitted(table: pa.Table, day: date, by: ClusterScheme) -> ClusterModel:
    model = fit_model(table, by, day=day)
    assert isinstance(model, ClusterModel), model  # noqa: S101
    return model


def _ids(table: pa.Table, model: ClusterModel) -> Mapping[str, int]:
    return _by_id(table, np.array([cluster.number for cluster in model.clusters])[nearest_clusters(table, model)])


def _by_id(table: pa.Table, labels: Labels) -> Mapping[str, int]:
    return dict(zip(table["customer_id"].to_pylist(), labels.tolist(), strict=True))


def _changed(one: Mapping[str, int], other: Mapping[str, int]) -> float:
    """Return the share of customers whose cluster differs, of those that both nights have."""
    return mean(other[customer] != label for customer, label in one.items())


def _columns() -> Table:
    names = {"customer_id", *ALL_FEATURES}
    return CUSTOMER_FEATURES.only(names)

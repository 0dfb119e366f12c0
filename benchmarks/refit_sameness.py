"""Nothing moves for nothing: a pinned model on the next night, and a fit to the same customers in another process."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import date
from hashlib import sha256
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
from measure import Result
from refit_shops import SHOPS, scheme

from pipeline.definitions.schemes import ClusterScheme
from pipeline.models.clusters import ClusterModel, assignment_statement, fit_model, to_json

ANY_DAY = date(2000, 1, 1)
# Threads, hash seed, and the seed that rows are shuffled by; 0 leaves them as they are.
WAYS = ((1, 0, 0), (2, 0, 0), (1, 1, 7), (2, 4242, 8))


def pinned(name: str, before: pa.Table, now: pa.Table, by: ClusterScheme) -> Iterator[Result]:
    """Return how many customers another night's assignment moves by the model of the night before, and how many for no reason.

    Everybody's recency counts on, so that all features change; those of who did not buy are held still for the second figure, while
    the others change and new customers come.
    """
    model = _model(before, by)
    first, second = _segments(before, model, by), _segments(now, model, by)
    aged = np.mean([second[customer] != segment for customer, segment in first.items()])
    yield Result(f"{name}: customers changing id on the next night, model pinned", float(aged) * 100, 0, "%", ratio=0)
    held = _held(before, now)
    third = _segments(held, model, by)
    same = _unchanged(before, held)
    moved = sum(third[customer] != first[customer] for customer in same)
    words = f"{name}: of {len(same):,} customers with the same features among {len(third):,}, moved by the pinned model"
    yield Result(words, moved, 0, "customers", ratio=moved, bar=0)


def other_models(name: str) -> int:
    """Return how many of the ways to fit the same customers in a fresh process give other bytes than the first."""
    found = [_digest_elsewhere(name, *way) for way in WAYS]
    return sum(digest != found[0] for digest in found)


def model_digest(name: str, seed: int) -> str:
    """Return the digest of the model of a shop's customers on its last night, shuffled by `seed`."""
    shop = next(shop for shop in SHOPS if shop.name == name)
    customers = shop.features(shop.last_night)
    rows = customers.take(pa.array(np.random.default_rng(seed).permutation(customers.num_rows))) if seed else customers
    return sha256(to_json(_model(rows, scheme(), day=shop.last_night)).encode()).hexdigest()


def _digest_elsewhere(name: str, threads: int, hash_seed: int, seed: int) -> str:
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
    there = {**os.environ, **dict.fromkeys(names, str(threads)), "PYTHONHASHSEED": str(hash_seed)}
    command = [sys.executable, str(Path(__file__)), name, str(seed)]
    return subprocess.run(command, env=there, check=True, capture_output=True, text=True).stdout.strip()


def _model(customers: pa.Table, by: ClusterScheme, *, day: date = ANY_DAY) -> ClusterModel:
    model = fit_model(customers, by, day=day)
    assert isinstance(model, ClusterModel), model  # noqa: S101
    return model


def _segments(customers: pa.Table, model: ClusterModel, by: ClusterScheme) -> dict[str, str]:
    with duckdb.connect() as connection:
        connection.register("customer_features", customers)
        rows = connection.sql(assignment_statement(by, model).sql("duckdb")).to_arrow_table()
    return dict(zip(rows["customer_id"].to_pylist(), rows["segment"].to_pylist(), strict=True))


def _held(before: pa.Table, now: pa.Table) -> pa.Table:
    """Return the customers of now, those who did not buy as they were before."""
    query = """
        SELECT now.* FROM now LEFT JOIN before USING (customer_id)
        WHERE before.order_day_count IS NULL OR now.spend_amount <> before.spend_amount OR now.order_day_count <> before.order_day_count
        UNION ALL BY NAME
        SELECT before.* FROM before JOIN now USING (customer_id)
        WHERE now.spend_amount = before.spend_amount AND now.order_day_count = before.order_day_count
        ORDER BY hash(customer_id)
    """
    with duckdb.connect() as connection:
        connection.register("before", before)
        connection.register("now", now)
        return connection.sql(query).to_arrow_table().select(before.column_names)


def _unchanged(before: pa.Table, now: pa.Table) -> set[str]:
    rows = {tuple(row.values()) for row in before.to_pylist()}
    return {row["customer_id"] for row in now.to_pylist() if tuple(row.values()) in rows}


if __name__ == "__main__":
    print(model_digest(sys.argv[1], int(sys.argv[2])))

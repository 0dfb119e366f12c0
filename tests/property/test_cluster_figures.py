"""The figures of clusters are what an independent computation gives, never contradict each other, and do not depend on order or threads."""

from __future__ import annotations

from contextlib import closing
from datetime import date
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.builders import a_company
from support.cluster_models import a_cluster_model, expected_profiles

from pipeline.lake.engines.duckdb import DuckDBEngine
from pipeline.lake.lake import Lake
from pipeline.lake.local_store import LocalStore
from pipeline.lake.tables import CLUSTER_PROFILES, CUSTOMER_FEATURES, CUSTOMER_SEGMENTS
from pipeline.models.clusters import Cluster, ModelFeature, to_json
from pipeline.segmentation import write_memberships

NIGHT = date(2024, 3, 31)
COMPANY = a_company(Path("no-such-folder"))
MODEL = a_cluster_model(
    NIGHT,
    (
        ModelFeature("spend_amount", "log1p", fill=0, low=0.5, high=9.0, mean=4.0, scale=1.7),
        ModelFeature("recency_days", "none", fill=0, low=2, high=300, mean=90, scale=77.123456),
        ModelFeature("discount_share", "none", fill=0, low=0, high=0.9, mean=0.3, scale=0.21),
    ),
    tuple(
        Cluster(f"cluster_{number}", f"Title {number}", 9, 1.0, centre)
        for number, centre in enumerate([(1.0, -1.0, 0.5), (-1.0, 1.0, -0.5), (0.0, 0.0, 3.0)], 1)
    ),
)
CUSTOMER = st.fixed_dictionaries(
    {
        "spend_amount": st.decimals(-50, 10**9, places=4),
        "recency_days": st.integers(0, 400),
        "order_day_count": st.integers(0, 3),
        "discount_share": st.none() | st.sampled_from([0.0, 1 / 3, 1 / 128, 0.5, 1.0]),
    }
)


def night_of(customers: list[dict[str, Any]], *, threads: int) -> tuple[list[dict[str, Any]], dict[tuple[str, str], tuple[float, ...]]]:
    """Return the rows that a night stores, and what an independent computation gives."""
    with TemporaryDirectory() as folder, closing(DuckDBEngine(LocalStore(Path(folder)), memory_limit="500MB", threads=threads)) as engine:
        lake = Lake(Path(folder))
        lake.write_text(f"models/behaviour_clusters/{NIGHT}.json", to_json(MODEL))
        lake.write(CUSTOMER_FEATURES, features_of(customers).to_batches(), day=NIGHT)
        write_memberships(COMPANY, lake, engine, NIGHT)
        features, memberships = (lake.read(table, day=NIGHT) for table in (CUSTOMER_FEATURES, CUSTOMER_SEGMENTS))
        return lake.read(CLUSTER_PROFILES, day=NIGHT).to_pylist(), expected_profiles(features, memberships, MODEL)


def features_of(customers: list[dict[str, Any]]) -> pa.Table:
    rows = [{"customer_id": f"c{number:03}", "is_prospect": False, "is_refund_only": False, **row} for number, row in enumerate(customers)]
    return pa.Table.from_pylist(
        [{name: row.get(name) for name in CUSTOMER_FEATURES.column_names} for row in rows], CUSTOMER_FEATURES.schema
    )


@settings(max_examples=10, derandomize=True, deadline=None)
@given(st.lists(CUSTOMER, min_size=15, max_size=60))
def test_figures_are_those_of_an_independent_computation(customers: list[dict[str, Any]]) -> None:
    rows, expected = night_of(customers, threads=1)
    told = {(row["segment"], row["feature"]): row for row in rows if row["cluster_mean"] is not None}
    assert told.keys() == expected.keys()
    for key, (count, own, overall, difference) in expected.items():
        row = told[key]
        assert row["known_count"] == count
        assert (row["cluster_mean"], row["overall_mean"]) == pytest.approx((own, overall), rel=1e-6, abs=1e-6)
        assert row["standardised_difference"] == pytest.approx(difference, abs=2e-6)
        # A figure above that of all is never said to lie below it.
        assert (row["cluster_mean"] - row["overall_mean"]) * row["standardised_difference"] >= 0
    for cluster in MODEL.clusters:
        own_rows = [row for row in rows if row["segment"] == cluster.id]
        assert [row["difference_rank"] for row in own_rows] == [1, 2, 3]
        sizes = [abs(row["standardised_difference"]) for row in own_rows if row["cluster_mean"] is not None]
        assert sizes == sorted(sizes, reverse=True)


def test_threads_and_the_order_of_customers_change_no_figure() -> None:
    customers = [
        {
            "spend_amount": Decimal(number * number % 977),
            "recency_days": number % 311,
            "order_day_count": 1 + number % 4,
            "discount_share": number % 7 / 7,
        }
        for number in range(3_000)
    ]
    assert night_of(customers, threads=1)[0] == night_of(customers, threads=4)[0] == night_of(customers[::-1], threads=2)[0]

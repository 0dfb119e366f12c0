"""What sets a cluster apart, in figures: its customers beside all who are in a cluster, feature by feature.

A mean is taken where the model compares customers: of values held within its limits, and of their logarithm where it takes one. Put
back into units of the feature that is near the median of skewed amounts, which one huge order does not change. So figures cannot
contradict a title: a cluster that lies above the mean customer has a mean above that of all.

SQL adds up coordinates in whole billionths of a standard deviation: exact, whatever the order of rows or the engine.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import expm1
from typing import Any

import pyarrow as pa
from sqlglot import exp

from pipeline.lake.expressions import double_literal
from pipeline.lake.tables import CLUSTER_PROFILES, CUSTOMER_FEATURES, CUSTOMER_SEGMENTS
from pipeline.models.clusters.assignment import coordinate_expressions
from pipeline.models.clusters.encoding import DECIMALS
from pipeline.models.clusters.model import ClusterModel, ModelFeature

FEWEST_KNOWN = 5  # a mean of fewer customers would tell of each of them
BILLION = 1_000_000_000
Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class FeatureProfile:
    """A row of cluster_profiles: a cluster in one feature; means are None where too few customers are known to have it."""

    feature: str
    value: str | None
    known_count: int
    cluster_mean: float | None
    overall_mean: float | None
    standardised_difference: float | None

    @property
    def is_withheld(self) -> bool:
        """Whether somebody has the feature, but too few for a mean."""
        return self.cluster_mean is None and self.known_count > 0


@dataclass(frozen=True, slots=True)
class CoordinateSum:
    """How many customers of a cluster are known to have a feature, and the sum of their coordinates in billionths."""

    known_count: int
    billionths: int

    @property
    def mean(self) -> float:
        """The mean coordinate, in standard deviations."""
        return self.billionths / self.known_count / BILLION


def coordinate_sums_statement(model: ClusterModel) -> exp.Select:
    """Build the statement of `segment, customer_count, known_0, sum_0, known_1, ...`: a row per cluster that anybody is in.

    It reads customer_features and customer_segments; numbers are the places of the model's features.
    """
    placed = exp.select("customer_id").from_(CUSTOMER_FEATURES.name)
    sums: list[exp.Expr] = [_as_count(exp.Count(this=exp.Star()), "customer_count")]
    for place, (feature, coordinate) in enumerate(zip(model.features, coordinate_expressions(model.features), strict=True)):
        # What a customer lacks is filled for the assignment; here it is unknown.
        is_known = exp.not_(exp.Is(this=exp.column(feature.name, quoted=True), expression=exp.null()))
        scaled = exp.Add(this=exp.Mul(this=exp.paren(coordinate), expression=double_literal(BILLION)), expression=double_literal(0.5))
        whole = exp.cast(exp.Floor(this=scaled), "bigint")
        placed = placed.select(exp.alias_(exp.case().when(is_known, whole), f"z{place}"), copy=False)
        column = exp.column(f"z{place}", "placed")
        sums += [_as_count(exp.Count(this=column), f"known_{place}"), _as_count(exp.Sum(this=column.copy()), f"sum_{place}")]
    members = (
        exp.select("customer_id", "segment")
        .from_(CUSTOMER_SEGMENTS.name)
        .where(
            exp.column("scheme").eq(exp.Literal.string(model.scheme)),
            exp.In(this=exp.column("segment"), expressions=[exp.Literal.string(cluster.id) for cluster in model.clusters]),
        )
    )
    rows = exp.select("members.segment", *sums).from_(members.subquery("members", copy=False), copy=False)
    joined = rows.join(placed.subquery("placed", copy=False), on="placed.customer_id = members.customer_id", copy=False)
    return joined.group_by("members.segment", copy=False)


def profile_rows(model: ClusterModel, sums: Sequence[Row]) -> list[dict[str, Any]]:
    """Return the rows of cluster_profiles of one model, in order of its key; `sums` are rows of `coordinate_sums_statement`."""
    found = {row["segment"]: row for row in sums}
    by_cluster = {cluster.id: _coordinate_sums(found.get(cluster.id, {}), len(model.features)) for cluster in model.clusters}
    overall = [_united_sum([each[place] for each in by_cluster.values()]) for place in range(len(model.features))]
    rows = []
    for cluster in sorted(by_cluster):
        figures = [_figures(*each) for each in zip(model.features, by_cluster[cluster], overall, strict=True)]
        figures.sort(key=lambda row: (row["cluster_mean"] is None, -abs(row["standardised_difference"] or 0.0)))
        size = found[cluster]["customer_count"] if cluster in found else 0
        named = {"scheme": model.scheme, "segment": cluster, "customer_count": size}
        rows += [{**named, "difference_rank": rank, **row} for rank, row in enumerate(figures, 1)]
    return rows


def feature_profiles(rows: pa.Table) -> dict[tuple[str, str], tuple[FeatureProfile, ...]]:
    """Return what rows of cluster_profiles tell, by scheme and cluster: first what sets the cluster apart most."""
    profiles: dict[tuple[str, str], tuple[FeatureProfile, ...]] = {}
    for row in rows.sort_by([(name, "ascending") for name in CLUSTER_PROFILES.key]).to_pylist():
        key = row["scheme"], row["segment"]
        profiles[key] = (*profiles.get(key, ()), FeatureProfile(**{name: row[name] for name in FeatureProfile.__slots__}))
    return profiles


def _coordinate_sums(row: Row, width: int) -> list[CoordinateSum]:
    return [CoordinateSum(row.get(f"known_{place}", 0), row.get(f"sum_{place}") or 0) for place in range(width)]


def _united_sum(sums: Sequence[CoordinateSum]) -> CoordinateSum:
    """Add up what is told of clusters alone: the mean of a small one could be worked out from the rest and all."""
    told = [each for each in sums if each.known_count >= FEWEST_KNOWN]
    return CoordinateSum(sum(each.known_count for each in told), sum(each.billionths for each in told))


def _figures(feature: ModelFeature, own: CoordinateSum, overall: CoordinateSum) -> dict[str, Any]:
    is_published = own.known_count >= FEWEST_KNOWN
    return {
        "feature": feature.name,
        "value": feature.value or None,
        "known_count": own.known_count,
        "cluster_mean": _in_units(feature, own.mean) if is_published else None,
        "overall_mean": _in_units(feature, overall.mean) if overall.known_count else None,
        "standardised_difference": _rounded(own.mean - overall.mean) if is_published else None,
    }


def _in_units(feature: ModelFeature, coordinate: float) -> float:
    value = coordinate * feature.scale + feature.mean
    return _rounded(expm1(value) if feature.transform == "log1p" else value)


def _rounded(value: float) -> float:
    return round(value, DECIMALS) + 0.0  # zero has no sign


def _as_count(total: exp.Expression, name: str) -> exp.Expr:
    return exp.alias_(exp.cast(total, "bigint"), name)

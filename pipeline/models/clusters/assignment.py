"""The cluster of every customer is the one with the nearest centroid: as one SQL statement, and for tables in memory.

Who has no order, where a scheme goes by orders, is in no cluster. Nor is who lacks an attribute that the model goes by: a question
that was not answered was not answered with no.

Which centroid c is nearest to x is decided by |x - c|² = |x|² - 2 x·c + |c|². The first term is the same for every cluster, so
the statement compares the rest, which is linear in the coordinates: a sum of products that any engine computes fast and alike.
|x|² is added back only where distances themselves are compared, for the margin.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import pyarrow as pa
from sqlglot import exp

from pipeline.definitions.schemes.cluster_features import Encoding
from pipeline.definitions.schemes.cluster_scheme import POPULATION_COLUMN, ClusterScheme
from pipeline.definitions.schemes.fixed_segments import UNCLUSTERED
from pipeline.definitions.schemes.scheme import INSUFFICIENT_EVIDENCE
from pipeline.errors import DataError
from pipeline.lake.expressions import double_literal, greatest, least, ordered_sum
from pipeline.lake.tables import CUSTOMER_FEATURES
from pipeline.models.clusters.algorithms import Labels, nearest_centres
from pipeline.models.clusters.encoding import feature_coordinates
from pipeline.models.clusters.model import Cluster, ClusterModel, ModelFeature, NotFitted

OUTSIDE = "no order in the window"
LACKING = "not known: "
# How much nearer the own centroid is than the next one. Bands, since a figure would change every night for everyone.
CLEAR_RATIO = 0.5
FAIR_RATIO = 0.8

_IN_POPULATION = "is_in_population"
_LACKED = "lacked_attribute"
_SQUARE = "square"


def assignment_statement(scheme: ClusterScheme, model: ClusterModel | NotFitted) -> exp.Select:
    """Build the statement of `customer_id, scheme, segment, evidence`, a row for every row of `customer_features`.

    Customers without an order in the window, where the scheme goes by orders, and all of them where there is no model, are
    `unclustered`; who lacks an attribute of the model has `insufficient_evidence`, and the first attribute that is lacking as evidence.
    Raises DataError where the model belongs to another scheme.
    """
    if isinstance(model, NotFitted):
        everyone = exp.select("customer_id").from_(CUSTOMER_FEATURES.name)
        return _membership_rows(everyone, scheme, _text_literal(UNCLUSTERED), _text_literal(model.reason))
    clusters = _in_order_of_ties(model)
    decided = _rows_with_margin(_nearest_cluster_rows(scheme, model, clusters), clusters, _kept_columns(model))
    return _membership_rows(decided, scheme, _segment_expression(model), _evidence_expression(scheme, model))


def segment_statements(models: Iterable[tuple[ClusterScheme, ClusterModel | NotFitted]]) -> dict[str, exp.Select]:
    """Build, by scheme, the statement of `customer_id, segment` alone, which rules of other schemes look at.

    Without evidence, titles and reasons, models that assign alike have the same statement.
    """
    return {scheme.name: _segment_statement(scheme, model) for scheme, model in models}


def nearest_clusters(table: pa.Table, model: ClusterModel) -> Labels:
    """Place of each customer's cluster among the model's, as the statement decides it; on a tie the cluster with the lowest number.

    One integer per row of `table`, in the order of its rows.
    """
    # Ties go by number, not by place: numbers are kept across refits, so equal distances keep the same answer.
    order = sorted(range(len(model.clusters)), key=lambda place: model.clusters[place].number)
    centroids = np.array([model.clusters[place].centroid for place in order])
    return np.asarray(order)[nearest_centres(feature_coordinates(table, model.features), centroids)]


def coordinate_expressions(features: Iterable[ModelFeature]) -> list[exp.Expression]:
    """Build the coordinates of a row of `customer_features`, in standard deviations."""
    return [_coordinate(feature) for feature in features]


def _segment_statement(scheme: ClusterScheme, model: ClusterModel | NotFitted) -> exp.Select:
    if isinstance(model, NotFitted):
        return exp.select("customer_id", exp.alias_(_text_literal(UNCLUSTERED), "segment")).from_(CUSTOMER_FEATURES.name)
    nearest_centres = _nearest_cluster_rows(scheme, model, _in_order_of_ties(model))
    return exp.select("customer_id", exp.alias_(_segment_expression(model), "segment")).from_(nearest_centres.subquery("decided"))


def _in_order_of_ties(model: ClusterModel) -> list[Cluster]:
    """Return the clusters in the order in which ties are decided, whatever their order in the document."""
    return sorted(model.clusters, key=lambda cluster: cluster.number)


def _nearest_cluster_rows(scheme: ClusterScheme, model: ClusterModel, clusters: Sequence[Cluster]) -> exp.Select:
    if model.scheme != scheme.name:
        raise DataError(f"the model was fitted for the scheme `{model.scheme}`", where=scheme.name, todo="Fit a model for this scheme.")
    return _rows_with_nearest(_score_rows(_coordinate_rows(scheme, model), clusters, model), clusters)


def has_value_condition(name: str, encoding: Encoding) -> exp.Expression:
    """Return the condition that a customer has the attribute; a text of spaces alone is none."""
    column: exp.Expression = exp.column(name, quoted=True)
    if encoding == "text":
        column = exp.Nullif(this=exp.Trim(this=column), expression=_text_literal(""))
    return exp.not_(exp.Is(this=column, expression=exp.null()))


def outside_words(scheme: ClusterScheme) -> str:
    """Say why somebody is `unclustered` by a scheme that has a model."""
    reasons = ([OUTSIDE] if scheme.goes_by_orders else []) + ([f"not in {scheme.within}"] if scheme.within else [])
    return ", or ".join(reasons)


def _segment_expression(model: ClusterModel) -> exp.Expression:
    outside = exp.case().when(exp.not_(exp.column(_IN_POPULATION)), _text_literal(UNCLUSTERED))
    if model.attributes:
        outside = outside.when(_is_lacking(), _text_literal(INSUFFICIENT_EVIDENCE))
    return outside.else_(exp.column("nearest"))


def _evidence_expression(scheme: ClusterScheme, model: ClusterModel) -> exp.Expression:
    outside = exp.case().when(exp.not_(exp.column(_IN_POPULATION)), _text_literal(outside_words(scheme)))
    if model.attributes:
        outside = outside.when(_is_lacking(), exp.Concat(expressions=[_text_literal(LACKING), exp.column(_LACKED)]))
    return outside.else_(exp.column("margin"))


def _is_lacking() -> exp.Expression:
    return exp.not_(exp.Is(this=exp.column(_LACKED), expression=exp.null()))


def _lacked_attribute(model: ClusterModel) -> exp.Expression:
    """Return the expression of the name of the first attribute that a customer lacks; null where none is lacking."""
    lacked = exp.case()
    for name, encoding in {feature.name: feature.encoding for feature in model.features if feature.is_attribute}.items():
        lacked = lacked.when(exp.not_(has_value_condition(name, encoding)), _text_literal(name))
    return lacked.else_(exp.null())


def _membership_rows(rows: exp.Select, scheme: ClusterScheme, segment: exp.Expression, evidence: exp.Expression) -> exp.Select:
    named = {"scheme": _text_literal(scheme.name), "segment": segment, "evidence": evidence}
    return exp.select("customer_id", *(exp.alias_(value, name) for name, value in named.items())).from_(rows.subquery("decided"))


def _coordinate_rows(scheme: ClusterScheme, model: ClusterModel) -> exp.Select:
    """Build the rows of every customer's coordinates, whether they are in the population that is clustered, and what they lack."""
    columns = [exp.alias_(_coordinate(feature), f"z{place}") for place, feature in enumerate(model.features)]
    if model.attributes:
        columns.append(exp.alias_(_lacked_attribute(model), _LACKED))
    is_included: exp.Expr = exp.true()
    if scheme.goes_by_orders:
        orders = exp.Coalesce(this=exp.column(POPULATION_COLUMN), expressions=[exp.Literal.number(0)])
        is_included = exp.GTE(this=orders, expression=exp.Literal.number(1))
    if scheme.members is None:
        return exp.select("customer_id", exp.alias_(is_included, _IN_POPULATION), *columns).from_(CUSTOMER_FEATURES.name)
    members = exp.select("customer_id AS member_id").from_(scheme.members.subquery("chosen")).subquery("members")
    is_member = exp.not_(exp.Is(this=exp.column("member_id"), expression=exp.null()))
    placed = exp.select("customer_id", exp.alias_(exp.and_(is_included, is_member), _IN_POPULATION), *columns)
    return placed.from_(CUSTOMER_FEATURES.name).join(members, on="member_id = customer_id", join_type="left")


def _coordinate(feature: ModelFeature) -> exp.Expression:
    column = exp.column(feature.name, quoted=True)
    if feature.encoding != "number":
        is_so = column if feature.encoding == "flag" else exp.Trim(this=column).eq(_text_literal(feature.value))
        yes, no = (double_literal((held - feature.mean) / feature.scale) for held in (1, 0))
        return _if_else(is_so, yes, no)
    value: exp.Expression = exp.cast(column, "DOUBLE")
    if feature.fill is not None:
        value = exp.Coalesce(this=value, expressions=[double_literal(feature.fill)])
    if feature.transform == "log1p":
        value = exp.Ln(this=exp.Add(this=double_literal(1), expression=greatest(value, double_literal(0))))
    # (value - mean) / scale as one product and one constant: an engine multiplies once.
    held = least(greatest(value, double_literal(feature.low)), double_literal(feature.high))
    return ordered_sum([_product_of(held, double_literal(1 / feature.scale)), double_literal(-feature.mean / feature.scale)])


def _score_rows(placed: exp.Select, clusters: Sequence[Cluster], model: ClusterModel) -> exp.Select:
    """Return, per customer and cluster, the squared distance less the square of the customer's own coordinates."""
    square = ordered_sum(_product_of(exp.column(f"z{place}"), exp.column(f"z{place}")) for place in range(len(model.features)))
    scores = []
    for cluster in clusters:
        weighted = (_product_of(exp.column(f"z{place}"), double_literal(-2 * centre)) for place, centre in enumerate(cluster.centroid))
        score = ordered_sum([*weighted, double_literal(sum(centre * centre for centre in cluster.centroid))])
        scores.append(exp.alias_(score, f"s{cluster.number}"))
    return exp.select(*_kept_columns(model), exp.alias_(square, _SQUARE), *scores).from_(placed.subquery("placed"))


def _rows_with_nearest(scored: exp.Select, clusters: Sequence[Cluster]) -> exp.Select:
    """Add the nearest cluster of each customer, and its score, to the rows."""
    best = least(*(_score_column(cluster) for cluster in clusters))
    inner = exp.select("*", exp.alias_(best, "best")).from_(scored.subquery("scored"))
    nearest = exp.case()
    # The first score that equals the best one wins: a tie goes to the cluster that comes first.
    for cluster in clusters[:-1]:
        nearest = nearest.when(exp.EQ(this=_score_column(cluster), expression=exp.column("best")), _text_literal(cluster.id))
    return exp.select("*", exp.alias_(nearest.else_(_text_literal(clusters[-1].id)), "nearest")).from_(inner.subquery("compared"))


def _rows_with_margin(ranked: exp.Select, clusters: Sequence[Cluster], kept: Sequence[str]) -> exp.Select:
    """Reduce the rows to the cluster of each customer, and in words how clear the decision was."""
    runner_up = exp.case()
    for cluster in clusters:
        others = [_score_column(other) for other in clusters if other is not cluster]
        runner_up = runner_up.when(exp.column("nearest").eq(_text_literal(cluster.id)), least(*others))
    rows = exp.select(*kept, _SQUARE, "best", "nearest", exp.alias_(runner_up, "runner_up"))
    margin = (
        exp.case().when(_is_within(CLEAR_RATIO), _text_literal("margin=high")).when(_is_within(FAIR_RATIO), _text_literal("margin=medium"))
    )
    columns: tuple[str | exp.Expr, ...] = (*kept, "nearest", exp.alias_(margin.else_(_text_literal("margin=low")), "margin"))
    return exp.select(*columns).from_(rows.from_(ranked.subquery("ranked")).subquery("measured"))


def _is_within(ratio: float) -> exp.Expression:
    """Return the condition that the nearest centroid is within `ratio` of the distance to the second."""
    # Squared on both sides: a square root would be computed for every customer to no end.
    own, other = (ordered_sum([exp.column(_SQUARE), exp.column(score)]) for score in ("best", "runner_up"))
    return exp.LTE(this=own, expression=_product_of(exp.paren(other), double_literal(round(ratio * ratio, 6))))


def _kept_columns(model: ClusterModel) -> tuple[str, ...]:
    """Return the columns that go through all steps."""
    return ("customer_id", _IN_POPULATION, *([_LACKED] if model.attributes else []))


def _score_column(cluster: Cluster) -> exp.Column:
    return exp.column(f"s{cluster.number}")


def _if_else(condition: exp.Expression, then: exp.Expression, otherwise: exp.Expression) -> exp.Case:
    return exp.case().when(condition, then).else_(otherwise)


def _product_of(left: exp.Expression, right: exp.Expression) -> exp.Expression:
    return exp.Mul(this=left, expression=right)


def _text_literal(value: str) -> exp.Literal:
    return exp.Literal.string(value)

"""Clusters of attributes: how answers become coordinates, who is in a cluster, and what happens to those who did not answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pytest
from sklearn.metrics import adjusted_rand_score
from support.builders import a_company, an_attribute

from pipeline.definitions.schemes import ClusterScheme, load_cluster_schemes
from pipeline.errors import DataError
from pipeline.lake.tables import Column, Kind
from pipeline.models.clusters import (
    ClusterModel,
    NotFitted,
    assignment_statement,
    fit_model,
    measure_drifts,
    model_from_json,
    nearest_clusters,
    to_json,
    translated_title,
)
from pipeline.models.clusters.encoding import feature_coordinates
from pipeline.models.clusters.preparation import prepare_sample

DAY = date(2024, 3, 31)
HEAD = """kind = "clusters"
title = "Motives"
level = "psychographic"
question = "What do people want?"
cluster_count_min = 2
cluster_count_max = 5
smallest_share = 0.03
jaccard_floor = 0.5
seed = 1
sample_rows = 10_000
"""


def a_scheme(folder: Path, kinds: Mapping[str, Kind], more: str = "") -> ClusterScheme:
    """Return the scheme of these attributes; `more` are further lines of its file."""
    listed = "" if "[[attributes]]" in more else f"attributes = {list(kinds)}\n"
    (folder / "segments").mkdir(exist_ok=True)
    (folder / "segments" / "motives.toml").write_text(HEAD + listed + more, "utf-8")
    attributes = tuple(an_attribute(Column(name, kind, "")) for name, kind in kinds.items())
    [scheme] = [each for each in load_cluster_schemes(a_company(folder, attributes=attributes)) if each.name == "motives"]
    return scheme


def flags(count: int) -> dict[str, Kind]:
    return {f"q{number}": Kind.FLAG for number in range(1, count + 1)}


def a_table(**columns: Any) -> pa.Table:
    size = len(next(iter(columns.values())))
    return pa.table({"customer_id": [f"c{number:05}" for number in range(size)], **columns})


def answers_of_groups(customers: int = 600, *, questions: int = 8, seed: int = 2) -> tuple[dict[str, Any], np.ndarray]:
    """Return flags of customers of three kinds, who mostly say yes to other questions; and the kind of each customer."""
    random = np.random.default_rng(seed)
    kind = random.integers(0, 3, customers)
    likely = np.where(np.arange(questions) % 3 == np.arange(3)[:, None], 0.9, 0.15)
    said = random.random((customers, questions)) < likely[kind]
    return {f"q{place + 1}": pa.array(column) for place, column in enumerate(said.T)}, kind


def fitted(table: pa.Table, scheme: ClusterScheme) -> ClusterModel:
    model = fit_model(table, scheme, day=DAY)
    assert isinstance(model, ClusterModel), model
    return model


def assigned(table: pa.Table, scheme: ClusterScheme, model: ClusterModel | NotFitted) -> list[tuple[str, str]]:
    """Return segment and evidence of each customer, in order of id, as the statement decides them."""
    with duckdb.connect() as connection:
        connection.register("customer_features", table)
        rows = connection.sql(assignment_statement(scheme, model).sql("duckdb")).to_arrow_table().sort_by("customer_id").to_pylist()
    return [(row["segment"], row["evidence"]) for row in rows]


def test_a_flag_is_half_its_range_from_the_share_of_yes(tmp_path: Path) -> None:
    said = [True] * 20 + [False] * 80
    other = [True, False] * 50
    sample = prepare_sample(a_table(q1=said, q2=other), a_scheme(tmp_path, flags(2)))
    assert [(each.mean, each.scale, each.low, each.high, each.fill) for each in sample.features] == [
        (0.2, 0.5, 0, 1, None),
        (0.5, 0.5, 0, 1, None),
    ]
    # A yes is 0.8 from the mean of 0.2 and a no 0.2, each by 0.5.
    assert sample.points[[0, 99], 0].tolist() == pytest.approx([1.6, -0.4])


def test_each_frequent_text_has_a_coordinate_and_two_customers_who_differ_are_as_far_apart_as_by_a_flag(tmp_path: Path) -> None:
    region = ["north"] * 50 + ["south"] * 30 + [" west "] * 15 + ["moon"] * 5
    sample = prepare_sample(a_table(region=region, q1=[True, False] * 50), a_scheme(tmp_path, {"region": Kind.TEXT, "q1": Kind.FLAG}))
    assert [(each.label, each.mean) for each in sample.features] == [
        ("region = north", 0.5),
        ("region = south", 0.3),
        ("region = west", 0.15),
        ("q1", 0.5),
    ]
    north, south = sample.points[0, :3], sample.points[50, :3]
    assert np.linalg.norm(north - south) == pytest.approx(2, abs=1e-5)
    assert abs(sample.points[0, 3] - sample.points[1, 3]) == pytest.approx(2)
    # Five customers on the moon are too few for a coordinate: they have none of the others.
    assert sample.points[95, :3] * 0.707107 == pytest.approx([-0.5, -0.3, -0.15])


def test_a_number_of_two_values_is_a_flag_and_of_more_it_is_standardised(tmp_path: Path) -> None:
    rare, scale = [1] * 10 + [0] * 90, list(range(1, 6)) * 20
    sample = prepare_sample(a_table(q1=rare, stars=scale), a_scheme(tmp_path, {"q1": Kind.INTEGER, "stars": Kind.INTEGER}))
    assert [(each.mean, each.scale) for each in sample.features] == [(0.1, 0.5), (3.0, round(2**0.5, 6))]


def test_the_statement_gives_the_coordinates_that_the_fit_has(tmp_path: Path) -> None:
    columns, _ = answers_of_groups()
    random = np.random.default_rng(3)
    columns["region"] = random.choice(["north", " south", "the 'west'"], 600).tolist()
    columns["age"] = random.normal(45, 15, 600).round().astype(int).tolist()
    table, scheme = a_table(**columns), a_scheme(tmp_path, {**flags(8), "region": Kind.TEXT, "age": Kind.INTEGER})
    model = fitted(table, scheme)
    found = assigned(table, scheme, model)
    assert [segment for segment, _ in found] == [model.clusters[place].id for place in nearest_clusters(table, model)]
    assert {evidence for _, evidence in found} <= {"margin=high", "margin=medium", "margin=low"}


def test_groups_of_answers_are_found_in_any_order_of_rows_and_named_by_what_most_of_them_say(tmp_path: Path) -> None:
    columns, kind = answers_of_groups()
    scheme = a_scheme(tmp_path, flags(8))
    model = fitted(a_table(**columns), scheme)
    assert adjusted_rand_score(kind, nearest_clusters(a_table(**columns), model)) > 0.9
    assert fitted(a_table(**columns).take(np.random.default_rng(1).permutation(600)), scheme) == model
    of_cluster = nearest_clusters(a_table(**columns), model)
    for place, cluster in enumerate(model.clusters):
        said = {name: np.array(column)[of_cluster == place].mean() for name, column in columns.items()}
        for word in (cluster.title[0].lower() + cluster.title[1:]).split(", "):
            answer, _, name = word.removeprefix("mostly answers ").partition(" to ")
            assert (said[name] > 0.5) == (answer == "yes"), cluster.title


def test_few_who_say_yes_are_not_called_most(tmp_path: Path) -> None:
    random = np.random.default_rng(4)
    kind = random.integers(0, 2, 800)
    likely = np.array([[0.4, 0.4, 0.4, 0.4, 0.4, 0.4], [0.02, 0.02, 0.02, 0.02, 0.02, 0.02]])
    columns = {f"q{place + 1}": pa.array(column) for place, column in enumerate((random.random((800, 6)) < likely[kind]).T)}
    model = fit_model(a_table(**columns), replace(a_scheme(tmp_path, flags(6)), jaccard_floor=0.0), day=DAY)
    if isinstance(model, ClusterModel):
        for cluster in model.clusters:
            for feature, centre in zip(model.features, cluster.centroid, strict=True):
                if f"mostly answers yes to {feature.name}" in cluster.title.lower():
                    assert centre * feature.scale + feature.mean > 0.5


def test_who_did_not_answer_has_insufficient_evidence_and_is_never_taken_for_a_no(tmp_path: Path) -> None:
    columns, _ = answers_of_groups()
    scheme = a_scheme(tmp_path, {**flags(8), "region": Kind.TEXT})
    columns["region"] = ["north", "south"] * 300
    model = fitted(a_table(**columns), scheme)
    silent = a_table(
        **{name: pa.array([None, True, True, True], pa.bool_()) for name in flags(8) if name != "q3"},
        q3=pa.array([True, None, True, True]),
        region=["north", "north", "   ", "east"],
    )
    expected = [("insufficient_evidence", f"not known: {name}") for name in ("q1", "q3", "region")]
    found = assigned(silent, scheme, model)
    assert found[:3] == expected
    # A region that nobody had is an answer all the same.
    assert found[3][0].startswith("cluster_")


def test_a_fit_looks_at_those_alone_who_answered_everything(tmp_path: Path) -> None:
    columns, _ = answers_of_groups()
    scheme = a_scheme(tmp_path, flags(8))
    answered = fitted(a_table(**columns), scheme)
    silent = pa.table({"customer_id": ["s1", "s2"], **{name: pa.array([None, True]) for name in flags(8)}})
    silent = silent.set_column(1, "q1", pa.array([None, None], pa.bool_()))
    model = fitted(pa.concat_tables([a_table(**columns), silent]), scheme)
    assert (model.clusters, model.customer_count) == (answered.clusters, 600)


def test_a_question_that_was_asked_of_nobody_is_left_out(tmp_path: Path) -> None:
    columns, _ = answers_of_groups()
    columns["q9"] = pa.nulls(600, pa.bool_())
    scheme = a_scheme(tmp_path, flags(9))
    model = fitted(a_table(**columns), scheme)
    assert model.unknown_features == ("q9",)
    assert {segment for segment, _ in assigned(a_table(**columns), scheme, model)} == {cluster.id for cluster in model.clusters}


def test_the_attribute_that_most_lack_is_named_where_too_few_are_left(tmp_path: Path) -> None:
    columns, _ = answers_of_groups(100)
    columns["q2"] = pa.array([True] * 12 + [None] * 88)
    model = fit_model(a_table(**columns), a_scheme(tmp_path, flags(8)), day=DAY)
    assert isinstance(model, NotFitted)
    assert model.reason == "too few customers: 2 clusters need 20 of whom all attributes are known; `q2` is not known of 88 of 100"


def test_customers_without_orders_are_clustered_by_their_answers(tmp_path: Path) -> None:
    columns, _ = answers_of_groups()
    scheme = a_scheme(tmp_path, flags(8))
    table = a_table(**columns, order_day_count=pa.array([0, None, 3] * 200, pa.int64()))
    assert all(segment.startswith("cluster_") for segment, _ in assigned(table, scheme, fitted(table, scheme)))


def test_features_beside_attributes_ask_for_an_order_in_the_window(tmp_path: Path) -> None:
    columns, kind = answers_of_groups()
    spend = np.exp(np.array([3.0, 5.0, 7.0])[kind] + np.random.default_rng(5).normal(0, 0.4, 600))
    orders = np.where(np.arange(600) % 10 == 0, 0, 3)
    scheme = a_scheme(tmp_path, flags(8), '[[features]]\nname = "spend_amount"\ntransform = "log1p"\n')
    table = a_table(**columns, spend_amount=spend, order_day_count=pa.array(orders, pa.int64()))
    model = fitted(table, scheme)
    assert model.customer_count == 540
    found = assigned(table, scheme, model)
    assert {evidence for (_, evidence), count in zip(found, orders, strict=True) if not count} == {"no order in the window"}
    assert {segment for (segment, _), count in zip(found, orders, strict=True) if not count} == {"unclustered"}
    assert adjusted_rand_score(kind[orders > 0], nearest_clusters(table.filter(pa.array(orders > 0)), model)) > 0.9


@pytest.mark.parametrize(
    ("columns", "kinds", "reason"),
    [
        (
            {"city": [f"city {number}" for number in range(200)], "q1": [True, False] * 100},
            {"city": Kind.TEXT, "q1": Kind.FLAG},
            (
                "not computed: `city` has 200 different texts; clusters take at most 12 that 1% of customers and 10 have, "
                "and 20% of customers with others"
            ),
        ),
        (
            {"region": ["north", "south", "west", "east"] * 50},
            {"region": Kind.TEXT},
            (
                'region alone has a few values, and each is a group by itself: a scheme of kind = "values" makes segments of them, '
                "clusters need another attribute"
            ),
        ),
        (
            {"q1": [True, False] * 100, "q2": [True] * 100 + [False] * 100},
            {"q1": Kind.FLAG, "q2": Kind.FLAG},
            None,  # four kinds are room for two clusters, and independent coins have none
        ),
        ({"q1": [True] * 199 + [False], "q2": [True] * 200}, flags(2), "every customer looks the same: no feature varies"),
        (
            {"q1": [True, False] * 100, "q2": [True, False] * 100},
            flags(2),
            "too few kinds of customers: fewer than 4 differ in any feature",
        ),
    ],
)
def test_where_attributes_hold_no_groups_the_reason_is_said(
    tmp_path: Path, columns: Mapping[str, Any], kinds: Mapping[str, Kind], reason: str | None
) -> None:
    model = fit_model(a_table(**columns), a_scheme(tmp_path, kinds), day=DAY)
    assert isinstance(model, NotFitted)
    assert model.reason == reason or (reason is None and model.reason.startswith("no clusters"))


def test_a_model_of_attributes_is_read_as_it_was_written(tmp_path: Path) -> None:
    columns, _ = answers_of_groups()
    columns["region"] = ["north, by the sea", "south (far)"] * 300
    model = fitted(a_table(**columns), a_scheme(tmp_path, {**flags(8), "region": Kind.TEXT}))
    assert model_from_json(to_json(model), where="here") == model


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('"name": "q1"', '"name": "q1; DROP TABLE x"', "`features[0].name`"),
        ('"encoding": "flag"', '"encoding": "flagg"', "`features[0].encoding` is `flagg` (did you mean `flag`?)"),
        ('"fill": null', '"fill": 0.0', "`features[0].encoding`"),
        ('"value": ""', '"value": "yes"', "`features[0].value` is for texts"),
        ('"encoding": "flag"', '"encoding": "text"', "`features[0].value` must be a printable text"),
    ],
)
def test_a_damaged_model_of_attributes_is_refused_with_the_field(tmp_path: Path, old: str, new: str, message: str) -> None:
    columns, _ = answers_of_groups()
    text = to_json(fitted(a_table(**columns), a_scheme(tmp_path, flags(8))))
    with pytest.raises(DataError, match="not a cluster model") as refusal:
        model_from_json(text.replace(old, new, 1), where="here")
    assert message in refusal.value.what


def test_titles_tell_texts_and_are_translated(tmp_path: Path) -> None:
    more = """
[[attributes]]
name = "region"
high = { en = "mostly from {value}", de = "meist aus {value}" }
[[attributes]]
name = "diet"
high = { en = "eats mostly {value}", de = "isst meist {value}" }
[[attributes]]
name = "sport"
"""
    random = np.random.default_rng(6)
    kind = random.integers(0, 3, 600)

    def of_kind(values: Sequence[str]) -> list[str]:
        return np.where(random.random(600) < 0.85, np.array(values)[kind], random.choice(values, 600)).tolist()

    table = a_table(
        region=of_kind(["north, coast", "south (hills)", "west"]),
        diet=of_kind(["fish", "meat", "plants"]),
        sport=of_kind(["sailing", "hiking", "chess"]),
    )
    scheme = a_scheme(tmp_path, dict.fromkeys(("region", "diet", "sport"), Kind.TEXT), more)
    model = fitted(table, scheme)
    titles = sorted(cluster.title for cluster in model.clusters)
    assert len(titles) == 3
    [fish] = [title for title in titles if "fish" in title.lower()]
    parts = set((fish[0].lower() + fish[1:]).split(", "))
    assert parts == {"mostly from north; coast", "eats mostly fish", "sport mostly sailing"}
    german = translated_title(fish, scheme.features, "de").lower()
    assert set(german.split(", ")) == {"meist aus north; coast", "isst meist fish", "sport mostly sailing"}


def test_answers_that_change_are_a_drift_and_it_is_told_by_the_name_of_the_attribute_alone(tmp_path: Path) -> None:
    columns, _ = answers_of_groups()
    columns["region"] = ["north", "south"] * 300
    scheme = a_scheme(tmp_path, {**flags(8), "region": Kind.TEXT})
    model = fitted(a_table(**columns), scheme)
    same = {drift.subject: drift for drift in measure_drifts(a_table(**columns), model, scheme) if drift.measure == "feature"}
    assert set(same) == {*flags(8), "region"}
    assert all(drift.measured == pytest.approx(0, abs=1e-6) for drift in same.values())
    columns["region"] = ["north"] * 540 + ["south"] * 60
    columns["q1"] = pa.array([True] * 600)
    moved = {drift.subject: drift for drift in measure_drifts(a_table(**columns), model, scheme) if drift.measure == "feature"}
    # (0.9 - 0.5) ln(0.9 / 0.5) + (0.1 - 0.5) ln(0.1 / 0.5)
    assert moved["region"].measured == pytest.approx(0.878890, abs=1e-4)
    assert moved["region"].is_beyond
    assert moved["q1"].is_beyond
    assert not moved["q2"].is_beyond
    assert not any("north" in drift.words for drift in moved.values())


def test_who_lacks_an_answer_of_an_older_model_is_compared_by_the_others(tmp_path: Path) -> None:
    columns, kind = answers_of_groups()
    scheme = a_scheme(tmp_path, flags(8))
    model = fitted(a_table(**columns), scheme)
    without = a_table(**{name: column for name, column in columns.items() if name != "q8"})
    points = feature_coordinates(without, model.features)
    assert (points[:, -1] == 0).all()
    assert adjusted_rand_score(kind, nearest_clusters(without, model)) > 0.85
    of_another_kind = a_table(**{**columns, "q8": ["yes"] * 600})
    assert (feature_coordinates(of_another_kind, model.features) == points).all()

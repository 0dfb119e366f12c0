from __future__ import annotations

import sys
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pytest
from sklearn.cluster import KMeans
from sklearn.metrics import adjusted_rand_score
from support.builders import a_company
from support.cluster_models import a_cluster_model

from pipeline.definitions.company import PROJECT_ROOT
from pipeline.definitions.schemes import ClusterScheme, load_cluster_schemes
from pipeline.errors import ConfigError, DataError, SchemaDrift
from pipeline.models.clusters import (
    Cluster,
    ClusterModel,
    ModelFeature,
    NotFitted,
    assignment_statement,
    cluster_titles,
    fit_model,
)

DAY = date(2024, 3, 31)
DEFAULT_FILE = PROJECT_ROOT / "segments" / "behaviour_clusters.toml"

# What a customer of each planted group is like: spend, order-days, days since, days known, categories, discount share.
PLANTED = {
    "regulars": (900, 24, 8, 340, 8, 0.1),
    "bargain hunters": (150, 6, 60, 300, 4, 0.9),
    "newcomers": (60, 1, 12, 14, 1, 0.1),
    "sleepers": (80, 2, 320, 350, 1, 0.1),
}


def default_scheme(**changes: Any) -> ClusterScheme:
    (scheme,) = load_cluster_schemes(a_company(Path("no such folder")))
    return replace(scheme, **changes)


def planted(customers: int, *, seed: int = 1) -> tuple[pa.Table, np.ndarray]:
    """Return features around the planted groups, of unequal sizes, and the group of each customer."""
    random = np.random.default_rng(seed)
    group = random.choice(len(PLANTED), customers, p=(0.15, 0.2, 0.25, 0.4))
    spend, orders, recency, tenure, categories, discount = np.array(list(PLANTED.values()))[group].T
    noise = np.exp(random.normal(0, 0.15, (5, customers)))
    table = pa.table(
        {
            "customer_id": [f"c{number:06}" for number in range(customers)],
            "order_day_count": pa.array(np.maximum(1, np.round(orders * noise[0])), pa.int64()),
            "spend_amount": pa.array(np.round(spend * noise[1], 2)).cast(pa.decimal128(18, 4)),
            "recency_days": pa.array(np.round(recency * noise[2]), pa.int64()),
            "tenure_days": pa.array(np.round(tenure * noise[3]), pa.int64()),
            "category_count": pa.array(np.maximum(1, np.round(categories * noise[4])), pa.int64()),
            "discount_share": pa.array(np.clip(discount + random.normal(0, 0.03, customers), 0, 1)),
            "return_share": pa.array(np.zeros(customers)),
        }
    )
    return table, group


def with_column(table: pa.Table, name: str, values: Any) -> pa.Table:
    return table.set_column(table.column_names.index(name), name, values)


def fitted(features: pa.Table, scheme: ClusterScheme) -> ClusterModel:
    model = fit_model(features, scheme, day=DAY)
    assert isinstance(model, ClusterModel), model
    return model


def assigned(features: pa.Table, scheme: ClusterScheme, model: ClusterModel | NotFitted) -> list[dict[str, Any]]:
    """Run the statement and return its rows in order of customer."""
    with duckdb.connect() as connection:
        connection.register("customer_features", features)
        rows = connection.sql(assignment_statement(scheme, model).sql("duckdb")).to_arrow_table()
    return rows.sort_by("customer_id").to_pylist()


def estimated(features: pa.Table, model: ClusterModel) -> list[str]:
    """Return the cluster of each customer by scikit-learn's own predict, in order of customer."""
    rows = features.sort_by("customer_id")
    columns = []
    for feature in model.features:
        values = rows[feature.name].cast(pa.float64()).fill_null(feature.fill).to_numpy()
        values = np.log1p(np.maximum(values, 0)) if feature.transform == "log1p" else values
        columns.append((np.clip(values, feature.low, feature.high) - feature.mean) / feature.scale)
    points = np.column_stack(columns)
    started = KMeans(len(model.clusters), n_init=10, random_state=model.seed).fit(points).cluster_centers_
    estimator = KMeans(len(model.clusters), init=started, n_init=1, tol=0, max_iter=3_000).fit(points)
    centres = np.array([cluster.centroid for cluster in model.clusters])
    distances = np.abs(estimator.cluster_centers_[:, None] - centres[None]).max(axis=2)
    assert distances.min(axis=1).max() < 1e-5
    return [model.clusters[place].id for place in distances.argmin(axis=1)[estimator.predict(points)]]


@pytest.fixture(scope="module")
def planted_model() -> ClusterModel:
    return fitted(planted(2_000)[0], default_scheme())


def line_model(*centres: float, ids: tuple[str, ...] = ("cluster_1", "cluster_2")) -> ClusterModel:
    """Return a model of `recency_days` as it stands, with centres on a line from 0 to 100."""
    feature = ModelFeature("recency_days", "none", 0.0, 0.0, 100.0, 0.0, 1.0)
    clusters = tuple(Cluster(name, f"Title {name}", 5, 0.9, (centre,)) for name, centre in zip(ids, centres, strict=True))
    return a_cluster_model(DAY, (feature,), clusters, customers=10)


def on_the_line(*recencies: int | None, orders: int = 1) -> pa.Table:
    return pa.table(
        {
            "customer_id": [f"c{place}" for place in range(len(recencies))],
            "order_day_count": pa.array([orders] * len(recencies), pa.int64()),
            "recency_days": pa.array(recencies, pa.int64()),
        }
    )


@pytest.mark.parametrize("customers", [400, 20_000])
def test_planted_groups_are_found_again(customers: int) -> None:
    features, group = planted(customers)
    scheme = default_scheme()
    model = fitted(features, scheme)
    labels = [row["segment"] for row in assigned(features, scheme, model)]
    assert len(model.clusters) == len(PLANTED)
    assert adjusted_rand_score(group, labels) > 0.95
    assert sorted(cluster.size for cluster in model.clusters) == sorted(np.bincount(group).tolist())


def test_titles_say_what_sets_each_cluster_apart(planted_model: ClusterModel) -> None:
    assert dict(cluster_titles(planted_model)) == {
        "cluster_1": "High spend, recently seen, long known",
        "cluster_2": "Discounted",
        "cluster_3": "Not seen lately, long known, full price",
        "cluster_4": "New, infrequent, recently seen",
    }


def test_clusters_are_numbered_by_their_first_feature_largest_first(planted_model: ClusterModel) -> None:
    assert planted_model.features[0].name == "spend_amount"
    first = [cluster.centroid[0] for cluster in planted_model.clusters]
    assert first == sorted(first, reverse=True)
    assert [cluster.id for cluster in planted_model.clusters] == [f"cluster_{number}" for number in range(1, 5)]


def test_a_model_keeps_what_it_was_judged_by(planted_model: ClusterModel) -> None:
    assert (planted_model.customer_count, sum(cluster.size for cluster in planted_model.clusters)) == (2_000, 2_000)
    assert 0.5 < planted_model.silhouette <= 1
    assert planted_model.smallest_share >= 0.03
    assert all(cluster.jaccard >= 0.75 for cluster in planted_model.clusters)
    assert planted_model.library.startswith("scikit-learn ")


def test_other_rows_or_another_definition_give_another_digest() -> None:
    features, _ = planted(400)
    other = with_column(features, "tenure_days", pa.array(np.arange(400)))
    models = [fitted(features, default_scheme()), fitted(other, default_scheme()), fitted(features, default_scheme(seed=1))]
    assert len({model.inputs_digest for model in models}) == 3


def test_a_feature_that_is_the_same_for_everyone_is_left_out_and_named(planted_model: ClusterModel) -> None:
    assert planted_model.constant_features == ("return_share",)
    assert "return_share" not in {feature.name for feature in planted_model.features}


def test_a_feature_that_is_the_same_for_nearly_everyone_is_left_out_too() -> None:
    features, _ = planted(2_000)
    few = with_column(features, "discount_share", pa.array([0.4 if number % 33 == 0 else 0.0 for number in range(2_000)]))
    assert fitted(few, default_scheme()).constant_features == ("discount_share", "return_share")


def test_the_statement_gives_the_labels_of_the_fitted_estimator() -> None:
    features, _ = planted(6_000)
    noisy = with_column(
        features, "spend_amount", pa.array(np.random.default_rng(3).lognormal(4, 2, 6_000)).cast(pa.decimal128(18, 4), safe=False)
    )
    model = fitted(noisy, default_scheme())
    rows = assigned(noisy, default_scheme(), model)
    assert sum(row["segment"] != label for row, label in zip(rows, estimated(noisy, model), strict=True)) == 0


def test_cdnow_falls_into_stable_clusters_with_the_labels_of_the_fitted_estimator(shared_data: Path) -> None:
    file = shared_data / "cdnow" / "master.parquet"
    features = duckdb.sql(f"""
        SELECT customer_id, count(DISTINCT date) AS order_day_count, sum(value_usd)::DECIMAL(18, 4) AS spend_amount,
          datediff('day', max(day), DATE '1997-12-31') AS recency_days, datediff('day', min(day), DATE '1997-12-31') AS tenure_days,
          1 AS category_count, 0.0::DOUBLE AS discount_share, 0.0::DOUBLE AS return_share
        FROM (SELECT *, strptime(date, '%Y%m%d')::DATE AS day FROM '{file}') WHERE day <= DATE '1997-12-31' GROUP BY customer_id
    """).to_arrow_table()
    scheme = default_scheme()
    model = fitted(features, scheme)
    rows = assigned(features, scheme, model)
    assert len(rows) == 23_570
    assert sum(row["segment"] != label for row, label in zip(rows, estimated(features, model), strict=True)) == 0
    assert [cluster.title for cluster in model.clusters] == [
        "Frequent, high spend, recently seen",
        "Long known, recently seen, high spend",
        "Recently seen, new, frequent",
        "Long known, not seen lately, infrequent",
        "New, infrequent, low spend",
    ]
    assert model.smallest_share > 0.08
    assert min(cluster.jaccard for cluster in model.clusters) > 0.8


def test_a_customer_without_an_order_in_the_window_is_unclustered() -> None:
    features = pa.concat_tables([on_the_line(5), on_the_line(5, None, orders=0).set_column(0, "customer_id", pa.array(["x", "y"]))])
    rows = assigned(features, default_scheme(), line_model(0.0, 10.0))
    assert [(row["customer_id"], row["segment"]) for row in rows] == [("c0", "cluster_1"), ("x", "unclustered"), ("y", "unclustered")]
    assert {row["evidence"] for row in rows[1:]} == {"no order in the window"}


def test_customers_outside_the_population_do_not_change_the_model() -> None:
    features, _ = planted(1_000)
    outside = with_column(with_column(features, "order_day_count", pa.array([0] * 1_000)), "spend_amount", features["spend_amount"])
    outside = with_column(outside, "customer_id", pa.array([f"p{number}" for number in range(1_000)]))
    assert fitted(pa.concat_tables([features, outside]), default_scheme()) == fitted(features, default_scheme())


def test_without_a_model_everyone_is_unclustered_for_the_reason() -> None:
    rows = assigned(on_the_line(1, 2, None), default_scheme(), NotFitted("it's too early"))
    assert len(rows) == 3
    assert {(row["scheme"], row["segment"], row["evidence"]) for row in rows} == {("behaviour_clusters", "unclustered", "it's too early")}


def test_a_tie_goes_to_the_lowest_number_whatever_the_order_in_the_document() -> None:
    for model in (line_model(0.0, 10.0), line_model(0.0, 10.0, ids=("cluster_10", "cluster_9"))):
        lowest = min(model.clusters, key=lambda cluster: cluster.number)
        assert assigned(on_the_line(5), default_scheme(), model)[0]["segment"] == lowest.id


def test_the_evidence_says_how_much_nearer_the_own_centre_is_than_the_next() -> None:
    rows = assigned(on_the_line(0, 33, 34, 44, 45, 67, 100), default_scheme(), line_model(0.0, 100.0))
    assert [row["evidence"].removeprefix("margin=") for row in rows] == ["high", "high", "medium", "medium", "low", "high", "high"]


def test_values_beyond_the_limits_count_as_the_limits() -> None:
    far, near = assigned(on_the_line(1_000_000, 100), default_scheme(), line_model(0.0, 100.0))
    assert (far["segment"], far["evidence"]) == (near["segment"], near["evidence"]) == ("cluster_2", "margin=high")


def test_an_empty_cell_counts_as_the_declared_fill() -> None:
    model = line_model(0.0, 100.0)
    filled = replace(model, features=(replace(model.features[0], fill=90.0),))
    assert assigned(on_the_line(None), default_scheme(), model)[0]["segment"] == "cluster_1"
    assert assigned(on_the_line(None), default_scheme(), filled)[0]["segment"] == "cluster_2"


def test_negative_spend_counts_as_none() -> None:
    features, _ = planted(1_000)
    scheme = default_scheme()
    model = fitted(features, scheme)
    spends = [with_column(features, "spend_amount", pa.array([amount] * 1_000)) for amount in (-500.0, 0.0)]
    assert assigned(spends[0], scheme, model) == assigned(spends[1], scheme, model)


def test_the_model_of_another_scheme_is_refused() -> None:
    with pytest.raises(DataError, match="fitted for the scheme `behaviour_clusters`"):
        assignment_statement(default_scheme(name="other"), line_model(0.0, 1.0))


def test_a_missing_column_is_schema_drift() -> None:
    with pytest.raises(SchemaDrift, match="lacks tenure_days"):
        fit_model(planted(100)[0].drop_columns("tenure_days"), default_scheme(), day=DAY)


def all_equal() -> pa.Table:
    features, _ = planted(500)
    return features.take([0] * 500).set_column(0, "customer_id", features["customer_id"])


def two_kinds() -> pa.Table:
    features, _ = planted(500)
    return features.take([0, 1] * 250).set_column(0, "customer_id", features["customer_id"])


def one_blob() -> pa.Table:
    """Return customers who differ at random in the shares alone, two small groups of them by far."""
    features, _ = planted(500)
    features = all_equal().set_column(0, "customer_id", features["customer_id"])
    return with_column(features, "discount_share", pa.array([0.5] * 472 + [0.9] * 14 + [0.1] * 14))


NOTHING_TO_FIT = {
    "nobody at all": (lambda: planted(500)[0].slice(0, 0), "too few customers: 3 clusters need 30 with an order in the window"),
    "too few customers": (lambda: planted(29)[0], "too few customers"),
    "prospects only": (lambda: with_column(planted(500)[0], "order_day_count", pa.array([0] * 500)), "too few customers"),
    "everyone alike": (all_equal, "every customer looks the same: no feature varies"),
    "two kinds only": (two_kinds, "too few kinds of customers: fewer than 3 differ"),
    "not a number": (lambda: with_column(planted(500)[0], "return_share", pa.array([float("nan")] * 500)), "return_share has values"),
    "infinity": (lambda: with_column(planted(500)[0], "return_share", pa.array([0.1] * 499 + [float("inf")])), "return_share has values"),
    "absurd": (lambda: with_column(planted(500)[0], "return_share", pa.array([0.1] * 499 + [1e308])), "return_share has values"),
    "tiny groups": (one_blob, "no clusters"),
}


@pytest.mark.parametrize("case", NOTHING_TO_FIT)
def test_data_without_clusters_gives_a_reason_and_no_error(case: str) -> None:
    features, reason = NOTHING_TO_FIT[case]
    found = fit_model(features(), default_scheme(), day=DAY)
    assert isinstance(found, NotFitted)
    assert found.reason.startswith(reason)


def test_a_shop_of_too_few_customers_waits_for_no_library_to_load(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sklearn", None)  # as if it were not installed
    found = fit_model(planted(20)[0], default_scheme(), day=DAY)
    assert isinstance(found, NotFitted)
    assert found.reason.startswith("too few customers")


def test_a_feature_that_nobody_has_is_left_out_by_name_and_without_any_other_nothing_is_fitted() -> None:
    features = with_column(planted(500)[0], "discount_share", pa.nulls(500, pa.float64()))
    found = fit_model(features, default_scheme(), day=DAY)
    assert isinstance(found, ClusterModel)
    assert found.unknown_features == ("discount_share",)
    assert "discount_share" not in [feature.name for feature in found.features]
    alone = tuple(feature for feature in default_scheme().features if feature.name == "discount_share")
    reason = "not computed: needs discount_amount, of which nobody has any"
    assert fit_model(features, default_scheme(features=alone), day=DAY) == NotFitted(reason)


def test_clusters_that_are_not_stable_enough_are_not_kept() -> None:
    found = fit_model(planted(500)[0], default_scheme(jaccard_floor=1.0, cluster_count_min=6), day=DAY)
    assert found == NotFitted(
        "no clusters: with 6 to 8 of them, one always holds under 3.0% of customers, or has a bootstrap Jaccard under 1, or "
        "customers are no more alike in them than in data without structure"
    )


def test_a_larger_population_is_sampled_by_a_hash_of_the_id() -> None:
    features, group = planted(5_000)
    scheme = default_scheme(sample_rows=1_000)
    model = fitted(features, scheme)
    assert (model.customer_count, sum(cluster.size for cluster in model.clusters)) == (5_000, 1_000)
    labels = [row["segment"] for row in assigned(features, scheme, model)]
    assert adjusted_rand_score(group, labels) > 0.95


def test_the_default_scheme_reads_each_column_once() -> None:
    scheme = default_scheme()
    assert (scheme.name, scheme.level) == ("behaviour_clusters", "behavioural")
    assert len(set(scheme.columns)) == len(scheme.columns)
    assert {"order_day_count", *(feature.name for feature in scheme.features)} == set(scheme.columns)


def test_a_company_replaces_our_scheme_by_a_file_of_the_same_name(tmp_path: Path) -> None:
    write_scheme(tmp_path, DEFAULT_FILE.read_text("utf-8").replace("cluster_count_max = 8", "cluster_count_max = 5"))
    (scheme,) = load_cluster_schemes(a_company(tmp_path))
    assert scheme.cluster_count_max == 5


def test_definitions_of_another_kind_are_left_to_others(tmp_path: Path) -> None:
    write_scheme(tmp_path, 'kind = "rules"\n', name="value_tiers")
    assert [scheme.name for scheme in load_cluster_schemes(a_company(tmp_path))] == ["behaviour_clusters"]


def test_a_feature_without_words_gets_them_from_its_name(tmp_path: Path) -> None:
    write_scheme(tmp_path, DEFAULT_FILE.read_text("utf-8").replace("high =", "#").replace("low =", "#"))
    (scheme,) = load_cluster_schemes(a_company(tmp_path))
    assert (scheme.features[0].high, scheme.features[0].low, scheme.features[0].fill) == ("high spend amount", "low spend amount", 0.0)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("smallest_share = 0.03", "smalest_share = 0.03", "`smallest_share` is missing"),
        ("seed = 20240101", "seed = 20240101\njacard_floor = 1", "`jacard_floor` is not a known field (did you mean `jaccard_floor`?)"),
        ('level = "behavioural"', 'level = "behavioral"', "`level` is `behavioral` (did you mean `behavioural`?)"),
        ('name = "tenure_days"', 'name = "tenure_day"', "no numeric column of customer_features (did you mean `tenure_days`?)"),
        ('name = "tenure_days"', 'name = "main_channel"', "`features[3].name` is `main_channel`, which is no numeric column"),
        ('name = "tenure_days"', 'name = "recency_days"', "`features` names a column twice"),
        ('transform = "none"', 'transform = "log"', "`features[2].transform` is `log` (did you mean `log1p`?)"),
        ('low = "new"', 'lo = "new"', "`features[3].lo` is not a known field (did you mean `low`?)"),
        ("cluster_count_max = 8", "cluster_count_max = 2", "`cluster_count_max` must be a whole number from 3 to 20"),
        ("cluster_count_min = 3", "cluster_count_min = true", "`cluster_count_min` must be a whole number"),
        ("jaccard_floor = 0.75", "jaccard_floor = nan", "`jaccard_floor` must be a number from 0 to 1"),
        ("sample_rows = 100_000", "sample_rows = 5", "`sample_rows` must be a whole number from 1000"),
        ('title = "Behaviour clusters"', 'title = ""', "`title` must be a printable text"),
        ('title = "Behaviour clusters"', 'title.en = ""', "`title.en` must be a printable text"),
        ('kind = "clusters"', 'kind = "clusters', "not valid TOML"),
    ],
)
def test_a_wrong_definition_is_refused_with_file_and_field(tmp_path: Path, old: str, new: str, message: str) -> None:
    file = write_scheme(tmp_path, DEFAULT_FILE.read_text("utf-8").replace(old, new, 1))
    with pytest.raises(ConfigError) as refusal:
        load_cluster_schemes(a_company(tmp_path))
    assert message in refusal.value.what
    # A name that is wrong points at its line.
    text = file.read_text("utf-8")
    line = f":{text.count(chr(10), 0, text.rindex(new)) + 1}" if new.startswith("name") else ""
    assert refusal.value.where == f"{file}{line}"


def test_a_scheme_is_named_like_a_column(tmp_path: Path) -> None:
    write_scheme(tmp_path, DEFAULT_FILE.read_text("utf-8"), name="Our clusters")
    with pytest.raises(ConfigError, match="the file's name must be lower-case letters"):
        load_cluster_schemes(a_company(tmp_path))


def test_customers_of_one_lifecycle_stage_are_clustered_by_themselves(tmp_path: Path) -> None:
    text = DEFAULT_FILE.read_text("utf-8")
    write_scheme(
        tmp_path, text.replace('level = "behavioural"', 'level = "behavioural"\nwithin = "rfm.champions"', 1), name="best_clusters"
    )
    scheme = next(scheme for scheme in load_cluster_schemes(a_company(tmp_path)) if scheme.name == "best_clusters")
    assert {"r_score", "fm_score"} <= scheme.member_columns
    customers = on_the_line(5, 5, 5, None).append_column("is_prospect", pa.array([False] * 4))
    limits = {f"f_{score}_limit_count": 1 for score in range(2, 6)} | {f"m_{score}_limit_amount": 5 for score in range(2, 6)}
    figures = {"spend_amount": [5, 1, None, 5], **{name: [limit] * 4 for name, limit in limits.items()}}
    for name in scheme.member_columns - set(customers.column_names):
        customers = customers.append_column(name, pa.array(figures.get(name, [None] * 4), pa.int64()))
    rows = assigned(customers, scheme, replace(line_model(0.0, 10.0), scheme="best_clusters"))
    assert [row["segment"] for row in rows[:3]] == ["cluster_1", "unclustered", "unclustered"]
    assert rows[1]["evidence"] == "no order in the window, or not in rfm.champions"


def test_a_stage_that_no_scheme_has_is_refused(tmp_path: Path) -> None:
    text = DEFAULT_FILE.read_text("utf-8")
    write_scheme(tmp_path, text.replace('level = "behavioural"', 'level = "behavioural"\nwithin = "lifecycle.activ"', 1))
    with pytest.raises(ConfigError, match=r"did you mean `lifecycle\.active`"):
        load_cluster_schemes(a_company(tmp_path))


def write_scheme(folder: Path, text: str, *, name: str = "behaviour_clusters") -> Path:
    file = folder / "segments" / f"{name}.toml"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, "utf-8")
    return file

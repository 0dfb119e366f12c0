"""Refits: clusters keep their ids and titles, a candidate is judged beside the current model, a stored night never changes."""

from __future__ import annotations

import json
import shutil
from contextlib import closing
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from sklearn.metrics import adjusted_rand_score
from support.builders import an_order_line, write_order_lines, write_rows
from support.nights import write_shop
from support.refit_nights import customers_of, make_live, noise_of, only_clusters, refit_night, scheme_of, segment_night, write_features
from typer.testing import CliRunner

from pipeline.cli import app
from pipeline.definitions.company import Company
from pipeline.definitions.schemes import ClusterFeature
from pipeline.errors import ConfigError, DataError, RefitRefused
from pipeline.features import compute_rollups
from pipeline.lake import addresses
from pipeline.lake.engines.duckdb import DuckDBEngine
from pipeline.lake.lake import Lake
from pipeline.lake.tables import CUSTOMER_FEATURES, CUSTOMER_MERGES, CUSTOMER_SEGMENTS
from pipeline.models.clusters import Cluster, ClusterModel, ModelFeature, NotFitted, fit_model, fit_with_report, sample_prefix, to_json
from pipeline.models.clusters.preparation import prepare_sample
from pipeline.models.clusters.titles import lasting_titles
from pipeline.models.refits import alignment
from pipeline.models.refits.alignment import ClusterChange
from pipeline.models.refits.candidate import ClusterRefit
from pipeline.models.refits.model_store import current_model, model_at, next_night, stored_judgement, stored_models
from pipeline.models.refits.promotion import PromotionConsent, promote_candidate, store_refit
from pipeline.models.refits.verdict import Backtest, RefitMeasures, RefitVerdict, normalised_gini, verdict
from pipeline.models.sample import sample_customers
from pipeline.reporting.plan import plan_model

DAY = date(2024, 3, 31)
MONTH = timedelta(days=30)
LATER = DAY + MONTH
FOUR = ("regulars", "bargain hunters", "newcomers", "sleepers")
FIVE = (*FOUR, "collectors")
NAME = "behaviour_clusters"
Town = tuple[Company, Lake]


@pytest.fixture(scope="module")
def settled(tmp_path_factory: pytest.TempPathFactory) -> Town:
    """Return a lake of one night, segmented by its first model."""
    folder = tmp_path_factory.mktemp("town")
    company, lake = only_clusters(folder / "company"), Lake(folder / "lake")
    write_features(lake, company, customers_of(*FOUR), DAY)
    segment_night(lake, company, DAY)
    return company, lake


@pytest.fixture
def town(settled: Town, tmp_path: Path) -> Town:
    shutil.copytree(settled[1].root, tmp_path / "lake")
    return settled[0], Lake(tmp_path / "lake")


@pytest.fixture(scope="module")
def judged(settled: Town, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, ClusterRefit]:
    """Return a lake with five kinds of customers a month later, and what a refit to them finds, which is not stored."""
    lake = Lake(Path(shutil.copytree(settled[1].root, tmp_path_factory.mktemp("judged") / "lake")))
    write_features(lake, settled[0], customers_of(*FIVE), LATER)
    return lake.root, refit_night(lake, settled[0], LATER)


@pytest.fixture
def grown(settled: Town, judged: tuple[Path, ClusterRefit], tmp_path: Path) -> tuple[Company, Lake, ClusterRefit]:
    return settled[0], Lake(Path(shutil.copytree(judged[0], tmp_path / "grown"))), judged[1]


def promoted(lake: Lake, company: Company, day: date) -> ClusterModel:
    store_refit(lake, refit_night(lake, company, day))
    return promote_candidate(lake, NAME, day)


def test_a_refit_on_the_same_customers_moves_nobody_and_keeps_the_model(town: Town) -> None:
    company, lake = town
    before = current_model(lake, NAME)
    refit = refit_night(lake, company, DAY)
    assert (refit.verdict, refit.measures and refit.measures.moved_share, refit.events) == (RefitVerdict.KEEP, 0.0, ())
    assert refit.candidate == before
    assert refit.measures is not None
    assert refit.measures.stability == 1
    store_refit(lake, refit)
    assert promote_candidate(lake, NAME, DAY) == before
    assert len(list((lake.root / "models" / NAME).iterdir())) == 1


def test_a_promoted_model_is_valid_from_the_next_night_and_no_stored_night_changes(town: Town) -> None:
    company, lake = town
    write_features(lake, company, customers_of(*FIVE, seed=3), LATER)
    segment_night(lake, company, LATER)
    stored = {day: lake.path(CUSTOMER_SEGMENTS, day=day).read_bytes() for day in (DAY, LATER)}
    model = promoted(lake, company, LATER)
    assert model.first_night == LATER + timedelta(days=1) == next_night(lake, DAY)
    for day, before in stored.items():
        segment_night(lake, company, day)
        assert lake.path(CUSTOMER_SEGMENTS, day=day).read_bytes() == before
    write_features(lake, company, customers_of(*FIVE, seed=3), model.first_night)
    assert set(segment_night(lake, company, model.first_night).values()) == {cluster.id for cluster in model.clusters}


def test_a_new_kind_of_customer_gets_an_id_that_none_ever_had_and_the_others_keep_theirs(grown: tuple[Company, Lake, ClusterRefit]) -> None:
    company, lake, refit = grown
    before = segment_night(lake, company, DAY)
    assert refit.verdict is RefitVerdict.PROMOTE
    assert [event.cluster for event in refit.events if event.change in (ClusterChange.BIRTH, ClusterChange.SPLIT)] == ["cluster_5"]
    store_refit(lake, refit)
    model = promote_candidate(lake, NAME, LATER)
    write_features(lake, company, customers_of(*FIVE), model.first_night)
    after = segment_night(lake, company, model.first_night)
    assert all(after[customer] == cluster for customer, cluster in before.items())
    assert {after[f"c{number:05}"] for number in range(600, 750)} == {"cluster_5"}


def test_an_id_that_died_is_never_given_again(town: Town) -> None:
    company, lake = town
    ids = []
    for place, kinds in enumerate((FIVE, FOUR, FIVE), 1):
        day = DAY + place * MONTH
        write_features(lake, company, customers_of(*kinds), day)
        ids.append({cluster.id for cluster in promoted(lake, company, day).clusters})
    [died] = ids[0] - ids[1]
    assert ids[2] - ids[1] == {"cluster_6"}
    assert died not in ids[2]


def test_a_cluster_that_is_no_more_is_told_of(town: Town) -> None:
    company, lake = town
    write_features(lake, company, customers_of("regulars", "bargain hunters", "newcomers"), LATER)
    refit = refit_night(lake, company, LATER)
    gone = [event for event in refit.events if event.change in (ClusterChange.DEATH, ClusterChange.MERGE)]
    assert len(gone) == 1
    assert "Not seen lately" in gone[0].words


def test_titles_outlive_a_refit_while_they_are_true(town: Town) -> None:
    company, lake = town
    titles = {cluster.id: cluster.title for cluster in current_model(lake, NAME).clusters}  # type: ignore[union-attr]
    write_features(lake, company, customers_of(*FOUR, seed=9), LATER)
    refit = refit_night(lake, company, LATER)
    assert refit.candidate is not None
    assert {cluster.id: cluster.title for cluster in refit.candidate.clusters} == titles


def test_a_candidate_that_moves_many_for_nothing_is_refused_and_the_current_model_stays(grown: tuple[Company, Lake, ClusterRefit]) -> None:
    _, lake, found = grown
    before = current_model(lake, NAME)
    refit = replace(found, verdict=RefitVerdict.REFUSE, reason="for the test")
    store_refit(lake, refit)
    with pytest.raises(RefitRefused, match="for the test"):
        promote_candidate(lake, NAME, LATER)
    assert current_model(lake, NAME) == before
    assert promote_candidate(lake, NAME, LATER, consent=PromotionConsent(override="the board wants it")).first_night == LATER + timedelta(
        days=1
    )
    recorded = json.loads((lake.root / "refits" / NAME / LATER.isoformat() / "promotion.json").read_text())
    assert (recorded["verdict"], recorded["override"]) == ("refuse", "the board wants it")


def test_a_candidate_that_moves_many_for_good_reason_waits_for_a_person(town: Town, tmp_path: Path) -> None:
    company, lake = town
    write_features(lake, company, customers_of(*FIVE), LATER)
    before = current_model(lake, NAME)
    refit = refit_night(lake, company, LATER, moved_share_limit=0.1)
    assert refit.verdict is RefitVerdict.ASK
    store_refit(lake, refit)
    with pytest.raises(RefitRefused, match="a person decides") as refused:
        promote_candidate(lake, NAME, LATER)
    assert f"To approve it: segments promote --day {LATER}" in refused.value.todo
    assert current_model(lake, NAME) == before
    shop = write_shop(tmp_path / "shop", [], customers=[])
    assert CliRunner().invoke(app, ["promote", "--day", str(LATER), "--company", str(shop), "--lake", str(lake.root)]).exit_code == 0
    assert stored_models(lake, NAME) == [str(DAY), str(LATER + timedelta(days=1))]


def measures(**changes: object) -> RefitMeasures:
    return replace(RefitMeasures(0.01, 0.98, 0.001, 0.4, 0.4), **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("found", "expected", "words"),
    [
        (measures(), RefitVerdict.PROMOTE, "1.0% of customers change their cluster"),
        (measures(moved_share=0.4), RefitVerdict.REFUSE, "40.0% of customers would change their cluster, over the limit of 25.0%"),
        (measures(moved_share=0.4, silhouette=0.5), RefitVerdict.ASK, "from 0.400 to 0.500: that may be worth it, but a person decides"),
        (
            measures(backtest=Backtest("2024-01-01", 90, 0.5, 0.45, 0.6)),
            RefitVerdict.REFUSE,
            "less well: Gini 0.450, 0.500 by the current model",
        ),
        (measures(backtest=Backtest("2024-01-01", 90, 0.5, 0.49, 0.6)), RefitVerdict.PROMOTE, "nothing gets worse"),
    ],
)
def test_the_verdict_follows_from_moves_and_backtest(town: Town, found: RefitMeasures, expected: RefitVerdict, words: str) -> None:
    said, reason = verdict(found, scheme_of(town[0]), is_same=False)
    assert said is expected
    assert words in reason


def test_noise_is_refused_and_not_made_into_clusters(town: Town) -> None:
    company, lake = town
    write_features(lake, company, noise_of(1_000), LATER)
    refit = refit_night(lake, company, LATER)
    assert refit.verdict is RefitVerdict.NO_CLUSTERS
    assert refit.reason.startswith("no clusters")
    assert all(trial.refusal for trial in refit.trials)
    store_refit(lake, refit)
    with pytest.raises(RefitRefused, match="no clusters"):
        promote_candidate(lake, NAME, LATER, consent=PromotionConsent(override="whatever"))


def test_a_first_night_of_noise_has_rules_only_and_says_why(tmp_path: Path) -> None:
    company, lake = only_clusters(tmp_path / "company"), Lake(tmp_path / "lake")
    write_features(lake, company, noise_of(400), DAY)
    assert set(segment_night(lake, company, DAY).values()) == {"unclustered"}
    rows = [row for row in lake.read(CUSTOMER_SEGMENTS, day=DAY).to_pylist() if row["scheme"] == NAME]
    assert {row["evidence"].partition(":")[0] for row in rows} == {"no clusters"}
    assert not list((lake.root / "models").rglob("*.json"))


def test_the_first_refit_of_all_is_promoted_where_no_night_had_a_model(tmp_path: Path) -> None:
    company, lake = only_clusters(tmp_path / "company"), Lake(tmp_path / "lake")
    write_features(lake, company, customers_of(*FOUR), DAY)
    model = promoted(lake, company, DAY)
    assert model.first_night == DAY + timedelta(days=1)
    assert model.last_number == 4


def test_one_huge_outlier_changes_nobodys_cluster() -> None:
    customers = customers_of(*FOUR)
    spend = customers["spend_amount"].to_pylist()
    column = pa.array([*spend[:-1], Decimal(99_999_999)], customers["spend_amount"].type)
    outlier = customers.set_column(2, "spend_amount", column)
    scheme = scheme_of(only_company())
    plain, odd = (fit_model(table, scheme, day=DAY) for table in (customers, outlier))
    assert isinstance(plain, ClusterModel)
    assert isinstance(odd, ClusterModel)
    assert [cluster.size for cluster in odd.clusters] == [cluster.size for cluster in plain.clusters]


def only_company() -> Company:
    from support.builders import a_company

    return a_company(Path("no such folder"))


@pytest.mark.parametrize("algorithm", ["gaussian-mixture", "hdbscan"])
def test_other_algorithms_find_the_same_kinds_and_are_applied_as_centres(algorithm: str) -> None:
    told = fit_with_report(customers_of(*FOUR), scheme_of(only_company(), algorithm=algorithm), day=DAY)
    assert isinstance(told.model, ClusterModel), told
    assert told.labels is not None
    assert told.model.algorithm == algorithm
    assert adjusted_rand_score(np.repeat(range(4), 150), told.labels) > 0.95


def test_groups_that_centres_cannot_tell_apart_are_refused() -> None:
    """A dense core within a wide ring: HDBSCAN sees two groups where a nearest centre sees none."""
    random = np.random.default_rng(4)
    angle = random.uniform(0, 2 * np.pi, 600)
    radius = np.where(np.arange(600) < 300, 0.05, 1.0)
    customers = customers_of("regulars", each=600)
    for name, values in (("recency_days", 500 + 400 * radius * np.cos(angle)), ("tenure_days", 500 + 400 * radius * np.sin(angle))):
        customers = customers.set_column(customers.column_names.index(name), name, [np.round(values).astype(np.int64)])
    plain = scheme_of(only_company())
    features = tuple(feature for feature in plain.features if feature.name in ("recency_days", "tenure_days"))
    told = fit_with_report(customers, replace(plain, features=features, algorithm="hdbscan", cluster_count_min=2), day=DAY)
    assert isinstance(told.model, NotFitted)
    assert any("nearest to the centre of the group" in trial.refusal for trial in told.trials)


def test_the_order_of_rows_does_not_change_a_byte_of_a_candidate(town: Town) -> None:
    current, customers = current_model(town[1], NAME), customers_of(*FIVE, seed=6)
    shuffled = customers.take(np.random.default_rng(3).permutation(customers.num_rows))
    one, other = (fit_with_report(rows, scheme_of(town[0]), day=LATER, current=current).model for rows in (customers, shuffled))
    assert isinstance(one, ClusterModel)
    assert isinstance(other, ClusterModel)
    assert to_json(one) == to_json(other)


def test_a_sample_by_sql_is_the_sample_in_memory(town: Town) -> None:
    company, lake = town
    scheme = scheme_of(company, sample_rows=100)
    with closing(DuckDBEngine(lake.store)) as engine:
        engine.register(company.table(CUSTOMER_FEATURES), [addresses.partition(CUSTOMER_FEATURES, day=DAY)])
        found = sample_customers(engine, scheme)
    assert (found.features.num_rows, found.customer_count, sample_prefix(scheme)) == (100, 600, f"{NAME}:{scheme.seed}:")
    here = prepare_sample(lake.read(company.table(CUSTOMER_FEATURES), day=DAY), scheme)
    assert prepare_sample(found.features, scheme, customer_count=600).digest == here.digest


def a_model(*centres: float, numbers: tuple[int, ...] = ()) -> ClusterModel:
    ids = numbers or tuple(range(1, len(centres) + 1))
    clusters = tuple(Cluster(f"cluster_{number}", f"At {centre:g}", 5, 0.9, (centre,)) for number, centre in zip(ids, centres, strict=True))
    feature = ModelFeature("recency_days", "none", 0.0, 0.0, 100.0, 0.0, 1.0)
    return ClusterModel(NAME, DAY, "k-means", "by hand", 0, "0" * 64, 10, 0.5, (feature,), (), clusters)


def told(current: ClusterModel, candidate: ClusterModel, shared: list[list[int]]) -> list[tuple[str, str, str | None]]:
    found = alignment.ClusterOverlap(np.array(shared))
    continued = alignment.match_clusters(found, alignment.distances_between(current, candidate))
    named = alignment.with_lasting_ids(candidate, current, continued, last_number=0)
    return [
        (event.change.value, event.cluster, event.other)
        for event in alignment.cluster_events(named, current, found, continued)
        if event.change is not ClusterChange.RENAMING
    ]


def test_clusters_in_another_order_are_the_same_clusters() -> None:
    assert told(a_model(90, 50, 10), a_model(10, 50, 90), [[0, 0, 30], [1, 29, 0], [30, 0, 0]]) == []


def test_half_of_a_cluster_splits_off_with_a_new_id() -> None:
    assert told(a_model(90, 10), a_model(95, 80, 10), [[30, 20, 0], [0, 0, 50]]) == [("split", "cluster_3", "cluster_1")]


def test_a_cluster_merges_into_the_one_that_takes_its_customers() -> None:
    assert told(a_model(95, 80, 10), a_model(90, 10), [[30, 0], [20, 0], [0, 50]]) == [("merge", "cluster_2", "cluster_1")]


def test_a_cluster_of_customers_from_everywhere_is_born_and_one_that_scatters_dies() -> None:
    found = told(a_model(90, 50, 10), a_model(90, 30, 10), [[60, 20, 0], [20, 5, 20], [0, 20, 60]])
    assert found == [("birth", "cluster_4", None), ("death", "cluster_2", None)]


def test_a_title_stays_while_it_is_true() -> None:
    features = [ClusterFeature(name, "none", 0, f"high {name}", f"low {name}") for name in ("spend", "days")]
    centroids = np.array([[0.35, 0.0], [-0.5, -0.3], [0.2, 2.0], [-1.0, 0.0]])
    earlier = ("High spend", "Low spend, high days", "High spend", None)
    fresh = ("Typical", "Low spend", "High days", "Low spend")
    assert lasting_titles(fresh, earlier, centroids, features) == ("High spend", "Low spend", "High days", "Low spend (2)")


def test_groups_that_order_customers_perfectly_have_a_gini_of_one() -> None:
    amounts = np.array([0.0, 0, 10, 10, 100, 100])
    assert normalised_gini(np.array([1, 1, 2, 2, 0, 0]), amounts) == 1
    assert normalised_gini(np.array([0] * 6), amounts) == 0
    assert normalised_gini(np.array([0, 1] * 3), np.zeros(6)) == 0


@pytest.mark.parametrize("buyers", ["c", "old"])  # an id of before a merge is the survivor's
def test_groups_are_tested_on_what_their_customers_spent_afterwards(town: Town, buyers: str) -> None:
    company, lake = town
    first = DAY - timedelta(days=100)
    write_features(lake, company, customers_of(*FOUR), first)
    write_features(lake, company, customers_of(*FOUR, seed=5), LATER)
    rich = [f"{buyers}{number:05}" for number in range(150)]
    merged_at = datetime(first.year, first.month, first.day, tzinfo=UTC)
    merges = [{"customer_id": f"old{number:05}", "merged_into": f"c{number:05}", "merged_at": merged_at} for number in range(150)]
    write_rows(lake, CUSTOMER_MERGES, merges, known_on=first)
    lines = [an_order_line(n, customer_id=name, day=first + timedelta(days=20), net_amount=100) for n, name in enumerate(rich)]
    write_order_lines(lake, lines, known_on=DAY)
    with closing(DuckDBEngine(lake.store)) as engine:
        compute_rollups(lake, engine, DAY)
    refit = refit_night(lake, company, DAY)
    assert refit.measures is not None
    assert refit.measures.backtest is not None, refit.measures.backtest_missing
    assert refit.measures.backtest.then > 0.99
    assert refit.measures.backtest.day == first.isoformat()


def test_a_candidate_is_not_promoted_over_a_model_it_was_not_judged_beside(grown: tuple[Company, Lake, ClusterRefit]) -> None:
    company, lake, refit = grown
    write_features(lake, company, customers_of(*FIVE, seed=8), LATER + MONTH)
    store_refit(lake, refit)
    promoted(lake, company, LATER + MONTH)
    with pytest.raises(ConfigError, match="another model was promoted"):
        promote_candidate(lake, NAME, LATER)


def test_promoting_twice_is_promoting_once(grown: tuple[Company, Lake, ClusterRefit]) -> None:
    _, lake, refit = grown
    store_refit(lake, refit)
    assert promote_candidate(lake, NAME, LATER) == promote_candidate(lake, NAME, LATER)
    assert len(list((lake.root / "models" / NAME).iterdir())) == 2


def test_a_night_older_than_the_models_cannot_replace_it(town: Town) -> None:
    company, lake = town
    with pytest.raises(ConfigError, match="fitted to the later night"):
        refit_night(lake, company, DAY - MONTH)


def test_a_night_without_features_cannot_be_refitted_to(town: Town) -> None:
    with pytest.raises(DataError):
        refit_night(town[1], town[0], LATER)


def test_a_plan_of_a_candidate_shows_who_would_move_and_changes_nothing(grown: tuple[Company, Lake, ClusterRefit]) -> None:
    company, lake, refit = grown
    live = segment_night(lake, company, LATER)
    make_live(lake, LATER)
    folder = Path(store_refit(lake, refit))
    plan = plan_model(company, lake, folder / "candidate.json")
    moved = [customer for customer, cluster in sorted(live.items()) if customer >= "c00600"]
    assert sum(flow.customer_count for flow in plan.schemes[0].moving_flows) == len(moved) == 150
    assert [mover.customer_id for mover in plan.schemes[0].sample] == moved[:20]
    assert plan.schemes[0].sample[0].reason.startswith("nearest to `")
    assert plan.changes.decided_otherwise == (NAME,)
    assert len(list((lake.root / "models" / NAME).iterdir())) == 1
    [current] = (lake.root / "models" / NAME).iterdir()
    assert plan_model(company, lake, current).changes.is_nothing


def test_a_damaged_candidate_or_judgement_changes_nothing(grown: tuple[Company, Lake, ClusterRefit]) -> None:
    _, lake, refit = grown
    folder = Path(store_refit(lake, refit))
    document = json.loads((folder / "candidate.json").read_text())
    document["clusters"][0]["centroid"][0] = "1); DROP TABLE customers"
    (folder / "candidate.json").write_text(json.dumps(document))
    with pytest.raises(DataError, match="not a cluster model"):
        promote_candidate(lake, NAME, LATER)
    (folder / "judgement.json").write_text("[]")
    with pytest.raises(DataError, match="judgement is damaged"):
        stored_judgement(lake, NAME, LATER)
    assert len(list((lake.root / "models" / NAME).iterdir())) == 1
    with pytest.raises(DataError, match="no such model"):
        model_at(folder / "nothing.json")

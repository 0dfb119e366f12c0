"""Rules look at clusters: a night, its moves, a plan and an explanation go by the model that assigns the customers."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from support.builders import a_company
from support.cluster_models import a_cluster_model
from support.nights import run_night, write_shop
from typer.testing import CliRunner

from pipeline.cli import app
from pipeline.definitions.company import load_company
from pipeline.definitions.rules.cluster_ids import is_cluster_id
from pipeline.definitions.schemes import load_cluster_schemes, load_schemes
from pipeline.errors import ConfigError
from pipeline.lake import addresses
from pipeline.lake.lake import Lake
from pipeline.lake.tables import CUSTOMER_SEGMENTS, SEGMENT_MOVES
from pipeline.models.clusters import Cluster, ClusterModel, ModelFeature, to_json
from pipeline.operations.apply import apply_plan
from pipeline.operations.deployment import Deployment
from pipeline.reporting.explain import SchemeExplanation, explain_customer
from pipeline.reporting.explain.cluster_centres import CustomerClustering
from pipeline.reporting.lineage import lineage_of
from pipeline.reporting.plan import SegmentPlan, plan_change, plan_model

NIGHT, NEXT, LAST = date(2024, 3, 1), date(2024, 3, 2), date(2024, 3, 3)
NAME = "behaviour_clusters"
ORDERS = [f"o{n},1,c{n},2024-02-{1 + 3 * n:02} 10:00:00,1,{10 * n}.25,a" for n in range(9)]
SCHEME = """title = "Care"
kind = "rules"
level = "behavioural"
question = "Who gets a call?"
evidence = ["order_count"]
[[segment]]
id = "call"
title = "Call"
description = "Worth a call."
rule = "{rule}"
[[segment]]
id = "rest"
title = "Rest"
description = "All others."
otherwise = true
"""
TASTES = f"""title = "Tastes of a cluster"
kind = "values"
level = "behavioural"
question = "What do they like?"
evidence = ["order_count"]
attribute = "favourite_category"
fewest_customers = 1
rule = "{NAME}.segment = 'cluster_1'"
"""
OURS = Path(__file__).parents[3] / "segments" / f"{NAME}.toml"
BOTH = f"{NAME}.segment = 'cluster_1' AND other_clusters.segment = 'unclustered'"
LOOKING = ("both", "care", "tastes", "through")
CARE, THROUGH = f"{NAME}.segment = 'cluster_1' AND order_count >= 1", "care.segment = 'call' OR is_prospect"
LATELY, LONG_AGO = Cluster("cluster_1", "Lately", 4, 1.0, (-1.0,)), Cluster("cluster_2", "Long ago", 5, 1.0, (1.0,))
RECENCY = ModelFeature("recency_days", "none", fill=0, low=0, high=100, mean=15.5, scale=10)
MODEL = a_cluster_model(NIGHT, (RECENCY,), (LATELY, LONG_AGO))
REFITTED = replace(MODEL, day=NEXT, clusters=(replace(LATELY, centroid=(-1.8,)), replace(LONG_AGO, centroid=(0.2,))))


def write(root: Path, **rules: str) -> None:
    folder = root / "shop" / "segments"
    folder.mkdir(exist_ok=True)
    for name, rule in rules.items():
        (folder / f"{name}.toml").write_text(SCHEME.format(rule=rule), "utf-8")


def keep_model(root: Path, model: ClusterModel) -> None:
    lake = Lake(root / "lake")
    lake.write_text(f"models/{NAME}/{model.day}.json", to_json(model))


def night(root: Path, day: date) -> None:
    run_night(root / "shop", Lake(root / "lake"), day)


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with a shop and a lake whose first night, by a model made by hand, is live."""
    root = tmp_path_factory.mktemp("live")
    write_shop(root / "shop", ORDERS, customers=[f"c{n}" for n in range(10)], settings='[gates]\noff = ["freshness", "churn"]\n')
    write(root, care=CARE, through=THROUGH, both=BOTH)
    (root / "shop" / "segments" / "tastes.toml").write_text(TASTES, "utf-8")
    shutil.copy(OURS, root / "shop" / "segments" / "other_clusters.toml")
    keep_model(root, MODEL)
    night(root, NIGHT)
    return root


@pytest.fixture
def place(live: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(live, tmp_path / "place", symlinks=True))


def memberships(root: Path, scheme: str, day: date = NIGHT) -> dict[str, str]:
    rows = Lake(root / "lake").read(CUSTOMER_SEGMENTS, day=day).to_pylist()
    return {row["customer_id"]: row["segment"] for row in rows if row["scheme"] == scheme}


def moves(root: Path, scheme: str, day: date) -> dict[str, tuple[str, str, str]]:
    rows = Lake(root / "lake").read(SEGMENT_MOVES, day=day).to_pylist()
    return {row["customer_id"]: (row["from_segment"], row["to_segment"], row["reason"]) for row in rows if row["scheme"] == scheme}


def planned(plan: SegmentPlan, scheme: str) -> dict[tuple[str | None, str | None], int]:
    [found] = [each for each in plan.schemes if each.scheme == scheme]
    return {(flow.from_segment, flow.to_segment): flow.customer_count for flow in found.flows}


def transitions(before: dict[str, str], after: dict[str, str]) -> dict[tuple[str | None, str | None], int]:
    pairs: list[tuple[str | None, str | None]] = [(before[customer], after[customer]) for customer in before]
    return {pair: pairs.count(pair) for pair in pairs}


def command(root: Path, *words: str) -> Any:
    done = CliRunner().invoke(app, [*words, "--company", str(root / "shop"), "--lake", str(root / "lake"), "--json"])
    return json.loads(done.stdout)


def test_a_rule_takes_those_whom_the_night_put_into_the_cluster(live: Path) -> None:
    clusters, care = memberships(live, NAME), memberships(live, "care")
    assert set(clusters.values()) == {"cluster_1", "cluster_2", "unclustered"}
    assert {customer for customer, segment in care.items() if segment == "call"} == {
        c for c, name in clusters.items() if name == "cluster_1"
    }
    through = {customer for customer, segment in memberships(live, "through").items() if segment == "call"}
    assert through == {customer for customer, name in clusters.items() if name in ("cluster_1", "unclustered")}
    assert memberships(live, "both") == care


def test_values_of_those_in_a_cluster_are_the_segments_of_those_alone(live: Path) -> None:
    named = {"call": "a", "rest": "insufficient_evidence"}
    assert memberships(live, "tastes") == {customer: named[segment] for customer, segment in memberships(live, "care").items()}


def test_where_nobody_could_be_clustered_everybody_is_unclustered_to_rules_too(tmp_path: Path) -> None:
    write_shop(tmp_path / "shop", ORDERS[:2], customers=["c0", "c1", "c2"])
    write(tmp_path, care=f"{NAME}.segment <> 'unclustered'", outside=f"{NAME}.segment = 'unclustered'")
    night(tmp_path, NIGHT)
    assert set(memberships(tmp_path, "care").values()) == {"rest"}
    assert set(memberships(tmp_path, "outside").values()) == {"call"}
    assert plan_change(load_company(tmp_path / "shop"), Lake(tmp_path / "lake")).changes.is_nothing


def test_a_refit_moves_customers_of_every_scheme_that_looks_at_the_clusters(place: Path) -> None:
    before = memberships(place, "care")
    keep_model(place, REFITTED)
    night(place, NEXT)
    moved = moves(place, "care", NEXT)
    assert set(moved.values()) == {("call", "rest", "model_refit")}
    assert set(moved) == {customer for customer, segment in memberships(place, "care", NEXT).items() if segment != before[customer]}
    assert set(moves(place, "through", NEXT).values()) == set(moves(place, "both", NEXT).values()) == {("call", "rest", "model_refit")}
    assert set(moves(place, "tastes", NEXT).values()) == {("a", "insufficient_evidence", "model_refit")}
    lake = Lake(place / "lake")
    told = [lake.manifest(addresses.partition(CUSTOMER_SEGMENTS, day=day))["schemes"] for day in (NIGHT, NEXT)]
    assert {name for name in told[0] if told[0][name] != told[1][name]} == {NAME, "both", "care", "tastes", "through"}


def test_rules_edited_together_with_a_refit_are_what_moved_whom_they_move(place: Path) -> None:
    keep_model(place, REFITTED)
    write(place, care=f"{NAME}.segment = 'cluster_2'")
    night(place, NEXT)
    assert {reason for _, _, reason in moves(place, "care", NEXT).values()} == {"rule_change"}


def test_who_comes_into_another_cluster_by_age_is_moved_by_age(place: Path) -> None:
    keep_model(place, replace(MODEL, day=NEXT, clusters=(LATELY, replace(LONG_AGO, title="Another title"))))
    night(place, NEXT)
    night(place, LAST)
    aged = {**moves(place, "care", NEXT), **moves(place, "care", LAST)}
    assert set(aged.values()) == {("call", "rest", "ageing")}
    assert "care" not in {
        row["scheme"] for row in Lake(place / "lake").read(SEGMENT_MOVES, day=NEXT).to_pylist() if "refit" in row["reason"]
    }


def test_a_plan_of_a_rule_that_looks_at_clusters_is_what_applying_it_does(place: Path) -> None:
    before = {scheme: memberships(place, scheme) for scheme in ("care", "through")}
    assert plan_change(load_company(place / "shop"), Lake(place / "lake")).changes.is_nothing
    write(place, care=f"{NAME}.segment IN ('cluster_2', 'unclustered')")
    plan = plan_change(load_company(place / "shop"), Lake(place / "lake"))
    assert plan.changes.decided_otherwise == ("care", "through")
    apply_plan(Deployment.of(place / "shop", place / "lake"), plan.plan_id)
    for scheme, stored in before.items():
        assert planned(plan, scheme) == transitions(stored, memberships(place, scheme))


def test_a_plan_of_a_model_tells_whom_it_moves_in_the_schemes_that_look_at_its_clusters(place: Path) -> None:
    candidate = place / "candidate.json"
    candidate.write_text(to_json(REFITTED), "utf-8")
    plan = plan_model(load_company(place / "shop"), Lake(place / "lake"), candidate)
    assert plan.changes.decided_otherwise == (NAME, *LOOKING)
    assert plan.schemes[0].downstream == LOOKING
    before = {scheme: memberships(place, scheme) for scheme in (NAME, *LOOKING)}
    shutil.rmtree(place / "lake" / "models")
    keep_model(place, replace(REFITTED, day=NIGHT))
    run_night(place / "shop", Lake(place / "lake"), NIGHT, until="segment")
    for scheme, stored in before.items():
        assert planned(plan, scheme) == transitions(stored, memberships(place, scheme))
    assert [mover.customer_id for mover in plan.schemes[2].sample] == ["c5", "c6", "c7"]


def test_a_plan_of_the_current_model_changes_nothing_downstream(live: Path) -> None:
    plan = plan_model(load_company(live / "shop"), Lake(live / "lake"), live / "lake" / "models" / NAME / f"{NIGHT}.json")
    assert plan.changes.is_nothing
    assert [each.scheme for each in plan.schemes] == [NAME]


def explanations(root: Path, customer: str) -> dict[str, SchemeExplanation]:
    found = explain_customer(load_company(root / "shop"), Lake(root / "lake"), customer, NIGHT).memberships
    return {each.scheme: each.explanation for each in found if each.explanation}


def test_an_explanation_tells_the_cluster_and_the_change_that_leads_out_of_it(live: Path) -> None:
    care = explanations(live, "c6")["care"]
    assert care.values == {f"{NAME}.segment": "cluster_1", "order_count": 1}
    assert care.nearest is not None
    assert (care.nearest.segment, care.nearest.change.feature, care.nearest.change.after) == ("rest", "recency_days", 16)


def test_every_customer_is_explained_as_the_night_decided(live: Path) -> None:
    for customer, segment in memberships(live, "care").items():
        found = explanations(live, customer)
        assert found["care"].segment_now == found["care"].segment == segment
        assert all(found[scheme].segment_now == found[scheme].segment for scheme in LOOKING)


def test_who_is_outside_of_what_is_clustered_stays_there_whatever_else_changes() -> None:
    [scheme] = load_cluster_schemes(a_company(Path("no such folder")))
    within = replace(scheme, within="lifecycle.active", within_sql="SELECT customer_id FROM customer_features WHERE order_count > 1")
    row = {"order_day_count": 1, "recency_days": 2}
    assert CustomerClustering.from_stored_segment(scheme, MODEL, "cluster_1").segment_of(row) == "cluster_1"
    assert CustomerClustering.from_stored_segment(within, MODEL, "unclustered").segment_of(row) == "unclustered"
    assert CustomerClustering.from_stored_segment(within, MODEL, "cluster_1").fixed_features >= {"order_count", "order_day_count"}
    assert CustomerClustering.from_stored_segment(scheme, MODEL, "cluster_1").segment_of({**row, "order_day_count": 0}) == "unclustered"
    assert CustomerClustering.from_stored_segment(scheme, None, "unclustered").segment_of(row) == "unclustered"


def test_the_catalog_names_the_clusters_and_says_what_is_live(place: Path) -> None:
    found = {each["scheme"]: each for each in command(place, "catalog")["schemes"]}
    assert (found["care"]["references"], found["care"]["state"]) == ([NAME], "live")
    assert (found["through"]["references"], found["through"]["state"]) == (["care", NAME], "live")
    write(place, care=f"{NAME}.segment = 'cluster_2'")
    assert {each["scheme"]: each["state"] for each in command(place, "catalog")["schemes"]}["through"] == "changed"


def test_lineage_follows_rules_through_clusters_to_features(live: Path) -> None:
    company = load_company(live / "shop")
    uses = {use.scheme: use for use in lineage_of(company, "recency_days").uses}
    assert (uses["care"].ways, uses["care"].through) == (("reference",), (NAME,))
    assert uses["through"].through == ("care",)
    assert "recency_days" in lineage_of(company, "care").features
    assert {use.scheme for use in lineage_of(company, NAME).uses} == set(LOOKING)


def schemes_of(folder: Path, rule: str) -> Any:
    (folder / "segments").mkdir(parents=True, exist_ok=True)
    (folder / "segments" / "care.toml").write_text(SCHEME.format(rule=rule), "utf-8")
    return next(scheme for scheme in load_schemes(a_company(folder)).schemes if scheme.name == "care")


@pytest.mark.parametrize(
    ("written", "nearest"),
    [
        ("Cluster 3", "`cluster_3`"),
        ("cluster_03", "`cluster_3`"),
        ("cluster12", "`cluster_12`"),
        ("Unclusterd", "`unclustered`"),
        ("insufficient evidence", "`insufficient_evidence`"),
        ("Lately", "such as cluster_1"),
        ("cluster_0", "such as cluster_1"),
        ("cluster_10000", "such as cluster_1"),
    ],
)
def test_what_is_no_id_of_a_cluster_is_refused_with_the_nearest_one(tmp_path: Path, written: str, nearest: str) -> None:
    with pytest.raises(ConfigError, match=nearest):
        schemes_of(tmp_path, f"{NAME}.segment IN ('cluster_1', '{written}')")


@pytest.mark.parametrize("name", ["cluster_1", "cluster_20", "cluster_9999", "unclustered", "insufficient_evidence"])
def test_any_id_that_a_model_can_have_may_be_compared(tmp_path: Path, name: str) -> None:
    assert is_cluster_id(name)
    scheme = schemes_of(tmp_path, f"{NAME}.segment = '{name}'")
    assert (scheme.clusters, scheme.references, scheme.proof.undecided) == ((NAME,), (), ())


def test_a_rule_that_no_cluster_can_meet_is_refused_and_one_that_any_may_is_not(tmp_path: Path) -> None:
    assert schemes_of(tmp_path, f"{NAME}.segment NOT IN ('cluster_1', 'cluster_2', 'unclustered')")
    with pytest.raises(ConfigError, match="call"):
        schemes_of(tmp_path, f"{NAME}.segment = 'cluster_1' AND {NAME}.segment = 'cluster_2'")
    with pytest.raises(ConfigError, match="call"):
        schemes_of(tmp_path, f"{NAME}.segment IS NULL")


def test_clusters_within_a_segment_that_goes_by_clusters_are_refused(tmp_path: Path) -> None:
    schemes_of(tmp_path, CARE)
    text = OURS.read_text("utf-8").replace('kind = "clusters"', 'kind = "clusters"\nwithin = "care.call"', 1)
    (tmp_path / "segments" / OURS.name).write_text(text, "utf-8")
    with pytest.raises(ConfigError, match="goes by clusters itself: behaviour_clusters"):
        load_cluster_schemes(a_company(tmp_path))

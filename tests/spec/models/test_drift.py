"""Drift: a night measures how far customers are from the model, and asks for a refit; it never makes one."""

from __future__ import annotations

import json
import logging
from contextlib import closing
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from shutil import copytree

import numpy as np
import pyarrow as pa
import pytest
from support.nights import write_shop
from support.refit_nights import customers_of, make_live, measure_drift, scheme_of, segment_night, write_features
from typer.testing import CliRunner

from pipeline.cli import app
from pipeline.definitions.company import Company, load_company
from pipeline.errors import RefitRefused
from pipeline.lake import addresses
from pipeline.lake.engines.duckdb import DuckDBEngine
from pipeline.lake.lake import Lake
from pipeline.lake.tables import CLUSTER_DRIFTS, CUSTOMER_FEATURES
from pipeline.models.clusters import ClusterModel, fit_model, measure_drifts
from pipeline.models.clusters.drift import stability_index
from pipeline.models.measure_drift import requested_refits
from pipeline.models.sample import sample_customers
from pipeline.operations.deployment import Deployment
from pipeline.operations.night import Night
from pipeline.operations.refits import due_refits

DAY = date(2024, 3, 31)
LATER = DAY + timedelta(days=30)
KINDS = ("regulars", "bargain hunters", "newcomers", "sleepers")
Town = tuple[Company, Lake]


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Town:
    """Return a lake of two nights: that of the fit, and one on which everybody spends three times as much."""
    folder = tmp_path_factory.mktemp("drift")
    company, lake = load_company(write_shop(folder / "company", [], customers=[])), Lake(folder / "lake")
    customers = customers_of(*KINDS)
    spend = pa.array(np.round(customers["spend_amount"].cast(pa.float64()).to_numpy() * 3, 2)).cast(pa.decimal128(18, 4))
    write_features(lake, company, customers, DAY)
    write_features(lake, company, customers.set_column(2, "spend_amount", spend), LATER)
    for day in (DAY, LATER):
        segment_night(lake, company, day)
        measure(town=(company, lake), day=day)
    return company, lake


def measure(town: Town, day: date) -> None:
    measure_drift(town[1], town[0], day)


def test_the_customers_of_the_fit_have_not_drifted(town: Town) -> None:
    rows = town[1].read(CLUSTER_DRIFTS, day=DAY).to_pylist()
    assert {row["measure"] for row in rows} == {"feature", "distance", "silhouette"}
    assert {row["subject"] for row in rows if row["measure"] == "feature"} >= {"spend_amount", "recency_days", "discount_share"}
    assert all(abs(row["measured"]) < 1e-6 for row in rows if row["measure"] != "distance")
    assert [row["measured"] for row in rows if row["measure"] == "distance"] == [pytest.approx(1, abs=1e-4)]
    assert requested_refits(town[1], DAY) == []


def test_a_feature_that_shifts_asks_for_a_refit_and_none_is_made(town: Town, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "pipeline.models.measure_drift"):
        measure(town, LATER)
    asked = requested_refits(town[1], LATER)
    assert any("spend_amount has a population stability index of" in words for words in asked)
    assert f"segments refit --day {LATER}" in caplog.text
    assert len(list((town[1].root / "models" / "behaviour_clusters").iterdir())) == 1
    assert not (town[1].root / "refits").exists()


def test_only_the_live_night_is_due_and_only_a_week_after_the_last_judgement(town: Town, tmp_path: Path) -> None:
    lake = Lake(copytree(town[1].root, tmp_path / "lake"))
    before, later = (Night.of(Deployment(town[0], lake), day) for day in (DAY, LATER))
    assert due_refits(later) == []
    make_live(lake, LATER)
    assert (due_refits(before), due_refits(later)) == ([], ["behaviour_clusters"])
    for days, due in ((7, ["behaviour_clusters"]), (6, []), (0, [])):
        lake.write_text(f"refits/behaviour_clusters/{LATER - timedelta(days=days)}/judgement.json", "{}")
        assert due_refits(later) == due


def test_measuring_twice_says_the_same(town: Town) -> None:
    path = town[1].path(CLUSTER_DRIFTS, day=LATER)
    before = path.read_bytes()
    measure(town, LATER)
    assert path.read_bytes() == before


def test_few_customers_say_nothing_of_drift(town: Town) -> None:
    company, lake = town
    scheme = scheme_of(company)
    customers = lake.read(company.table(CUSTOMER_FEATURES), day=DAY)
    model = fit_model(customers, scheme, day=DAY)
    assert isinstance(model, ClusterModel)
    assert measure_drifts(customers.slice(0, 99), model, scheme) == []


def test_a_model_that_keeps_no_reference_is_told_by_its_silhouette_alone(town: Town) -> None:
    company, lake = town
    with closing(DuckDBEngine(lake.store)) as engine:
        engine.register(company.table(CUSTOMER_FEATURES), [addresses.partition(CUSTOMER_FEATURES, day=DAY)])
        customers = sample_customers(engine, scheme_of(company)).features
    model = fit_model(customers, scheme_of(company), day=DAY)
    assert isinstance(model, ClusterModel)
    old = replace(
        model,
        features=tuple(replace(feature, cuts=(), shares=()) for feature in model.features),
        clusters=tuple(replace(cluster, spread=0.0) for cluster in model.clusters),
    )
    assert [drift.measure for drift in measure_drifts(customers, old, scheme_of(company))] == ["silhouette"]


def test_the_stability_index_is_that_of_the_textbook() -> None:
    assert stability_index(np.array([0.5, 0.5]), np.array([0.5, 0.5])) == 0
    assert stability_index(np.array([0.5, 0.5]), np.array([0.25, 0.75])) == pytest.approx(0.274653)


def ran(town: Town, *words: str) -> tuple[int, str]:
    run = CliRunner().invoke(app, [*words, "--company", str(town[0].folder), "--lake", str(town[1].root)])
    if isinstance(run.exception, RefitRefused):
        return run.exception.exit_code, run.output
    assert run.exception is None or isinstance(run.exception, SystemExit), run.exception
    return run.exit_code, run.output


def test_status_says_that_a_refit_is_asked_for_and_a_refit_answers(town: Town) -> None:
    asked = json.loads(ran(town, "status", "--json")[1])["asked_refits"]
    assert any(words.startswith("behaviour_clusters: spend_amount") for words in asked)
    code, output = ran(town, "refit", "--day", LATER.isoformat())
    assert code == 0
    assert "good enough to be promoted" in output
    told = json.loads(ran(town, "refit", "--day", LATER.isoformat(), "--json", "--hold")[1])
    assert [each["verdict"] for each in told] == ["keep"]
    assert len(list((town[1].root / "models" / "behaviour_clusters").iterdir())) == 2

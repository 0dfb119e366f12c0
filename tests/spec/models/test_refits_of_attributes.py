"""Models of attributes over nights: an attribute that is declared no more stops a night, and a refit goes on without it."""

from __future__ import annotations

import shutil
from contextlib import closing
from datetime import date
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from support.builders import a_company, an_attribute
from support.refit_nights import write_features

from pipeline.definitions.company import Company
from pipeline.definitions.schemes import load_cluster_schemes
from pipeline.errors import ConfigError
from pipeline.features import MergeHistory
from pipeline.lake.engines.duckdb import DuckDBEngine
from pipeline.lake.lake import Lake
from pipeline.lake.tables import CUSTOMER_SEGMENTS, SEGMENT_PROFILES, Column, Kind
from pipeline.models.refits.candidate import ClusterRefit, fit_candidate
from pipeline.models.refits.model_store import RefitContext, require_model_columns
from pipeline.models.refits.verdict import RefitVerdict
from pipeline.segmentation import write_memberships

NIGHT, NEXT = date(2024, 3, 31), date(2024, 4, 1)
QUESTIONS = tuple(f"q{number}" for number in range(1, 10))
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


def company_asking(folder: Path, questions: tuple[str, ...], kind: Kind = Kind.FLAG) -> Company:
    """Return a company whose one cluster scheme is of these questions; the last one is of the `kind`."""
    (folder / "segments").mkdir(parents=True, exist_ok=True)
    (folder / "segments" / "motives.toml").write_text(f"{HEAD}attributes = {list(questions)}\n", "utf-8")
    kinds = {**dict.fromkeys(questions, Kind.FLAG), questions[-1]: kind}
    return a_company(folder, attributes=tuple(an_attribute(Column(name, kind, "")) for name, kind in kinds.items()))


def survey(customers: int = 400) -> pa.Table:
    random = np.random.default_rng(1)
    group = random.integers(0, 3, customers)
    likely = np.where(np.arange(9) % 3 == np.arange(3)[:, None], 0.9, 0.15)
    said = random.random((customers, 9)) < likely[group]
    silent = np.arange(customers) < 20
    columns = {name: pa.array(column, mask=silent) for name, column in zip(QUESTIONS, said.T, strict=True)}
    return pa.table({"customer_id": [f"c{number:05}" for number in range(customers)], **columns})


@pytest.fixture(scope="module")
def settled(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    """Return a lake of one night, segmented by its first models; nobody has an order."""
    lake, company = Lake(tmp_path_factory.mktemp("lake")), company_asking(tmp_path_factory.mktemp("company"), QUESTIONS)
    write_features(lake, company, survey(), NIGHT)
    with closing(DuckDBEngine(lake.store, memory_limit="1GB")) as engine:
        write_memberships(company, lake, engine, NIGHT)
    return lake


def refit(lake: Lake, company: Company) -> ClusterRefit:
    [scheme] = [each for each in load_cluster_schemes(company) if each.name == "motives"]
    with closing(DuckDBEngine(lake.store, memory_limit="1GB")) as engine:
        return fit_candidate(RefitContext(company, lake, engine, NIGHT, scheme, MergeHistory(lake, company.zone).rows_of))


def test_customers_without_orders_have_psychographic_clusters_and_no_others(settled: Lake) -> None:
    rows = settled.read(CUSTOMER_SEGMENTS, day=NIGHT).to_pylist()
    found = {row["customer_id"]: row["segment"] for row in rows if row["scheme"] == "motives"}
    assert set(found.values()) == {"cluster_1", "cluster_2", "cluster_3", "insufficient_evidence"}
    assert sorted(name for name, segment in found.items() if segment == "insufficient_evidence") == [f"c{n:05}" for n in range(20)]
    assert {row["segment"] for row in rows if row["scheme"] == "behaviour_clusters"} == {"unclustered"}
    profiles = {row["segment"]: row for row in settled.read(SEGMENT_PROFILES, day=NIGHT).to_pylist() if row["scheme"] == "motives"}
    assert (profiles["insufficient_evidence"]["title"], profiles["insufficient_evidence"]["customer_count"]) == (
        "Insufficient evidence",
        20,
    )


@pytest.mark.parametrize("kind", [None, Kind.TEXT])
def test_a_night_stops_where_its_model_goes_by_an_attribute_that_is_declared_no_more(
    settled: Lake, tmp_path: Path, kind: Kind | None
) -> None:
    company = company_asking(tmp_path, QUESTIONS, kind) if kind else company_asking(tmp_path, QUESTIONS[:-1])
    with pytest.raises(ConfigError) as refusal:
        require_model_columns(company, settled, NEXT)
    assert refusal.value.what == "the clusters of motives go by `q9`, which the company does not declare, or not as it did"
    assert refusal.value.where == str(tmp_path / "company.toml")
    assert refusal.value.todo.endswith(f"segments refit --scheme motives --day {NIGHT}.")


def test_a_night_goes_on_while_all_attributes_are_declared(settled: Lake, tmp_path: Path) -> None:
    require_model_columns(company_asking(tmp_path, (*QUESTIONS, "q10")), settled, NEXT)


def test_a_refit_without_the_attribute_keeps_the_clusters(settled: Lake, tmp_path: Path) -> None:
    lake = Lake(tmp_path / "lake")
    shutil.copytree(settled.root, lake.root)
    found = refit(lake, company_asking(tmp_path / "company", QUESTIONS[:-1]))
    assert found.verdict is RefitVerdict.PROMOTE, found.reason
    assert found.candidate is not None
    assert found.candidate.attributes == QUESTIONS[:-1]
    assert {cluster.id for cluster in found.candidate.clusters} == {"cluster_1", "cluster_2", "cluster_3"}
    assert found.measures is not None
    assert found.measures.moved_share < 0.1


def test_a_refit_to_the_same_answers_changes_nothing(settled: Lake, tmp_path: Path) -> None:
    lake = Lake(tmp_path / "lake")
    shutil.copytree(settled.root, lake.root)
    found = refit(lake, company_asking(tmp_path / "company", QUESTIONS))
    assert found.verdict is RefitVerdict.KEEP

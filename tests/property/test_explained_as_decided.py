"""`segments explain` decides schemes in Python: for every customer and every kind of scheme to the answer that the engine gave.

Segments, scores, ranks of values, clusters and distances are compared, of customers whose features are anything that their kinds allow.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Mapping
from contextlib import closing
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from sqlglot import exp
from support.builders import write_rows
from support.cluster_models import a_cluster_model

from pipeline.definitions.company import PROJECT_ROOT, Company, load_company
from pipeline.definitions.schemes import Scheme
from pipeline.definitions.schemes.sql import NEW_THIS_MONTH, scheme_decision
from pipeline.lake import addresses
from pipeline.lake.engines import Engine
from pipeline.lake.engines.duckdb import DuckDBEngine
from pipeline.lake.lake import Lake
from pipeline.lake.local_store import LocalStore
from pipeline.lake.tables import CUSTOMER_FEATURES, Column, Kind
from pipeline.models.clusters import Cluster, ModelFeature, to_json
from pipeline.models.refits.model_store import with_clusters_of
from pipeline.reporting.explain import ExplainedMembership, explain_customer
from pipeline.segmentation import schemes_of_night, write_memberships

NIGHT = date(2024, 3, 31)
NAME = "behaviour_clusters"
CENTRES = ((1.2, -0.9, 1.1), (-0.2, 0.1, 0.0), (-0.9, 1.6, -0.8), (-0.9, 1.6, 0.8))
MODEL = a_cluster_model(
    NIGHT,
    (
        ModelFeature("spend_amount", "log1p", fill=0.0, low=0.0, high=7.0, mean=4.0, scale=1.5),
        ModelFeature("recency_days", "none", fill=400.0, low=0.0, high=365.0, mean=90.0, scale=80.0),
        ModelFeature("discount_share", "none", fill=0.5, low=0.0, high=1.0, mean=0.3, scale=0.25),
    ),
    tuple(Cluster(f"cluster_{n}", f"Cluster {n}", 3, 0.9, centre) for n, centre in enumerate(CENTRES, 1)),
)
HEAD = 'title = "T"\nlevel = "behavioural"\nquestion = "Q?"\nevidence = ["order_count"]\n'
REST = '[[segment]]\nid = "rest"\ntitle = "Rest"\ndescription = "D."\notherwise = true\n'
SEGMENT = '[[segment]]\nid = "{}"\ntitle = "{}"\ndescription = "D."\n{}\n'
METHODS = {
    "frozen_scores": 'r_score = "frozen"',
    "rank_scores": 'r_score = "rank"\nf_score = "rank"\nm_score = "rank"\nvalue_score = "rank"',
    "absolute_scores": "r_score = { thresholds = [2, 5, 30, 31] }\nf_score = { thresholds = [2, 3, 5, 30] }\n"
    "m_score = { thresholds = [0, 0.0001, 20, 1000] }\nvalue_score = { thresholds = [19.99, 1000] }",
    "mixed_scores": 'f_score = "rank"\nvalue_score = { thresholds = [1, 2] }',
}
OURS = {
    # Scores calculated, against signals that are counted; equal ones, and some at the floor.
    "scored": 'kind = "rules"\ndecision = "highest_score"\nfloor = 0.5\n'
    + SEGMENT.format("even", "Even", 'rule = "order_count >= 1"\nscore = "1 - value_rank_share"')
    + SEGMENT.format("keen", "Keen", 'signals = ["order_day_count >= 2", "recency_days <= 30"]\nneeded = 1')
    + SEGMENT.format("calm", "Calm", 'rule = "NOT is_prospect"\nscore = "0.25 * (r_score - 1)"')
    + REST,
    "tastes": 'kind = "values"\nattribute = "favourite_category"\nfewest_customers = 2\nmost_segments = 2\n'
    f"rule = \"{NAME}.segment <> 'cluster_2'\"\n",
    # Of equally many in two values, the second begins at exactly the half.
    "halves": 'kind = "value_tiers"\nattribute = "gender"\n'
    + SEGMENT.format("first", "First", "below = 0.5")
    + SEGMENT.format("second", "Second", ""),
    "tiers": 'kind = "value_tiers"\nattribute = "favourite_category"\nrule = "order_count >= 1"\n'
    + SEGMENT.format("common", "Common", "below = 0.5")
    + SEGMENT.format("scarce", "Scarce", ""),
    # For some alone; whoever looks at it finds no segment of the others.
    "some": 'kind = "values"\nattribute = "favourite_category"\nfewest_customers = 2\nmost_segments = 2\n'
    "applies_to = \"order_count >= 2 OR scored.segment = 'even'\"\n",
    "about_some": 'kind = "rules"\n' + SEGMENT.format("none", "None", 'rule = "some.segment IS NULL"') + REST,
    # Scores by each method, so that any other score of a customer is another number.
    **{
        name: 'kind = "rules"\ndecision = "highest_score"\n'
        f"[scores]\n{methods}\n"
        + SEGMENT.format("spent", "Spent", 'rule = "NOT is_prospect"\nscore = "value_score + 10 * m_score"')
        + SEGMENT.format("bought", "Bought", 'rule = "NOT is_prospect"\nscore = "r_score + 10 * f_score + 100 * fm_score"')
        + REST
        for name, methods in METHODS.items()
    },
    # Looks at rules, values, tiers, scores and clusters.
    "through": 'kind = "rules"\n'
    + SEGMENT.format("a", "A", "rule = \"rfm.segment = 'champions' OR tastes.segment IN ('other', 'unknown')\"")
    + SEGMENT.format("b", "B", "rule = \"tiers.segment = 'common' AND scored.segment <> 'rest'\"")
    + SEGMENT.format("c", "C", f"rule = \"{NAME}.segment IN ('cluster_1', 'unclustered')\"")
    + REST,
}
TEXTS = ("", " ", "a", "A", "it's", "x\\", "ä", "Other", "unknown")
NUMBERS = (0.0, 0.2, 0.3, 0.4999999999999999, 0.5, 0.8, 0.95, 1.0, 1.5, 29.5, 30.0, 400.0)


KINDS: Mapping[Kind, st.SearchStrategy[Any]] = {
    Kind.FLAG: st.booleans(),
    Kind.TEXT: st.sampled_from(TEXTS),
    Kind.DATE: st.sampled_from([date(1970, 1, 1), date(2020, 2, 29), NIGHT]),
    Kind.INTEGER: st.sampled_from([0, 1, 2, 3, 5, 30, 31, 400]),
    Kind.MONEY: st.sampled_from([Decimal(text) for text in ("-0.0001", "0", "0.0001", "19.99", "1000", "123456.7891")]),
    Kind.NUMBER: st.sampled_from(NUMBERS),
}


def a_value(column: Column) -> st.SearchStrategy[Any]:
    values = KINDS[column.kind]
    return values if column.required else values | st.none()


@st.composite
def populations(draw: st.DrawFn, columns: tuple[Column, ...]) -> list[dict[str, Any]]:
    """Return customers with any values at all, but scores and a last order for exactly those who ordered, as features promise them."""
    rows = draw(st.lists(st.fixed_dictionaries({column.name: a_value(column) for column in columns}), min_size=5, max_size=6))
    for number, row in enumerate(rows):
        r, f, m = [None] * 3 if row["is_prospect"] else [draw(st.integers(1, 5)) for _ in range(3)]
        row |= {"gender": "fm"[number % 2], NEW_THIS_MONTH: number % 3 == 0}
        # Of whoever did order a last order is known: a what-if of one order more goes by it.
        if row["order_day_count"] or not (row["is_prospect"] or row["is_refund_only"]):
            row["recency_days"] = draw(KINDS[Kind.INTEGER])
            row["last_order_date"] = NIGHT - timedelta(days=row["recency_days"])
        row |= {"customer_id": f"c{number:02}", "r_score": r, "f_score": f, "m_score": m, "fm_score": f and m and (f + m + 1) // 2}
    return rows


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Company:
    """The example company, which has the attributes that our schemes need, with every optional source and four more schemes."""
    folder = tmp_path_factory.mktemp("shop")
    shutil.copy(PROJECT_ROOT / "examples" / "adventureworks" / "company.toml", folder)
    (folder / "sources").mkdir()
    for source in ("customers", "order_lines", "visits"):
        (folder / "sources" / f"{source}.sql").write_text("SELECT 1", "utf-8")
    (folder / "segments").mkdir()
    for name, text in OURS.items():
        (folder / "segments" / f"{name}.toml").write_text(HEAD + text, "utf-8")
    return load_company(folder)


# A case costs seconds: a smaller one that fails would be minutes away.
@settings(max_examples=3, derandomize=True, deadline=None, phases=[Phase.generate])
@given(chance=st.data())
def test_explain_decides_every_scheme_as_the_engine_did(shop: Company, chance: st.DataObject) -> None:
    table = shop.table(CUSTOMER_FEATURES)
    rows = chance.draw(populations(tuple(column for column in table.columns if column.name not in table.key)))
    with TemporaryDirectory() as folder, closing(DuckDBEngine(LocalStore(Path(folder)), memory_limit="1GB", threads=1)) as engine:
        lake = Lake(Path(folder))
        write_rows(lake, table, rows, day=NIGHT)
        lake.write_text(addresses.model(NAME, NIGHT), to_json(MODEL))
        write_memberships(shop, lake, engine, NIGHT)
        found = [explain_customer(shop, lake, row["customer_id"], NIGHT) for row in rows]
        schemes = with_clusters_of(lake, shop, NIGHT, schemes_of_night(shop, lake, NIGHT).schemes)
        figures = {scheme.name: figures_of(engine, scheme, schemes) for scheme in schemes}
    kinds = {(scheme.kind, scheme.decision) for scheme in schemes}
    assert kinds == {("rules", "first_match"), ("rules", "highest_score"), ("values", "first_match"), ("value_tiers", "first_match")}
    partial = {scheme.name for scheme in schemes if scheme.applies_to is not None}
    for customer, row in zip(found, rows, strict=True):
        outside = {each.scheme for each in customer.outside}
        assert outside <= partial
        assert len(customer.memberships) + len(outside) == len(schemes) + 1
        assert {each.scheme for each in customer.memberships}.isdisjoint(outside)
        for membership in customer.memberships:
            if membership.scheme == NAME:
                require_same_cluster(membership, row)
            else:
                require_same_decision(membership, figures[membership.scheme][customer.customer_id], row)


def figures_of(engine: Engine, scheme: Scheme, schemes: Iterable[Scheme]) -> dict[str, dict[str, Any]]:
    """Return by customer the columns that the engine decides a scheme by: scores, or the ranks of values."""
    choice = scheme_decision(scheme, {each.name: each for each in schemes}, exp.to_table(CUSTOMER_FEATURES.name))
    columns = [exp.column(name, quoted=True) for name in choice.added]
    query = exp.select("customer_id", *columns).from_(choice.relation).order_by("customer_id")
    return {row["customer_id"]: row for row in engine.run(query, {}).read_all().to_pylist()}


def require_same_decision(membership: ExplainedMembership, figures: Mapping[str, Any], row: Mapping[str, Any]) -> None:
    explanation = membership.explanation
    assert explanation is not None
    assert explanation.segment_now == membership.segment, membership.scheme
    for place, each in enumerate(explanation.scored_segments):
        score = explanation.scheme.floor if each.score is None else each.score
        assert figures[f"score.{place}"] == score, (membership.scheme, each.segment.id)
    rank = explanation.value_rank
    if rank is not None:
        ranked = tuple(figures[f"ranked.{name}"] for name in ("place", "customer_count", "rank_share", "spend_place"))
        # A value that only newcomers of the month have is not ranked among tiers.
        is_new = explanation.scheme.kind == "value_tiers" and row[NEW_THIS_MONTH] and ranked == (None,) * 4
        assert is_new or ranked == (rank.place, rank.customer_count, rank.rank_share, rank.spend_place), membership.scheme


def require_same_cluster(membership: ExplainedMembership, row: Mapping[str, Any]) -> None:
    clusters = membership.clusters
    assert clusters is not None
    assert clusters.segment_now == membership.segment
    assert bool(clusters.centres) == bool(row["order_day_count"])
    if clusters.centres:
        assert membership.evidence == f"margin={clusters.margin}"
        assert [centre.distance for centre in clusters.centres] == sorted(centre.distance for centre in clusters.centres)

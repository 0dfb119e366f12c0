"""The page of definitions is true: each of its worked examples is what the pipeline computes."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from sklearn.metrics import adjusted_rand_score
from support.builders import a_company, an_attribute, an_order_line, features_by_customer, write_customers, write_order_lines, write_rows
from support.cluster_models import a_cluster_model
from support.documentation import Example, examples_of, require_same
from support.gate_examples import DAY, gate_results

from pipeline.definitions.company import PROJECT_ROOT, Company
from pipeline.definitions.rules import Quantile
from pipeline.definitions.schemes import load_schemes, segments_statement, with_limits
from pipeline.definitions.schemes.cluster_scheme import load_cluster_schemes
from pipeline.lake.engines.duckdb import DuckDBEngine
from pipeline.lake.lake import Lake
from pipeline.lake.statements import statement
from pipeline.lake.tables import (
    CUSTOMER_DAYS,
    CUSTOMER_FEATURES,
    CUSTOMER_SEGMENTS,
    CUSTOMER_SURVIVORS,
    VISITS,
    Column,
    Kind,
    Partition,
    Table,
)
from pipeline.measurement.arm_quotas import arm_quotas
from pipeline.measurement.cuped import cuped_difference
from pipeline.measurement.intervals import Mean, Rate, newcombe_difference, welch_difference
from pipeline.measurement.moments import Moments
from pipeline.models.clusters import Cluster, ClusterModel, ModelFeature, assignment_statement, coordinate_sums_statement, profile_rows
from pipeline.models.clusters.drift import stability_index
from pipeline.models.clusters.encoding import feature_coordinates
from pipeline.models.clusters.preparation import prepare_sample
from pipeline.models.predictions.bg_nbd import (
    BgNbdParameters,
    GammaGammaParameters,
    PurchaseHistories,
    buying_probabilities,
    expected_amounts,
    expected_order_days,
)
from pipeline.models.predictions.evaluation import measure_forecast
from pipeline.models.predictions.fitting import Forecast, Outcomes
from pipeline.models.refits import alignment
from pipeline.models.refits.verdict import normalised_gini
from pipeline.models.signals import signal_parameters
from pipeline.segmentation import profiles_statement

PAGE = PROJECT_ROOT / "docs" / "reference" / "definitions.md"
EXAMPLES = examples_of(PAGE)
NOTHING = {Kind.INTEGER: 0, Kind.MONEY: 0, Kind.FLAG: False, Kind.DATE: date(2024, 3, 31)}
Rows = Sequence[Mapping[str, Any]]

# Limits that the page states for its examples of bands by quantiles.
LIMITS = {
    **{Quantile(share, "yearly_income"): limit for share, limit in ((0.25, 30_000), (0.5, 60_000), (0.8, 100_000))},
    **{Quantile(share, "annual_sales"): limit for share, limit in ((0.4, 500_000), (0.8, 2_000_000))},
}


def features(example: Example, lake: Lake) -> Rows:
    """Return the features of the customers that the page shows; a row without a day is a customer who never ordered."""
    night = date.fromisoformat(example.title.rsplit(" ", 1)[1])
    company, lines = a_company(lake.root), [row for row in example.inputs[0] if row["day"]]
    write_order_lines(lake, [an_order_line(number, **filled(row)) for number, row in enumerate(lines, 1)], known_on=night.replace(day=1))
    never = [{"customer_id": row["customer_id"]} for row in example.inputs[0] if not row["day"]]
    write_customers(lake, company, never, known_on=night.replace(day=1))
    for table in example.inputs[1:]:
        write_visits(lake, [date.fromisoformat(row["visit_day"]) for row in table], [row["customer_id"] for row in table])
    found = features_by_customer(company, lake, night)
    is_named = "customer_id" in example.expected[0]
    return [found[row["customer_id"]] for row in example.expected] if is_named else list(found.values())


def filled(row: Mapping[str, str]) -> dict[str, str]:
    return {name: cell for name, cell in row.items() if cell}


def write_visits(lake: Lake, days: Sequence[date], customers: Sequence[str]) -> None:
    for day in sorted(set(days)):
        at = datetime(day.year, day.month, day.day, 9, tzinfo=UTC)
        rows = [
            {"day": day, "visit_id": f"v{number}", "customer_id": customer, "visited_at": at}
            for number, (visited, customer) in enumerate(zip(days, customers, strict=True))
            if visited == day
        ]
        write_rows(lake, VISITS, rows, day=day, known_on=min(days).replace(day=1))


def customers_table(company: Company, rows: Rows) -> tuple[Table, pa.Table]:
    """Return customers with the features given, in order of id; what is required and not given is nothing."""
    table = company.table(CUSTOMER_FEATURES)
    required = {column.name: NOTHING.get(column.kind, "") for column in table.columns if column.required}
    full = [{**dict.fromkeys(table.column_names), **required, "customer_id": f"c{number:03}", **row} for number, row in enumerate(rows)]
    for row in full:
        row.update({c.name: float(row[c.name]) for c in table.columns if c.kind is Kind.NUMBER and row[c.name] is not None})
        row.update({c.name: Decimal(str(row[c.name])) for c in table.columns if c.kind is Kind.MONEY and row[c.name] is not None})
    return table, pa.Table.from_pylist(full, schema=table.schema)


def query(lake: Lake, tables: Mapping[Table, pa.Table], statement: Any, parameters: Mapping[str, Any] | None = None) -> Rows:
    with closing(DuckDBEngine(lake.store)) as engine:
        for table, rows in tables.items():
            address = f"{table.name}.parquet"
            lake.write_file(table.schema, rows.to_batches(), address, {})
            engine.register(table, [address])
        return list(engine.run(statement, parameters or {}).read_all().to_pylist())


def memberships(example: Example, lake: Lake) -> tuple[Any, Company, Rows]:
    """Return the scheme that the example names, a company that has what it needs, and who is in which segment."""
    name = example.title.rsplit(" ", 1)[1]
    needs = tomllib.loads((PROJECT_ROOT / "segments" / f"{name}.toml").read_text("utf-8")).get("needs", {})
    attributes = tuple(an_attribute(Column(each, Kind[kind.upper()], "")) for each, kind in needs.items())
    company = a_company(with_visits(lake.root), attributes=attributes)
    scheme = next(scheme for scheme in with_limits(load_schemes(company), LIMITS).schemes if scheme.name == name)
    table, rows = customers_table(company, example.rows())
    found = query(lake, {table: rows}, segments_statement([scheme]))
    return scheme, company, sorted(found, key=lambda row: str(row["customer_id"]))


def with_visits(folder: Path) -> Path:
    """Return `folder` with a source of visits, so that every segment is computed."""
    (folder / "sources").mkdir(parents=True, exist_ok=True)
    (folder / "sources" / "visits.sql").write_text("SELECT 1", "utf-8")
    return folder


def segments(example: Example, lake: Lake) -> Rows:
    return memberships(example, lake)[2]


def profiles(example: Example, lake: Lake) -> Rows:
    scheme, company, found = memberships(example, lake)
    table, rows = customers_table(company, example.rows())
    members = pa.Table.from_pylist(list(found), schema=CUSTOMER_SEGMENTS.schema)
    told = query(lake, {table: rows, CUSTOMER_SEGMENTS: members}, profiles_statement([scheme], []))
    return sorted(told, key=lambda row: int(row["position"]))


def cluster_coordinates(example: Example, _lake: Lake) -> Rows:
    [default] = load_cluster_schemes(a_company(Path("no such folder")))
    scheme = replace(default, features=(replace(default.features[0], name="recency_days", transform="none"),))
    ids = pa.array([f"c{number:03}" for number in range(101)])
    fitted_to = pa.table({"customer_id": ids, "order_day_count": [1] * 101, "recency_days": list(range(101))})
    feature = prepare_sample(fitted_to, scheme).features[0]
    values = [row["value"] for row in example.rows()]
    points = feature_coordinates(pa.table({"recency_days": values}), [feature])[:, 0]
    read = {"low": feature.low, "high": feature.high, "mean": feature.mean, "scale": feature.scale}
    return [{**read, "value": value, "coordinate": point} for value, point in zip(values, points, strict=True)]


def answer_coordinates(example: Example, _lake: Lake) -> Rows:
    [default] = load_cluster_schemes(a_company(Path("no such folder")))
    named = {"answer": "flag", "region": "text"}
    features = tuple(replace(default.features[0], name=name, transform="none", fill=None, encoding=kind) for name, kind in named.items())
    rows = example.rows()
    asked, yes, north = (int(rows[0][name]) for name in ("asked_count", "yes_count", "north_count"))
    given = {"answer": [True] * yes + [False] * (asked - yes), "region": ["north"] * north + ["south"] * (asked - north)}
    fitted = prepare_sample(pa.table({"customer_id": [f"c{n:03}" for n in range(asked)], **given}), replace(default, features=features))
    told = pa.table({"answer": [row["answer"] for row in rows], "region": [row["region"] for row in rows]})
    points = feature_coordinates(told, fitted.features)
    return [{**row, "of_answer": one, "of_north": two, "of_south": three} for row, (one, two, three) in zip(rows, points, strict=True)]


def cluster_assignment(example: Example, lake: Lake) -> Rows:
    centres = [float(number) for number in re.findall(r"[0-9]+", example.title)]
    [scheme] = load_cluster_schemes(a_company(lake.root))
    clusters = tuple(Cluster(f"cluster_{number}", f"T{number}", 1, 1.0, (centre,)) for number, centre in enumerate(centres, 1))
    feature = ModelFeature("recency_days", "none", 0.0, -1000.0, 1000.0, 0.0, 1.0)
    model = ClusterModel(scheme.name, DAY, "k-means", "-", 0, "0" * 64, 2, 0.5, (feature,), (), clusters)
    table, rows = customers_table(
        a_company(lake.root), [{"recency_days": row["coordinate"], "order_day_count": 1} for row in example.rows()]
    )
    return sorted(query(lake, {table: rows}, assignment_statement(scheme, model)), key=lambda row: str(row["customer_id"]))


def cluster_figures(example: Example, lake: Lake) -> Rows:
    mean, scale = (float(number) for number in re.findall(r"[0-9]+", example.title))
    names = dict.fromkeys(str(row["segment"]) for row in example.rows())
    clusters = tuple(Cluster(name, name, 1, 1.0, (float(place),)) for place, name in enumerate(names))
    feature = ModelFeature("recency_days", "none", 0.0, 0.0, 100.0, mean, scale)
    model = a_cluster_model(DAY, (feature,), clusters)
    days, customers = customers_table(a_company(lake.root), [{"recency_days": row["recency_days"]} for row in example.rows()])
    held = [
        {"customer_id": customer, "scheme": model.scheme, "segment": row["segment"], "evidence": None}
        for customer, row in zip(customers["customer_id"].to_pylist(), example.rows(), strict=True)
    ]
    members = pa.Table.from_pylist(held, schema=CUSTOMER_SEGMENTS.schema)
    return profile_rows(model, query(lake, {days: customers, CUSTOMER_SEGMENTS: members}, coordinate_sums_statement(model)))


def two_groupings(example: Example) -> tuple[np.ndarray, np.ndarray]:
    now, then = (np.array([row[side] for row in example.rows()]) for side in ("now", "then"))
    return now, then


def overlaps(example: Example, _lake: Lake) -> Rows:
    now, then = two_groupings(example)
    shared = alignment.cluster_overlap(now, then, (int(now.max()) + 1, int(then.max()) + 1)).overlaps()
    return [{"now": one, "then": other, "overlap": shared[one, other]} for one, other in np.ndindex(shared.shape)]


def rand(example: Example, _lake: Lake) -> Rows:
    return [{"adjusted Rand index": adjusted_rand_score(*two_groupings(example))}]


def stability(example: Example, _lake: Lake) -> Rows:
    expected, actual = (np.array([row[side] for row in example.rows()]) for side in ("expected", "actual"))
    return [{"population stability index": stability_index(expected, actual)}]


def gini(example: Example, _lake: Lake) -> Rows:
    groups = np.unique([str(row["group"]) for row in example.rows()], return_inverse=True)[1]
    return [{"normalised Gini": normalised_gini(groups, np.array([float(row["spend"]) for row in example.rows()]))}]


def signals(example: Example, lake: Lake) -> Rows:
    table, rows = customers_table(a_company(lake.root), example.rows())
    days = replace(CUSTOMER_DAYS, columns=CUSTOMER_DAYS.stored_columns, partition=Partition.NIGHT)
    nothing = {each: each.schema.empty_table() for each in (days, CUSTOMER_SURVIVORS)}
    parameters = signal_parameters(DAY, int(example.title.split()[-2]))
    return query(lake, {table: rows, **nothing}, statement("customer_signals"), parameters)


def forecast_measures(example: Example, _lake: Lake) -> Rows:
    said, chances, spent, ordered = (
        np.array([float(row[name]) for row in example.rows()]) for name in ("forecast", "probability", "spent", "ordered")
    )
    nothing = np.zeros(len(said))
    outcomes = Outcomes(
        DAY, 365, tuple("abcd"), nothing[:, None], spent, ordered.astype(np.int64), nothing, nothing, nothing, nothing, nothing, len(said)
    )
    found = measure_forecast(Forecast(said, chances), outcomes)
    return [{"gini": found.gini, "error": found.error, "total": found.total, "calibration_error": found.calibration_error}]


def bg_nbd(example: Example, _lake: Lake) -> Rows:
    r, alpha, a, b, weeks = (float(number) for number in re.findall(r"[0-9]+\.?[0-9]*", example.title))
    history = PurchaseHistories(*(np.array([float(row[name]) for row in example.rows()]) for name in ("x", "t", "T")))
    fit = BgNbdParameters(r, alpha, a, b, 0.0)
    pairs = zip(expected_order_days(history, fit, weeks), buying_probabilities(history, fit, weeks), strict=True)
    return [{"expected order-days": expected, "probability": probability} for expected, probability in pairs]


def gamma_gamma(example: Example, _lake: Lake) -> Rows:
    p, q, gamma = (float(number) for number in re.findall(r"[0-9]+\.[0-9]+", example.title))
    days, means = (np.array([float(row[name]) for row in example.rows()]) for name in ("n", "mean"))
    return [{"expected per order-day": amount} for amount in expected_amounts(days, means, GammaGammaParameters(p, q, gamma))]


def arms_of_strata(example: Example, lake: Lake) -> Rows:
    del lake
    counts = {row["stratum"]: row["customers"] for row in example.rows()}
    quotas = arm_quotas(counts, [90, 10], salt=":autumn")
    return [dict(zip(("treated", "control"), quotas[stratum], strict=True)) for stratum in counts]


def rate_differences(example: Example, lake: Lake) -> Rows:
    del lake
    found = []
    for row in example.rows():
        rates = Rate(row["ordered"], row["customers"]), Rate(row["control_ordered"], row["control_customers"])
        difference = newcombe_difference(*rates)
        found.append({"difference": difference.value, "low": difference.low, "high": difference.high})
    return found


def spend_differences(example: Example, lake: Lake) -> Rows:
    del lake
    arms = {name: [row for row in example.rows() if row["arm"] == name] for name in ("treated", "control")}
    treated, control = (_moments([(row["before"], row["spend"]) for row in rows]) for rows in arms.values())
    cuped = cuped_difference(treated, control)
    plain = welch_difference(*(Mean.of(each.mean_y, each.var_y, each.n) for each in (treated, control)))
    told = {"welch": (plain, None), "welch_cuped": (cuped.difference, cuped.variance_left)}
    return [
        {"method": method, "difference": each.value, "low": each.low, "high": each.high, "variance_left": left}
        for method, (each, left) in told.items()
    ]


def _moments(pairs: Sequence[tuple[int, int]]) -> Moments:
    x, y, xx, yy, xy = (sum(each) for each in zip(*((x, y, x * x, y * y, x * y) for x, y in pairs), strict=True))
    return Moments.of_sums(len(pairs), y, yy, x=x, xx=xx, xy=xy)


COMPUTED: Mapping[str, Callable[[Example, Lake], Rows]] = {
    "features on": features,
    "segments of": segments,
    "profiles of": profiles,
    "answers as": answer_coordinates,
    "coordinates of": cluster_coordinates,
    "clusters at": cluster_assignment,
    "figures of": cluster_figures,
    "overlap of": overlaps,
    "adjusted Rand": rand,
    "population stability": stability,
    "normalised Gini": gini,
    "signals in": signals,
    "measures of": forecast_measures,
    "BG/NBD with": bg_nbd,
    "Gamma-Gamma with": gamma_gamma,
    "arm quotas": arms_of_strata,
    "rates of": rate_differences,
    "spends of": spend_differences,
    **{
        f"gate {name}": gate_results
        for name in ("churn", "volume", "swallowed", "reachability", "vanished", "renamed", "rejected", "freshness")
    },
}


def test_the_page_has_an_example_of_every_kind() -> None:
    assert {" ".join(example.title.split()[:2]) for example in EXAMPLES} == COMPUTED.keys()


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.title)
def test_an_example_is_what_the_pipeline_computes(example: Example, lake: Lake) -> None:
    computed = COMPUTED[" ".join(example.title.split()[:2])](example, lake)
    require_same(example.title, example.expected, computed)

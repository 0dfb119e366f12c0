"""What OpenLineage and StatsD are told of one night.

OpenLineage by its own provider and file transport; another transport beside it fails at every event. StatsD by Airflow's settings.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from support.airflow_forks import AirflowForks
from support.dag_runs import Facts
from support.deployments import CANARY, Deployment, a_small_company
from support.receivers import datagram_receiver, free_port
from typer.testing import CliRunner

from pipeline.cli import app
from pipeline.definitions.company import load_company
from pipeline.lake.tables import CUSTOMER_FEATURES
from pipeline.reporting.lineage import lineage_of
from pipeline.reporting.metrics.declarations import METRICS, Moment

SCRIPT = Path(__file__).with_name("run_dag.py")
STEPS = ["extract", "validate", "features", "segment", "audit", "publish"]
Event = Mapping[str, Any]
Inputs = Mapping[tuple[str, str], bool]


@pytest.fixture(scope="module")
def deployment(tmp_path_factory: pytest.TempPathFactory) -> Deployment:
    folder = tmp_path_factory.mktemp("lineage")
    company = a_small_company(folder / "company")
    with (company / "company.toml").open("a") as file:
        file.write('\n[publish.iceberg]\ncatalog = "warehouse"\n')
    return Deployment.of(company, folder)


@pytest.fixture(scope="module")
def datagrams(deployment: Deployment) -> Iterator[list[str]]:
    """Return what StatsD received so far."""
    with datagram_receiver() as (port, received):
        deployment.configure("metrics", statsd_on=True, statsd_host="127.0.0.1", statsd_port=port)
        yield received


@pytest.fixture(scope="module")
def facts(airflow: AirflowForks, deployment: Deployment, datagrams: list[str]) -> Facts:
    del datagrams  # received from here on
    folder = deployment.company.parent
    away = {"type": "http", "url": f"http://127.0.0.1:{free_port()}", "timeout": 1, "retry": {"total": 0}}
    kept = {"type": "file", "log_file_path": str(folder / "events.jsonl"), "append": True}
    with pytest.MonkeyPatch.context() as environment:
        transport = {"type": "composite", "continue_on_failure": False, "transports": [kept, away]}
        environment.setenv("OPENLINEAGE__TRANSPORT", json.dumps(transport))
        environment.setenv("SEGMENTS_CATALOG_WAREHOUSE", f"sqlite:///{folder}/catalog.db")
        return airflow.run_script(SCRIPT, deployment, folder / "facts.json", "nightly_segments", "run")


@pytest.fixture(scope="module")
def events(deployment: Deployment, facts: Facts) -> list[Event]:
    del facts
    return [json.loads(line) for line in (deployment.company.parent / "events.jsonl").read_text().splitlines()]


@pytest.fixture(scope="module")
def outputs(events: list[Event]) -> dict[str, dict[str, Event]]:
    """Return what was told of each step's outputs, by the last part of their names."""
    told: dict[str, dict[str, Event]] = {}
    for event in events:
        for output in event.get("outputs", []):
            told.setdefault(event["job"]["name"].rpartition(".")[2], {})[Path(output["name"]).name] = output
    return told


def fields_of(output: Event) -> dict[str, Inputs]:
    """Return what each column is made of in one step, with whether that makes its value."""
    facet = output["facets"]["columnLineage"]
    rows = {key(each): False for each in facet["dataset"]}
    return {name: {**rows, **{key(each): is_value(each) for each in found["inputFields"]}} for name, found in facet["fields"].items()}


def key(field: Event) -> tuple[str, str]:
    return Path(field["name"]).name, field["field"]


def is_value(field: Event) -> bool:
    [transformation] = field["transformations"]
    return bool(transformation["type"] == "DIRECT")


def test_a_transport_that_fails_at_every_event_fails_no_night(facts: Facts, outputs: Mapping[str, Any]) -> None:
    states = {name: state for name, state, _ in facts["states"]}
    assert {name: states[name] for name in STEPS} == dict.fromkeys(STEPS, "success")
    assert set(outputs) == set(STEPS) - {"audit"}


def test_outputs_have_their_schema_and_how_many_rows_were_written(outputs: Mapping[str, Mapping[str, Event]]) -> None:
    counts = {
        step: {name: each["outputFacets"]["outputStatistics"]["rowCount"] for name, each in told.items()} for step, told in outputs.items()
    }
    assert counts["extract"] == {"raw_customers": 3, "raw_order_lines": 9}
    assert counts["validate"]["order_lines"] == 9
    assert counts["features"]["customer_features"] == 3
    assert counts["publish"]["customer_features.parquet"] == 3
    columns = outputs["features"]["customer_features"]["facets"]["schema"]["fields"]
    assert [(each["name"], each["type"]) for each in columns[:1]] == [("customer_id", "string")]
    assert len(columns) == len(CUSTOMER_FEATURES.columns) + 1  # its city


def test_followed_to_the_sources_it_says_what_the_catalog_says(deployment: Deployment, outputs: Mapping[str, Mapping[str, Event]]) -> None:
    steps = {
        (table, column): inputs
        for step in ("validate", "features")
        for table, told in outputs[step].items()
        for column, inputs in fields_of(told).items()
    }
    company = load_company(deployment.company)
    compared = 0
    for name in company.table(CUSTOMER_FEATURES).column_names:
        said = {(source.field.table, source.field.column): source.is_value for source in lineage_of(company, name).sources}
        told = {each: makes for each, makes in sources_of((CUSTOMER_FEATURES.name, name), steps).items() if each[0].startswith("raw_")}
        # Visits are no source of this company, so none of its nights wrote them.
        assert told == {each: makes for each, makes in said.items() if each[0] in ("raw_order_lines", "raw_customers")}, name
        compared += len(told)
    assert compared > 100


def test_memberships_are_made_of_what_schemes_decide_by(deployment: Deployment, outputs: Mapping[str, Mapping[str, Event]]) -> None:
    told = fields_of(outputs["segment"]["customer_segments"])["segment"]
    assert {table for table, _ in told} == {"customer_features"}
    decided_by = {
        feature
        for scheme in ("rfm", "lifecycle", "value_tier")
        for feature in lineage_of(load_company(deployment.company), scheme).features
    }
    assert len(decided_by) > 5
    assert decided_by <= {column for _, column in told}


def test_what_is_published_is_what_the_night_stored(outputs: Mapping[str, Mapping[str, Event]]) -> None:
    told = fields_of(outputs["publish"]["customer_segments.parquet"])
    assert told["segment"] == {("customer_segments", "segment"): True}


def test_what_is_published_has_the_name_of_its_iceberg_table_too(
    deployment: Deployment, outputs: Mapping[str, Mapping[str, Event]]
) -> None:
    [link] = outputs["publish"]["customer_segments.parquet"]["facets"]["symlinks"]["identifiers"]
    assert link == {"namespace": "warehouse", "name": "segments.customer_segments", "type": "TABLE"}
    assert (deployment.company.parent / "catalog.db").exists()


def test_every_input_of_a_step_is_an_output_of_an_earlier_one_or_its_own(
    events: list[Event], outputs: Mapping[str, Mapping[str, Event]]
) -> None:
    inputs: dict[str, set[str]] = {}
    for event in events:
        step = event["job"]["name"].rpartition(".")[2]
        inputs.setdefault(step, set()).update(Path(each["name"]).name for each in event.get("inputs", []))
    written = set(outputs["extract"])
    for step in STEPS[1:]:
        written |= set(outputs.get(step, ()))
        assert inputs[step] <= written, step
    assert {"cluster_profiles", "segment_insights", "segment_profiles"} <= inputs["publish"]


def test_no_event_has_a_value_of_a_customer(events: list[Event]) -> None:
    assert len(events) > 10
    assert CANARY not in json.dumps(events)


def test_statsd_gets_the_figures_of_the_night_beside_those_of_airflow(facts: Facts, datagrams: list[str]) -> None:
    assert facts["states"]
    gauges = dict(line.removeprefix("airflow.").split(":") for line in "\n".join(datagrams).split("\n") if line.endswith("|g"))
    assert "airflow.ti.start" in {datagram.split(":")[0] for datagram in datagrams}
    assert gauges["segments.read_rows.raw_order_lines"] == gauges["segments.checked_rows.raw_order_lines"] == "9|g"
    assert gauges["segments.rejected_rows.raw_order_lines.customer_id_is_given"] == "0|g"
    assert gauges["segments.night_customers"] == gauges["segments.memberships.rfm"] == "3|g"
    assert gauges["segments.live_rows.customer_features"] == "3|g"
    assert gauges["segments.newest_night_state.live"] == "1|g"
    assert gauges["segments.closed_gates.freshness"] == "0|g"
    assert gauges["segments.newest_order_age_days"] == "24|g"
    assert all(float(gauges[f"segments.step_seconds.{step}"].removesuffix("|g")) > 0 for step in STEPS)


def test_no_metric_has_a_value_of_a_customer(facts: Facts, datagrams: list[str]) -> None:
    assert facts["states"]
    assert CANARY not in "".join(datagrams)


@pytest.mark.usefixtures("own_logging")
def test_every_metric_that_a_step_sends_is_told_by_the_command_under_the_same_name(
    deployment: Deployment, facts: Facts, datagrams: list[str]
) -> None:
    assert facts["states"]
    options = ["--company", str(deployment.company), "--lake", str(deployment.lake)]
    told = CliRunner().invoke(app, ["status", *options, "--prometheus"]).stdout
    sent = {datagram.split(":")[0].split(".")[2] for datagram in datagrams if datagram.startswith("airflow.segments.")}
    assert sent == {each.name for each in METRICS if each.moment not in (Moment.SYNC, Moment.NEVER)}
    assert sent <= {name.removeprefix("# TYPE segments_").removesuffix(" gauge") for name in told.splitlines()}


def sources_of(field: tuple[str, str], steps: Mapping[tuple[str, str], Inputs]) -> dict[tuple[str, str], bool]:
    """Follow the steps upward, at any depth: one that only chooses rows makes the whole way one."""
    found: dict[tuple[str, str], bool] = {}
    waiting = [(field, True)]
    while waiting:
        here, makes = waiting.pop()
        for other, way in steps.get(here, {}).items():
            both = makes and way
            if other not in found or (both and not found[other]):
                found[other] = both
                waiting.append((other, both))
    found.pop(field, None)
    return found

"""What monitors are told: every metric is declared once, and rules and dashboards name no other."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import promql_parser
import pytest
import yaml

from pipeline.definitions.company import PROJECT_ROOT
from pipeline.publication.gates import GateState
from pipeline.reporting.metrics.declarations import METRICS, PREFIX, Metric
from pipeline.reporting.metrics.run_records import SyncState
from pipeline.reporting.status.status import NightState

MONITORING = PROJECT_ROOT / "examples" / "monitoring"
ALERTS = MONITORING / "alerts.yml"
PAGE = PROJECT_ROOT / "docs" / "operate" / "monitoring.md"
BY_NAME: Mapping[str, Metric] = {f"{PREFIX}_{each.name}": each for each in METRICS}
UNITS = ("_seconds", "_bytes", "_days", "_rows", "_customers", "bytes")
VALUES = {
    "segments_newest_night_state": {state.name.lower() for state in NightState},
    "segments_sync_state": {state.value for state in SyncState},
    "segments_gates": {state.name.lower() for state in GateState},
}


def rules() -> dict[str, dict[str, Any]]:
    [group] = yaml.safe_load(ALERTS.read_text("utf-8"))["groups"]
    return {rule["alert"]: rule for rule in group["rules"]}


def queries() -> list[str]:
    panels = json.loads((MONITORING / "dashboard.json").read_text("utf-8"))["panels"]
    return [target["expr"] for panel in panels for target in panel["targets"]]


def nodes_of(query: str) -> list[Any]:
    found: list[Any] = []
    promql_parser.walk(promql_parser.parse(query), found.append)
    return found


def selectors_of(query: str) -> Iterator[Any]:
    return (node for node in nodes_of(query) if isinstance(node, promql_parser.VectorSelector))


def test_names_are_those_of_prometheus_and_of_statsd_alike_and_no_two_metrics_share_one() -> None:
    assert len(BY_NAME) == len(METRICS)
    assert [name for name in BY_NAME if not re.fullmatch(r"segments_[a-z]+(_[a-z]+)*", name)] == []
    assert [each.name for each in METRICS if not each.meaning.endswith(".")] == []
    assert {"step_seconds", "free_bytes", "newest_order_age_days"} <= {each.name for each in METRICS if each.name.endswith(UNITS)}


@pytest.mark.parametrize("query", [*(rule["expr"] for rule in rules().values()), *queries()])
def test_a_query_names_metrics_labels_and_states_that_there_are(query: str) -> None:
    selectors = [each for each in selectors_of(query) if not each.name.startswith("node_")]
    assert selectors
    labels = {label for each in selectors for label in BY_NAME[each.name].labels}
    for each in selectors:
        for matcher in each.matchers.matchers:
            assert matcher.name in BY_NAME[each.name].labels
            assert set(matcher.value.split("|")) <= VALUES.get(each.name, {matcher.value})
    modifiers = [node.modifier for node in nodes_of(query) if isinstance(node, promql_parser.AggregateExpr) and node.modifier]
    assert {label for modifier in modifiers for label in modifier.labels} <= labels


def test_the_page_says_of_every_alert_what_it_means_and_what_to_do() -> None:
    rows = [line.split("|")[1:4] for line in PAGE.read_text("utf-8").splitlines() if line.startswith("| `Segments")]
    explained = {name for cells in rows for name in re.findall(r"`(Segments\w+)`", cells[0]) if all(cell.strip() for cell in cells)}
    assert explained == set(rules())


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not installed (apt-get install prometheus)")
def test_alerts_fire_where_they_should_and_nowhere_else(tmp_path: Path) -> None:
    series = {
        'segments_rejected_rows{table="raw_order_lines", rule="a"}': 3,
        'segments_rejected_rows{table="raw_order_lines", rule="b"}': 2,
        'segments_checked_rows{table="raw_order_lines"}': 200,
        'segments_rejected_rows{table="raw_customers", rule="a"}': 0,
        'segments_checked_rows{table="raw_customers"}': 0,
        'segments_sync_state{sink="post", state="failed"}': 1,
        'segments_sync_state{sink="post", state="done"}': 0,
        "segments_live_until_timestamp_seconds": 0,
    }
    expected = {
        "SegmentsRowsRejected": [{"table": "raw_order_lines"}],
        "SegmentsSyncFailed": [{"sink": "post", "state": "failed"}],
        "SegmentsNightHeldBack": [],
        "SegmentsNotLive": [],
    }
    checks = [
        {
            "eval_time": "10m",
            "alertname": name,
            "exp_alerts": [{"exp_labels": labels, "exp_annotations": _annotations(name, labels)} for labels in fired],
        }
        for name, fired in expected.items()
    ]
    inputs = [{"series": name, "values": f"{value}x40"} for name, value in series.items()]
    content = {"rule_files": [str(ALERTS)], "tests": [{"interval": "1m", "input_series": inputs, "alert_rule_test": checks}]}
    (tmp_path / "test.yml").write_text(yaml.safe_dump(content))
    run = subprocess.run(["promtool", "test", "rules", str(tmp_path / "test.yml")], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout + run.stderr


def _annotations(name: str, labels: Mapping[str, str]) -> dict[str, str]:
    words = {"SegmentsRowsRejected": "2.5% of {table} are set aside", "SegmentsSyncFailed": "The last sync of {sink} {state}"}
    return {"summary": words[name].format(**labels)}

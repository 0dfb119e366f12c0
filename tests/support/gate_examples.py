"""Worked examples of gates: what a row of the page measures, as the night that it stands for."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import date, timedelta
from typing import Any

from pipeline.definitions.gate_limits import GateLimits
from pipeline.lake.lake import Lake
from pipeline.publication.gates import GateMeasures, GateResult, LargestSegment, ReachableCustomers, SchemeMoves, Takeovers, judge_measures
from support.documentation import Example

DAY = date(2024, 3, 29)


def gate_results(example: Example, _lake: Lake) -> Sequence[Mapping[str, Any]]:
    """Return what the gate that the example names says of each row."""
    name = example.title.rsplit(" ", 1)[1]
    wanted = [row.get("subject") for row in example.expected]
    return [result_row(results_of(name, row), name, subject) for row, subject in zip(example.rows(), wanted, strict=True)]


def results_of(name: str, row: Mapping[str, Any]) -> Sequence[GateResult]:
    nights = row.get("nights", 1)
    night = GateMeasures(day=DAY, before=DAY - timedelta(days=nights), line_counts={}, rejected={})
    facts: dict[str, Callable[[], dict[str, Any]]] = {
        "churn": lambda: {"moves": [SchemeMoves("rfm", row["customers"], row["moved"], is_explained=False)]},
        "volume": lambda: {"line_counts": line_counts(row["lines tonight"], row["lines of each earlier day"])},
        "swallowed": lambda: {
            "largest_segments": [
                LargestSegment("rfm", "lost", row["in the segment now"], row["of customers"], row["before"], row["of customers"])
            ]
        },
        "reachability": lambda: {
            "reachable": ReachableCustomers(row["reachable now"], row["of customers"], row["reachable before"], row["of customers"])
        },
        "vanished": lambda: {"vanished_count": row["vanished"], "customer_count_before": row["customers before"]},
        "renamed": lambda: {"takeovers": Takeovers(row["lines compared"], row["lines taken over"])},
        "rejected": lambda: {"rejected": {"raw_order_lines": (row["rejected"], row["checked"])}},
        "freshness": lambda: {"line_counts": {DAY - timedelta(days=row["days without a line"]): 5}},
    }
    return judge_measures(replace(night, **facts[name]()), GateLimits(reachable_attribute="is_reachable"), rejected_share_limit=0.05)


def line_counts(tonight: int, earlier: int) -> dict[date, int]:
    return {DAY: tonight, **{DAY - timedelta(days=back): earlier for back in range(1, 57)}}


def result_row(results: Sequence[GateResult], name: str, subject: str | None) -> Mapping[str, Any]:
    found = next(result for result in results if result.gate == name and subject in (None, result.subject))
    return {"measured": found.measured, "limit": found.limit, "state": found.state.value, "subject": found.subject}

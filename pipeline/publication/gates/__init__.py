"""May this night be published? Gates compare it with the last good one and hold it back where it differs too much.

What is offered here decides: measures and limits in, results out, and what a person may override; it reads and writes
nothing. `audit` measures, judges and records a night; `table_checks` holds computed tables to their suites.
"""

from pipeline.publication.gates.gates import (
    churn_limit,
    judge_first_night_again,
    judge_measures,
    night_of_newest_lines,
    rejected_results,
    window_first_day,
)
from pipeline.publication.gates.measures import (
    AudienceSize,
    GateMeasures,
    GateResult,
    GateState,
    ImplausibleRows,
    LargestSegment,
    ReachableCustomers,
    SchemeMoves,
    Takeovers,
    UnmatchedIds,
    VanishedAnswers,
)
from pipeline.publication.gates.overrides import Override, apply_override, gate_sentence, requested_override, require_open

__all__ = [
    "AudienceSize",
    "GateMeasures",
    "GateResult",
    "GateState",
    "ImplausibleRows",
    "LargestSegment",
    "Override",
    "ReachableCustomers",
    "SchemeMoves",
    "Takeovers",
    "UnmatchedIds",
    "VanishedAnswers",
    "apply_override",
    "churn_limit",
    "gate_sentence",
    "judge_first_night_again",
    "judge_measures",
    "night_of_newest_lines",
    "rejected_results",
    "requested_override",
    "require_open",
    "window_first_day",
]

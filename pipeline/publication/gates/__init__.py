"""May this night be published? Measures and limits in, results out; nothing here reads or writes."""

from pipeline.publication.gates.gates import churn_limit, first_night_again, judge, rejected_results, window_first_day
from pipeline.publication.gates.measures import GateResult, Holding, Measures, Moves, Reachable, State
from pipeline.publication.gates.overrides import Override, asked_override, overridden, require_open, told

__all__ = [
    "GateResult",
    "Holding",
    "Measures",
    "Moves",
    "Override",
    "Reachable",
    "State",
    "asked_override",
    "churn_limit",
    "first_night_again",
    "judge",
    "overridden",
    "rejected_results",
    "require_open",
    "told",
    "window_first_day",
]

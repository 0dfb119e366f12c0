"""May these figures be trusted? What the checks and gates of a night came to, and for a night that was held back which one is shown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from enum import Enum

from pipeline.ingestion.validation import WITHIN_LIMIT
from pipeline.publication.gates import GateResult, GateState
from pipeline.reporting.pages.morning.night_tables import NightTables, Row


class NightOutcome(Enum):
    """What the checks of a night came to."""

    PASSED = "passed"
    OVERRIDDEN = "overridden"
    HELD_BACK = "held back"
    STOPPED = "stopped"
    TAKEN_BACK = "taken back"
    NOT_JUDGED = "not judged"

    @property
    def is_refused(self) -> bool:
        """Whether the night must not be shown, so that the last good one is."""
        return self in (NightOutcome.HELD_BACK, NightOutcome.STOPPED, NightOutcome.TAKEN_BACK)


@dataclass(frozen=True, slots=True)
class Verdict:
    """The outcome of a night, its closed or overridden gates and broken rules, and how much was checked.

    `day` is the night that was judged; the figures of the page are of `figures_day`, an earlier one where it was refused.
    """

    day: date
    outcome: NightOutcome
    figures_day: date | None
    gates: Sequence[GateResult] = ()
    broken_rules: Sequence[Row] = ()
    rule_count: int = 0
    rejected_count: int = 0
    checked_count: int = 0

    @property
    def is_stale(self) -> bool:
        """Whether the figures are of an earlier night."""
        return self.figures_day != self.day

    @property
    def rejected_share(self) -> float:
        """The share of the checked rows that were set aside."""
        return self.rejected_count / self.checked_count if self.checked_count else 0.0


def outcome_of(judged: NightTables) -> NightOutcome:
    """Return what a night came to; bad data first, as a night that it stopped has no gates but those of an earlier run."""
    gates, rule_results = judged.gates, judged.rule_results
    # The share of rejected rows is a gate, and told as one.
    if any(not row["is_passed"] and row["rule"] != WITHIN_LIMIT.name for row in rule_results):
        return NightOutcome.STOPPED
    if any(gate.state is GateState.CLOSED for gate in gates) or any(not row["is_passed"] for row in rule_results):
        return NightOutcome.HELD_BACK
    if judged.rollback:
        return NightOutcome.TAKEN_BACK
    if any(gate.state is GateState.OVERRIDDEN for gate in gates):
        return NightOutcome.OVERRIDDEN
    return NightOutcome.PASSED if gates else NightOutcome.NOT_JUDGED


def verdict_of(judged: NightTables, *, figures_day: date | None) -> Verdict:
    """Return the verdict on the night that was `judged`, whose page shows the figures of `figures_day`."""
    raw = [row for row in judged.rule_results if row["source_table"].startswith("raw_")]
    checked = {
        table: max(row["checked_count"] for row in raw if row["source_table"] == table) for table in {r["source_table"] for r in raw}
    }
    return Verdict(
        judged.day,
        outcome_of(judged),
        figures_day,
        [gate for gate in judged.gates if gate.state in (GateState.CLOSED, GateState.OVERRIDDEN)],
        [row for row in judged.rule_results if not row["is_passed"]],
        len(judged.rule_results),
        sum(count for _, _, count in judged.rejected),
        sum(checked.values()),
    )

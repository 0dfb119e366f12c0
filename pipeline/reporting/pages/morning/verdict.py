"""May these figures be trusted? What the checks and gates of a night came to, and for a night that was held back which one is shown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from enum import Enum

from pipeline.ingestion.validation import WITHIN_LIMIT
from pipeline.publication.gates import GateResult, GateState, night_of_newest_lines
from pipeline.publication.gates.results import GateRecord
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
    """The outcome of a night, what its gates said and the rules that were broken, and how much was checked.

    `day` is the night that was judged; the figures of the page are of `figures_day`, an earlier one where it was refused. `live_day` is
    the night that everybody sees, where that is known.
    """

    day: date
    outcome: NightOutcome
    figures_day: date | None
    live_day: date | None = None
    gates: Sequence[GateResult] = ()
    broken_rules: Sequence[Row] = ()
    rule_count: int = 0
    rejected_count: int = 0
    checked_count: int = 0

    @property
    def closed_gates(self) -> list[GateResult]:
        """What holds the night back."""
        return [gate for gate in self.gates if gate.state is GateState.CLOSED]

    @property
    def overridden_gates(self) -> list[GateResult]:
        """What somebody let pass."""
        return [gate for gate in self.gates if gate.state is GateState.OVERRIDDEN]

    @property
    def gates_to_override(self) -> list[str]:
        """The names of gates that would have to be let pass for the night to be published: also those that were before."""
        if self.outcome is not NightOutcome.HELD_BACK:
            return []
        noted = [gate.gate for gate in self.gates if gate.state in (GateState.CLOSED, GateState.OVERRIDDEN)]
        # The share of rejected rows is a gate, though no row of it says so where it stops the night.
        return list(dict.fromkeys([*noted, *(["rejected"] if self.broken_rules else [])]))

    @property
    def night_of_newest_lines(self) -> date | None:
        """The night to run instead of one that is held back as the newest orders are far older, while nothing is live; else None."""
        return None if self.live_day else night_of_newest_lines(self.day, self.closed_gates)

    @property
    def is_stale(self) -> bool:
        """Whether the figures are of an earlier night."""
        return self.figures_day != self.day

    @property
    def rejected_share(self) -> float:
        """The share of the checked rows that were set aside."""
        return self.rejected_count / self.checked_count if self.checked_count else 0.0


def outcome_of(judged: NightTables) -> NightOutcome:
    """Return what a night came to."""
    gates, broken = _gates_of(judged), _broken_rules(judged)
    # The share of rejected rows is a gate, and told as one.
    if any(row["rule"] != WITHIN_LIMIT.name for row in broken):
        return NightOutcome.STOPPED
    if broken or any(gate.state is GateState.CLOSED for gate in gates):
        return NightOutcome.HELD_BACK
    if judged.rollback:
        return NightOutcome.TAKEN_BACK
    if any(gate.state is GateState.OVERRIDDEN for gate in gates):
        return NightOutcome.OVERRIDDEN
    return NightOutcome.PASSED if gates else NightOutcome.NOT_JUDGED


def _gates_of(judged: NightTables) -> Sequence[GateResult]:
    """Return the gates of the night; where its rows stopped it, those that are stored are of an earlier run."""
    return () if _broken_rules(judged) else judged.gates


def _broken_rules(judged: NightTables) -> list[Row]:
    """Return the rules that stopped the night; where its reading was refused, results that are stored are of an earlier run."""
    is_reading_refused = GateRecord(None, judged.gates).is_of_reading and judged.gates[0].state is GateState.CLOSED
    return [] if is_reading_refused else [row for row in judged.rule_results if not row["is_passed"]]


def verdict_of(judged: NightTables, *, figures_day: date | None, live_day: date | None = None) -> Verdict:
    """Return the verdict on the night that was `judged`, whose page shows the figures of `figures_day` while `live_day` is live."""
    raw = [row for row in judged.rule_results if row["source_table"].startswith("raw_")]
    checked = {
        table: max(row["checked_count"] for row in raw if row["source_table"] == table) for table in {r["source_table"] for r in raw}
    }
    return Verdict(
        judged.day,
        outcome_of(judged),
        figures_day,
        live_day,
        _gates_of(judged),
        _broken_rules(judged),
        len(judged.rule_results),
        sum(count for _, _, count in judged.rejected),
        sum(checked.values()),
    )

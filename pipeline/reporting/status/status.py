"""The status of a lake: what is live, and what became of the newest night.

No step writes down how it ended, since one that is killed could not. The state follows from what is stored instead: a broken rule
among the validation results means stopped, a closed gate means held back, the live publication means published. Where nothing of
that is found, the night is not finished, and its exit code tells a monitor to look again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from enum import Enum

from pipeline.definitions.command_options import command_options
from pipeline.definitions.company import Company
from pipeline.errors import DataError, GateClosed, TransientError
from pipeline.ingestion.extractions import is_being_reread
from pipeline.ingestion.validation import WITHIN_LIMIT, stored_results
from pipeline.lake import addresses
from pipeline.lake.lake import Lake
from pipeline.lake.tables import (
    AUDIENCE_MEMBERS,
    AUDIENCES,
    CLUSTER_DRIFTS,
    CUSTOMER_FEATURES,
    CUSTOMER_SEGMENTS,
    EXTRACTIONS,
    GATE_RESULTS,
    VALIDATION_RESULTS,
)
from pipeline.models.measure_drift import requested_refits
from pipeline.models.refits.prediction_refit import prediction_source_words
from pipeline.publication.current import Publication, current_publication
from pipeline.publication.epoch import current_epoch, epoch_when_begun, is_withdrawn
from pipeline.publication.gates import GateResult, GateState, rejected_results
from pipeline.publication.gates.measuring import rejected_counts
from pipeline.publication.gates.results import stored_gates
from pipeline.publication.iceberg import RegisteredTables, registered_tables
from pipeline.publication.rollback_log import read_rollbacks
from pipeline.reporting.source_notices import late_days_of, misdated_sentences
from pipeline.reporting.status.events import KnownEvents, known_events
from pipeline.segmentation import restated_nights

ATTEMPTS = (EXTRACTIONS, VALIDATION_RESULTS, CUSTOMER_FEATURES, CUSTOMER_SEGMENTS, GATE_RESULTS)


class NightState(Enum):
    """What became of a night, or of another run of the one that is live: (words, exit code for a monitor)."""

    LIVE = ("live", 0)
    SUPERSEDED = ("taken back, an earlier night is live", 0)
    GATE_CLOSED = ("held back by a closed gate", GateClosed.exit_code)
    STOPPED = ("stopped by bad data", DataError.exit_code)
    REFUSED = ("refused, for a rollback came after it was begun; run it again from its beginning", GateClosed.exit_code)
    NOT_FINISHED = ("not finished", TransientError.exit_code)
    RERUN_GATE_CLOSED = ("live as it was published before; its rerun is held back by a closed gate", GateClosed.exit_code)
    RERUN_STOPPED = ("live as it was published before; its rerun was stopped by bad data", DataError.exit_code)
    RERUN_NOT_FINISHED = ("live as it was published before; its rerun is not finished", TransientError.exit_code)

    @property
    def words(self) -> str:
        return self.value[0]

    @property
    def exit_code(self) -> int:
        return self.value[1]


@dataclass(frozen=True, slots=True)
class NewestNight:
    """The newest night that was begun, what became of it, what its gates said, and which rules stopped it."""

    day: date
    outcome: NightState
    gates: Sequence[GateResult]
    broken_rules: Sequence[str]


@dataclass(frozen=True, slots=True)
class LakeStatus:
    """The status of a lake; `sizes` are bytes by folder, `predictions` says by which model value is predicted, or why it is not.

    `late_days` are days for which rows arrived late, `misdated` tells of rows that no night reads, `restated_nights` are pairs of a
    day and the night that knows it since; `audiences` tells of those that the newest night publishes, and why of each other not.
    `rejected_rows` are those that the newest night set aside, per source table; `due` is a day that should be live, if one was named.
    `catalogue` is where the Iceberg tables lead, None without a catalogue. `command_options` name this company and lake in commands.
    """

    live: Publication | None
    newest: NewestNight | None
    events: Sequence[KnownEvents]
    late_days: Sequence[date]
    misdated: Sequence[str]
    restated_nights: Sequence[tuple[date, date]]
    sizes: Mapping[str, int]
    requested_refits: Sequence[str]
    predictions: str
    audiences: Sequence[str] = ()
    rejected_rows: Mapping[str, int] = field(default_factory=dict)
    due: date | None = None
    catalogue: RegisteredTables | None = None
    command_options: str = ""

    @property
    def is_due(self) -> bool:
        """Whether a day should be live that is not, nor any later one."""
        return self.due is not None and (self.live is None or self.live.day < self.due)

    @property
    def exit_code(self) -> int:
        """Return 0 where the newest night is live as it was run last, and none is due; else the exit code of what holds it back."""
        code = self.newest.outcome.exit_code if self.newest else NightState.NOT_FINISHED.exit_code
        return code or (NightState.NOT_FINISHED.exit_code if self.is_due else 0)


def read_status(company: Company, lake: Lake, *, due: date | None = None) -> LakeStatus:
    """Read the status of `lake`; `due` is a day that should be live. Raises DataError where the live publication cannot be read."""
    live = current_publication(lake)
    newest = newest_night(company, lake, live)
    read_nights, drift_nights = lake.nights(EXTRACTIONS), lake.nights(CLUSTER_DRIFTS)
    return LakeStatus(
        live=live,
        newest=newest,
        events=known_events(company, lake),
        late_days=late_days_of(lake, read_nights[-1]) if read_nights else [],
        misdated=misdated_sentences(company, lake, newest.day) if newest else [],
        restated_nights=[(version.day, version.known_on) for version in restated_nights(lake)],
        sizes=lake.store.folder_sizes(),
        requested_refits=requested_refits(lake, drift_nights[-1]) if drift_nights else [],
        predictions=prediction_source_words(lake, newest.day) if newest else "",
        audiences=_audience_sentences(lake, newest.day) if newest else [],
        rejected_rows={table: count for table, (count, _) in rejected_counts(lake, newest.day).items()} if newest else {},
        due=due,
        catalogue=registered_tables(company, lake),
        command_options=command_options(company, lake),
    )


def _audience_sentences(lake: Lake, day: date) -> list[str]:
    """Tell how many audiences the night has, which of them are empty, and of each that is left out why."""
    if not lake.has(AUDIENCE_MEMBERS, day=day):
        return []
    left_out = lake.manifest(addresses.partition(AUDIENCE_MEMBERS, day=day))["not_computed"]
    sizes = lake.read(AUDIENCES, day=day).to_pylist() if lake.has(AUDIENCES, day=day) else []
    empty = [f"{row['audience']}: nobody is in it" for row in sizes if not row["customer_count"]]
    return [f"{len(sizes):,} published", *empty, *(f"{name}: not published: {reason}" for name, reason in left_out.items())]


def newest_night(company: Company, lake: Lake, live: Publication | None) -> NewestNight | None:
    """Return the newest night that was begun and what became of it, beside the live publication; None where none was begun."""
    # A night that failed before it stored anything left nothing but the lock that it took.
    locks = [name.removeprefix("day=") for name in lake.store.lock_names() if name.startswith("day=")]
    begun = {night for table in ATTEMPTS for night in lake.nights(table)} | {date.fromisoformat(day) for day in locks}
    begun = {night for night in begun if not is_withdrawn(lake, night)}
    if company.last_day:  # what was tried after it, such as a first night long after the newest orders, is nothing to wait for
        begun = {night for night in begun if night <= company.last_day}
    if live:
        begun.add(live.day)
    if not begun:
        return None
    day = max(begun)
    gates = _stored_gate_results(company, lake, day)
    # The share of rejected rows is a gate, and shown as one.
    failed = [row for row in stored_results(lake, day).rule_results if not row["is_passed"] and row["rule"] != WITHIN_LIMIT.name]
    broken = [f"{row['source_table']} breaks `{row['rule']}`" for row in failed]
    return NewestNight(day, _state_of_night(lake, day, live, gates, broken), gates, broken)


def _state_of_night(lake: Lake, day: date, live: Publication | None, gates: Sequence[GateResult], broken: Sequence[str]) -> NightState:
    is_live, is_closed = live is not None and live.day == day, any(gate.state is GateState.CLOSED for gate in gates)
    # Bad data first: a night that it stopped has no gates but those of an earlier run.
    if broken:
        return NightState.RERUN_STOPPED if is_live else NightState.STOPPED
    if is_closed:
        return NightState.RERUN_GATE_CLOSED if is_live else NightState.GATE_CLOSED
    if is_live:
        return NightState.LIVE if _is_night_read(lake, day) else NightState.RERUN_NOT_FINISHED
    if any(rollback.from_id.startswith(f"{day}-") for rollback in read_rollbacks(lake)[-1:]):
        return NightState.SUPERSEDED
    # Begun before the last rollback, it must not bring back what was taken back.
    return NightState.REFUSED if epoch_when_begun(lake, day) < current_epoch(lake) else NightState.NOT_FINISHED


def _stored_gate_results(company: Company, lake: Lake, day: date) -> list[GateResult]:
    """Return the results of the gates; of a night that was stopped before, that of lines that vanished or rows rejected."""
    record = stored_gates(lake, day)
    if record and (record.is_of_reading or _is_night_read(lake, day)):
        return list(record.results)
    return rejected_results(rejected_counts(lake, day), company.limits, company.rejected_share_limit)


def _is_night_read(lake: Lake, day: date) -> bool:
    """Return whether the night's extraction is valid: validation withdraws one that it stops, and a second may have broken off."""
    return lake.has(EXTRACTIONS, day=day) and not is_being_reread(lake, day)

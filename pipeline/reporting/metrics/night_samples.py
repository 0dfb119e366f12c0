"""What a night comes to in figures: read from what its steps stored, so that each can be sent as soon as its step is done.

A figure that was not measured is left out; one that was, and is none, is zero: a monitor would otherwise go on showing yesterday's.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from datetime import date

from pipeline.calendar import ONE_DAY, first_instant
from pipeline.definitions.company import Company
from pipeline.definitions.gate_limits import GATES as GATE_NAMES
from pipeline.ingestion.extractions import extraction_rows
from pipeline.ingestion.validation import stored_results
from pipeline.lake import addresses
from pipeline.lake.lake import Lake, known_versions
from pipeline.lake.tables import (
    CLUSTER_DRIFTS,
    CUSTOMER_FEATURES,
    ORDER_LINES,
    SEGMENT_MOVES,
    SEGMENT_PROFILES,
)
from pipeline.models.measure_drift import rows_beyond_limits
from pipeline.publication.current import Publication, current_publication
from pipeline.publication.gates import GateState
from pipeline.publication.gates.measuring import rejected_counts
from pipeline.reporting.metrics import declarations
from pipeline.reporting.metrics.declarations import Sample
from pipeline.reporting.metrics.run_records import read_step_record
from pipeline.reporting.source_notices import late_days_of
from pipeline.reporting.status.status import NewestNight, NightState, newest_night
from pipeline.segmentation.moves.reasons import REASONS

Samples = Iterator[Sample]


def step_samples(company: Company, lake: Lake, step: str, day: date) -> Samples:
    """Yield what is to be told once `step` of the night of `day` is done, or failed; nothing of a night that is not the newest."""
    live = current_publication(lake)
    newest = newest_night(company, lake, live)
    if newest is None or newest.day != day:
        return
    yield from newest_night_samples(company, newest)
    yield from _step_run_samples(lake, step, day)
    yield from SAMPLES_BY_STEP[step](company, lake, day)
    if live and step == "publish":
        yield from live_samples(company, live)


def night_samples(company: Company, lake: Lake, newest: NewestNight) -> Samples:
    """Yield all that is known of the newest night."""
    yield from newest_night_samples(company, newest)
    for step, samples in SAMPLES_BY_STEP.items():
        yield from _step_run_samples(lake, step, newest.day)
        yield from samples(company, lake, newest.day)


def live_samples(company: Company, live: Publication) -> Samples:
    """Yield what is told of the live publication."""
    yield Sample(declarations.LIVE_UNTIL, end_of_day(company, live.day))
    for table, count in sorted(live.row_counts.items()):
        yield Sample(declarations.LIVE_ROWS, count, (table,))


def newest_night_samples(company: Company, newest: NewestNight) -> Samples:
    """Yield what became of the newest night, and what its gates said."""
    yield Sample(declarations.NEWEST_NIGHT_UNTIL, end_of_day(company, newest.day))
    for state in NightState:
        yield Sample(declarations.NEWEST_NIGHT_STATE, int(newest.outcome is state), (state.name.lower(),))
    states = Counter(gate.state for gate in newest.gates)
    for gate_state in GateState:
        yield Sample(declarations.GATES, states[gate_state], (gate_state.name.lower(),))
    closed = Counter(gate.gate for gate in newest.gates if gate.state is GateState.CLOSED)
    for gate in GATE_NAMES:
        yield Sample(declarations.CLOSED_GATES, closed[gate], (gate,))


def end_of_day(company: Company, day: date) -> float:
    """Return the instant at which a business day ends, in seconds since 1970."""
    return first_instant(day + ONE_DAY, company.zone).timestamp()


def _step_run_samples(lake: Lake, step: str, day: date) -> Samples:
    record = read_step_record(lake, step)
    if record and record.day == day:
        yield Sample(declarations.STEP_SECONDS, record.seconds, (step,))
        yield Sample(declarations.STEP_CPU_SECONDS, record.cpu_seconds, (step,))


def _extract_samples(company: Company, lake: Lake, day: date) -> Samples:
    del company
    for row in extraction_rows(lake, day):
        yield Sample(declarations.READ_ROWS, row["row_count"], (row["source_table"],))
    yield Sample(declarations.LATE_DAYS, len(late_days_of(lake, day)))


def _validate_samples(company: Company, lake: Lake, day: date) -> Samples:
    del company
    results = stored_results(lake, day)
    rejected = {(table, rule): count for table, rule, count in results.rejected}
    rejecting = {(row["source_table"], row["rule"]) for row in results.rule_results if row["rejects_rows"]}
    for table, (_, checked) in sorted(rejected_counts(lake, day).items()):
        yield Sample(declarations.CHECKED_ROWS, checked, (table,))
    for table, rule in sorted(rejecting | set(rejected)):
        yield Sample(declarations.REJECTED_ROWS, rejected.get((table, rule), 0), (table, rule))
    counts = {version: each.row_count for version, each in lake.event_days(ORDER_LINES).versions.items()}
    newest = max((each.day for each in known_versions(counts, through=day, known_on=day) if counts[each]), default=None)
    if newest:
        yield Sample(declarations.NEWEST_ORDER_AGE, (day - newest).days)


def _features_samples(company: Company, lake: Lake, day: date) -> Samples:
    del company
    if lake.has(CUSTOMER_FEATURES, day=day):
        yield Sample(declarations.NIGHT_CUSTOMERS, lake.row_count(addresses.partition(CUSTOMER_FEATURES, day=day)))


def _segment_samples(company: Company, lake: Lake, day: date) -> Samples:
    del company
    if not lake.has(SEGMENT_PROFILES, day=day):
        return
    members: Counter[str] = Counter()
    for row in lake.read_columns(SEGMENT_PROFILES, ["scheme", "customer_count"], day=day).to_pylist():
        members[row["scheme"]] += row["customer_count"]
    for scheme, count in sorted(members.items()):
        yield Sample(declarations.MEMBERSHIPS, count, (scheme,))
    if lake.has(SEGMENT_MOVES, day=day):
        moved = lake.read_columns(SEGMENT_MOVES, ["scheme", "reason"], day=day).group_by(["scheme", "reason"])
        moves = {(row["scheme"], row["reason"]): row["count_all"] for row in moved.aggregate([([], "count_all")]).to_pylist()}
        for scheme, reason in sorted({(scheme, reason) for scheme in members for reason in REASONS} | set(moves)):
            yield Sample(declarations.MOVES, moves.get((scheme, reason), 0), (scheme, reason))
    if lake.has(CLUSTER_DRIFTS, day=day):
        yield Sample(declarations.REQUESTED_REFITS, len({row["scheme"] for row in rows_beyond_limits(lake, day)}))


def _no_samples(company: Company, lake: Lake, day: date) -> Samples:
    del company, lake, day
    yield from ()


SAMPLES_BY_STEP: Mapping[str, Callable[[Company, Lake, date], Samples]] = {
    "extract": _extract_samples,
    "validate": _validate_samples,
    "features": _features_samples,
    "segment": _segment_samples,
    "audit": _no_samples,
    "publish": _no_samples,
}

"""One stage of one night: its steps, and what they changed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from time import monotonic
from traceback import extract_tb

from pipeline.definitions.company import PROJECT_ROOT
from pipeline.errors import PipelineError
from pipeline.lake import addresses
from pipeline.lake.lake import Lake
from pipeline.lake.tables import AUDIENCE_MEMBERS, CUSTOMER_FEATURES, CUSTOMER_SEGMENTS, Table
from pipeline.operations.backfill.differences import NightDifference, compare_audiences, compare_partitions
from pipeline.operations.backfill.plan import STAGES, PlannedNight, Stage
from pipeline.operations.deployment import Deployment
from pipeline.operations.night import Night
from pipeline.operations.steps import STEPS

COMPARED: dict[Stage, tuple[Table, ...]] = {"features": (CUSTOMER_FEATURES,), "segments": (CUSTOMER_SEGMENTS, AUDIENCE_MEMBERS)}
BEFORE, AS_KNOWN = "what was there", "the night as known"


@dataclass(frozen=True, slots=True)
class StageTask:
    """One stage of one night, for the backfill whose digest is `backfill`; sent to a worker, so it must be picklable."""

    deployment: Deployment
    backfill: str
    night: PlannedNight
    stage: Stage


@dataclass(frozen=True, slots=True)
class StageFailure:
    """What stopped a night, in words for people, and the exit code of its cause."""

    message: str
    exit_code: int


@dataclass(frozen=True, slots=True)
class StageResult:
    """What became of one stage of one night; `differences` are by the name of what the night was compared with.

    The journal keeps its fields by their names.
    """

    day: date
    known_on: date
    stage: Stage
    seconds: float = 0.0
    differences: dict[str, NightDifference] | None = None
    failure: StageFailure | None = None


def run_stage(task: StageTask) -> StageResult:
    """Run `task` and return what became of it; no error is raised but an interruption."""
    night, started = task.night, monotonic()
    try:
        differences = _run_and_compare(task)
        failure = None
    except PipelineError as error:
        differences, failure = None, StageFailure(f"{type(error).__name__}: {error}", error.exit_code)
    except Exception as error:  # noqa: BLE001 - one night must not stop the others
        differences, failure = None, StageFailure(_unforeseen_error_words(error), 1)
    return StageResult(night.day, night.known_on, task.stage, monotonic() - started, differences, failure)


def _unforeseen_error_words(error: Exception) -> str:
    """Say where an unforeseen error came from, without its own message: that may quote a customer's value."""
    places = extract_tb(error.__traceback__)
    place = next((each for each in reversed(places) if Path(each.filename).is_relative_to(PROJECT_ROOT / "pipeline")), places[-1])
    return f"{type(error).__name__}: this is our mistake\n  where: {Path(place.filename).name}:{place.lineno}"


def _run_and_compare(task: StageTask) -> dict[str, NightDifference] | None:
    tables = COMPARED.get(task.stage)
    if tables is None:
        _run_steps(task)
        return None
    with ExitStack() as copies:
        # Before the steps replace any of them.
        before = {table: copies.enter_context(_partition_before(task, table)) for table in tables}
        others = {table: _partitions_to_compare(task.deployment.lake, table, task.night, before[table]) for table in tables}
        _run_steps(task)
        return {against: _difference(task, against, others) for against in others[tables[0]]}


def _difference(task: StageTask, against: str, others: Mapping[Table, Mapping[str, str]]) -> NightDifference:
    """Compare what a stage wrote with what the others hold that are named `against`; audiences only where both sides have any."""
    lake, night, engine = task.deployment.lake, task.night, task.deployment.engine
    table, *beside = others
    written = addresses.partition(table, day=night.day, known_on=night.known_on)
    found = compare_partitions(lake, task.deployment.company.table(table), others[table][against], written, engine=engine)
    for each in beside:
        if against in others[each] and lake.has(each, day=night.day, known_on=night.known_on):
            members = others[each][against], addresses.partition(each, day=night.day, known_on=night.known_on)
            entries = compare_audiences(lake, members, (others[table][against], written), engine=engine)
            found = replace(found, moved={**found.moved, **entries.moved})
    return found


def _run_steps(task: StageTask) -> None:
    night = Night.of(task.deployment, task.night.day, task.night.known_on)
    since = task.night.since
    for name in STAGES[task.stage]:
        # A step is given only what it takes: all others know no `reread`.
        options = {"reread": True, "since": since} if name == "extract" and since else {}
        STEPS[name](night, **options)


@contextmanager
def _partition_before(task: StageTask, table: Table) -> Iterator[str | None]:
    """Yield the address of the partition as it was before the block, or None where there was none.

    An interrupted attempt may have replaced the partition already, but it left its copy of the original: that one counts.
    """
    lake, day, known = task.deployment.lake, task.night.day, task.night.known_on
    copy = addresses.before_backfill(task.backfill, table, day, known)
    if not lake.exists(copy) and lake.has(table, day=day, known_on=known):
        lake.store.link_or_copy(addresses.partition(table, day=day, known_on=known), copy)
    yield copy if lake.exists(copy) else None
    # Only after the stage has gone well: one that was interrupted is compared with this copy when it is tried again.
    lake.delete(copy)


def _partitions_to_compare(lake: Lake, table: Table, night: PlannedNight, before: str | None) -> dict[str, str]:
    """Return what a night is to be compared with: what was there, and for a restatement the night as it was known then."""
    others = {} if before is None else {BEFORE: before}
    if night.known_on == night.day:
        return others
    known = (addresses.date_in(each, "known") for each in lake.list_addresses(addresses.restatements(table, day=night.day)))
    earlier = max((each for each in known if each < night.known_on), default=None)
    if earlier is not None and before is None:
        others[f"as known on {earlier}"] = addresses.partition(table, day=night.day, known_on=earlier)
    return ({AS_KNOWN: addresses.partition(table, day=night.day)} if lake.has(table, day=night.day) else {}) | others

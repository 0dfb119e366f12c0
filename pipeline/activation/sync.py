"""One sync of one sink: plan, breaker, delivery, and what is told of it.

The sink gets what the live publication says. Each customer is found by one join of row hashes, and every so often, or on request, by
reading everything back from the sink.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime, timedelta
from time import sleep as sleep_seconds

from pipeline.activation.delivery import Delivered, Delivery
from pipeline.activation.limits import require_within_limits
from pipeline.activation.members import acknowledged_members
from pipeline.activation.opt_outs import forget_opt_outs_elsewhere, gather_opted_out, note_opt_outs, read_opt_outs_elsewhere
from pipeline.activation.outbox import MEMORY_LIMIT, Outbox, open_outbox
from pipeline.activation.plan import Plan, fill_outbox, find_delta, register_publication, require_profiles
from pipeline.activation.reconciling import add_differences
from pipeline.activation.sinks import open_sink
from pipeline.activation.sinks.sink import Sink
from pipeline.activation.vocabulary import list_titles, managed_lists
from pipeline.definitions.command_options import command_options
from pipeline.definitions.company import Company
from pipeline.definitions.sinks import OPT_OUTS, SinkDefinition, load_sinks
from pipeline.errors import DataError, GateClosed
from pipeline.features import MergeHistory
from pipeline.lake import addresses
from pipeline.lake.lake import Lake
from pipeline.lake.tables import RAW_CUSTOMER_CONTACTS
from pipeline.publication.current import Publication

Progress = Callable[[str, int, int], None]
FEWEST_REFUSED = 5
ATTEMPTS_ELSEWHERE = 3
log = logging.getLogger("pipeline.activation")


@dataclass(frozen=True, slots=True)
class SyncOptions:
    """How a sync is asked for: only shown; everything read back; limits overridden, and why."""

    is_dry_run: bool = False
    is_full: bool = False
    override_reason: str = ""


@dataclass(frozen=True, slots=True)
class SyncInputs:
    """What a sync works with. `clock` tells the instant, `sleep` waits for seconds, `progress` hears of customers done and planned."""

    company: Company
    lake: Lake
    connections: Callable[[str], str]
    clock: Callable[[], datetime]
    sleep: Callable[[float], None] = sleep_seconds
    progress: Progress | None = None


@dataclass(frozen=True, slots=True)
class SyncReport:
    """What a sync planned and did, in customers."""

    sink: str
    publication_id: str
    is_dry_run: bool
    is_full: bool
    plan: Plan
    written_count: int = 0
    unchanged_count: int = 0
    is_stopped: bool = False
    refused: Mapping[str, int] = field(default_factory=dict)
    override_reason: str = ""

    @property
    def refused_count(self) -> int:
        """Customers whom the sink refused."""
        return sum(self.refused.values())


class SyncStopped(GateClosed):
    """A plan exceeds a limit, so nothing was written; `report` has the plan."""

    def __init__(self, closed: GateClosed, report: SyncReport) -> None:
        super().__init__(closed.what, where=closed.where, todo=closed.todo)
        self.report = report


@dataclass(frozen=True, slots=True)
class _Session:
    """A sync under way: the sink is open, and nobody else syncs it. `titles` is what our lists are called."""

    definition: SinkDefinition
    inputs: SyncInputs
    outbox: Outbox
    sink: Sink
    delivery: Delivery
    titles: Mapping[str, list[str]]

    def report_progress(self, planned: int) -> None:
        if self.inputs.progress:
            self.inputs.progress(self.definition.name, self.delivery.done.count, planned)


def sync_sink(definition: SinkDefinition, inputs: SyncInputs, options: SyncOptions) -> SyncReport:
    """Bring a sink to the live publication, and return what was planned and done.

    Raises SyncStopped where the plan exceeds a limit, ConfigError where something is missing, TransientError where the sink is out of
    reach or another sync of it is running.
    """
    publication = require_profiles(inputs.lake)
    with inputs.lake.lock(f"sync-{definition.name}"), _open_session(definition, inputs, publication) as session:
        started = inputs.clock()
        if options.is_dry_run:
            with session.outbox.rehearsal():
                return _plan_sync(session, options, publication, started)
        report = _plan_sync(session, options, publication, started)
        if not options.override_reason:
            try:
                require_within_limits(report.plan, definition, options=command_options(inputs.company, inputs.lake))
            except GateClosed as closed:
                raise SyncStopped(closed, replace(report, is_stopped=True)) from None
        try:
            _deliver(session, report.plan)
        finally:
            report = _with_delivered(report, session.delivery.done)
            _note_run(session, report, started)
    return report


def require_accepted(report: SyncReport, definition: SinkDefinition, inputs: SyncInputs) -> None:
    """Raise DataError where the sink refused more customers than the definition allows."""
    if report.refused_count > max(FEWEST_REFUSED, definition.limits.refused_share * report.plan.count):
        raise DataError(
            f"{definition.name} refused {report.refused_count:,} of {report.plan.count:,} customers",
            where=definition.where,
            todo=f"See whom and why: segments sync --sink {definition.name} --rejected{command_options(inputs.company, inputs.lake)}",
        )


@contextmanager
def _open_session(definition: SinkDefinition, inputs: SyncInputs, publication: Publication) -> Iterator[_Session]:
    """Yield the open sink and its outbox, with the publication at hand and the sink's lists named."""
    lake = inputs.lake
    known = lake.snapshot_known(RAW_CUSTOMER_CONTACTS, publication.day)
    contacts = [addresses.partition(RAW_CUSTOMER_CONTACTS, known_on=known)] if known else []
    folders = [lake.local(each).parent for each in (addresses.published_manifest(publication.publication_id), *contacts)]
    # The state is stored last: what it does not know of is written to the sink once more, and what it knows of is there.
    with lake.store.edit(addresses.sync_state(definition.name)) as state, _open(definition, inputs) as sink:
        sink.lists = managed_lists(inputs.company, definition, lake, publication)
        with open_outbox(state, folders=folders, memory_limit=MEMORY_LIMIT) as outbox:
            survivors = MergeHistory(lake, inputs.company.zone).rows_of(publication.day, publication.day)
            register_publication(outbox, lake, publication, contacts, survivors)
            delivery = Delivery(outbox, sink, sleep=inputs.sleep, clock=inputs.clock)
            yield _Session(definition, inputs, outbox, sink, delivery, list_titles(sink.lists))


@contextmanager
def _open(definition: SinkDefinition, inputs: SyncInputs) -> Iterator[Sink]:
    with (
        inputs.lake.store.edit(addresses.sync_files(definition.name)) as folder,
        closing(open_sink(definition, inputs.connections, folder, clock=inputs.clock)) as sink,
    ):
        yield sink


def _plan_sync(session: _Session, options: SyncOptions, publication: Publication, started: datetime) -> SyncReport:
    """Fill the outbox, and return the report of a sync that has written nothing yet."""
    outbox, definition = session.outbox, session.definition
    _begin_anew_elsewhere(session, started)
    is_full = options.is_full or _is_full_due(session, started) or _is_renamed(session)
    if outbox.rows("SELECT mapping FROM sync_runs ORDER BY started_at DESC LIMIT 1") != [(definition.mapping_digest,)]:
        outbox.connection.execute("UPDATE sync_state SET row_hash = NULL")
    _read_opt_outs(session, started)
    find_delta(outbox, definition, session.sink.lists)
    if is_full:
        add_differences(outbox, session.delivery, session.sink)
    plan = fill_outbox(outbox, definition, is_full=options.is_full)
    return SyncReport(
        definition.name, publication.publication_id, options.is_dry_run, is_full, plan, override_reason=options.override_reason
    )


def _read_opt_outs(session: _Session, now: datetime) -> None:
    """Ask the sink who said no there, and the company's other sinks where what is said there counts."""
    outbox, inputs = session.outbox, session.inputs
    note_opt_outs(outbox, session.delivery.retry(session.sink.opted_out))

    def ask(other: SinkDefinition) -> Collection[str] | None:
        with _open(other, inputs) as sink:
            return session.delivery.retry(sink.opted_out, attempts=ATTEMPTS_ELSEWHERE)

    if session.definition.opt_outs == OPT_OUTS[0]:
        others = [each for each in load_sinks(inputs.company).values() if each.name != session.definition.name]
        read_opt_outs_elsewhere(outbox, others, ask, now=now)
    else:
        forget_opt_outs_elsewhere(outbox)
    gather_opted_out(outbox)


def _begin_anew_elsewhere(session: _Session, now: datetime) -> None:
    """Forget what was acknowledged where the definition leads to another system by now: ours in the old one stays there."""
    outbox, system = session.outbox, session.definition.system_digest
    if outbox.is_of_another_system(system):
        held, opt_out_count = outbox.count("SELECT count(*) FROM sync_state WHERE is_active"), outbox.count("SELECT count(*) FROM opt_outs")
        log.warning(
            "%s is another system now, as its kind, connection or settings changed: everybody is sent there anew. In the old one stays "
            "what is ours there, of %d customers; opt-outs made there, %d, do not hold here",
            session.definition.name,
            held,
            opt_out_count,
        )
    outbox.begin_anew(system, now=now)


def _deliver(session: _Session, plan: Plan) -> None:
    if plan.count or _is_renamed(session):
        session.delivery.retry(session.sink.ensure_vocabulary)
    session.report_progress(plan.count)
    session.delivery.send_all(lambda _: session.report_progress(plan.count))
    if session.sink.takes_members:
        session.sink.finish(acknowledged_members(session.outbox, session.definition))


def _is_full_due(session: _Session, now: datetime) -> bool:
    """Return whether everything has to be read back: on the first sync of a readable sink, and whenever its days have passed."""
    if not session.sink.is_readable:
        return False
    last = session.outbox.rows("SELECT max(started_at) FROM sync_runs, sync_system WHERE is_full AND started_at >= since")[0][0]
    return last is None or now.replace(tzinfo=None) - last >= timedelta(days=session.definition.reconcile_days)


def _is_renamed(session: _Session) -> bool:
    """Return whether a list is called otherwise than in the last sync that was carried out whole."""
    if not session.sink.is_readable:
        return False
    last = session.outbox.rows("SELECT arg_max(titles, started_at) FROM sync_runs WHERE titles IS NOT NULL")[0][0]
    before: Mapping[str, list[str]] = json.loads(last) if last else {}
    return any(before.get(name, title) != title for name, title in session.titles.items())


def _with_delivered(report: SyncReport, done: Delivered) -> SyncReport:
    return replace(
        report, written_count=done.written_count, unchanged_count=done.unchanged_count, refused=dict(sorted(done.refused.items()))
    )


def _note_run(session: _Session, report: SyncReport, started: datetime) -> None:
    is_whole = session.outbox.count("SELECT count(*) FROM sync_outbox") == 0
    values = {
        "started": started.replace(tzinfo=None),
        "ended": session.inputs.clock().replace(tzinfo=None),
        "publication": report.publication_id,
        "mapping": session.definition.mapping_digest,
        # One that broke off has not read everything back.
        "is_full": report.is_full and is_whole,
        "report": json.dumps(asdict(report), sort_keys=True),
        "reason": report.override_reason or None,
        "titles": json.dumps(session.titles, ensure_ascii=False) if is_whole else None,
    }
    session.outbox.connection.execute(
        "INSERT INTO sync_runs VALUES ($started, $ended, $publication, $mapping, $is_full, $report, $reason, $titles)", values
    )

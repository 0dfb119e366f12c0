"""Syncs of the company's sinks, one after the other, by the command line or a task."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from time import sleep as sleep_seconds
from typing import TYPE_CHECKING

from pipeline.definitions.sinks import SinkDefinition, load_sinks
from pipeline.errors import ConfigError, PipelineError
from pipeline.log_fields import log_fields
from pipeline.operations.deployment import Deployment
from pipeline.spelling import did_you_mean

if TYPE_CHECKING:
    from pipeline.activation.sync import Progress, SyncReport
    from pipeline.lake.lake import Lake
    from pipeline.reporting.metrics.run_records import SyncState

log = logging.getLogger("pipeline.operations.sync")


def sync_sinks(  # noqa: PLR0913
    deployment: Deployment,
    *,
    sink: str | None = None,
    is_dry_run: bool = False,
    is_full: bool = False,
    override_reason: str = "",
    progress: Progress | None = None,
    sleep: Callable[[float], None] = sleep_seconds,
) -> Iterator[SyncReport]:
    """Sync every sink, or the one named `sink`, and yield a report of each; a dry run writes nothing.

    A full one reads everything back, and tries again whom the sink refused; a reason to override lets limits pass. Nobody is
    erased meanwhile. What the sync of one sink raises is raised once the others had their turn.
    """
    from pipeline.activation.sync import SyncInputs, SyncOptions, SyncStopped, require_accepted, sync_sink
    from pipeline.operations.erasure.erase import finish_erasures, holding_off_erasures
    from pipeline.reporting.metrics.run_records import SyncState

    chosen = chosen_sinks(deployment, sink)
    inputs = SyncInputs(
        company=deployment.company,
        lake=deployment.lake,
        connections=deployment.connections,
        clock=lambda: datetime.now(UTC),
        sleep=sleep,
        progress=progress,
    )
    options = SyncOptions(is_dry_run=is_dry_run, is_full=is_full, override_reason=override_reason)
    finish_erasures(deployment, are_sinks_required=False)
    failed: list[PipelineError] = []
    for definition in chosen:
        report, state = None, SyncState.FAILED
        try:
            with holding_off_erasures(deployment.lake):
                report = sync_sink(definition, inputs, options)
            state = SyncState.DONE
            yield report
            require_accepted(report, definition, inputs)
        except SyncStopped as stopped:
            report, state = stopped.report, SyncState.STOPPED
            yield stopped.report
            failed.append(stopped)
        except PipelineError as error:
            state = SyncState.FAILED
            failed.append(error)
        finally:
            if not is_dry_run:
                _note_sync(deployment.lake, definition.name, state, report)
    for other in failed[1:]:
        log.error("%s: %s", type(other).__name__, other)
    if failed:
        raise failed[0]


def _note_sync(lake: Lake, sink: str, state: SyncState, report: SyncReport | None) -> None:
    """Note how the sync ended, for monitors; where that cannot be written, the sync stays what it was."""
    from pipeline.reporting.metrics.run_records import write_sync_record

    try:
        write_sync_record(lake, sink, state, report)
    except PipelineError as error:
        log.warning("how the sync of %s ended is not noted: %s", sink, error.what)


def sync_one(deployment: Deployment, sink: str, *, full: bool = False, override_reason: str = "") -> None:
    """Sync one sink and log what was done: the step of a task."""
    from pipeline.reporting.sync_report import summary_of_sync

    for report in sync_sinks(deployment, sink=sink, is_full=full, override_reason=override_reason):
        counts = {"written": report.written_count, "unchanged": report.unchanged_count, "refused": report.refused_count}
        with log_fields(sink=report.sink, **counts):
            log.info("%s", summary_of_sync(report))


def rejected_rows(deployment: Deployment, sink: str | None = None) -> Iterator[tuple[str, ...]]:
    """Yield the customers whom sinks refused: sink, customer, the sink's code and message, since when, how often."""
    from pipeline.activation.outbox import open_outbox
    from pipeline.lake.addresses import sync_state

    for definition in chosen_sinks(deployment, sink):
        lake, address = deployment.lake, sync_state(definition.name)
        if not lake.exists(address):
            continue
        query = "SELECT customer_id, code, message, first_rejected_at, attempt_count FROM rejected_rows ORDER BY customer_id"
        with (
            lake.lock(f"sync-{definition.name}"),
            lake.store.edit(address) as path,
            open_outbox(path, memory_limit=deployment.memory_limit) as outbox,
        ):
            found = outbox.rows(query)
        yield from ((definition.name, *(str(value) for value in row)) for row in found)


def chosen_sinks(deployment: Deployment, sink: str | None) -> list[SinkDefinition]:
    """Return the company's sinks, or the one named `sink`; raises ConfigError where there is none."""
    sinks = load_sinks(deployment.company)
    if not sinks:
        todo = 'Write one, such as sinks/files.toml with the line: kind = "files"'
        raise ConfigError("the company has no sinks", where=str(deployment.company.folder), todo=todo)
    if sink is None:
        return list(sinks.values())
    if sink not in sinks:
        raise ConfigError(
            f"there is no sink `{sink}`{did_you_mean(sink, sinks)}",
            where=str(deployment.company.folder / "sinks"),
            todo=f"Choose one of {', '.join(sinks)}.",
        )
    return [sinks[sink]]

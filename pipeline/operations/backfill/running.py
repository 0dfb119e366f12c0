"""Run a plan, stage by stage: nights are read in the order of their days, computed side by side, published in order.

All nights finish a stage before any begins the next one: so each night of the range is described by the time segments are compared
with those of the night before, whichever worker got to it first.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date
from itertools import pairwise
from typing import Protocol

from pipeline.definitions.schemes import load_cluster_schemes, load_schemes
from pipeline.lake import addresses
from pipeline.operations.backfill.journal import BackfillJournal, open_journal
from pipeline.operations.backfill.night import StageResult, StageTask
from pipeline.operations.backfill.plan import STAGES, BackfillPlan, Stage
from pipeline.operations.backfill.workers import WorkerPool
from pipeline.operations.deployment import Deployment
from pipeline.publication.epoch import stamp_epoch
from pipeline.segmentation import has_stays

# A night is read after the one whose knowledge it adds to, and what is published never goes back in time.
IN_ORDER: tuple[Stage, ...] = ("read", "publish")


class ProgressWatch(Protocol):
    """Shows how a backfill goes on; `view.ProgressBars` is one."""

    def begin_stage(self, stage: Stage, *, total: int, done: int) -> None:
        """Show that a stage begins for `total` nights, of which `done` are done already."""

    def end_night(self, result: StageResult) -> None:
        """Show what became of one night in the stage that was begun."""

    def print_line(self, text: str) -> None:
        """Show a warning."""


@dataclass(frozen=True, slots=True)
class BackfillReport:
    """What became of a backfill: every finished stage of a night, those of earlier attempts included, and the failures as they came."""

    results: tuple[StageResult, ...]
    failures: tuple[StageResult, ...]


def run_backfill(deployment: Deployment, plan: BackfillPlan, *, parallel: int, watch: ProgressWatch) -> BackfillReport:
    """Run `plan` in `parallel` processes and return what became of it.

    A night that fails does not stop the others, and is tried again when the same plan is run again. The journal is
    kept until every night is done. Raises LockTimeout where the same backfill is running.
    """
    workers = WorkerPool(parallel, watch.print_line)
    with open_journal(deployment.lake, plan.digest) as journal:
        try:
            failures = tuple(_BackfillRun(deployment, plan, journal, watch).run_stages(workers, parallel))
        finally:
            workers.stop()
        report = BackfillReport(tuple(journal.results), failures)
        if not failures:
            journal.remove()
    return report


@dataclass(frozen=True, slots=True)
class _BackfillRun:
    deployment: Deployment
    plan: BackfillPlan
    journal: BackfillJournal
    watch: ProgressWatch

    def run_stages(self, workers: WorkerPool, parallel: int) -> Iterator[StageResult]:
        failed: set[date] = set()
        self._begin_nights()
        for stage in STAGES:
            nights = [night for night in self.plan.nights if stage in night.stages and night.day not in failed]
            # Nights side by side share the processors; one at a time may have them all.
            shares = 1 if stage in IN_ORDER else parallel
            deployment = replace(self.deployment, worker_count=max(1, self.deployment.worker_count // shares))
            todo = [StageTask(deployment, self.journal.digest, night, stage) for night in nights if not self.journal.has(night, stage)]
            self.watch.begin_stage(stage, total=len(nights), done=len(nights) - len(todo))
            for result in self._run_tasks(stage, todo, workers, parallel):
                if result.failure is None:
                    # Before it is shown: what was shown as done is not done again.
                    self.journal.add(result)
                self.watch.end_night(result)
                if result.failure is not None:
                    failed.add(result.day)
                    yield result
            if self.plan.request.is_reread and stage == "read" and failed:
                return  # what the other nights were to be restated with was not read

    def _begin_nights(self) -> None:
        """Begin every night that is to be published anew: whoever resumes a backfill after a rollback wants it."""
        for night in self.plan.nights:
            if "publish" in night.stages:
                stamp_epoch(self.deployment.lake, night.day)

    def _run_tasks(self, stage: Stage, tasks: Sequence[StageTask], workers: WorkerPool, parallel: int) -> Iterator[StageResult]:
        # Where rules look at earlier nights, a night has to come after the one before it.
        if stage in IN_ORDER or parallel == 1 or (stage == "segments" and has_stays(load_schemes(self.deployment.company).schemes)):
            yield from workers.run_tasks([tasks])
            return
        rest = list(tasks)
        while stage == "segments" and rest and not _has_models(self.deployment):
            # The first night that can fits the models, for all others.
            yield from workers.run_tasks([[rest.pop(0)]])
        # Each worker gets neighbouring nights: a night is cheap right after the one before, whose state is rolled forward.
        ends = [len(rest) * place // parallel for place in range(parallel + 1)]
        yield from workers.run_tasks([rest[start:end] for start, end in pairwise(ends) if start < end])


def _has_models(deployment: Deployment) -> bool:
    """Return whether every cluster scheme has a model: workers side by side must not each fit a first one."""
    lake, schemes = deployment.lake, load_cluster_schemes(deployment.company)
    return all(lake.list_addresses(addresses.models(scheme.name), suffix=".json") for scheme in schemes)

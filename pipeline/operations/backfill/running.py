"""Work off a plan, stage by stage: nights are read in the order of their days, computed side by side, published in order."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import pairwise
from typing import Protocol

from pipeline.definitions.schemes import load_cluster_schemes
from pipeline.lake import addresses
from pipeline.operations.backfill.journal import BackfillJournal, open_journal
from pipeline.operations.backfill.night import StageResult, StageTask
from pipeline.operations.backfill.plan import STAGES, BackfillPlan, PlannedNight, Stage
from pipeline.operations.backfill.workers import Chunks, WorkerPool
from pipeline.operations.deployment import Deployment
from pipeline.publication.epoch import stamp_epoch

IN_ORDER: tuple[Stage, ...] = ("read", "publish")


class ProgressWatch(Protocol):
    """Whoever watches a backfill."""

    def begins(self, stage: Stage, *, total: int, done: int) -> None:
        """Hear that a stage begins for `total` nights, of which `done` need nothing any more."""

    def ends(self, outcome: StageResult) -> None:
        """Hear what became of one night."""

    def says(self, text: str) -> None:
        """Hear a warning."""


@dataclass(frozen=True, slots=True)
class BackfillReport:
    """What became of a backfill: every finished stage, resumed ones included, and the failures in the order they came."""

    outcomes: tuple[StageResult, ...]
    failures: tuple[StageResult, ...]


def run_backfill(deployment: Deployment, plan: BackfillPlan, *, parallel: int, watch: ProgressWatch) -> BackfillReport:
    """Work off `plan` in `parallel` processes and return what became of it.

    A night that fails leaves the others alone, and is tried again when the same plan is run again. What is done is
    kept until all is. Raises LockTimeout where the same backfill is running.
    """
    workers = WorkerPool(parallel, watch.says)
    with open_journal(deployment.lake, plan.digest) as journal:
        try:
            failures = tuple(_BackfillRun(deployment, plan, journal, watch).failures(workers, parallel))
        finally:
            workers.stop()
        report = BackfillReport(tuple(journal.outcomes), failures)
        if not failures:
            journal.remove()
    return report


@dataclass(frozen=True, slots=True)
class _BackfillRun:
    deployment: Deployment
    plan: BackfillPlan
    journal: BackfillJournal
    watch: ProgressWatch

    def failures(self, workers: WorkerPool, parallel: int) -> Iterator[StageResult]:
        failed: set[date] = set()
        self._note_begins()
        for stage in STAGES:
            nights = [night for night in self.plan.nights if stage in night.stages and night.day not in failed]
            todo = [self._task(night, stage) for night in nights if not self.journal.has(night, stage)]
            self.watch.begins(stage, total=len(nights), done=len(nights) - len(todo))
            for outcome in self._outcomes(stage, todo, workers, parallel):
                if outcome.failure is None:
                    self.journal.add(outcome)  # before anybody is told: what was told is not done again
                self.watch.ends(outcome)
                if outcome.failure is not None:
                    failed.add(outcome.day)
                    yield outcome
            if self.plan.asked.is_reread and stage == "read" and failed:
                return  # what was to be learned is not known

    def _note_begins(self) -> None:
        """Begin every night that is to be published anew: whoever resumes a backfill after a rollback wants it."""
        for night in self.plan.nights:
            if "publish" in night.stages:
                stamp_epoch(self.deployment.lake, night.day)

    def _task(self, night: PlannedNight, stage: Stage) -> StageTask:
        return StageTask(self.deployment, self.journal.digest, night, stage)

    def _outcomes(self, stage: Stage, tasks: Sequence[StageTask], workers: WorkerPool, parallel: int) -> Iterator[StageResult]:
        if stage in IN_ORDER or parallel == 1:
            yield from workers.outcomes([tasks])
            return
        rest = list(tasks)
        while stage == "segments" and rest and not _has_models(self.deployment):
            yield from workers.outcomes([[rest.pop(0)]])  # the first night that can fits the models, for all others
        yield from workers.outcomes(_neighbouring_chunks(rest, parallel))


def _has_models(deployment: Deployment) -> bool:
    lake, schemes = deployment.lake, load_cluster_schemes(deployment.company)
    return all(lake.list_addresses(addresses.models(scheme.name), suffix=".json") for scheme in schemes)


def _neighbouring_chunks(tasks: Sequence[StageTask], count: int) -> Chunks:
    """Return the tasks in `count` runs of neighbours, since a night is cheap right after the one before."""
    ends = [len(tasks) * place // count for place in range(count + 1)]
    return [tasks[start:end] for start, end in pairwise(ends) if start < end]

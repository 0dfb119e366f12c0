"""Processes that run tasks, each in the order it was given; one that dies costs its task and is replaced.

Not `lake.workers`, nor a pool of the standard library: there, an error or a process that is killed (by the system, for its memory) ends
all work, and tasks cannot be bound to a worker in their order.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing.connection import wait

from pipeline.errors import PipelineError
from pipeline.lake.worker_process import WorkerProcess
from pipeline.operations.backfill.night import StageFailure, StageResult, StageTask, run_stage

PrintLine = Callable[[str], None]
Chunks = Sequence[Sequence[StageTask]]


@dataclass(slots=True)
class _Worker:
    """A process, the task it works on, and those that wait for it."""

    process: WorkerProcess = field(default_factory=WorkerProcess)
    waiting: deque[StageTask] = field(default_factory=deque)
    task: StageTask | None = None

    def take_next(self) -> None:
        self.task = self.waiting.popleft() if self.waiting else None
        if self.task is not None:
            self.process.send((run_stage, self.task))


class WorkerPool:
    """Up to `count` processes; a single one is this very process."""

    def __init__(self, count: int, print_line: PrintLine) -> None:
        self._count, self._print_line = count, print_line
        self._workers: list[_Worker] = []

    def run_tasks(self, chunks: Chunks) -> Iterator[StageResult]:
        """Run each chunk in its order, chunks side by side, and yield the result of every task as it ends."""
        if self._count == 1:
            for task in (task for chunk in chunks for task in chunk):
                with _passing_warnings(self._print_line):
                    result = run_stage(task)
                yield result
            return
        for place, chunk in enumerate(chunks):
            if place == len(self._workers):
                self._workers.append(_Worker())
            self._workers[place].waiting.extend(chunk)
            self._workers[place].take_next()
        yield from self._collect_results()

    def _collect_results(self) -> Iterator[StageResult]:
        while busy := {worker.process.connection: place for place, worker in enumerate(self._workers) if worker.task}:
            # Whoever is ready first: in the order of workers, a slow one would leave the others without a task.
            for connection in wait(list(busy)):
                place = busy[connection]  # type: ignore[index]  # sockets are waited for too, but not by us
                result = self._read_result(place)
                if result is not None:
                    yield result
                    self._workers[place].take_next()

    def _read_result(self, place: int) -> StageResult | None:
        """Return the result that a worker sends, that of a dead one too; None for what it logs on the way, which is passed on."""
        worker = self._workers[place]
        with _passing_warnings(self._print_line):
            outcome = worker.process.receive()
        if outcome is None:
            return None
        if isinstance(outcome.error, PipelineError):
            return self._replace_dead_worker(place, outcome.error)
        result: StageResult = outcome.result()
        return result

    def _replace_dead_worker(self, place: int, error: PipelineError) -> StageResult:
        """Start another process for the tasks that wait, and return the failure of the one that was being run."""
        dead = self._workers[place]
        task = dead.task
        assert task is not None  # noqa: S101 - only the busy are listened to
        # It is still alive where the task did not reach it whole.
        dead.process.terminate()
        dead.process.stop()
        self._workers[place] = _Worker(waiting=dead.waiting)
        failure = StageFailure(f"{type(error).__name__}: {error}", error.exit_code)
        return StageResult(task.night.day, task.night.known_on, task.stage, failure=failure)

    def stop(self) -> None:
        """End every process."""
        for worker in self._workers:
            worker.process.terminate()
        for worker in self._workers:
            worker.process.stop()


@contextmanager
def _passing_warnings(print_line: PrintLine) -> Iterator[None]:
    """Pass the pipeline's warnings to `print_line`, and drop its other log lines, for the time of the block."""
    logger, handler = logging.getLogger("pipeline"), _WarningHandler(print_line)
    before = logger.level, logger.propagate
    logger.addHandler(handler)
    logger.setLevel(logging.WARNING)
    logger.propagate = False
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(before[0])
        logger.propagate = before[1]


class _WarningHandler(logging.Handler):
    def __init__(self, print_line: PrintLine) -> None:
        super().__init__(logging.WARNING)
        self._print_line = print_line

    def emit(self, record: logging.LogRecord) -> None:
        self._print_line(record.getMessage())

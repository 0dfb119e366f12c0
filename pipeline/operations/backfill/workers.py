"""Processes that work off tasks, each in the order it was given; one that dies costs its task and is replaced."""

from __future__ import annotations

import logging
import signal
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess

from pipeline.errors import TransientError
from pipeline.operations.backfill.night import StageFailure, StageResult, StageTask, run_stage

STOP_SECONDS = 10.0
Say = Callable[[str], None]
Chunks = Sequence[Sequence[StageTask]]
_SPAWN = get_context("spawn")


@dataclass(slots=True)
class _WorkerProcess:
    """A process of ours, the task it works on and those that wait for it."""

    connection: Connection
    process: SpawnProcess
    waiting: deque[StageTask] = field(default_factory=deque)
    task: StageTask | None = None

    def take_next(self) -> None:
        self.task = self.waiting.popleft() if self.waiting else None
        if self.task is not None:
            with suppress(OSError):  # a dead one is found when its answer is read
                self.connection.send(self.task)


class WorkerPool:
    """Up to `count` processes; a single one is this very process."""

    def __init__(self, count: int, say: Say) -> None:
        self._count, self._say = count, say
        self._workers: list[_WorkerProcess] = []

    def outcomes(self, chunks: Chunks) -> Iterator[StageResult]:
        """Work off each chunk in its order, chunks side by side, and yield what became of every task as it ends."""
        if self._count == 1:
            for task in (task for chunk in chunks for task in chunk):
                with _passing_warnings(self._say):
                    outcome = run_stage(task)
                yield outcome
            return
        for place, chunk in enumerate(chunks):
            if place == len(self._workers):
                self._workers.append(_start_worker())
            self._workers[place].waiting.extend(chunk)
            self._workers[place].take_next()
        yield from self._answers()

    def _answers(self) -> Iterator[StageResult]:
        while busy := {worker.connection: place for place, worker in enumerate(self._workers) if worker.task}:
            for connection in wait(list(busy)):
                place = busy[connection]  # type: ignore[index]  # sockets are waited for too, but not by us
                outcome = self._answer(place)
                if outcome is not None:
                    yield outcome
                    self._workers[place].take_next()

    def _answer(self, place: int) -> StageResult | None:
        """Return the outcome that a worker sends; what it has to say on the way is passed on."""
        worker = self._workers[place]
        try:
            answer: StageResult | str = worker.connection.recv()
        except (EOFError, OSError):
            return self._replaced(place)
        if isinstance(answer, StageResult):
            return answer
        self._say(answer)
        return None

    def _replaced(self, place: int) -> StageResult:
        dead = self._workers[place]
        dead.process.join()
        task = dead.task
        assert task is not None  # noqa: S101 - only the busy are listened to
        self._workers[place] = _start_worker()
        self._workers[place].waiting = dead.waiting
        error = TransientError(
            f"the process that worked on it ended: {_cause_of_end(dead.process)}",
            todo="Give it more memory or fewer neighbours, then run again.",
        )
        return StageResult(
            task.night.day, task.night.known, task.stage, failure=StageFailure(f"{type(error).__name__}: {error}", error.exit_code)
        )

    def stop(self) -> None:
        """End every process; whoever does not in STOP_SECONDS is killed, which the lake survives."""
        for worker in self._workers:
            worker.process.terminate()
        for worker in self._workers:
            worker.process.join(STOP_SECONDS)
            worker.process.kill()
            worker.process.join()
            worker.connection.close()


def _cause_of_end(process: SpawnProcess) -> str:
    code = process.exitcode or 0
    return signal.Signals(-code).name if code < 0 else f"exit code {code}"


def _start_worker() -> _WorkerProcess:
    ours, theirs = _SPAWN.Pipe()
    process = _SPAWN.Process(target=_serve_tasks, args=(theirs,), daemon=True)
    process.start()
    theirs.close()
    return _WorkerProcess(ours, process)


def _serve_tasks(connection: Connection) -> None:
    """Work off whatever comes until nobody is there to listen; Ctrl-C is the parent's to hear."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, _end_process)
    with suppress(EOFError, OSError), _passing_warnings(connection.send):
        while True:
            connection.send(run_stage(connection.recv()))


def _end_process(_number: int, _frame: object) -> None:
    raise SystemExit


@contextmanager
def _passing_warnings(say: Say) -> Iterator[None]:
    """Send what the pipeline warns of to `say`, and the rest nowhere."""
    logger, handler = logging.getLogger("pipeline"), _WarningHandler(say)
    kept = logger.level, logger.propagate
    logger.addHandler(handler)
    logger.setLevel(logging.WARNING)
    logger.propagate = False
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(kept[0])
        logger.propagate = kept[1]


class _WarningHandler(logging.Handler):
    def __init__(self, say: Say) -> None:
        super().__init__(logging.WARNING)
        self._say = say

    def emit(self, record: logging.LogRecord) -> None:
        self._say(record.getMessage())

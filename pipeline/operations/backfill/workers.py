"""Processes that run tasks, each in the order it was given; one that dies costs its task and is replaced.

Not a pool of the standard library: there, a process that is killed (by the system, for its memory) breaks the whole pool, and
tasks cannot be bound to a worker in their order. Processes are spawned, not forked, since DuckDB's threads do not survive a fork.
"""

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
PrintLine = Callable[[str], None]
Chunks = Sequence[Sequence[StageTask]]
_SPAWN = get_context("spawn")


@dataclass(slots=True)
class _WorkerProcess:
    """A process, the task it works on, and those that wait for it."""

    connection: Connection
    process: SpawnProcess
    waiting: deque[StageTask] = field(default_factory=deque)
    task: StageTask | None = None

    def take_next(self) -> None:
        self.task = self.waiting.popleft() if self.waiting else None
        if self.task is not None:
            with suppress(OSError):  # a dead process is noticed when its result is to be read
                self.connection.send(self.task)


class WorkerPool:
    """Up to `count` processes; a single one is this very process."""

    def __init__(self, count: int, print_line: PrintLine) -> None:
        self._count, self._print_line = count, print_line
        self._workers: list[_WorkerProcess] = []

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
                self._workers.append(_start_worker())
            self._workers[place].waiting.extend(chunk)
            self._workers[place].take_next()
        yield from self._collect_results()

    def _collect_results(self) -> Iterator[StageResult]:
        while busy := {worker.connection: place for place, worker in enumerate(self._workers) if worker.task}:
            # Whoever is ready first: in the order of workers, a slow one would leave the others without a task.
            for connection in wait(list(busy)):
                place = busy[connection]  # type: ignore[index]  # sockets are waited for too, but not by us
                result = self._read_result(place)
                if result is not None:
                    yield result
                    self._workers[place].take_next()

    def _read_result(self, place: int) -> StageResult | None:
        """Return the result that a worker sends; what it prints on the way is passed on."""
        worker = self._workers[place]
        try:
            message: StageResult | str = worker.connection.recv()
        except (EOFError, OSError):
            return self._replace_dead_worker(place)
        if isinstance(message, StageResult):
            return message
        self._print_line(message)
        return None

    def _replace_dead_worker(self, place: int) -> StageResult:
        """Start another process for the tasks that wait, and return the failure of the one that was being run."""
        dead = self._workers[place]
        dead.process.join()
        task = dead.task
        assert task is not None  # noqa: S101 - only the busy are listened to
        self._workers[place] = _start_worker()
        self._workers[place].waiting = dead.waiting
        code = dead.process.exitcode or 0
        cause = signal.Signals(-code).name if code < 0 else f"exit code {code}"
        error = TransientError(
            f"the process that worked on it ended: {cause}",
            todo="Give it more memory or fewer neighbours, then run again.",
        )
        return StageResult(
            task.night.day, task.night.known_on, task.stage, failure=StageFailure(f"{type(error).__name__}: {error}", error.exit_code)
        )

    def stop(self) -> None:
        """End every process; one that has not ended in STOP_SECONDS is killed, which the lake survives."""
        for worker in self._workers:
            worker.process.terminate()
        for worker in self._workers:
            worker.process.join(STOP_SECONDS)
            worker.process.kill()
            worker.process.join()
            worker.connection.close()


def _start_worker() -> _WorkerProcess:
    ours, theirs = _SPAWN.Pipe()
    process = _SPAWN.Process(target=_serve_tasks, args=(theirs,), daemon=True)
    process.start()
    # Else the end of the process would not end the connection, and we would wait for ever.
    theirs.close()
    return _WorkerProcess(ours, process)


def _serve_tasks(connection: Connection) -> None:
    """Run task after task until the parent is gone; Ctrl-C reaches the whole group, but it is for the parent to handle."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, _end_process)
    with suppress(EOFError, OSError), _passing_warnings(connection.send):
        while True:
            connection.send(run_stage(connection.recv()))


def _end_process(_number: int, _frame: object) -> None:
    # Rather than die at once: locks are released and staged files removed on the way out.
    raise SystemExit


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

"""One process beside this one that works through what it is sent, and ends with whoever started it.

Not one of `multiprocessing`: that imports the main module anew, which Airflow's is not made for, and lets no child process of its own
start others. Nor a fork: the threads of Arrow and DuckDB do not survive one.
"""

from __future__ import annotations

import logging
import os
import pickle
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from io import BytesIO
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from queue import SimpleQueue
from threading import Thread
from traceback import format_tb
from typing import Any

from pipeline.errors import PipelineError, TransientError
from pipeline.log_fields import fields_of, log_fields

STOP_SECONDS = 10.0
Task = tuple[Callable[[Any], Any], Any]


@dataclass(frozen=True, slots=True)
class LogLine:
    """A line that a worker logged, with its fields."""

    logger: str
    level: int
    text: str
    fields: Mapping[str, object] = field(default_factory=dict)

    def pass_on(self) -> None:
        """Log the line here, as if it had been logged here."""
        with log_fields(**self.fields):
            logging.getLogger(self.logger).log(self.level, "%s", self.text)


@dataclass(frozen=True, slots=True)
class WorkOutcome:
    """What became of a task: an answer, or the error that it raised."""

    answer: Any = None
    error: Exception | None = None

    def result(self) -> Any:  # noqa: ANN401 - whatever the task answers
        """Return the answer, or raise the error."""
        if self.error is not None:
            raise self.error
        return self.answer


class WorkerProcess:
    """The process as whoever started it sees it; it works on one task at a time."""

    def __init__(self) -> None:
        self.connection, theirs = Pipe()
        level = logging.getLogger("pipeline").getEffectiveLevel()
        # The same modules are found there, in the same order, whatever the command was started as.
        code = f"import sys; sys.path[:] = {sys.path!r}; from {__name__} import serve_tasks; serve_tasks({theirs.fileno()}, {level})"
        self._process = subprocess.Popen(  # noqa: S603 - our own interpreter and text
            [sys.executable, "-c", code], pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL
        )
        # Else the end of the process would not end the connection, and we would wait for ever.
        theirs.close()

    def send(self, task: Task) -> None:
        """Send a task; a dead process is noticed when its outcome is to be received."""
        with suppress(OSError):
            self.connection.send_bytes(_pickled(task))

    def receive(self) -> WorkOutcome | None:
        """Return the outcome that comes next; None for a log line, which is passed on. A process that died is a TransientError."""
        try:
            message: WorkOutcome | LogLine = self.connection.recv()
        except (EOFError, OSError):
            return WorkOutcome(error=self._death())
        if isinstance(message, WorkOutcome):
            return message
        message.pass_on()
        return None

    def _death(self) -> TransientError:
        code = self._process.wait()
        cause = signal.Signals(-code).name if code < 0 else f"exit code {code}"
        return TransientError(
            f"the process that worked on it ended: {cause}",
            todo="Free memory, or run fewer processes side by side (SEGMENTS_WORKERS=1, or --parallel 1 of a backfill); then run again.",
        )

    def terminate(self) -> None:
        """Ask the process to end: locks are released and staged files removed on the way out."""
        self._process.terminate()

    def stop(self) -> None:
        """Wait for the end of a process that was terminated; after STOP_SECONDS it is killed, which the lake survives."""
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(STOP_SECONDS)
        self._process.kill()
        self._process.wait()
        self.connection.close()


class _TaskPickler(pickle.Pickler):
    """Pickles what is sent to a process that this one started, by a connection that nobody else has."""

    def reducer_override(self, sent: object) -> Any:  # noqa: ANN401 - as `pickle` has it
        # A store in a bucket holds credentials, which are pickled for nobody else.
        reopening = getattr(sent, "reopening_by_child", None)
        return NotImplemented if reopening is None or isinstance(sent, type) else reopening()


def _pickled(task: Task) -> bytes:
    buffer = BytesIO()
    _TaskPickler(buffer, pickle.HIGHEST_PROTOCOL).dump(task)
    return buffer.getvalue()


def serve_tasks(descriptor: int, log_level: int) -> None:
    """Run task after task until the other end is gone: then end at once, whatever is being worked on.

    Ctrl-C reaches the whole group of processes, but it is for whoever started this one to handle.
    """
    from pipeline.lake.spared_imports import spare_pandas

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, _exit)
    spare_pandas()
    connection = Connection(descriptor)
    _send_log_lines(connection, log_level)
    tasks: SimpleQueue[bytes] = SimpleQueue()
    Thread(target=_receive_tasks, args=(connection, tasks), daemon=True).start()
    while True:
        connection.send(outcome_of(partial(_work, tasks.get())))


def _receive_tasks(connection: Connection, tasks: SimpleQueue[bytes]) -> None:
    """Take in tasks in a thread of its own, so that the end of the other end is noticed even in the middle of one."""
    with suppress(EOFError, OSError):
        while True:
            tasks.put(connection.recv_bytes())
    # What is written appears whole or not at all, and the next process sweeps away what is left.
    os._exit(1)


def _work(task: bytes) -> Any:  # noqa: ANN401 - whatever the task answers
    # Here, and not where it is received: what cannot be put together, such as a lake that cannot be opened, is an error of the task.
    work, item = pickle.loads(task)  # noqa: S301 - from whoever started this process
    return work(item)


def outcome_of(work: Callable[[], Any]) -> WorkOutcome:
    """Return what `work` answers, or its error in a form that can be sent elsewhere."""
    try:
        return WorkOutcome(work())
    except Exception as error:  # noqa: BLE001 - whoever sent the task raises it
        if not isinstance(error, PipelineError):
            error.add_note("".join(format_tb(error.__traceback__)))  # places in the code, which do not travel with the error itself
        return WorkOutcome(error=error if _can_travel(error) else RuntimeError(f"{type(error).__name__} in a worker"))


def _can_travel(error: Exception) -> bool:
    try:
        pickle.loads(pickle.dumps(error))  # noqa: S301 - our own bytes
    except Exception:  # noqa: BLE001 - whatever a class of an error does when it is put together anew
        return False
    return True


def _exit(_number: int, _frame: object) -> None:
    raise SystemExit


def _send_log_lines(connection: Connection, level: int) -> None:
    logger = logging.getLogger("pipeline")
    logger.addHandler(_LineHandler(connection.send))
    logger.setLevel(level)
    logger.propagate = False


@contextmanager
def capturing_log_lines(level: int) -> Iterator[list[LogLine]]:
    """Yield a list that takes what the program logs in the block, from `level` on; it is logged nowhere else."""
    logger, lines = logging.getLogger("pipeline"), list[LogLine]()
    before, handler = (logger.level, logger.propagate), _LineHandler(lines.append)
    logger.addHandler(handler)
    logger.setLevel(level)
    logger.propagate = False
    try:
        yield lines
    finally:
        logger.removeHandler(handler)
        logger.setLevel(before[0])
        logger.propagate = before[1]


class _LineHandler(logging.Handler):
    def __init__(self, send: Callable[[LogLine], object]) -> None:
        super().__init__()
        self._send = send

    def emit(self, record: logging.LogRecord) -> None:
        self._send(LogLine(record.name, record.levelno, record.getMessage(), fields_of(record)))

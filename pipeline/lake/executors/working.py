"""Does work in executors: a task takes one item, and answers with what became of it and which files it has written."""

from __future__ import annotations

import pickle
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import Any

import pyarrow as pa

from pipeline.lake.executors.exchange import Exchange
from pipeline.lake.executors.failures import raising_readable_errors
from pipeline.lake.executors.task_files import TaskFiles
from pipeline.lake.worker_process import LogLine, WorkOutcome, capturing_log_lines, outcome_of

ANSWERS = pa.schema([("number", pa.int64()), ("answer", pa.binary())])
PARCEL = pa.schema([("pickled", pa.large_binary())])
# What takes the place of things that are not pickled: the store, a private file that is there, one that is to be written, any of them.
STORE, INPUT, OUTPUT, PATH = "store", "input", "output", "path"


@dataclass(frozen=True, slots=True)
class TaskAnswer:
    """What became of an item, what was logged meanwhile, and the names of written files: private ones by path, others by address."""

    outcome: WorkOutcome
    lines: Sequence[LogLine]
    private: Mapping[str, str]
    staged: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class ItemWorker:
    """Turns numbers of items into answers; called by Spark, in an executor, with one column of numbers.

    The work is the first row of the file `parcel`, which was sent under `address`, if under any; the items follow.
    """

    exchange: Exchange
    place: str
    parcel: Path
    address: str | None
    log_level: int

    def __call__(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        with raising_readable_errors():
            for batch in batches:
                for number in batch.column(0).to_pylist():
                    yield pa.RecordBatch.from_pylist([{"number": number, "answer": self._answer(number)}], ANSWERS)

    def _answer(self, number: int) -> bytes:
        with TaskFiles(self.exchange, self.place) as files, capturing_log_lines(self.log_level) as lines:
            outcome = outcome_of(partial(self._work, number, files))
            return _pickled(TaskAnswer(outcome, lines, files.written(), files.store.staged), files)

    def _work(self, number: int, files: TaskFiles) -> Any:  # noqa: ANN401 - whatever the work answers
        path = self.parcel if self.address is None else self.exchange.store.local(self.address)
        with pa.memory_map(str(path)) as source, pa.ipc.open_file(source) as rows:
            work, item = (_unpickled(rows.get_batch(place).column(0)[0].as_py(), files) for place in (0, number + 1))
        return work(item)


class _WorkUnpickler(pickle.Unpickler):
    def __init__(self, content: bytes, files: TaskFiles) -> None:
        super().__init__(BytesIO(content))
        self._files = files

    def persistent_load(self, sent: tuple[str, ...]) -> Any:  # noqa: ANN401 - as `pickle` has it
        kind, *rest = sent
        if kind == STORE:
            return self._files.store
        return self._files.path_to_read(*rest) if kind == INPUT else self._files.path_to_write(*rest)


class _AnswerPickler(pickle.Pickler):
    def __init__(self, buffer: BytesIO, files: TaskFiles) -> None:
        super().__init__(buffer, pickle.HIGHEST_PROTOCOL)
        self._files = files

    def persistent_id(self, sent: object) -> tuple[str, ...] | None:
        if sent is self._files.store:
            return (STORE,)
        given = self._files.given_path(sent) if isinstance(sent, Path) else None
        return (PATH, given) if given else None


def _unpickled(content: bytes, files: TaskFiles) -> Any:  # noqa: ANN401 - the work, or an item
    return _WorkUnpickler(content, files).load()


def _pickled(answer: TaskAnswer, files: TaskFiles) -> bytes:
    buffer = BytesIO()
    _AnswerPickler(buffer, files).dump(answer)
    return buffer.getvalue()

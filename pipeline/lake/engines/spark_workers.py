"""Work on many items in the executors of a cluster, by the code that processes on this machine run."""

from __future__ import annotations

import logging
import pickle
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from functools import cached_property
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast
from uuid import uuid4

import pyarrow as pa
from sqlglot import exp

from pipeline.errors import TransientError
from pipeline.lake.addresses import STAGING
from pipeline.lake.disk import disk_errors
from pipeline.lake.engines.spark_errors import AGAIN, translating_spark_errors
from pipeline.lake.engines.spark_session import SparkConnection, connect
from pipeline.lake.executors.exchange import Exchange, exchange_of
from pipeline.lake.executors.versions import lacking_packages
from pipeline.lake.executors.working import ANSWERS, INPUT, OUTPUT, PARCEL, STORE, ItemWorker, TaskAnswer
from pipeline.lake.store import Store
from pipeline.lake.workers import Answer, Item, Workers

if TYPE_CHECKING:
    from pyspark.sql import DataFrame
    from pyspark.sql.connect.session import SparkSession

log = logging.getLogger("pipeline.lake.engines.spark_workers")


class SparkWorkers:
    """Executors of a cluster, a task for each item; where they lack packages, those who work `beside` this process.

    The cluster is asked once there is work. What is written into `store`, and the private files that items name, appear here as answers
    come.
    """

    def __init__(self, remote: str, store: Store, beside: Workers) -> None:
        self._remote, self._store, self._beside = remote, store, beside
        self._exchange = exchange_of(store)
        self._resources = ExitStack()

    @property
    def count(self) -> int:
        # Never one, which would say that rows may be held in the memory of this process.
        return max(self._connection.parallelism, 2) if self._connection else self._beside.count

    @property
    def process_count(self) -> int:
        return 1 if self._connection else self._beside.process_count

    def map(self, work: Callable[[Item], Answer], items: Sequence[Item]) -> Iterator[Answer]:
        if len(items) < 2:  # noqa: PLR2004 - nothing is done side by side
            yield from map(work, items)
        elif self._connection is None:
            yield from self._beside.map(work, items)
        else:
            yield from self._answers(self._connection, work, items)

    def close(self) -> None:
        self._resources.close()

    @cached_property
    def _connection(self) -> SparkConnection | None:
        """A session whose executors can do the work; None where they lack what it needs."""
        connection = connect(self._remote)
        if lacking := lacking_packages(connection.executor):
            connection.close()
            packages, count = " ".join(lacking), self._beside.count
            log.info("executors lack %s, so files are validated and erased by processes of this machine: %s", packages, count)
            return None
        self._resources.callback(connection.close)
        return connection

    def _answers(self, connection: SparkConnection, work: Callable[[Item], Answer], items: Sequence[Item]) -> Iterator[Answer]:
        with ExitStack() as opened:
            folder = opened.enter_context(self._store.private_folder())
            place = opened.enter_context(self._exchange.receiving(folder))
            parcel = Parcel(self._store, self._exchange, opened)
            with disk_errors(folder):
                path, address = parcel.write(folder / "work.arrow", [work, *items])
            level = logging.getLogger("pipeline").getEffectiveLevel()
            worker = ItemWorker(self._exchange, place, path, address, level)
            rows = connection.session.range(0, len(items), 1, len(items)).mapInArrow(worker, connection.spark_schema(ANSWERS))
            waiting: dict[int, bytes] = {}
            to_come = 0
            for number, answer in _stream(connection.session, rows):
                waiting[number] = answer
                while to_come in waiting:
                    yield self._result(parcel.read(waiting.pop(to_come)))
                    to_come += 1
        if to_come < len(items):
            what = f"Spark answered for {to_come:,} of {len(items):,} pieces of work"
            raise TransientError(what, todo=AGAIN)

    def _result(self, answer: TaskAnswer) -> Any:  # noqa: ANN401 - whatever the work answers
        """Return what the work answered, or raise its error; its files appear before."""
        for line in answer.lines:
            line.pass_on()
        result = answer.outcome.result()
        for path, name in answer.private.items():
            self._exchange.take(name, Path(path))
        for address, name in answer.staged.items():
            with self._store.stage(address) as new:
                self._exchange.take(name, new)
        return result


class Parcel:
    """Work and its items in a file that executors read, in which the store and private files are named and not contained."""

    def __init__(self, store: Store, exchange: Exchange, resources: ExitStack) -> None:
        """Have what is sent through the store removed as `resources` are closed."""
        self._store, self._exchange, self._resources = store, exchange, resources
        self._private = store.local("") / STAGING
        self._sent: dict[str, str | None] = {}

    def write(self, path: Path, pieces: Sequence[object]) -> tuple[Path, str | None]:
        """Write `pieces` to `path` and return where executors read them: there, or under an address."""
        with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, PARCEL) as writer:
            for piece in pieces:
                writer.write_batch(pa.record_batch([pa.array([self._pickled(piece)], pa.large_binary())], schema=PARCEL))
        return path, self._send(path)

    def read(self, answer: bytes) -> TaskAnswer:
        """Return an answer of executors."""
        found: TaskAnswer = _AnswerUnpickler(answer, self._store).load()
        return found

    def name_of(self, piece: object) -> tuple[str, ...] | None:
        """Return what is sent in place of the store or a private file; None for anything else."""
        if piece is self._store:
            return (STORE,)
        if isinstance(piece, Path) and piece.is_relative_to(self._private):
            if piece.exists():
                return (INPUT, str(piece), cast("str", self._send(piece)))
            return (OUTPUT, str(piece))
        return None

    def _pickled(self, piece: object) -> bytes:
        buffer = BytesIO()
        _WorkPickler(buffer, self).dump(piece)
        return buffer.getvalue()

    def _send(self, path: Path) -> str | None:
        """Return the address under which executors read a private file; None where its path will do."""
        if str(path) not in self._sent:
            self._sent[str(path)] = address = self._exchange.sent(path)
            if address:
                self._resources.callback(self._store.delete, address)
        return self._sent[str(path)]


class _WorkPickler(pickle.Pickler):
    def __init__(self, buffer: BytesIO, parcel: Parcel) -> None:
        super().__init__(buffer, pickle.HIGHEST_PROTOCOL)
        self._parcel = parcel

    def persistent_id(self, sent: object) -> tuple[str, ...] | None:
        return self._parcel.name_of(sent)


class _AnswerUnpickler(pickle.Unpickler):
    def __init__(self, content: bytes, store: Store) -> None:
        super().__init__(BytesIO(content))
        self._store = store

    def persistent_load(self, sent: tuple[str, ...]) -> Any:  # noqa: ANN401 - as `pickle` has it
        kind, *rest = sent
        return self._store if kind == STORE else Path(*rest)


def _stream(session: SparkSession, rows: DataFrame) -> Iterator[tuple[int, bytes]]:
    """Yield the rows of ANSWERS as they come; where nobody wants more of them, the tasks are given up."""
    with _stopping_what_is_left(session), translating_spark_errors(exp.Select(), {}):
        client = cast("Any", session.client)
        for piece in client.to_table_as_iterator(cast("Any", rows)._plan.to_proto(client), {}):  # noqa: SLF001 - the public one takes all
            if isinstance(piece, pa.Table):
                yield from zip(piece["number"].to_pylist(), piece["answer"].to_pylist(), strict=True)


@contextmanager
def _stopping_what_is_left(session: SparkSession) -> Iterator[None]:
    tag = uuid4().hex
    session.addTag(tag)
    has_ended = False
    try:
        yield
        has_ended = True
    finally:
        session.removeTag(tag)
        if not has_ended:
            # What ended the block is told, not what is wrong with the server as well.
            with suppress(TransientError), translating_spark_errors(exp.Select(), {}):
                session.interruptTag(tag)

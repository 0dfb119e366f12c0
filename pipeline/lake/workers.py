"""Work on many items side by side, by the same code in this process, in processes on this machine or elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from multiprocessing.connection import wait
from typing import Any, Protocol, TypeVar

from pipeline.lake.worker_process import WorkerProcess, WorkOutcome

Item = TypeVar("Item")
Answer = TypeVar("Answer")


class Workers(Protocol):
    """What does work on items; nothing that it writes or answers depends on how many there are."""

    @property
    def count(self) -> int:
        """How many items are worked on at a time."""

    @property
    def process_count(self) -> int:
        """How many of them share the memory of this machine."""

    def map(self, work: Callable[[Item], Answer], items: Sequence[Item]) -> Iterator[Answer]:
        """Yield what `work` answers of each item, in the order of `items`.

        `work` is a function of a module, perhaps with some arguments bound; it, the items and the answers can be pickled. The error of
        the first item that fails is raised as it is, when its turn comes; what is being worked on then is given up. A worker that dies is
        a TransientError.
        """

    def close(self) -> None:
        """Let the workers go."""


class OwnProcess:
    """The process that asks, one item after the other."""

    count = process_count = 1

    def map(self, work: Callable[[Item], Answer], items: Sequence[Item]) -> Iterator[Answer]:
        return map(work, items)

    def close(self) -> None:
        pass


OWN_PROCESS = OwnProcess()


class WorkerProcesses:
    """Up to `count` processes on this machine, started when they are needed; a single item is worked on here."""

    def __init__(self, count: int) -> None:
        self.count = self.process_count = count
        self._processes: list[WorkerProcess] = []

    def map(self, work: Callable[[Item], Answer], items: Sequence[Item]) -> Iterator[Answer]:
        if len(items) < 2 or self.count < 2:  # noqa: PLR2004 - nothing is done side by side
            yield from map(work, items)
            return
        has_ended = False
        try:
            yield from self._answers(work, items)
            has_ended = True
        finally:
            if not has_ended:  # some are in the middle of an item that nobody waits for
                self.close()

    def _answers(self, work: Callable[[Item], Answer], items: Sequence[Item]) -> Iterator[Answer]:
        while len(self._processes) < min(self.count, len(items)):
            self._processes.append(WorkerProcess())
        to_come = iter(enumerate(items))
        busy: dict[Any, tuple[int, WorkerProcess]] = {}
        for process in self._processes:
            _send_next(work, to_come, process, busy)
        outcomes: dict[int, WorkOutcome] = {}
        for number in range(len(items)):
            while number not in outcomes:
                # Whoever is ready first: in the order of processes, a slow one would leave the others without an item.
                for connection in wait(list(busy)):
                    place, process = busy[connection]
                    outcome = process.receive()
                    if outcome is not None:
                        outcomes[place] = outcome
                        del busy[connection]
                        _send_next(work, to_come, process, busy)
            yield outcomes.pop(number).result()

    def close(self) -> None:
        for process in self._processes:
            process.terminate()
        for process in self._processes:
            process.stop()
        self._processes = []


def _send_next(
    work: Callable[[Item], Answer], to_come: Iterator[tuple[int, Item]], process: WorkerProcess, busy: dict[Any, tuple[int, WorkerProcess]]
) -> None:
    place, item = next(to_come, (None, None))
    if place is not None:
        process.send((work, item))
        busy[process.connection] = place, process

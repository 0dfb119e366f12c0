"""The files of one attempt at a task: each that it writes has a name of its own, and appears once whoever asked has the answer.

Spark runs a task again where an executor was lost, and sometimes twice at once; and one that was cut off from the cluster may go on long
after the night has ended. None of them may change what is in the lake.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from uuid import uuid4

from pipeline.lake.executors.exchange import Exchange
from pipeline.lake.staging import temporary_folder

# What work may ask of a store besides `stage`: it changes nothing.
READS = ("exists", "fetch", "fetch_seals", "link_to", "list_addresses", "list_folders", "local", "read", "sealed", "size", "where")


class StagingStore:
    """A store as work in an executor has it: read as it is; what is written waits under another name, which `staged` has by address."""

    def __init__(self, exchange: Exchange, new_file: Callable[[], AbstractContextManager[tuple[Path, str]]]) -> None:
        self._store, self._new_file = exchange.store, new_file
        self.staged: dict[str, str] = {}

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever a store has
        if name not in READS:
            raise AttributeError(f"work in executors has no use of a store's {name}")
        return getattr(self._store, name)

    @contextmanager
    def stage(self, address: str) -> Iterator[Path]:
        """Yield a private path; what is written there appears at `address` once whoever asked has the answer."""
        with self._new_file() as (path, name):
            yield path
        self.staged[address] = name

    def private_folder(self) -> AbstractContextManager[Path]:
        """Yield an empty folder of this machine: file systems that machines share do not all tell whose folder is still in use."""
        return temporary_folder()


class TaskFiles:
    """What an attempt reads and writes: the store, and private files of whoever asked, called by the paths that they have there."""

    def __init__(self, exchange: Exchange, place: str) -> None:
        """Put files where `place` is in the exchange."""
        self._exchange, self._place, self._resources = exchange, place, ExitStack()
        self._paths: dict[str, Path] = {}
        self._names: dict[str, str] = {}
        self.store = StagingStore(exchange, self._new_file)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        self._resources.__exit__(kind, error, traceback)

    def path_to_read(self, given: str, address: str | None) -> Path:
        """Return where a file is here that whoever asked has at the path `given`, and sent under `address`, if under any."""
        if given not in self._paths:
            self._paths[given] = Path(given) if address is None else self._exchange.store.local(address)
        return self._paths[given]

    def path_to_write(self, given: str) -> Path:
        """Return a path of this attempt alone for a file that whoever asked is to have at the path `given`."""
        if given not in self._paths:
            self._paths[given], self._names[given] = self._resources.enter_context(self._new_file())
        return self._paths[given]

    def given_path(self, path: Path) -> str | None:
        """Return the path that a file has with whoever asked; None for one that is of this machine."""
        return next((given for given, here in self._paths.items() if here == path), None)

    def written(self) -> dict[str, str]:
        """Return the names in the exchange of the private files that were written, by their paths with whoever asked."""
        return {given: name for given, name in self._names.items() if self._paths[given].exists()}

    def _new_file(self) -> AbstractContextManager[tuple[Path, str]]:
        return self._exchange.new_file(self._place, uuid4().hex)

"""What a sink is: a system that holds records of our customers and lists of them, such as a CRM.

A sink answers for three things: what it knows of some customers (`resolve`), that lists exist there (`ensure_vocabulary`), and writing
changes, with a result for each customer (`apply`). Everything else is done for it: finding out what changed, reading back, sending in
batches, trying again, dividing a refused batch, and remembering what was written.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import ClassVar

from pipeline.definitions.sinks import SinkDefinition
from pipeline.errors import ConfigError, PipelineError, TransientError


class Ambiguous(TransientError):
    """Nobody knows whether the call was carried out: a timeout, a broken connection, a failure of the server (`status`)."""

    def __init__(
        self, what: str, *, where: str = "", todo: str = "Run again: what was written already is found there.", status: int = 0
    ) -> None:
        super().__init__(what, where=where, todo=todo)
        self.status = status


class Throttled(TransientError):
    """The sink asks to come back later, after `retry_after` seconds where it says how many."""

    def __init__(self, what: str, *, where: str = "", retry_after: float | None = None) -> None:
        super().__init__(what, where=where, todo="Run again later.")
        self.retry_after = retry_after


class Refused(PipelineError):
    """The sink refuses the whole call, in its own words, and does not say for whom."""

    def __init__(self, message: str, *, code: str = "", where: str = "") -> None:
        todo = "Look at the settings of the sink, and at what our user may do there."
        super().__init__(f"the sink refused a call{f': {code}' if code else ''}", where=where, todo=todo)
        self.code, self.message = code, message


class Unauthorised(ConfigError):
    """The sink does not let us in, or not do this: a person must look at the connection."""


class Outcome(StrEnum):
    """What became of one customer's change."""

    WRITTEN = "written"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class ManagedList:
    """A list that is ours in the sink: a segment `lifecycle.active`, or an audience `vip`; `group` is the title of its scheme."""

    name: str
    kind: str
    group: str
    title: str


@dataclass(frozen=True, slots=True)
class Customer:
    """Whom a sink is asked about: our key, the sink's own where it told us, and contacts by the sink's names for them."""

    customer_id: str
    remote_id: str | None = None
    contacts: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Remote:
    """What the sink holds of one customer, of what is ours: lists by name and our fields. `remote_id` is its own key for the record."""

    remote_id: str
    lists: frozenset[str] = frozenset()
    fields: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Change:
    """What to write about one customer.

    `remote_id` is None where the sink has no record yet. `lists` are all that the customer should be on; `added` and `removed` lead there
    from what the sink holds. `contacts` has what a new record is made of, such as name and e-mail: those of a
    record that is there belong to the people who work with it. `fields` are those of ours that differ; an empty text clears one.
    `version` counts what was acknowledged for the customer before: the same change sent again has the same version.
    """

    customer_id: str
    remote_id: str | None
    lists: frozenset[str]
    added: tuple[str, ...]
    removed: tuple[str, ...]
    fields: Mapping[str, str]
    contacts: Mapping[str, str]
    version: int

    @property
    def is_empty(self) -> bool:
        """Whether the sink has all of it already."""
        return self.remote_id is not None and not (self.added or self.removed or self.fields)


@dataclass(frozen=True, slots=True)
class Member:
    """One customer on one list, with contacts and our fields by the sink's names for them."""

    list_name: str
    customer_id: str
    fields: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class RowResult:
    """What became of one customer's change; a refused one has the sink's own `code` and `message`."""

    customer_id: str
    outcome: Outcome
    remote_id: str | None = None
    code: str = ""
    message: str = ""


@dataclass(frozen=True, slots=True)
class ListMoves:
    """Who enters a list by some changes, and who leaves it."""

    added: list[Change] = field(default_factory=list)
    removed: list[Change] = field(default_factory=list)


def changes_by_list(changes: Sequence[Change]) -> dict[str, ListMoves]:
    """Return who enters and who leaves each list, in order of their names, for sinks that change one list at a time."""
    moves: dict[str, ListMoves] = {}
    for change in changes:
        for name in change.added:
            moves.setdefault(name, ListMoves()).added.append(change)
        for name in change.removed:
            moves.setdefault(name, ListMoves()).removed.append(change)
    return dict(sorted(moves.items()))


def results_of(
    changes: Sequence[Change], refused: Mapping[str, tuple[str, str]], remote_id_of: Callable[[Change], str | None]
) -> list[RowResult]:
    """Return a result for each change; `refused` has the sink's code and message by customer."""
    return [
        RowResult(change.customer_id, Outcome.REFUSED, code=refused[change.customer_id][0], message=refused[change.customer_id][1])
        if change.customer_id in refused
        else RowResult(change.customer_id, Outcome.WRITTEN, remote_id_of(change))
        for change in changes
    ]


class Sink(ABC):
    """A system that segments are synced to; made for one sync with its definition, the URI of its connection and a folder of its own.

    `lists` are all lists that are ours, `clock` tells the instant; they are given before any method is called. Methods raise Ambiguous,
    Throttled, Refused and Unauthorised. `batch_rows` is how many customers one `apply` takes. A sink that cannot be read sets
    `is_readable = False`, and is taken to hold what it acknowledged. One that sets `takes_members = True` is handed all members of all
    lists at the end of a sync.
    """

    batch_rows: ClassVar[int] = 100
    is_readable: ClassVar[bool] = True
    takes_members: ClassVar[bool] = False
    clock: Callable[[], datetime]

    def __init__(self, definition: SinkDefinition, address: str, folder: Path) -> None:
        self.definition, self.address, self.folder = definition, address, folder
        self.lists: Sequence[ManagedList] = ()

    @abstractmethod
    def resolve(self, customers: Sequence[Customer]) -> dict[str, Remote]:
        """Return what the sink holds of these customers, by our key, hidden records included; whoever is not there is left out."""

    @abstractmethod
    def ensure_vocabulary(self) -> None:
        """Make what is missing there of `lists`, or of what holds them, such as tags or properties."""

    @abstractmethod
    def apply(self, changes: Sequence[Change]) -> list[RowResult]:
        """Write the changes, and return a result for each; the same changes again must do no harm."""

    @abstractmethod
    def erase(self, remotes: Mapping[str, str]) -> None:
        """Forget these customers, remote ids by customer; what we made goes, and one that is not there is no error."""

    def managed_customers(self) -> Iterator[str]:
        """Yield every customer who is on any of our lists there, so that nobody stays whom we forgot; by default nobody."""
        return iter(())

    def opted_out(self) -> Collection[str] | None:
        """Return the customers who said no there; None where the sink has no such thing."""
        return None

    def finish(self, members: Iterable[Member]) -> None:
        """Take the acknowledged members of all lists, in the order of customers; by default nothing."""
        del members

    def close(self) -> None:  # noqa: B027 - most sinks have nothing to close
        """Let go of connections; by default nothing."""

"""What can go wrong, one class per cause, one exit code per class.

Every message says what is wrong, where, and what to do next; none holds a customer's value.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple, NoReturn

from pipeline.spelling import printable_text


class PipelineError(Exception):
    """Base of every error shown to people without a traceback.

    `setting` is the path of the setting that is wrong in its file, such as `source.path`, where it is one. `others` are faults of other
    parts of the same file, found in the same reading. The text has no character that a terminal or a log's reader would obey: it may quote
    names and values from anybody's file.
    """

    exit_code = 1

    def __init__(self, what: str, *, where: str = "", todo: str = "") -> None:
        super().__init__(what)
        self.what, self.where, self.todo = what, where, todo
        self.setting = ""
        self.others: Sequence[PipelineError] = ()

    def __str__(self) -> str:
        lines = [self.what]
        if self.where:
            lines.append(f"  where: {self.where}")
        if self.todo:
            lines.append(f"  next:  {self.todo}")
        return printable_text("\n".join(lines))


class UsageError(PipelineError):
    """A command is typed wrongly."""

    exit_code = 2


class ConfigError(PipelineError):
    """A company folder or a definition is wrong: a person must edit a file."""

    exit_code = 3

    def __init__(self, what: str, *, where: str = "", todo: str = "", place: tuple[int, int] | None = None) -> None:
        """Make the error; `place` is the line and column of a rule, counted from 1, where one place of it is wrong."""
        super().__init__(what, where=where, todo=todo)
        self.place = place


class DataError(PipelineError):
    """The data is wrong, or a sink refused too many customers: a person must look."""

    exit_code = 4


class SchemaDrift(DataError):
    """A source no longer has the columns or types that its table declares or its query names."""

    exit_code = 5


class GateClosed(PipelineError):
    """A night or a sync was stopped on purpose; the live publication, or the sink, stays as it was."""

    exit_code = 6


class TransientError(PipelineError):
    """Nothing is wrong with the data: the same call may succeed later."""

    exit_code = 7


class LockTimeout(TransientError):
    """Another run held the lock for longer than the set time."""


class RefitRefused(PipelineError):
    """A candidate model was refused on purpose; the current model stays valid."""

    exit_code = 8


class ErrorCause(NamedTuple):
    """What is wrong and what to do about it, before anybody knows where: the class of the error, and its words."""

    kind: type[PipelineError]
    what: str
    todo: str


OnError = Callable[[str, PipelineError], None]
"""What to do about a part, by its name, and its error, where the others can be read all the same."""


def raise_error(_name: str, error: PipelineError) -> NoReturn:
    """Raise the error: the first fault ends the reading."""
    raise error


class ErrorCollector:
    """Errors of parts that are right or wrong independently of each other: each part is tried, whatever is wrong with those before."""

    def __init__(self) -> None:
        self.errors: list[PipelineError] = []

    @contextmanager
    def collecting(self) -> Iterator[None]:
        """Collect the error that ends the block, if one does."""
        try:
            yield
        except PipelineError as error:
            self.errors.append(error)

    def raise_first(self) -> None:
        """Raise the first error, with the others at hand; nothing where there is none."""
        if self.errors:
            first, *others = [each for error in self.errors for each in (error, *error.others)]
            first.others = others
            raise first

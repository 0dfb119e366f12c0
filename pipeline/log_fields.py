"""What a log line holds besides its text, for programs that read logs: named values, such as a table and how many rows it has.

A call names them within its text, `log.info("%(table)s: %(rows)s rows", {"table": name, "rows": Count(7)})`; what all lines of a step
have in common is bound once. Names and counts alone: never a customer's value.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from logging import LogRecord

_BOUND: ContextVar[Mapping[str, object]] = ContextVar("bound_log_fields", default={})  # noqa: B039 - never changed


class Count(int):
    """A number that people read as 1,234 and programs as 1234."""

    def __str__(self) -> str:
        return f"{int(self):,}"


@contextmanager
def log_fields(**fields: object) -> Iterator[None]:
    """Within the block, let every line have these fields too."""
    before = _BOUND.set({**_BOUND.get(), **fields})
    try:
        yield
    finally:
        _BOUND.reset(before)


def fields_of(record: LogRecord) -> dict[str, object]:
    """Return the fields of a line: those of the block that it was logged in, and those that its text names."""
    named = record.args if isinstance(record.args, Mapping) else {}
    return {name: _plain(value) for name, value in {**_BOUND.get(), **named}.items()}


def _plain(value: object) -> object:
    """Return a value as JSON has it; anything but numbers and flags is text."""
    return int(value) if isinstance(value, Count) else value if isinstance(value, (bool, int, float)) else str(value)

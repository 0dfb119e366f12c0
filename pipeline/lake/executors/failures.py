"""Errors on their way from an executor: Spark passes on their text alone, so the text holds what an error for people consists of."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager

from pipeline import errors
from pipeline.errors import DataError, PipelineError, TransientError

_MARK = "customer-segments error: "


@contextmanager
def raising_readable_errors() -> Iterator[None]:
    """Raise errors of the block in a form that `error_of` reads out of Spark's message; nothing of them quotes a value."""
    try:
        yield
    except PipelineError as error:
        raise RuntimeError(_as_text(error)) from None
    except OSError as error:
        what = f"an executor cannot write or read a file: {error.strerror or type(error).__name__}"
        todo = "See that every executor reaches the lake under the same path and may write there, then run again."
        raise RuntimeError(_as_text(TransientError(what, where=str(error.filename or ""), todo=todo))) from None
    except (ArithmeticError, LookupError, TypeError, ValueError) as error:  # Arrow's own errors are of these kinds
        todo = "Look for an amount or a date that is out of range."
        raise RuntimeError(_as_text(DataError(f"an executor failed on a value: {type(error).__name__}", todo=todo))) from None


def error_of(message: str) -> PipelineError | None:
    """Return the error that an executor raised, from the message that Spark makes of it; None where it is not one of ours."""
    _, mark, rest = message.partition(_MARK)
    if not mark:
        return None
    facts, _ = json.JSONDecoder().raw_decode(rest)
    kind: type[PipelineError] = getattr(errors, facts["kind"])
    return kind(facts["what"], where=facts["where"], todo=facts["todo"])


def _as_text(error: PipelineError) -> str:
    facts = {"kind": type(error).__name__, "what": error.what, "where": error.where, "todo": error.todo}
    kind = facts["kind"] if hasattr(errors, facts["kind"]) else DataError.__name__
    return _MARK + json.dumps({**facts, "kind": kind})

"""Errors of Spark as ours, by their kind alone: its own messages quote values of customers."""

from __future__ import annotations

import logging
import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from sqlglot import exp

from pipeline.errors import ConfigError, DataError, PipelineError, TransientError
from pipeline.lake.engines.sum_errors import overflow_error
from pipeline.lake.executors.failures import error_of

OVERFLOWS = ("NUMERIC_VALUE_OUT_OF_RANGE", "ARITHMETIC_OVERFLOW", "BINARY_ARITHMETIC_OVERFLOW")
_SERVER_GONE = re.compile(r"UNAVAILABLE|SESSION_(?:CLOSED|NOT_FOUND|CHANGED)|NO_ACTIVE_SESSION")
_EXECUTORS_LOST = re.compile(r"executor|heartbeat|stage failure.*lost|FetchFailed", re.IGNORECASE)
# Classes of SQLSTATE: a row too many; a value that cannot be cast, is out of range or divides by zero; what the statement itself raises.
_DATA_STATES = ("21", "22", "P0")
WHERE_EXECUTORS_RUN = "In the environment that executors start with, which is not that of this command:"
AGAIN = "See that the cluster is up and has room, then run again."


@contextmanager
def silencing_client() -> Iterator[None]:
    """Silence warnings of Spark's client: of a pandas that it was not tried with, which nothing goes through, and of an error before it."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", r"\[RETRIES_EXCEEDED\]", UserWarning)
        warnings.filterwarnings("ignore", category=FutureWarning, module="pyspark|pipeline")
        yield


def silence_query_log() -> None:
    """Silence what Spark's client logs of a statement that failed: the whole of it, with values of customers; errors say what matters."""
    logging.getLogger("SQLQueryContextLogger").disabled = True


def condition_of(error: Exception) -> str:
    """Return Spark's name for what an error is about, which quotes nothing; that of its class where it has none."""
    return (error.getCondition() if hasattr(error, "getCondition") else None) or type(error).__name__


def is_server_gone(error: Exception) -> bool:
    """Return whether an error says that the server does not answer any more, or has forgotten the session."""
    from pyspark.errors import PySparkAssertionError

    # The client raises the last where a server that was started anew answers for the old one.
    return not hasattr(error, "getCondition") or isinstance(error, PySparkAssertionError) or bool(_SERVER_GONE.search(str(error)))


def _is_about_value(error: Exception) -> bool:
    # By the state of SQL: a message names an executor whatever failed there, and a text that is no number has the class of a wrong setting.
    return str((error.getSqlState() if hasattr(error, "getSqlState") else None) or "").startswith(_DATA_STATES)


def is_lost(error: Exception) -> bool:
    """Return whether an error says that the cluster gave up, which may pass, and not that a statement or a value is wrong."""
    from pyspark.errors import AnalysisException, UnknownException

    # First, as their messages quote columns and values, which may be called anything.
    if isinstance(error, AnalysisException) or _is_about_value(error):
        return False
    # An unknown one has no condition of Spark's: what fails on a value has.
    return is_server_gone(error) or isinstance(error, UnknownException) or bool(_EXECUTORS_LOST.search(str(error)))


@contextmanager
def translating_spark_errors(statement: exp.Query, places: Mapping[str, Sequence[str]]) -> Iterator[None]:
    """Raise errors of Spark in the block as ours; `places` are of the files that `statement` reads, by table."""
    from grpc import RpcError
    from pyspark.errors import PySparkException

    try:
        with silencing_client():
            yield
    except (PySparkException, RpcError) as error:
        raise _translated(error, statement, places) from None


def _translated(error: Exception, statement: exp.Query, places: Mapping[str, Sequence[str]]) -> PipelineError:
    from pyspark.errors import AnalysisException, IllegalArgumentException, UnsupportedOperationException

    message = str(error)
    if ours := error_of(message):
        # What is set here, such as credentials, may lack there.
        if isinstance(ours, ConfigError):
            return ConfigError(f"on an executor of Spark: {ours.what}", where=ours.where, todo=f"{WHERE_EXECUTORS_RUN} {ours.todo}")
        return ours
    condition = condition_of(error)
    if any(overflow in condition for overflow in OVERFLOWS):
        return overflow_error(statement, places, (place for each in places.values() for place in each))
    if is_lost(error):
        is_gone = is_server_gone(error)
        what = (
            "the Spark Connect server stopped, or was started anew, in the middle of a statement"
            if is_gone
            else "Spark did not finish a statement"
        )
        return TransientError(f"{what}: {condition}", todo=AGAIN)
    if isinstance(error, AnalysisException | IllegalArgumentException | UnsupportedOperationException) and not _is_about_value(error):
        what = f"the server does not understand a statement: {condition}"
        return ConfigError(what, where="environment variable SPARK_REMOTE", todo="Use a server that is Apache Spark 4; then report this.")
    return DataError(f"a statement failed on Spark: {condition}", todo="Look for an amount or a date that is out of range.")

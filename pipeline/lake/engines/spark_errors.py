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
LOST = re.compile(r"executor|heartbeat|stage failure.*lost|FetchFailed|UNAVAILABLE|SESSION_(?:CLOSED|NOT_FOUND|CHANGED)", re.IGNORECASE)
AGAIN = "See that the cluster is up and has room, then run again."


@contextmanager
def silencing_pandas() -> Iterator[None]:
    """Silence Spark's warning of a pandas that it was not tried with: nothing that we ask of it goes through pandas."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=FutureWarning, module="pyspark|pipeline")
        yield


def silence_query_log() -> None:
    """Silence what Spark's client logs of a statement that failed: the whole of it, with values of customers; errors say what matters."""
    logging.getLogger("SQLQueryContextLogger").disabled = True


@contextmanager
def translating_spark_errors(statement: exp.Query, places: Mapping[str, Sequence[str]]) -> Iterator[None]:
    """Raise errors of Spark in the block as ours; `places` are of the files that `statement` reads, by table."""
    from grpc import RpcError
    from pyspark.errors import PySparkException

    try:
        with silencing_pandas():
            yield
    except (PySparkException, RpcError) as error:
        raise _translated(error, statement, places) from None


def _translated(error: Exception, statement: exp.Query, places: Mapping[str, Sequence[str]]) -> PipelineError:
    from pyspark.errors import AnalysisException, IllegalArgumentException, UnknownException, UnsupportedOperationException

    message = str(error)
    if ours := error_of(message):
        # What is set here, such as credentials, may lack there.
        is_setting = isinstance(ours, ConfigError)
        return ConfigError(f"on an executor of Spark: {ours.what}", where=ours.where, todo=ours.todo) if is_setting else ours
    condition = (error.getCondition() if hasattr(error, "getCondition") else None) or type(error).__name__
    if any(overflow in (condition or message) for overflow in OVERFLOWS):
        return overflow_error(statement, places, (place for each in places.values() for place in each))
    # An unknown one has no condition of Spark's: what fails on a value has.
    if not hasattr(error, "getCondition") or isinstance(error, UnknownException) or LOST.search(message):
        return TransientError(f"Spark did not finish a statement: {condition}", todo=AGAIN)
    if isinstance(error, AnalysisException | IllegalArgumentException | UnsupportedOperationException):
        what = f"the server does not understand a statement: {condition}"
        return ConfigError(what, where="environment variable SPARK_REMOTE", todo="Use a server that is Apache Spark 4; then report this.")
    return DataError(f"a statement failed on Spark: {condition}", todo="Look for an amount or a date that is out of range.")

"""What Spark says of a failure tells what may pass by itself from what is wrong: the first is tried again, the second never."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from pyspark.errors import PySparkAssertionError, UnknownException
from pyspark.errors.exceptions.connect import SparkConnectException, SparkConnectGrpcException, SparkException
from sqlglot import exp, parse_one
from support.local_spark import SparkOver

from pipeline.errors import ConfigError, DataError, TransientError
from pipeline.lake.engines.spark_errors import translating_spark_errors
from pipeline.lake.executors.failures import raising_readable_errors
from pipeline.lake.lake import Lake


@pytest.mark.parametrize(
    ("text", "condition"),
    [
        ("SELECT CAST(CONCAT(CAST(id AS STRING), 'UNAVAILABLE secret') AS INT) AS n FROM range(5) AS t(id)", "CAST_INVALID_INPUT"),
        ("SELECT CAST(id * 1000000000000 AS INT) AS n FROM range(5) AS t(id)", "CAST_OVERFLOW"),
        ("SELECT 1 / (id - 3) AS n FROM range(5) AS t(id)", "DIVIDE_BY_ZERO"),
        ("SELECT raise_error('secret') AS n FROM range(5) AS t(id)", "USER_RAISED_EXCEPTION"),
    ],
)
def test_a_value_that_fails_in_an_executor_is_never_tried_again(spark: SparkOver, tmp_path: Path, text: str, condition: str) -> None:
    with pytest.raises(DataError) as refused:
        spark(Lake(tmp_path / "lake")).run(parse_one(text, read="spark", into=exp.Select), {}).read_all()
    assert refused.value.what == f"a statement failed on Spark: {condition}"
    assert "secret" not in str(refused.value)


GONE, UNFINISHED = "the Spark Connect server stopped, or was started anew", "Spark did not finish a statement"


@pytest.mark.parametrize(
    ("error", "what"),
    [
        (SparkConnectGrpcException("status = StatusCode.UNAVAILABLE, failed to connect to all addresses"), GONE),
        (
            SparkConnectGrpcException(
                "[INVALID_HANDLE.SESSION_CHANGED] The handle is invalid", errorClass="INVALID_HANDLE.SESSION_CHANGED"
            ),
            GONE,
        ),
        (PySparkAssertionError("Received incorrect server side session identifier for request."), GONE),
        (SparkConnectException("[NO_ACTIVE_SESSION] No active Spark session found."), GONE),
        (SparkException("Job aborted due to stage failure: ExecutorLostFailure (executor 1 exited)"), UNFINISHED),
        (UnknownException("(java.io.IOException) No space left on device"), UNFINISHED),
    ],
)
def test_a_cluster_that_is_gone_in_the_middle_of_a_night_is_tried_again(error: Exception, what: str) -> None:
    with pytest.raises(TransientError, match=f"^{what}"), translating_spark_errors(exp.Select(), {}):
        raise error


@pytest.fixture
def other_server() -> Iterator[int]:
    """Return the port of a server that speaks something else."""
    with ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_port
        server.shutdown()


def test_a_server_that_is_no_spark_is_told_of_in_one_message_as_the_process_ends(other_server: int) -> None:
    program = """
import sys
from pipeline.errors import TransientError
from pipeline.lake.engines import spark_session
spark_session.RETRIES = 1
try:
    spark_session.open_session(sys.argv[1], {})
except TransientError as error:
    print(error.what)
"""
    run = subprocess.run(
        [sys.executable, "-c", program, f"sc://127.0.0.1:{other_server}"], capture_output=True, check=True, text=True, timeout=120
    )
    assert run.stdout == "the server at 127.0.0.1 did not answer as Spark Connect does: SparkConnectGrpcException\n"
    assert run.stderr == ""  # the client would warn twice, and go on trying


def test_what_an_executor_lacks_is_to_be_set_there_and_not_here() -> None:
    with pytest.raises(RuntimeError) as failed, raising_readable_errors():
        raise ConfigError("there are no credentials for the object store", where="s3://lake/", todo="Set them.")
    with pytest.raises(ConfigError) as refused, translating_spark_errors(exp.Select(), {}):
        raise UnknownException(str(failed.value))
    assert refused.value.what == "on an executor of Spark: there are no credentials for the object store"
    assert refused.value.todo == "In the environment that executors start with, which is not that of this command: Set them."

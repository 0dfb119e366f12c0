"""What Spark says of a failure tells what may pass by itself from what is wrong: the first is tried again, the second never."""

from __future__ import annotations

from pathlib import Path

import pytest
from pyspark.errors import PySparkAssertionError, UnknownException
from pyspark.errors.exceptions.connect import SparkConnectException, SparkConnectGrpcException, SparkException
from sqlglot import exp, parse_one
from support.local_spark import SparkOver

from pipeline.errors import DataError, TransientError
from pipeline.lake.engines.spark_errors import translating_spark_errors
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


@pytest.mark.parametrize(
    "error",
    [
        SparkConnectGrpcException("status = StatusCode.UNAVAILABLE, failed to connect to all addresses"),
        SparkConnectGrpcException("[INVALID_HANDLE.SESSION_CHANGED] The handle is invalid", errorClass="INVALID_HANDLE.SESSION_CHANGED"),
        PySparkAssertionError("Received incorrect server side session identifier for request."),
        SparkConnectException("[NO_ACTIVE_SESSION] No active Spark session found."),
        SparkException("Job aborted due to stage failure: ExecutorLostFailure (executor 1 exited)"),
        UnknownException("(java.io.IOException) No space left on device"),
    ],
)
def test_a_cluster_that_is_gone_in_the_middle_of_a_night_is_tried_again(error: Exception) -> None:
    with pytest.raises(TransientError), translating_spark_errors(exp.Select(), {}):
        raise error

"""Where the URI of a database comes from, and how it is shown."""

from __future__ import annotations

import json

import pytest

from pipeline.definitions.connections import connection_uri, redact_uri
from pipeline.errors import ConfigError

OURS, AIRFLOW = "SEGMENTS_CONNECTION_SHOP_DB", "AIRFLOW_CONN_SHOP_DB"


@pytest.fixture(autouse=True)
def _no_connections(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in (OURS, AIRFLOW):
        monkeypatch.delenv(variable, raising=False)


def test_our_variable_wins_over_the_one_of_airflow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(AIRFLOW, "postgres://theirs/x")
    monkeypatch.setenv(OURS, "host=h dbname=x")
    assert connection_uri("shop-db") == "host=h dbname=x"


@pytest.mark.parametrize(
    ("value", "uri"),
    [
        ("postgres://u:p%40@h:5432/x", "postgresql://u:p%40@h:5432/x"),
        ("postgres://h/x?sslmode=require&__extra__=%7B%7D&options=-c+a%3Db", "postgresql://h/x?sslmode=require&options=-c%20a%3Db"),
        (json.dumps({"conn_type": "postgres", "host": "h", "login": "u", "password": "p@/ :", "schema": "x", "port": 5432}),
         "postgresql://u:p%40%2F%20%3A@h:5432/x"),
        (json.dumps({"conn_type": "postgres", "host": "h", "extra": '{"sslmode": "verify-full", "nested": {}}'}),
         "postgresql://h/?sslmode=verify-full"),
        (json.dumps({"host": "h", "login": "u", "extra": {"connect_timeout": 3}}), "postgresql://u@h/?connect_timeout=3"),
        ("https://u:p%40@h:8000/crm", "https://u:p%40@h:8000/crm"),
        ("http://u:p%40@h:8000/https", "https://u:p%40@h:8000"),
        (json.dumps({"conn_type": "mysql", "host": "h", "login": "u", "password": "p@", "schema": "x"}), "mysql://u:p%40@h/x"),
        ("mysql://u:p@h:3306/x?charset=utf8mb4&__extra__=%7B%7D", "mysql://u:p@h:3306/x?charset=utf8mb4"),
        ("mssql://u:p%7D@h:1433/x?Encrypt=yes&__extra__=%7B%7D", "mssql://u:p%7D@h:1433/x?Encrypt=yes"),
        (json.dumps({"conn_type": "mssql", "host": "h", "login": "u", "schema": "x", "extra": {"Encrypt": "yes"}}), "mssql://u@h/x?Encrypt=yes"),
        (json.dumps({"conn_type": "http", "host": "h", "schema": "https", "password": "to/ken"}), "https://:to%2Fken@h"),
        (json.dumps({"conn_type": "http", "host": "https://h/crm", "login": "u", "password": "p", "port": 8000}),
         "https://u:p@h:8000/crm"),
        # As Airflow writes a host that is a whole address, of another protocol and of the same one.
        ("http://https://u:p%40@example.com%2FApi", "https://u:p%40@example.com/Api"),
        ("http://https://u:p@example.com%2Fapi%3Ftoken%3Dabc:8443/", "https://u:p@example.com:8443/api?token=abc"),
        ("https://u:p@https%3A%2F%2Fexample.com", "https://u:p@example.com"),
        ("https://https%3A%2F%2Fexample.com%2FApi/db", "https://example.com/Api/db"),
        ("http://https://u%3Ap%2540%40example.com", "https://u:p%40@example.com"),
        ("http://u:p@h%3A8000/https?timeout=5&__extra__=%7B%7D", "https://u:p@h:8000?timeout=5"),
        ("https://:secret@h/in?token=abc&all", "https://:secret@h/in?token=abc&all"),
        ("http://u:p@[::1]:8069/db", "http://u:p@[::1]:8069/db"),
        ("http://u:p@%5B%3A%3A1%5D:8069/db", "http://u:p@[::1]:8069/db"),
        ("http://%3A%3A1/db", "http://[::1]/db"),
        (json.dumps({"conn_type": "http", "host": "https://u:p%40@h/x"}), "https://u:p%40@h/x"),
        (json.dumps({"conn_type": "http", "host": "https://u:p@h/x", "login": "other", "password": "own"}), "https://other:own@h/x"),
        (json.dumps({"conn_type": "http", "host": "https://h/in?token=abc"}), "https://h/in?token=abc"),
        (json.dumps({"conn_type": "http", "host": "https://[::1]", "port": 8069}), "https://[::1]:8069"),
        (json.dumps({"conn_type": "http", "host": "::1", "port": "8069", "schema": "https"}), "https://[::1]:8069"),
        (json.dumps({"conn_type": "https", "host": "h", "schema": "data base"}), "https://h/data%20base"),
    ],
)  # fmt: skip
def test_a_connection_of_airflow_becomes_a_uri(monkeypatch: pytest.MonkeyPatch, value: str, uri: str) -> None:
    monkeypatch.setenv(AIRFLOW, value)
    assert connection_uri("shop db") == uri


@pytest.mark.parametrize(
    "value", ["snowflake://u:s3cret@/x?__extra__=%7B%7D", json.dumps({"conn_type": "snowflake", "password": "s3cret"})]
)
def test_a_database_that_airflow_keeps_in_a_form_of_its_own_is_no_other_one(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv(AIRFLOW, value)
    with pytest.raises(ConfigError) as refused:
        connection_uri("shop-db")
    assert refused.value.what == "the connection is of kind `snowflake`"
    assert OURS in refused.value.todo
    assert "s3cret" not in str(refused.value)


def test_a_connection_that_nobody_set_names_the_variable_to_set() -> None:
    with pytest.raises(ConfigError) as refused:
        connection_uri("shop.db")
    assert OURS in refused.value.todo
    assert AIRFLOW in refused.value.todo


@pytest.mark.parametrize(
    "value",
    [
        "{s3cret",
        '{"host": 1, "extra": "s3cret"}',
        "{}s3cret",
        '{"extra": [1]}',
        "https://u:s3cret/x@h",
        "https://u:p@[s3cret",
        "http://https://u:p@h:s3cret",
        '{"conn_type": "http", "host": 1, "password": "s3cret"}',
        '{"conn_type": "http", "host": "h", "password": ["s3cret"]}',
        '{"conn_type": "http", "host": "h", "port": "s3cret"}',
        '{"conn_type": "http", "host": "https://[s3cret"}',
    ],
)
def test_a_connection_that_cannot_be_read_is_not_shown(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv(AIRFLOW, value)
    with pytest.raises(ConfigError) as refused:
        connection_uri("shop-db")
    assert "s3cret" not in str(refused.value)


@pytest.mark.parametrize(
    ("uri", "shown"),
    [
        ("postgresql://u:s3cret@h:5432/x?password=s3cret", "postgresql://h:5432/x"),
        ("postgresql://u:s3cret@/x?host=/run", "postgresql:///x"),
        ("postgresql://s3cret@h/x#s3cret", "postgresql://h/x"),
        ("postgresql://u:p@h:s3cret/x", "***"),
        ("postgresql://u:s3/cret@h/x", "***"),
        ("host=h password=s3cret", "***"),
        ("password=s3cret://x", "***"),
        ("", "***"),
    ],
)
def test_a_uri_is_shown_without_user_password_and_parameters(uri: str, shown: str) -> None:
    assert redact_uri(uri) == shown

"""Connections of HTTP that Airflow keeps, as a URI of the environment and as its own object: both lead to the same address."""

from __future__ import annotations

from typing import Any

import pytest
from airflow.sdk import Connection

from pipeline.definitions.connections import connection_uri, http_uri

FIELDS = ("conn_type", "host", "schema", "login", "password", "port")


@pytest.mark.parametrize(
    ("fields", "address"),
    [
        ({"conn_type": "http", "host": "https://example.com/Api"}, "https://u:p%40%2F%3A@example.com/Api"),
        ({"conn_type": "https", "host": "https://example.com/Api"}, "https://u:p%40%2F%3A@example.com/Api"),
        ({"conn_type": "http", "host": "http://example.com", "port": 8000}, "http://u:p%40%2F%3A@example.com:8000"),
        ({"conn_type": "http", "host": "https://example.com", "schema": "crm"}, "https://u:p%40%2F%3A@example.com/crm"),
        ({"conn_type": "http", "host": "https://h/in?token=abc"}, "https://u:p%40%2F%3A@h/in?token=abc"),
        ({"conn_type": "http", "host": "https://[::1]", "port": 8069}, "https://u:p%40%2F%3A@[::1]:8069"),
        ({"conn_type": "http", "host": "::1", "port": 8069}, "http://u:p%40%2F%3A@[::1]:8069"),
        ({"conn_type": "http", "host": "h", "schema": "https", "port": 8000}, "https://u:p%40%2F%3A@h:8000"),
        ({"conn_type": "https", "host": "h:8000", "schema": "data base/x"}, "https://u:p%40%2F%3A@h:8000/data%20base/x"),
        ({"conn_type": "http", "host": "https://other:own@h/x", "login": None, "password": None}, "https://other:own@h/x"),
        ({"conn_type": "https", "host": "https://example.com", "extra": '{"timeout": {"connect": 5}}'}, "https://u:p%40%2F%3A@example.com"),
    ],
)
def test_what_airflow_writes_of_a_connection_is_the_address_that_was_meant(
    monkeypatch: pytest.MonkeyPatch, fields: dict[str, Any], address: str
) -> None:
    kept = Connection(conn_id="crm", **{"login": "u", "password": "p@/:", **fields})
    assert http_uri({name: getattr(kept, name) for name in FIELDS}, where="") == address
    monkeypatch.delenv("SEGMENTS_CONNECTION_CRM", raising=False)
    monkeypatch.setenv("AIRFLOW_CONN_CRM", kept.get_uri())
    assert connection_uri("crm") == address

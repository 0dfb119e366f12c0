"""Connections by name: where the URI of a database or a sink comes from, and how it is shown to people."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import SplitResult, parse_qsl, quote, urlencode, urlsplit, urlunsplit

from pipeline.errors import ConfigError

POSTGRESQL = ("postgres", "postgresql")
HTTP = ("http", "https")


def connection_uri(name: str) -> str:
    """Return the URI of connection `name` from SEGMENTS_CONNECTION_<NAME>, else from AIRFLOW_CONN_<NAME>.

    Raises ConfigError naming the variable to set when both are absent or the value is not a connection.
    """
    suffix = re.sub(r"[^A-Z0-9]", "_", name.upper())
    ours, airflow = f"SEGMENTS_CONNECTION_{suffix}", f"AIRFLOW_CONN_{suffix}"
    if uri := os.environ.get(ours, ""):
        return uri
    if value := os.environ.get(airflow, ""):
        return _airflow_connection_uri(value, airflow)
    raise ConfigError(
        f"connection `{name}` is not set",
        where=f"environment variable {ours}",
        todo=f"Set {ours} (or {airflow}) to a URI such as postgresql://reader@host:5432/shop, or https://user:password@host/path.",
    )


def redact_uri(uri: str) -> str:
    """Return `uri` without user, password and parameters: safe to show."""
    try:
        parts = urlsplit(uri)
        host = f"{parts.hostname or ''}:{parts.port}" if parts.port else parts.hostname or ""
    except ValueError:
        return "***"
    # A text such as "host=db password=x" has no scheme, and may hold anything: nothing of it is shown.
    if not parts.scheme or not uri.startswith(f"{parts.scheme}://"):
        return "***"
    return f"{parts.scheme}://{host}{parts.path}"


def _airflow_connection_uri(value: str, variable: str) -> str:
    """Airflow keeps a connection as a URI with its own `__extra__`, or as JSON."""
    if not value.lstrip().startswith("{"):
        parts = urlsplit(value)
        if parts.scheme in HTTP:
            return _http_uri_of_parts(parts)
        if parts.scheme not in POSTGRESQL:
            raise ConfigError(
                f"the connection is of kind `{parts.scheme}`",
                where=f"environment variable {variable}",
                todo="Name a PostgreSQL database, or a sink over HTTP.",
            )
        # Airflow's own settings of a connection are none that PostgreSQL knows.
        kept = [(key, text) for key, text in parse_qsl(parts.query) if key != "__extra__"]
        return urlunsplit(parts._replace(scheme="postgresql", query=urlencode(kept, quote_via=quote)))
    try:
        fields = json.loads(value)
        return http_uri(fields) if fields.get("conn_type") in HTTP else _postgresql_uri(fields)
    except (ValueError, AttributeError):
        raise ConfigError("the connection is neither a URI nor JSON", where=f"environment variable {variable}") from None


def http_uri(fields: Mapping[str, Any]) -> str:
    """Return the URI of a connection of HTTP as Airflow keeps it: the protocol in `schema`, or a whole address in `host`."""
    host = fields.get("host") or ""
    protocol = fields["schema"] if fields.get("schema") in HTTP else fields["conn_type"]
    parts = urlsplit(host if "://" in host else f"{protocol}://{host}")
    password = f":{quote(fields['password'], safe='')}" if fields.get("password") else ""
    user = f"{quote(fields.get('login') or '', safe='')}{password}@" if fields.get("login") or password else ""
    port = f":{parts.port or fields['port']}" if parts.port or fields.get("port") else ""
    return urlunsplit((parts.scheme, f"{user}{parts.hostname or ''}{port}", parts.path, "", ""))


def _http_uri_of_parts(parts: SplitResult) -> str:
    """Return the URI that Airflow writes for HTTP: its path may be the protocol alone."""
    protocol = parts.path.strip("/")
    return urlunsplit(parts._replace(scheme=protocol, path="", query="") if protocol in HTTP else parts._replace(query=""))


def _postgresql_uri(fields: dict[str, Any]) -> str:
    extra = fields.get("extra") or {}
    extra = json.loads(extra) if isinstance(extra, str) else extra
    password = f":{quote(fields['password'], safe='')}" if fields.get("password") else ""
    user = f"{quote(fields['login'], safe='')}{password}@" if fields.get("login") else ""
    port = f":{fields['port']}" if fields.get("port") else ""
    options = {key: value for key, value in extra.items() if isinstance(value, str | int) and key != "__extra__"}
    path = f"/{quote(fields.get('schema') or '', safe='')}"
    return urlunsplit(("postgresql", f"{user}{fields.get('host') or ''}{port}", path, urlencode(options, quote_via=quote), ""))

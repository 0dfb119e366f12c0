"""Connections by name: where the URI of a database comes from, and how it is shown to people."""

from __future__ import annotations

import json
import os
import re
from typing import Any
from urllib.parse import parse_qsl, quote, urlencode, urlsplit, urlunsplit

from pipeline.errors import ConfigError

POSTGRESQL = ("postgres", "postgresql")


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
        todo=f"Set {ours} (or {airflow}) to a URI such as postgresql://reader@host:5432/shop.",
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
        if parts.scheme not in POSTGRESQL:
            raise ConfigError(
                f"the connection is of kind `{parts.scheme}`", where=f"environment variable {variable}", todo="Name a PostgreSQL database."
            )
        # Airflow's own settings of a connection are none that PostgreSQL knows.
        kept = [(key, text) for key, text in parse_qsl(parts.query) if key != "__extra__"]
        return urlunsplit(parts._replace(scheme="postgresql", query=urlencode(kept, quote_via=quote)))
    try:
        return _postgresql_uri(json.loads(value))
    except (ValueError, AttributeError):
        raise ConfigError("the connection is neither a URI nor JSON", where=f"environment variable {variable}") from None


def _postgresql_uri(fields: dict[str, Any]) -> str:
    extra = fields.get("extra") or {}
    extra = json.loads(extra) if isinstance(extra, str) else extra
    password = f":{quote(fields['password'], safe='')}" if fields.get("password") else ""
    user = f"{quote(fields['login'], safe='')}{password}@" if fields.get("login") else ""
    port = f":{fields['port']}" if fields.get("port") else ""
    options = {key: value for key, value in extra.items() if isinstance(value, str | int) and key != "__extra__"}
    path = f"/{quote(fields.get('schema') or '', safe='')}"
    return urlunsplit(("postgresql", f"{user}{fields.get('host') or ''}{port}", path, urlencode(options, quote_via=quote), ""))

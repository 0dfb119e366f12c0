"""Connections by name: where the URI of a database or a sink comes from, and how it is shown to people."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Collection, Mapping
from typing import Any
from urllib.parse import SplitResult, parse_qsl, quote, unquote, urlencode, urlsplit, urlunsplit

from pipeline.errors import ConfigError
from pipeline.spelling import printable_line

POSTGRESQL = ("postgres", "postgresql")
MYSQL = ("mysql", "mariadb")
HTTP = ("http", "https")
# As Airflow calls databases and AWS, and as their addresses begin; it keeps those of others in other forms than their drivers read.
_SCHEMES = {**dict.fromkeys(POSTGRESQL, "postgresql"), **dict.fromkeys(MYSQL, "mysql"), "mssql": "mssql", "aws": "aws"}
_SAFE_IN_PATH = "/:@!$&'()*+,;=~"
_HOST_AND_PORT = re.compile(r"(?P<host>\[.*\]|[^:]*)(:(?P<port>[0-9]*))?")
_IPV6 = re.compile("[0-9A-Fa-f]*:[0-9A-Fa-f]*:[0-9A-Fa-f:.]*(%.*)?")


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


def spark_remote() -> str:
    """Return the address of the cluster that SPARK_REMOTE names; raises ConfigError where it is not set."""
    remote = os.environ.get("SPARK_REMOTE", "")
    if not remote:
        todo = "Set it to a Spark Connect server, as sc://host:15002, or name a `connection` under [source]."
        raise ConfigError("SPARK_REMOTE is not set", where="environment variable SPARK_REMOTE", todo=todo)
    return remote


def object_store_endpoint(environment: Mapping[str, str]) -> str:
    """Return the address of the object store that AWS_* variables name, where it is another than Amazon's; else an empty text."""
    return (environment.get("AWS_ENDPOINT_URL_S3", "") or environment.get("AWS_ENDPOINT_URL", "")).rstrip("/")


def object_store_region(environment: Mapping[str, str]) -> str:
    """Return the region that AWS_* variables name; else an empty text."""
    return environment.get("AWS_REGION", "") or environment.get("AWS_DEFAULT_REGION", "")


def catalog_properties(name: str) -> dict[str, str]:
    """Return the properties by which pyiceberg opens the catalogue `name`, from SEGMENTS_CATALOG_<NAME>: its URI, or all of them as JSON.

    Where AWS_* variables name another object store than Amazon's, files of tables are there, unless the properties say otherwise.
    Raises ConfigError naming the variable where it is not set, or neither of the two.
    """
    given = _given_properties(name)
    # Of these variables pyiceberg knows the credentials alone: it would look for the files at Amazon's.
    if endpoint := object_store_endpoint(os.environ):
        files = {"s3.endpoint": endpoint, "s3.region": object_store_region(os.environ)}
        return {key: value for key, value in files.items() if value} | given
    return given


def _given_properties(name: str) -> dict[str, str]:
    variable = f"SEGMENTS_CATALOG_{re.sub(r'[^A-Z0-9]', '_', name.upper())}"
    where, text = f"environment variable {variable}", os.environ.get(variable, "").strip()
    if not text:
        what = f"catalogue `{name}` is not set"
        raise ConfigError(what, where=where, todo=f"Set {variable} to a URI such as https://host/catalog or sqlite:////data/catalog.db.")
    if not text.startswith("{"):
        return {"uri": text}
    try:
        properties = json.loads(text)
        is_flat = all(isinstance(value, str | int | float) for value in properties.values())
    except (ValueError, AttributeError):
        is_flat = False
    if not is_flat:
        todo = 'Write pairs of texts, such as {"type": "glue", "glue.region": "eu-central-1"}.'
        raise ConfigError(f"the properties of catalogue `{name}` are no JSON object of texts", where=where, todo=todo)
    # As pyiceberg writes them: it compares with "true".
    return {key: str(value).lower() if isinstance(value, bool) else str(value) for key, value in properties.items()}


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


def split_address(uri: str, schemes: Collection[str], title: str, example: str, *, where: str) -> SplitResult:
    """Return the parts of a database's address; raises ConfigError, which says `where`, for one that begins otherwise or cannot be read."""
    try:
        parts = urlsplit(uri)
        is_address = parts.scheme in schemes and (parts.port is None or parts.port > 0)
    except ValueError:  # a port that is no number, a bracket too many
        is_address = False
    if not is_address:
        raise ConfigError(f"the connection is no address of {title}", where=where, todo=f"Write one such as {example}")
    return parts


def _airflow_connection_uri(value: str, variable: str) -> str:
    """Airflow keeps a connection as a URI with its own `__extra__`, or as JSON."""
    where = f"environment variable {variable}"
    try:
        if value.lstrip().startswith("{"):
            fields = json.loads(value)
            kind = str(fields.get("conn_type") or "postgresql")
            if kind in _SCHEMES:
                return _database_uri(fields, _SCHEMES[kind])
            if kind in HTTP:
                return http_uri(fields, where=where)
            raise _unknown_kind(kind, variable)
        parts = urlsplit(value)
        if parts.scheme in HTTP:
            return http_uri(_http_fields(value), where=where)
    except (ValueError, AttributeError):
        todo = "Set it to a URI such as postgresql://reader@host:5432/shop, or to a connection of Airflow as JSON."
        raise ConfigError("the connection is neither a URI nor JSON", where=where, todo=todo) from None
    if parts.scheme not in _SCHEMES:
        raise _unknown_kind(parts.scheme, variable)
    # Airflow's own settings of a connection are none that a database knows.
    kept = [(key, text) for key, text in parse_qsl(parts.query) if key != "__extra__"]
    return urlunsplit(parts._replace(scheme=_SCHEMES[parts.scheme], query=urlencode(kept, quote_via=quote)))


def http_uri(fields: Mapping[str, Any], *, where: str) -> str:
    """Return the URI of a connection of HTTP as Airflow keeps it; raises ConfigError, which says `where`, for one that is no address.

    `host` is a host or a whole address, of which login, path and query are kept. `schema` is the protocol, or else a path. A `query` that
    was written behind the connection follows that of the host.
    """
    try:
        return _http_uri(fields)
    except (ValueError, TypeError, AttributeError):  # a port that is no number, a host that is no text, a bracket too many
        todo = "Let the host be a name or a whole address, and the port a number."
        raise ConfigError("the connection is no address of HTTP", where=where, todo=todo) from None


def _http_uri(fields: Mapping[str, Any]) -> str:
    host, schema = fields.get("host") or "", fields.get("schema") or ""
    is_protocol = schema.strip("/") in HTTP
    protocol = schema.strip("/") if is_protocol else fields["conn_type"]
    parts = urlsplit(host if "://" in host else f"{protocol}://{_bracketed(host)}")
    login, password = (fields.get(key) or unquote(own or "") for key, own in (("login", parts.username), ("password", parts.password)))
    user = quote(login, safe="") + (f":{quote(password, safe='')}" if password else "")
    port = int(parts.port or fields.get("port") or 0)
    netloc = f"{user}{'@' if user else ''}{_bracketed(parts.hostname or '')}{f':{port}' if port else ''}"
    path = parts.path if is_protocol or not schema else f"{parts.path.rstrip('/')}/{quote(schema, safe=_SAFE_IN_PATH)}"
    query = "&".join(each for each in (parts.query, fields.get("query")) if each)
    return urlunsplit((parts.scheme, netloc, path, query, ""))


def _http_fields(uri: str) -> dict[str, Any]:
    """Return the fields of Airflow that a URI stands for; raises ValueError where it is none.

    Airflow writes `http://https://user:password@host%2Fpath` for a host that is an address of another protocol, quotes a whole
    `https%3A%2F%2Fhost` where the protocol is the same, and puts the schema in the place of the path.
    """
    conn_type, _, rest = uri.partition("://")
    protocol, _, behind = rest.partition("://")
    is_address = protocol in HTTP
    parts = urlsplit(f"//{behind if is_address else rest}")
    # Not `parts.hostname`, which is in small letters: a path may be part of it.
    found = _HOST_AND_PORT.fullmatch(parts.netloc.rpartition("@")[2])
    if not found:
        raise ValueError
    host = unquote(found["host"])
    return {
        "conn_type": conn_type.lower(),
        "host": f"{protocol}://{host}" if is_address else host,
        "schema": unquote(parts.path[1:]),
        "login": unquote(parts.username or ""),
        "password": unquote(parts.password or ""),
        "port": found["port"],
        "query": "&".join(each for each in parts.query.split("&") if not each.startswith("__extra__=")),
    }


def _bracketed(host: str) -> str:
    """Return the host in brackets where it is an address of IPv6 without them."""
    return f"[{host}]" if _IPV6.fullmatch(host) else host


def _unknown_kind(kind: str, variable: str) -> ConfigError:
    ours = variable.replace("AIRFLOW_CONN_", "SEGMENTS_CONNECTION_")
    todo = f"Name a database of PostgreSQL, MySQL or SQL Server, AWS, or a sink over HTTP; of another database, set {ours} to its address."
    return ConfigError(f"the connection is of kind `{printable_line(kind)}`", where=f"environment variable {variable}", todo=todo)


def _database_uri(fields: dict[str, Any], scheme: str) -> str:
    extra = fields.get("extra") or {}
    extra = json.loads(extra) if isinstance(extra, str) else extra
    password = f":{quote(fields['password'], safe='')}" if fields.get("password") else ""
    user = f"{quote(fields['login'], safe='')}{password}@" if fields.get("login") else ""
    port = f":{fields['port']}" if fields.get("port") else ""
    options = {key: value for key, value in extra.items() if isinstance(value, str | int) and key != "__extra__"}
    path = f"/{quote(fields.get('schema') or '', safe='')}"
    return urlunsplit((scheme, f"{user}{fields.get('host') or ''}{port}", path, urlencode(options, quote_via=quote), ""))

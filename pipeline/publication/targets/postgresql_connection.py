"""Connections to the target in PostgreSQL, and why one does not come about."""

from __future__ import annotations

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from pipeline.definitions.company_sections import Target
from pipeline.definitions.connections import redact_uri
from pipeline.errors import ConfigError, TransientError
from pipeline.publication.targets.sessions import quote_identifier
from pipeline.spelling import printable_line
from pipeline.tls import tls_error

APPLICATION = "customer-segments"
CONNECT_SECONDS = 10


def open_connection(uri: str) -> psycopg.Connection:
    """Return a new connection; raises psycopg's own errors."""
    settings = {"connect_timeout": CONNECT_SECONDS, "application_name": APPLICATION, **conninfo_to_dict(uri)}
    return psycopg.connect(make_conninfo("", **settings))


def require_address(uri: str, target: Target) -> None:
    """Raise ConfigError where `uri` cannot be the address of a PostgreSQL; no server is asked."""
    try:
        conninfo_to_dict(uri)
    except psycopg.ProgrammingError:
        raise ConfigError(
            "the address of the publish target cannot be read",
            where=f"connection `{target.connection}`",
            todo="Set it to a URI such as postgresql://writer@host:5432/crm.",
        ) from None


def require_reachable(uri: str, target: Target) -> None:
    """Connect once, to find a wrong address before a night's work rather than after it.

    Raises ConfigError where `uri` is no address, or names a host, database, user or password that the server does not know;
    TransientError, with the reason, where nobody answers.
    """
    require_address(uri, target)
    where = f"connection `{target.connection}` ({redact_uri(uri)})"
    try:
        open_connection(uri).close()
    except psycopg.OperationalError as error:
        if fault := tls_error("the publish target cannot be reached", error, where=where):
            raise fault from None
        message = str(error)
        if "permission denied for database" in message:
            raise _not_let_in(uri, where) from None
        for words, what in _WRONG_ADDRESS.items():
            if words in message:
                raise ConfigError(f"the publish target cannot be used: {what}", where=where, todo="Correct the connection.") from None
        reason = next((what for words, what in _NO_ANSWER.items() if words in message), "the connection failed")
        todo = "See whether the server is up and the port is right, then run again."
        raise TransientError(f"the publish target cannot be reached: {reason}", where=where, todo=todo) from None


def _not_let_in(uri: str, where: str) -> ConfigError:
    settings = {"dbname": "DATABASE", "user": "USER"} | {name: str(value) for name, value in conninfo_to_dict(uri).items() if value}
    database, user = (printable_line(quote_identifier(settings[name])) for name in ("dbname", "user"))
    todo = f"Have its owner run: GRANT CONNECT ON DATABASE {database} TO {user};"
    return ConfigError("the publish target cannot be used: its user may not connect to the database", where=where, todo=todo)


# Found by words, as a connection that never came about has no SQLSTATE.
_WRONG_ADDRESS = {
    "authentication failed": "wrong user or password",
    "no password supplied": "the connection has no password, and the server asks for one",
    "no pg_hba.conf entry": "the server does not let this user in from here",
    "role": "the server has no such user",
    "database": "the server has no such database",
    "could not translate host name": "there is no such host",
    "failed to resolve host": "there is no such host",
    "Name or service not known": "there is no such host",
    "No address associated": "there is no such host",
}
_NO_ANSWER = {
    "refused": "nobody listens at that host and port",
    "No such file": "nobody listens at that socket",
    "timeout": f"no answer within {CONNECT_SECONDS} seconds",
    "starting up": "the server is starting up",
    "shutting down": "the server is shutting down",
    "too many": "the server has too many connections",
}

"""Addresses of databases and sinks: the environment's, else those that Airflow keeps."""

from __future__ import annotations

from urllib.parse import urlsplit

from airflow.sdk import Connection
from airflow.sdk.exceptions import AirflowNotFoundException
from airflow.sdk.log import mask_secret

from pipeline.definitions.connections import HTTP, connection_uri, http_uri
from pipeline.errors import ConfigError


def find_address(name: str) -> str:
    """Return the address of connection `name`: the environment's, else the one that Airflow keeps.

    Whatever is returned is masked in every log line that follows. Raises ConfigError where neither has it.
    """
    try:
        address = connection_uri(name)
    except ConfigError as missing:
        address = _address_in_airflow(name, missing)
    # The password by itself too: a driver's message may quote it without the rest of the address.
    for secret in (address, _password_of(address)):
        if secret:
            mask_secret(secret)
    return address


def _password_of(address: str) -> str | None:
    try:
        return urlsplit(address).password
    except ValueError:
        return None  # what is no address has none, and whoever wants to use it says so


def _address_in_airflow(name: str, missing: ConfigError) -> str:
    try:
        kept = Connection.get(name)
    except AirflowNotFoundException:
        todo = f"{missing.todo} Or add an Airflow connection `{name}`."
        raise ConfigError(missing.what, where=missing.where, todo=todo) from None
    if kept.conn_type in HTTP:
        fields = {key: getattr(kept, key) for key in ("conn_type", "host", "schema", "login", "password", "port")}
        return http_uri(fields, where=f"Airflow connection `{name}`")
    uri = str(kept.get_uri())
    if f"{Connection.EXTRA_KEY}=" in uri:
        todo = "Keep to plain pairs of key and value, such as sslmode."
        raise ConfigError("its extra fields are nested", where=f"Airflow connection `{name}`", todo=todo)
    return uri

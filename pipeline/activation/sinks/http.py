"""Calls of an HTTP interface, with every way in which they fail told apart: refused, throttled, not let in, or nobody knows."""

from __future__ import annotations

import logging
import ssl
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Any
from urllib.parse import SplitResult, unquote, urlsplit

import certifi
import httpx

from pipeline.activation.sinks.sink import Ambiguous, Refused, Throttled, Unauthorised
from pipeline.errors import ConfigError
from pipeline.tls import tls_error

TIMEOUT = httpx.Timeout(60, connect=10)
# It logs every address that is called, and an address may name a customer.
logging.getLogger("httpx").setLevel(logging.WARNING)
LONGEST_MESSAGE = 500


class HttpClient:
    """Calls one server, whose URI is that of a connection: user and password are taken out of it."""

    def __init__(self, address: str, *, where: str, headers: Mapping[str, str] | None = None) -> None:
        self.parts = split_address(address, where)
        self.user, self.password = unquote(self.parts.username or ""), unquote(self.parts.password or "")
        self.base = origin(self.parts) + self.parts.path.rstrip("/")
        # Not its path: that of a webhook is a secret, with many services.
        self.where = origin(self.parts)
        # No proxies or logins from the environment: a sync does the same wherever it runs.
        self._client = httpx.Client(headers=headers, timeout=TIMEOUT, trust_env=False, verify=client_context())

    def call(self, method: str, path: str, *, headers: Mapping[str, str] | None = None, **content: Any) -> httpx.Response:  # noqa: ANN401 - of httpx
        """Return the answer to a call that was carried out, whatever it says of single rows; raises as `Sink` methods do."""
        try:
            answer = self._client.request(method, f"{self.base}{path}", headers=headers, **content)
        except httpx.RequestError as error:
            what = "the sink cannot be reached"
            raise tls_error(what, error, where=self.where) or Ambiguous(f"{what}: {type(error).__name__}", where=self.where) from None
        raise_for_status(answer.status_code, answer.headers, where=self.where, message=answer.text)
        return answer

    def call_json(self, method: str, path: str, **content: Any) -> Any:  # noqa: ANN401 - JSON
        """Return the JSON in the answer to a call; raises ConfigError too where the answer is none."""
        answer = self.call(method, path, **content)
        try:
            return answer.json()
        except ValueError:
            todo = "Look at the address of the connection: something else than the sink may answer there."
            raise ConfigError("the answer is not JSON", where=self.where, todo=todo) from None

    def close(self) -> None:
        """Close its connections."""
        self._client.close()


def client_context() -> ssl.SSLContext:
    """Return how a client speaks TLS that trusts whom browsers trust, and whom this machine does: its own store, and SSL_CERT_FILE."""
    context = ssl.create_default_context(cafile=certifi.where())
    context.load_default_certs()
    return context


def raise_for_status(status: int, headers: Mapping[str, str], *, where: str, message: str) -> None:
    """Raise what an answer with this status means, unless the call was carried out."""
    if status < HTTPStatus.MULTIPLE_CHOICES:
        return
    if status < HTTPStatus.BAD_REQUEST:
        # Followed, a call that writes may become one that reads; and a password would go to whoever is named.
        todo = "Write the new address into the connection, with https and without a slash too many or too few."
        raise ConfigError(f"the sink is elsewhere: HTTP {status}", where=where, todo=todo)
    retry_after = seconds_to_wait(headers.get("Retry-After"))
    if status == HTTPStatus.TOO_MANY_REQUESTS or (status == HTTPStatus.SERVICE_UNAVAILABLE and retry_after is not None):
        raise Throttled("the sink asks to come back later", where=where, retry_after=retry_after)
    if status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN, HTTPStatus.PROXY_AUTHENTICATION_REQUIRED):
        todo = "Look at user, password or token of the connection, and at what it may do there."
        raise Unauthorised(f"the sink does not let us in: HTTP {status}", where=where, todo=todo)
    if status == HTTPStatus.REQUEST_TIMEOUT or status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        raise Ambiguous(f"the sink failed: HTTP {status}", where=where, status=status)
    raise Refused(message[:LONGEST_MESSAGE], code=f"HTTP {status}", where=where)


def seconds_to_wait(text: str | None, *, now: datetime | None = None) -> float | None:
    """Return what a header Retry-After asks for: seconds, or an instant of HTTP; None where it says nothing that can be understood."""
    if text is None:
        return None
    try:
        return max(float(text), 0.0)
    except ValueError:
        pass
    try:
        return max((parsedate_to_datetime(text) - (now or datetime.now(UTC))).total_seconds(), 0.0)
    except (ValueError, TypeError):
        return None


def origin(parts: SplitResult) -> str:
    """Return protocol, host and port of an address, without its login."""
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"


def try_split(address: str) -> SplitResult | None:
    """Return the parts of an address of HTTP; None where it is none."""
    try:
        parts = urlsplit(address)
        httpx.URL(address)
    except (ValueError, httpx.InvalidURL):
        return None
    return parts if parts.scheme in ("http", "https") and parts.hostname else None


def split_address(address: str, where: str) -> SplitResult:
    """Return the parts of the URI of a connection; raises ConfigError where it is none of HTTP."""
    parts = try_split(address)
    if parts is None:
        raise ConfigError(
            "the sink's connection is no address of HTTP",
            where=where,
            todo="Write it as https://user:password@host/path, or with a token as password.",
        )
    return parts

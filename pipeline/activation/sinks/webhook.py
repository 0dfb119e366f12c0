"""A webhook: signed events `entered` and `left`, for whatever can be called over HTTP.

Each customer's change is one POST of JSON. `X-Segments-Signature` is `sha256=` and the HMAC of timestamp, a point and the body, with the
password of the connection as key; `Idempotency-Key` is the same whenever the same change is sent again, so that a receiver who notes
the keys it has seen acts on each change once.
"""

from __future__ import annotations

import hmac
import json
from collections.abc import Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import urlunsplit

from pipeline.activation.sinks.http import HttpClient
from pipeline.activation.sinks.sink import Change, Customer, Outcome, Refused, Remote, RowResult, Sink
from pipeline.definitions.sinks import SinkDefinition
from pipeline.errors import ConfigError

SIGNATURE, TIMESTAMP, IDEMPOTENCY_KEY = "X-Segments-Signature", "X-Segments-Timestamp", "Idempotency-Key"
NO_ROW_STATUS = ("HTTP 404", "HTTP 405", "HTTP 410")


class WebhookSink(Sink):
    """Sends events; it cannot be read, so it is taken to hold what it acknowledged with a status below 300."""

    batch_rows: ClassVar[int] = 50
    is_readable: ClassVar[bool] = False

    def __init__(self, definition: SinkDefinition, address: str, folder: Path) -> None:
        super().__init__(definition, address, folder)
        definition.require_settings()
        self._client = HttpClient(address, where=definition.where)
        if not self._client.password:
            todo = "Write it as https://:SECRET@host/path, and give the secret to the receiver."
            raise ConfigError("the connection has no secret to sign with", where=definition.where, todo=todo)
        self._query = urlunsplit(("", "", "", self._client.parts.query, ""))

    def resolve(self, customers: Sequence[Customer]) -> dict[str, Remote]:
        """Return nothing: a webhook cannot be asked."""
        del customers
        return {}

    def ensure_vocabulary(self) -> None:
        """Do nothing: lists are named in the events."""

    def apply(self, changes: Sequence[Change]) -> list[RowResult]:
        """Send one event for each customer; one that the receiver refuses does not hold up the others."""
        return [self._send_change(change) for change in changes]

    def erase(self, remotes: Mapping[str, str]) -> None:
        """Send an event `erased` for each customer."""
        for customer in remotes:
            self._post({"event": "erased", "customer_id": customer}, f"erased|{customer}")

    def close(self) -> None:
        """Close connections."""
        self._client.close()

    def _send_change(self, change: Change) -> RowResult:
        events = [{"event": "entered", "list": name} for name in change.added] + [
            {"event": "left", "list": name} for name in change.removed
        ]
        content = {"customer_id": change.customer_id, "events": events, "fields": {**change.contacts, **change.fields}}
        try:
            self._post(content, f"{change.customer_id}|{change.version}")
        except Refused as refused:
            if refused.code in NO_ROW_STATUS:
                raise ConfigError(
                    f"nobody takes events there: {refused.code}", where=self._client.where, todo="Look at the path of the connection."
                ) from None
            return RowResult(change.customer_id, Outcome.REFUSED, code=refused.code, message=refused.message)
        return RowResult(change.customer_id, Outcome.WRITTEN, remote_id=change.customer_id)

    def _post(self, content: Mapping[str, Any], identity: str) -> None:
        body = json.dumps({"sink": self.definition.name, **content}, ensure_ascii=False, sort_keys=True).encode()
        timestamp = str(int(self.clock().timestamp()))
        signed = hmac.new(self._client.password.encode(), f"{timestamp}.".encode() + body, sha256).hexdigest()
        # Of the content too: what is sent anew because the customer changed meanwhile is another event.
        key = sha256(f"{self.definition.name}|{identity}|".encode() + body).hexdigest()
        headers = {SIGNATURE: f"sha256={signed}", TIMESTAMP: timestamp, IDEMPOTENCY_KEY: key, "Content-Type": "application/json"}
        self._client.call("POST", self._query, content=body, headers=headers)

"""Calls of Tryton's JSON-RPC: `model.<model>.<method>` with a session of one user."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping, Sequence
from contextlib import suppress
from itertools import count
from typing import Any

from pipeline.activation.sinks.http import LONGEST_MESSAGE, HttpClient
from pipeline.activation.sinks.sink import Ambiguous, Refused, Unauthorised
from pipeline.errors import ConfigError, PipelineError

USER_ERRORS = ("UserError", "UserWarning")


class TrytonRpc:
    """One user of one database, whose connection is `http://user:password@host:port/database`; logs in when first needed."""

    def __init__(self, address: str, *, where: str) -> None:
        self._http = HttpClient(address, where=where)
        if not self._http.parts.path.strip("/") or not self._http.user:
            todo = "Write the connection as http://user:password@host:port/database."
            raise ConfigError("the connection names no user or no database", where=where, todo=todo)
        self._numbers = count(1)
        self._user_id: int | None = None
        self._session = ""

    @property
    def user_id(self) -> int:
        """The number of our user."""
        if self._user_id is None:
            self._log_in()
        return int(self._user_id or 0)

    def call(self, model: str, method: str, *arguments: Any, context: Mapping[str, Any] | None = None) -> Any:  # noqa: ANN401 - JSON
        """Return what a method of a model returns; raises Refused in the CRM's own words, and the others that a sink raises."""
        return self._call(f"model.{model}.{method}", [*arguments, dict(context or {})])

    def is_accepted(self, model: str, method: str, *arguments: Any) -> bool:  # noqa: ANN401 - JSON
        """Call a method and return whether the CRM carried it out."""
        try:
            self.call(model, method, *arguments)
        except Refused:
            return False
        return True

    def search_read(
        self,
        model: str,
        domain: Sequence[Any],
        fields: Sequence[str],
        context: Mapping[str, Any] | None = None,
        *,
        limit: int | None = None,
    ) -> list[dict[str, Any]]:
        """Return fields of all records that the domain takes, in order of their numbers."""
        rows: list[dict[str, Any]] = self.call(model, "search_read", domain, 0, limit, [["id", "ASC"]], list(fields), context=context)
        return rows

    def run_wizard(self, name: str, state: str, values: Mapping[str, Any], transition: str) -> None:
        """Carry out one transition of a wizard from the values of one of its forms."""
        session, *_ = self._call(f"wizard.{name}.create", [{}])
        self._call(f"wizard.{name}.execute", [session, {state: dict(values)}, transition, {}])
        with suppress(PipelineError):
            self._call(f"wizard.{name}.delete", [session, {}])

    def close(self) -> None:
        """Log out, where that is possible, and close connections."""
        if self._session:
            with suppress(PipelineError):
                self._post("common.db.logout", [])
        self._http.close()

    def _call(self, method: str, parameters: list[Any]) -> Any:  # noqa: ANN401 - JSON
        if not self._session:
            self._log_in()
        try:
            return self._post(method, parameters)
        except Unauthorised:
            # The session ended meanwhile: what the call was to do has not been done.
            self._log_in()
            return self._post(method, parameters)

    def _log_in(self) -> None:
        self._session = ""
        try:
            answer = self._post("common.db.login", [self._http.user, {"password": self._http.password}, "en"])
        except Refused as refused:
            todo = "Write the connection as http://user:password@host:port/database."
            raise ConfigError(f"there is no such database, or no Tryton: {refused.code}", where=self._http.where, todo=todo) from None
        if not answer:
            raise Unauthorised("the CRM does not know user and password", where=self._http.where, todo="Correct the connection.")
        self._user_id, token = answer[0], answer[1]
        self._session = b64encode(f"{self._http.user}:{self._user_id}:{token}".encode()).decode()

    def _post(self, method: str, parameters: list[Any]) -> Any:  # noqa: ANN401 - JSON
        headers = {"Authorization": f"Session {self._session}"} if self._session else {}
        content = {"id": next(self._numbers), "method": method, "params": parameters}
        answer = self._http.call_json("POST", "/rpc/", json=content, headers=headers)
        if "error" not in answer:
            return answer["result"]
        kind, *details = answer["error"]
        if kind in USER_ERRORS:
            words = details[0] if details and isinstance(details[0], list) else details
            raise Refused(" ".join(str(word) for word in words if word)[:LONGEST_MESSAGE], code=kind, where=self._http.where)
        # Anything else is a failure of the server within one transaction, such as two that write one record at once.
        raise Ambiguous(f"the CRM failed on a call of {method}", where=self._http.where, status=500)

"""A real Tryton: installed into an environment of its own, started as a process of its own, a fresh database for each test.

The tests read and change it as a person would through its own interface, and not through the client that is tested.
"""

from __future__ import annotations

import base64
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg
from psycopg import sql

from support.deployments import REPO

HOME = REPO / ".venv-tryton"
REQUIREMENTS = REPO / "tests" / "tryton-requirements.txt"
PASSWORD = "tryton-admin-password"
TEMPLATE = "crm_template"
START_SECONDS = 60
_NUMBERS = count(1)


@dataclass(slots=True)
class Tryton:
    """A server for one database; `kill` and `start` may be called again and again."""

    database: str
    folder: Path
    config: Path
    port: int
    process: subprocess.Popen[bytes] | None = None
    _session: str = ""

    @property
    def address(self) -> str:
        """The URI of its connection."""
        return f"http://admin:{PASSWORD}@127.0.0.1:{self.port}/{self.database}"

    def start(self) -> None:
        """Start the server, and wait until it answers."""
        config = self.folder / "server.conf"
        config.write_text(self.config.read_text() + f"[web]\nlisten = 127.0.0.1:{self.port}\n")
        with (self.folder / "server.log").open("ab") as log:
            command = [str(HOME / "bin" / "trytond"), "-c", str(config), "-d", self.database]
            self.process = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
        deadline = time.monotonic() + START_SECONDS
        while True:
            try:
                self._log_in()
            except (OSError, urllib.error.URLError):
                assert self.process.poll() is None, (self.folder / "server.log").read_text()
                assert time.monotonic() < deadline
                time.sleep(0.1)
            else:
                return

    def kill(self) -> None:
        """End the server at once, whatever it is doing."""
        if self.process is not None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
            self.process = None

    def call(self, method: str, *parameters: Any, context: dict[str, Any] | None = None) -> Any:
        """Return what `model.method` returns to the administrator."""
        return self._post(method, [*parameters, context or {}])

    def parties(self) -> dict[str, dict[str, Any]]:
        """Return each party by code: its number, name, categories by their whole names, notes, e-mail; hidden ones too."""
        context = {"active_test": False}
        categories = {row["id"]: row["rec_name"] for row in self._read("party.category", ["rec_name"], context)}
        notes: dict[int, list[str]] = {}
        for row in self._read("ir.note", ["resource", "message"], {}):
            notes.setdefault(int(row["resource"].split(",")[1]), []).append(row["message"])
        return {
            row["code"]: {
                "id": row["id"],
                "name": row["name"],
                "email": row["email"],
                "categories": sorted(categories[each] for each in row["categories"]),
                "notes": sorted(notes.get(row["id"], [])),
            }
            for row in self._read("party.party", ["code", "name", "categories", "email"], context)
        }

    def _read(self, model: str, fields: list[str], context: dict[str, Any]) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = self.call(f"model.{model}.search_read", [], 0, None, None, fields, context=context)
        return rows

    def _log_in(self) -> None:
        self._session = ""
        user, token, *_ = self._post("common.db.login", ["admin", {"password": PASSWORD}, "en"])
        self._session = base64.b64encode(f"admin:{user}:{token}".encode()).decode()

    def _post(self, method: str, parameters: list[Any]) -> Any:
        content = json.dumps({"id": 1, "method": method, "params": parameters}).encode()
        headers = {"Content-Type": "application/json", "Authorization": f"Session {self._session}"}
        url = f"http://127.0.0.1:{self.port}/{self.database}/rpc/"
        request = urllib.request.Request(url, content, headers if self._session else {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=120) as answer:  # noqa: S310 - our own server
            body = json.load(answer)
        assert "error" not in body, body["error"]
        return body["result"]


def install_tryton() -> None:
    """Install Tryton into its environment, unless it is there."""
    if (HOME / "complete").exists():
        return
    uv = Path(sys.executable).with_name("uv")
    subprocess.run([uv, "venv", "--quiet", "--clear", "--python", sys.executable, HOME], check=True)
    # Compiled at once: servers are started again and again, and may not write beside their packages.
    into = ["--compile-bytecode", "--python", HOME / "bin" / "python"]
    subprocess.run([uv, "pip", "install", "--quiet", *into, "-r", REQUIREMENTS], check=True)
    (HOME / "complete").touch()


def make_template(postgres: str, folder: Path) -> Path:
    """Make the database that those of tests are copies of, and return the configuration of servers."""
    install_tryton()
    parts = urlsplit(postgres)
    config, password = folder / "trytond.conf", folder / "password"
    config.write_text(f"[database]\nuri = {parts.scheme}://{parts.netloc}/?{parts.query}\n")
    password.write_text(f"{PASSWORD}\n")
    _administer(postgres, "CREATE DATABASE {}", TEMPLATE)
    command = [str(HOME / "bin" / "trytond-admin"), "-c", str(config), "-d", TEMPLATE, "-u", "party", "--activate-dependencies"]
    environment = os.environ | {"TRYTONPASSFILE": str(password)}
    subprocess.run([*command, "--email", "admin@example.org", "-p"], env=environment, check=True, capture_output=True)
    return config


@contextmanager
def running_tryton(postgres: str, config: Path, folder: Path) -> Iterator[Tryton]:
    """Yield a server for a fresh database."""
    name = f"crm_{next(_NUMBERS)}"
    _administer(postgres, "CREATE DATABASE {} TEMPLATE " + TEMPLATE, name)
    server = Tryton(name, folder, config, _free_port())
    server.start()
    try:
        yield server
    finally:
        server.kill()
        _administer(postgres, "DROP DATABASE {} WITH (FORCE)", name)


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
    return port


def _administer(uri: str, statement: str, database: str) -> None:
    with psycopg.connect(uri, autocommit=True) as connection:
        connection.execute(sql.SQL(statement).format(sql.Identifier(database)))

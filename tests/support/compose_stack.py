"""The stack of docker-compose.yml as somebody runs it who has nothing but Docker: a copy of the checkout, and the commands of the docs."""

from __future__ import annotations

import http.client
import json
import re
import subprocess
import time
from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import yaml

from support.deployments import REPO
from support.docker_engine import DockerEngine

PORT = 8080
PATIENCE_SECONDS = 420  # on a busy machine
NIGHT = "/api/v2/dags/nightly_segments"
# What a checkout has that a stack needs; the same as somebody copies who clones it.
FILES = (".dockerignore", ".env.example", "Dockerfile", "docker-compose.yml", "requirements-deploy.txt", "requirements-uv.txt")
FOLDERS = ("dags", "deploy", "expectations", "pipeline", "plugins", "segments")
Found = TypeVar("Found")


@dataclass(slots=True)
class ComposeStack:
    """A checkout with its `.env`, and the engine that runs it."""

    engine: DockerEngine
    folder: Path
    token: str = field(default="", repr=False)

    @classmethod
    def of(cls, engine: DockerEngine, folder: Path, company: Path, *overrides: str) -> ComposeStack:
        """Copy the checkout, name other images, and write `.env` as the docs say."""
        folder.mkdir()
        subprocess.run(["cp", "-r", *(str(REPO / name) for name in (*FILES, *FOLDERS)), str(folder)], check=True)
        services = {name: service for text in overrides for name, service in yaml.safe_load(text)["services"].items()}
        (folder / "docker-compose.override.yml").write_text(yaml.safe_dump({"services": services}))
        subprocess.run(["sh", "deploy/write-env", str(company)], cwd=folder, check=True, capture_output=True)
        return cls(engine, folder)

    @property
    def settings(self) -> dict[str, str]:
        """What is in `.env`."""
        return dict(line.split("=", 1) for line in (self.folder / ".env").read_text().splitlines())

    def run(self, command: str, *, content: bytes = b"") -> bytes:
        """Run a command of the docs in the checkout, as a shell does, and return what it printed; it must succeed."""
        run = subprocess.run(
            ["sh", "-euc", command], cwd=self.folder, env=self.engine.environment, input=content, capture_output=True, check=False
        )
        assert run.returncode == 0, f"{command}: {run.stdout[-2000:].decode()}{run.stderr[-4000:].decode()}"
        return run.stdout

    def up(self) -> None:
        """Start all and wait until all services are healthy."""
        self.run(f"docker compose up --detach --wait --wait-timeout {PATIENCE_SECONDS}")
        self.token = ""

    def start(self, *services: str) -> None:
        """Start these and what they need, without waiting until each has been found healthy."""
        self.run(f"docker compose up --detach {' '.join(services)}")
        self.token = ""

    def published(self) -> str:
        """Return the digest of each file that is live."""
        return self.run("docker compose exec -T api-server sh -c 'cd /lake/current && sha256sum *'").decode()

    @property
    def lake(self) -> Path:
        """Where this machine finds the volume of the lake."""
        [volume] = json.loads(self.engine.docker("volume", "inspect", "customer-segments_lake"))
        return Path(f"/proc/{self.engine.pid}/root{volume['Mountpoint']}")

    def inspect(self, service: str) -> dict[str, Any]:
        """Return what the engine says of a service's container."""
        [container] = json.loads(self.engine.docker("inspect", self.run(f"docker compose ps --all --quiet {service}").decode().strip()))
        return dict(container)

    def get(self, path: str, *, is_logged_in: bool = True) -> tuple[int, str]:
        """Return the status and the text that the published interface answers with."""
        return self._ask("GET", path, None, token=self._admin_token() if is_logged_in else "")

    def api(self, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        """Call Airflow's REST API as the administrator; it must answer well."""
        status, text = self._ask(method, path, body, token=self._admin_token())
        assert status < 400, (status, text)
        return dict(json.loads(text))

    def log_in(self, password: str) -> int:
        """Log in as the administrator with a password and return the status; with the right one the stack stays logged in."""
        body = {"username": self.settings["ADMIN_USER"], "password": password}
        status, text = self._ask("POST", "/auth/token", body)
        if status < 400:
            self.token = json.loads(text)["access_token"]
        return status

    def logged_in_as(self, role: str) -> Callable[[str, str], int]:
        """Make an account of a role, and return what calls the interface as it: with a method and a path, for the status of the answer."""
        account = {"username": f"a-{role}", "password": f"the password of a {role}"}
        person = {"email": f"{role}@localhost", "first_name": "A", "last_name": role, "roles": [{"name": role}]}
        self.api("POST", "/auth/fab/v1/users", {**account, **person})
        token = json.loads(self._ask("POST", "/auth/token", account)[1])["access_token"]
        return lambda method, path: self._ask(method, path, {} if method == "POST" else None, token=token)[0]

    def begin_night(self, **conf: str) -> str:
        """Trigger a night and return the id of its run."""
        return self.awaited(lambda: self._triggered(conf), "the DAG is not known yet")

    def end_night(self, run: str) -> dict[str, str]:
        """Wait for the end of a run, and return the state of each task."""
        ended = {"success", "failed"}
        self.awaited(lambda: self.api("GET", f"{NIGHT}/dagRuns/{run}")["state"] in ended, "the night goes on")
        return self.task_states(run)

    def task_states(self, run: str) -> dict[str, str]:
        """Return the state of each task of a run."""
        return {task["task_id"]: task["state"] for task in self.api("GET", f"{NIGHT}/dagRuns/{run}/taskInstances")["task_instances"]}

    def awaited(self, look: Callable[[], Found], otherwise: str) -> Found:
        """Return what is found, once something is; connections may be refused meanwhile."""
        until = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < until:
            with suppress(OSError, http.client.HTTPException):
                if found := look():
                    return found
            time.sleep(1)
        raise AssertionError(f"{otherwise}: {self.run('docker compose logs --tail 40').decode()}")

    def _triggered(self, conf: dict[str, str]) -> str:
        self.api("PATCH", NIGHT, {"is_paused": False})
        return str(self.api("POST", f"{NIGHT}/dagRuns", {"logical_date": None, "conf": conf})["dag_run_id"])

    def _admin_token(self) -> str:
        if not self.token:
            assert self.log_in(self.settings["ADMIN_PASSWORD"]) < 400
        return self.token

    def _ask(self, method: str, path: str, body: dict[str, Any] | None, *, token: str = "") -> tuple[int, str]:
        headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {token}"} if token else {})
        connection = http.client.HTTPConnection("127.0.0.1", PORT)
        with closing(connection):
            connection.sock = self.engine.connect(PORT)
            connection.request(method, path, None if body is None else json.dumps(body), headers)
            answer = connection.getresponse()
            return answer.status, answer.read().decode("utf-8", "replace")


def documented_commands(page: str, heading: str) -> list[list[str]]:
    """Return the commands that a page shows below a heading: a list for each block, one command for each line."""
    text = (REPO / "docs" / page).read_text()
    section = re.split(r"\n#+ ", text.split(f"{heading}\n", 1)[1])[0]
    blocks = re.findall(r"```sh\n(.*?)```", section, re.DOTALL)
    joined = [block.replace("\\\n", " ") for block in blocks]
    return [[line.split("  #")[0].strip() for line in block.splitlines() if line.strip()] for block in joined]


def documented_file(page: str, heading: str) -> str:
    """Return the file that a page shows below a heading: the first block that says of which file it is."""
    text = (REPO / "docs" / page).read_text().split(f"{heading}\n", 1)[1]
    found = re.search(r"```\w+\n(# file: .*?)```", text, re.DOTALL)
    assert found
    return found[1]

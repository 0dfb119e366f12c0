"""The morning page inside Airflow: a real api-server with real users on loopback."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import dataclass
from datetime import date

import pytest
from support.deployments import Deployment, a_small_company, airflow_home

from pipeline.lake.addresses import morning_page, page_index, validation_page
from pipeline.lake.lake import Lake

DAY = date(2024, 3, 31)
PASSWORDS = {"admin": "a password of the administrator", "reader": "a password of the reader"}
START_SECONDS = 180


@dataclass(frozen=True, slots=True)
class Server:
    """An api-server, and the tokens of its users by name."""

    port: int
    tokens: dict[str, str]

    def get(self, path: str, user: str = "") -> tuple[int, dict[str, str], str]:
        headers = {"Authorization": f"Bearer {self.tokens[user]}"} if user else {}
        return request(self.port, "GET", path, headers=headers)


def request(port: int, method: str, path: str, *, body: str | None = None, headers: dict[str, str]) -> tuple[int, dict[str, str], str]:
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=30)) as connection:
        connection.request(method, path, body, headers)
        answer = connection.getresponse()
        return answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read().decode()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("plugin")
    deployment = Deployment.of(a_small_company(folder / "company"), folder)
    lake = Lake(deployment.lake)
    for address in (morning_page(DAY), morning_page(date(2024, 3, 30)), morning_page(DAY, "tr"), validation_page(DAY), page_index()):
        lake.write_text(address, f"<!doctype html><title>{address}</title>")
    lake.write_text("company.json", "the secret of the lake")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = (
        deployment.environment()
        | airflow_home.INTERFACE_SETTINGS
        | {
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": "admin:admin,reader:viewer",
            "AIRFLOW__API__PORT": str(port),
            "AIRFLOW__API__BASE_URL": f"http://127.0.0.1:{port}",
            "AIRFLOW__API__WORKERS": "1",
        }
    )
    (deployment.home / "passwords.json").write_text(json.dumps(PASSWORDS))
    airflow = [sys.executable, "-m", "airflow"]
    subprocess.run([*airflow, "db", "migrate"], env=environment, capture_output=True, check=True)
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen([*airflow, "api-server"], env=environment, stdout=log, stderr=log, start_new_session=True)
    try:
        wait_until_served(port, process)
        yield Server(port, {user: token_of(port, user) for user in PASSWORDS})
    finally:
        os.killpg(process.pid, signal.SIGINT)
        process.wait(30)


def wait_until_served(port: int, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        with suppress(OSError, http.client.HTTPException):
            if request(port, "GET", "/api/v2/version", headers={})[0] == 200:
                return
        time.sleep(0.5)
    raise AssertionError("the api-server did not start")


def token_of(port: int, user: str) -> str:
    body = json.dumps({"username": user, "password": PASSWORDS[user]})
    _, _, content = request(port, "POST", "/auth/token", body=body, headers={"Content-Type": "application/json"})
    return str(json.loads(content)["access_token"])


@pytest.mark.parametrize(
    "path", ["/morning-page/", f"/morning-page/day={DAY}/index.html", "/morning-page/index.html", "/morning-page/other"]
)
def test_nobody_reads_it_without_a_login(server: Server, path: str) -> None:
    status, _, content = server.get(path)
    assert status == 401
    assert "doctype" not in content


@pytest.mark.parametrize("user", ["reader", "admin"])
def test_whoever_is_logged_in_reads_it(server: Server, user: str) -> None:
    status, headers, content = server.get(f"/morning-page/day={DAY}/index.html", user)
    assert (status, content) == (200, f"<!doctype html><title>{morning_page(DAY)}</title>")
    assert headers["content-security-policy"].startswith("default-src 'none'")
    assert headers["cache-control"] == "private, no-cache"
    for other in (f"day={DAY}/index.tr.html", f"day={DAY}/validation.html", "index.html"):
        assert server.get(f"/morning-page/{other}", user)[0] == 200


def test_it_opens_with_the_newest_night(server: Server) -> None:
    status, headers, _ = server.get("/morning-page/", "reader")
    assert (status, headers["location"]) == (307, f"/morning-page/day={DAY}/index.html")


CLIMBING = ["../company.json", "..%2fcompany.json", "%2e%2e/company.json", "day=2024-03-31/..%2f..%2fcompany.json", "..%5ccompany.json"]
OTHERS = [
    "company.json",
    f"day={DAY}/index.xx.html",
    "day=2024-04-01/index.html",
    "day=2024-03-31",
    "index.html%00",
    "//etc/passwd",
    "openapi.json",
]


@pytest.mark.parametrize("path", [*CLIMBING, *OTHERS])
def test_no_other_path_is_served(server: Server, path: str) -> None:
    status, _, content = server.get(f"/morning-page/{path}", "admin")
    assert status == 404
    assert "secret" not in content


def test_it_is_in_the_menu(server: Server) -> None:
    _, _, content = server.get("/api/v2/plugins", "admin")
    [plugin] = [each for each in json.loads(content)["plugins"] if each["name"] == "morning_page"]
    assert [(view["name"], view["href"], view["destination"]) for view in plugin["external_views"]] == [
        ("Morning page", "/morning-page/", "nav")
    ]

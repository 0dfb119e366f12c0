"""docker-compose.yml in a real Docker Engine, by the commands of the docs: nights, a killed scheduler, a backup brought back.

Everything is built and run here. The images that ours build on are look-alikes (`support.base_images`), as no registry is needed or asked.
"""

from __future__ import annotations

import json
import re
import shutil
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import Page, sync_playwright
from support.base_images import load_base_images
from support.compose_stack import NIGHT, PATIENCE_SECONDS, PORT, ComposeStack, documented_commands, documented_file
from support.deployments import CANARY, REPO, a_small_company
from support.docker_engine import DockerEngine, NoEngineError, running_docker_engine, why_no_docker
from support.forward_proxy import ForwardProxy, running_forward_proxy

from pipeline.definitions.lake_claim import FORMAT

pytestmark = [
    pytest.mark.containers,
    pytest.mark.timeout(1800),
    pytest.mark.skipif(why_no_docker() is not None, reason=f"no Docker Engine can be started: {why_no_docker()}"),
]
SERVICES = ("postgres", "scheduler", "dag-processor", "triggerer", "api-server")
FIRST, SECOND = "2024-03-30", "2024-03-31"
MORNING_PAGE = f"/morning-page/day={FIRST}/index.html"
PYTHON, POSTGRES, OURS = "python:3.12-slim-bookworm", "postgres:17-alpine", "python-with-our-certificates"
CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")
BRIDGE = "172.17.0.1"  # where containers, and builds, find the machine
CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")


@pytest.fixture(scope="module")
def engine() -> Iterator[DockerEngine]:
    with ExitStack() as stack:
        try:
            running = stack.enter_context(running_docker_engine(compose=Path(sys.executable).with_name("docker-compose")))
            load_base_images(running, python=PYTHON, postgres=POSTGRES)
        except NoEngineError as reason:
            pytest.skip(str(reason))
        yield running


@pytest.fixture(scope="module")
def proxy(engine: DockerEngine) -> Iterator[ForwardProxy]:
    """Yield the only way out of the engine's network."""
    with running_forward_proxy(engine.listen(BRIDGE)) as running:
        address = f"http://{BRIDGE}:{running.port}"
        engine.configure({"proxies": {"default": {"httpProxy": address, "httpsProxy": address}}})
        yield running


@pytest.fixture(scope="module")
def company(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a company that sells on both days, so that no gate holds a night back."""
    made = a_small_company(tmp_path_factory.mktemp("shop") / "company")
    with (made / "data" / "orders.csv").open("a") as orders:
        orders.writelines(f"{day}-{n},1,{CANARY}-{n},{day} 10:00:00,{n}.50,{CANARY}-wine\n" for day in (FIRST, SECOND) for n in range(3))
    return made


@pytest.fixture(scope="module")
def stack(engine: DockerEngine, proxy: ForwardProxy, company: Path, tmp_path_factory: pytest.TempPathFactory) -> ComposeStack:
    """Return the stack as the docs bring it up: without a registry, behind a proxy with a certificate of its own."""
    folder = tmp_path_factory.mktemp("checkout")
    for readable in (folder, *company.parents[:3], *company.rglob("*"), company):
        readable.chmod(readable.stat().st_mode | 0o555)
    page = "operate/airflow.md"
    images = documented_file(page, "### Images without a registry").replace(f'"{PYTHON}"', f'"{OURS}"')
    made = ComposeStack.of(engine, folder / "segments", company, images, documented_file(page, "### The morning page in the interface"))
    base = folder / "base"
    base.mkdir()
    (base / "Dockerfile").write_text(documented_file(page, "### Behind a proxy"))
    shutil.copy(CERTIFICATES, base / "our-certificates.crt")
    engine.docker("build", "--tag", OURS, str(base))
    made.run("docker compose build")
    assert proxy.hosts, "packages came from somewhere else"
    made.up()
    return made


@pytest.fixture(scope="module")
def first_night(stack: ComposeStack) -> dict[str, str]:
    """Return the states of the tasks of the first night, run by the scheduler."""
    return stack.end_night(stack.begin_night(day=FIRST))


@pytest.fixture(scope="module")
def backup(stack: ComposeStack, first_night: dict[str, str]) -> list[str]:
    """Back up as the docs say, after the first night, and return the commands that bring all of it back."""
    assert first_night
    save, *back = documented_commands("operate/backup.md", "### With Docker")
    for command in save:
        if command.startswith("docker"):  # the other copies .env to a safe place
            stack.run(command)
    return [command for block in back for command in block]


@dataclass(frozen=True, slots=True)
class KilledScheduler:
    """What became of a scheduler that was killed amid a night: how often the engine started it again, the night, what was published."""

    restarts: int
    night: dict[str, str]
    published: str


@pytest.fixture(scope="module")
def second_night(stack: ComposeStack, backup: list[str]) -> KilledScheduler:
    assert backup
    run = stack.begin_night(day=SECOND)
    stack.awaited(lambda: stack.task_states(run)["extract"] == "running", "the night did not begin")
    stack.engine.kill(stack.inspect("scheduler")["State"]["Pid"])
    night = stack.end_night(run)
    return KilledScheduler(stack.inspect("scheduler")["RestartCount"], night, stack.published())


@pytest.fixture(scope="module")
def restarted(stack: ComposeStack, second_night: KilledScheduler) -> ComposeStack:
    """Return the stack after `down` and `up`, where meanwhile the lake was one of version 0.1.0."""
    assert second_night
    stack.run("docker compose down")
    claim = stack.lake / "company.json"
    facts = json.loads(claim.read_text())
    claim.write_text(json.dumps({name: facts[name] for name in ("name", "currency", "time_zone")}))
    stack.start("api-server")
    stack.awaited(lambda: stack.log_in(stack.settings["ADMIN_PASSWORD"]) == 201, "the interface is not back")
    return stack


@pytest.fixture(scope="module")
def brought_back(restarted: ComposeStack, backup: list[str]) -> ComposeStack:
    """Return the stack that was lost, volumes and all, and brought back from the backup."""
    restarted.run("docker compose down --volumes")
    for command in backup:
        restarted.run(command)
    restarted.token = ""
    return restarted


@pytest.mark.parametrize("service", SERVICES)
def test_each_service_is_healthy_nobody_special_and_cannot_write_to_its_own_files(stack: ComposeStack, service: str) -> None:
    container = stack.inspect(service)
    assert container["State"]["Health"]["Status"] == "healthy"
    assert (container["HostConfig"]["ReadonlyRootfs"], container["HostConfig"]["CapDrop"]) == (True, ["ALL"])
    look = 'cat /proc/1/status; for place in /opt/segments /usr/bin /etc /company; do ! touch "$place/written" 2>/dev/null || exit 1; done'
    status = stack.run(f"docker compose exec -T {service} sh -c '{look}'").decode()
    fields = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
    assert all(int(user) > 0 for user in fields["Uid"].split())
    assert (int(fields["CapEff"], 16), fields["NoNewPrivs"]) == (0, "1")


def test_no_default_password_opens_the_interface(stack: ComposeStack) -> None:
    assert {stack.log_in(password) for password in ("admin", "airflow", "", stack.settings["ADMIN_USER"])} <= {400, 401, 422}
    assert stack.get("/api/v2/dags", is_logged_in=False)[0] == 401
    assert stack.log_in(stack.settings["ADMIN_PASSWORD"]) == 201


def test_the_database_is_open_to_no_password_but_that_of_the_settings(stack: ComposeStack) -> None:
    ask = 'PGPASSWORD="$word" psql --no-password --host postgres --username segments --dbname airflow --command "SELECT 1" >/dev/null 2>&1'
    tried = f'for word in segments airflow postgres "" {stack.settings["METADATA_PASSWORD"]}; do {ask}; echo $?; done'
    assert stack.run(f"docker compose exec -T postgres sh -c '{tried}'").split() == [b"2", b"2", b"2", b"2", b"0"]


def test_a_night_by_the_scheduler_ends_well_and_is_live(stack: ComposeStack, first_night: dict[str, str]) -> None:
    assert set(first_night.values()) <= {"success", "skipped"}
    assert first_night["publish"] == "success"
    assert f'"day": "{FIRST}"' in stack.run("docker compose exec -T scheduler cat /lake/current/manifest.json").decode()


def test_commands_run_in_the_stack_and_what_is_live_is_copied_out(stack: ComposeStack, first_night: dict[str, str]) -> None:
    assert first_night
    assert re.search(rf"^Live +{FIRST} ", stack.run("docker compose exec -T scheduler segments status").decode(), re.MULTILINE)
    for [command] in (
        [line] for block in documented_commands("operate/airflow.md", "## In production") for line in block if " cp " in line
    ):
        stack.run(command)
    assert {path.suffix for path in (stack.folder / "my_shop_live").iterdir()} == {".json", ".parquet"}
    assert (stack.folder / "my_shop_pages" / "index.html").is_file()


def test_the_morning_page_is_shown_to_whoever_is_logged_in(stack: ComposeStack, first_night: dict[str, str]) -> None:
    assert first_night
    assert stack.get(MORNING_PAGE, is_logged_in=False)[0] == 401
    status, text = stack.get(MORNING_PAGE)
    assert status == 200
    assert "Small" in text


# A run without a logical date is no run: whoever may begin one is told so, and nobody else.
DEEDS = {
    "read the morning page": ("GET", MORNING_PAGE, 200),
    "see a DAG": ("GET", NIGHT, 200),
    "see runs": ("GET", f"{NIGHT}/dagRuns", 200),
    "trigger a DAG": ("POST", f"{NIGHT}/dagRuns", 422),
    "read connections": ("GET", "/api/v2/connections", 200),
    "read variables": ("GET", "/api/v2/variables", 200),
    "manage accounts": ("GET", "/auth/fab/v1/users", 200),
}
LAST_DEED = {"Viewer": "see runs", "User": "trigger a DAG", "Op": "read variables", "Admin": "manage accounts"}


@pytest.mark.parametrize("role", LAST_DEED)
def test_an_account_may_do_what_the_docs_say_of_its_role_and_no_more(stack: ComposeStack, first_night: dict[str, str], role: str) -> None:
    assert first_night
    call, names = stack.logged_in_as(role), list(DEEDS)
    done = {name: call(method, path) for name, (method, path, _) in DEEDS.items()}
    allowed = names[: names.index(LAST_DEED[role]) + 1]
    assert done == {name: status if name in allowed else 403 for name, (_, _, status) in DEEDS.items()}


@pytest.mark.skipif(CHROMIUM is None, reason="needs chromium: run .ci/install-packages")
def test_a_browser_logs_in_and_sees_the_nights_and_the_morning_page(
    stack: ComposeStack, first_night: dict[str, str], tmp_path: Path
) -> None:
    assert first_night
    wrapper = tmp_path / "chromium"
    wrapper.write_text(f'#!/bin/sh\nexec {" ".join(stack.engine.inside("net").words)} {CHROMIUM} "$@"\n')
    wrapper.chmod(0o755)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(wrapper), args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1280, "height": 800})
        page.set_default_timeout(PATIENCE_SECONDS * 1000)
        _log_in(page, stack)
        page.goto(f"http://127.0.0.1:{PORT}/dags/nightly_segments")
        page.wait_for_selector("text=publish")
        page.screenshot(path=tmp_path / "nights.png")
        page.goto(f"http://127.0.0.1:{PORT}{MORNING_PAGE}")
        page.wait_for_selector("h1")
        page.screenshot(path=tmp_path / "morning.png")
        text = page.inner_text("body")
        browser.close()
    assert "Small" in text


def _log_in(page: Page, stack: ComposeStack) -> None:
    page.goto(f"http://127.0.0.1:{PORT}/")
    page.fill("input[name=username]", stack.settings["ADMIN_USER"])
    page.fill("input[name=password]", stack.settings["ADMIN_PASSWORD"])
    page.click("[type=submit]")
    page.wait_for_url(lambda url: "/auth/login" not in url, wait_until="commit")


def test_a_scheduler_that_was_killed_amid_a_night_comes_back_and_brings_it_to_its_end(second_night: KilledScheduler) -> None:
    assert second_night.restarts == 1
    assert set(second_night.night.values()) <= {"success", "skipped"}
    assert second_night.night["publish"] == "success"


def test_what_is_kept_is_still_there_after_down_and_up(restarted: ComposeStack, second_night: KilledScheduler) -> None:
    assert restarted.published() == second_night.published
    runs = restarted.api("GET", "/api/v2/dags/nightly_segments/dagRuns")["dag_runs"]
    assert [run["state"] for run in runs] == ["success", "success"]
    logs = restarted.run("docker compose exec -T api-server find /var/log/airflow -name '*.log' -path '*task_id=publish*'").decode()
    assert len(logs.split()) == 2


def test_a_lake_of_an_older_version_is_upgraded_before_anything_else_starts(restarted: ComposeStack) -> None:
    assert json.loads((restarted.lake / "company.json").read_text())["format"] == FORMAT
    assert "1 to 2: done" in restarted.run("docker compose logs init").decode()


def test_of_a_backup_the_next_night_publishes_the_same_bytes_after_all_volumes_were_lost(
    brought_back: ComposeStack, second_night: KilledScheduler
) -> None:
    before = brought_back.published()
    runs = brought_back.api("GET", "/api/v2/dags/nightly_segments/dagRuns")["dag_runs"]
    assert [run["state"] for run in runs] == ["success"]  # of the first night: the backup was made after it
    brought_back.run(f"docker compose exec -T scheduler segments run --day {SECOND}")
    assert before != brought_back.published() == second_night.published


def test_an_image_is_built_from_a_folder_of_wheels_without_any_network(engine: DockerEngine, stack: ComposeStack, tmp_path: Path) -> None:
    """Show it of two locked packages: the others come the same way, in ten times the time."""
    shutil.copytree(stack.folder, tmp_path / "few", ignore=shutil.ignore_patterns("lake.tar", "metadata.dump"))
    few = ComposeStack(engine, tmp_path / "few")
    tmp_path.chmod(0o755)
    (few.folder / "requirements-deploy.txt").write_text(_locked("typing-extensions"))
    [[fetch]] = documented_commands("operate/airflow.md", "### Without a package index")
    few.run(fetch.replace(PYTHON, OURS))
    assert {path.name.split("-")[0] for path in (few.folder / "wheels").iterdir()} == {"uv", "typing_extensions"}
    engine.docker("build", "--target", "packages", "--build-arg", f"PYTHON_IMAGE={OURS}", "--network", "none", str(few.folder))


def _locked(name: str) -> str:
    """Return the lines of a package in the lock of the image."""
    lines = (REPO / "requirements-deploy.txt").read_text().splitlines()
    start = next(number for number, line in enumerate(lines) if line.startswith(f"{name}=="))
    end = next((number for number in range(start + 1, len(lines)) if not lines[number].startswith(" ")), len(lines))
    return "\n".join(lines[start:end]) + "\n"

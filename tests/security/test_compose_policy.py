from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from support.compose_stack import documented_file

REPO = Path(__file__).resolve().parents[2]
TEXT = (REPO / "docker-compose.yml").read_text()
COMPOSE: dict[str, Any] = yaml.safe_load(TEXT)
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
DOCKERFILE = (REPO / "Dockerfile").read_text()
OURS = sorted(set(SERVICES) - {"postgres"})
SERVING = sorted(set(SERVICES) - {"init"})
SHARED_SECRETS = ("AIRFLOW__API_AUTH__JWT_SECRET", "AIRFLOW__API__SECRET_KEY", "AIRFLOW__CORE__FERNET_KEY")
PAGE = "operate/airflow.md"
BUILT = "customer-segments:local"
DIGEST = re.compile(r"[\w./-]+:[\w.-]+@sha256:[0-9a-f]{64}")
every_service = pytest.mark.parametrize("service", SERVICES.values(), ids=SERVICES)


def targets(service: dict[str, Any]) -> dict[str, bool]:
    """Return where the service mounts volumes, and whether it may write there."""
    mounts = [mount if isinstance(mount, dict) else _short(mount) for mount in service.get("volumes", [])]
    return {mount["target"]: not mount["read_only"] for mount in mounts}


def _short(mount: str) -> dict[str, Any]:
    _, target, *mode = mount.split(":")
    return {"target": target, "read_only": mode == ["ro"]}


@every_service
def test_an_image_is_pinned_by_digest_or_built_here(service: dict[str, Any]) -> None:
    assert DIGEST.fullmatch(service["image"]) or (service["image"], service["pull_policy"]) in {(BUILT, "build"), (BUILT, "never")}


def test_one_service_builds_the_image_of_all() -> None:
    assert {name: SERVICES[name]["build"] for name in OURS if "build" in SERVICES[name]} == {"init": "."}
    assert SERVICES["init"]["pull_policy"] == "build"


@every_service
def test_a_service_has_no_privileges_to_lose(service: dict[str, Any]) -> None:
    user, group = map(int, service["user"].split(":"))
    assert min(user, group) > 0
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert not {"cap_add", "privileged", "devices", "pid", "ipc", "network_mode", "userns_mode"} & set(service)


@every_service
def test_a_service_writes_to_its_volumes_and_small_private_memory_alone(service: dict[str, Any]) -> None:
    assert service["read_only"] is True
    for scratch in service["tmpfs"]:
        options = set(scratch.split(":", 1)[1].split(","))
        assert {"noexec", "nosuid", "nodev"} <= options
        assert any(option.startswith("size=") for option in options)
    assert "/var/run/docker.sock" not in TEXT


@every_service
def test_a_service_is_bounded(service: dict[str, Any]) -> None:
    assert {"mem_limit", "cpus", "pids_limit", "stop_grace_period"} <= set(service)
    assert service["init"] is True
    assert set(service["logging"]["options"]) == {"max-size", "max-file"}


@pytest.mark.parametrize("name", SERVING)
def test_a_service_that_stays_is_watched_and_restarted(name: str) -> None:
    assert {"test", "interval", "timeout", "retries", "start_period"} <= set(SERVICES[name]["healthcheck"])
    assert SERVICES[name]["restart"] == "unless-stopped"


def test_one_service_sets_up_before_the_others_start() -> None:
    assert SERVICES["init"]["restart"] == "no"
    assert SERVICES["init"]["depends_on"] == {"postgres": {"condition": "service_healthy"}}
    for name in set(OURS) - {"init"}:
        assert SERVICES[name]["depends_on"] == {"init": {"condition": "service_completed_successfully"}}


def test_the_interface_alone_is_published_and_on_loopback() -> None:
    published = {name: service["ports"] for name, service in SERVICES.items() if "ports" in service}
    assert published == {"api-server": ["127.0.0.1:8080:8080"]}


def test_the_metadata_network_has_no_way_out_and_the_database_no_other() -> None:
    assert COMPOSE["networks"]["metadata"] == {"internal": True}
    assert SERVICES["postgres"]["networks"] == ["metadata"]
    assert [name for name, service in SERVICES.items() if "source" in service["networks"]] == ["scheduler"]


def test_no_secret_has_a_default_and_the_example_lists_every_setting_without_a_value() -> None:
    used = re.findall(r"\$\{([^}]*)\}", TEXT)
    required = [setting for setting in used if re.fullmatch(r"([A-Z_]+):\?set \1 in \.env", setting)]
    assert set(used) - set(required) == {"SCHEDULER_CPUS:-2", "NO_PROXY:-"}
    lines = [line for line in (REPO / ".env.example").read_text().splitlines() if line and not line.startswith("#")]
    assert sorted(lines) == sorted({f"{setting.split(':')[0]}=" for setting in used})


def rendered(*files: Path, **settings: str) -> dict[str, Any]:
    """Return what Compose itself makes of these files; no Docker is needed for that."""
    filled = {"COMPANY_FOLDER": "/srv/shop"} | {name: f"a{name}" for name in re.findall(r"\$\{([A-Z_]+):\?", TEXT)} | settings
    options = [option for file in files for option in ("--file", str(file))]
    command = [str(Path(sys.executable).with_name("docker-compose")), "--project-directory", str(REPO), "--env-file", os.devnull]
    run = subprocess.run([*command, *options, "config", "--format", "json"], env=filled, capture_output=True, text=True, check=False)
    assert (run.returncode, run.stderr) == (0, "")
    services: dict[str, Any] = json.loads(run.stdout)["services"]
    return services


@pytest.mark.parametrize(("chosen", "cpus"), [("", 2), ("1", 1), ("0.5", 0.5), ("16", 16)])
def test_tasks_may_use_two_processors_or_as_many_as_are_chosen(chosen: str, cpus: float) -> None:
    services = rendered(REPO / "docker-compose.yml", SCHEDULER_CPUS=chosen)
    assert services["scheduler"]["cpus"] == cpus
    assert {services[name]["cpus"] for name in set(services) - {"scheduler"}} == {1}


def test_the_documented_override_replaces_every_digest_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "override.yml").write_text(documented_file(PAGE, "### Images without a registry"))
    before, services = rendered(REPO / "docker-compose.yml"), rendered(REPO / "docker-compose.yml", tmp_path / "override.yml")
    assert "sha256" not in json.dumps(services)
    assert services["init"]["build"].pop("args") == {"PYTHON_IMAGE": "python:3.12-slim-bookworm"}
    assert services.pop("postgres") == before.pop("postgres") | {"image": "postgres:17-alpine"}
    assert services == before


def test_the_documented_morning_page_lets_the_interface_read_the_lake_and_changes_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "override.yml").write_text(documented_file(PAGE, "### The morning page in the interface"))
    before, services = rendered(REPO / "docker-compose.yml"), rendered(REPO / "docker-compose.yml", tmp_path / "override.yml")
    interface = services["api-server"]
    [lake] = [mount for mount in interface["volumes"] if mount["target"] == "/lake"]
    interface["volumes"].remove(lake)
    assert (lake["source"], lake["read_only"]) == ("lake", True)
    assert interface["environment"].pop("AIRFLOW__CORE__PLUGINS_FOLDER") == "/opt/segments/plugins"
    assert services == before


def test_all_services_share_the_same_secrets() -> None:
    for name in OURS:
        environment = SERVICES[name]["environment"]
        assert {key: environment[key] for key in SHARED_SECRETS} == {key: COMPOSE["x-settings"][key] for key in SHARED_SECRETS}
    assert len({COMPOSE["x-settings"][key] for key in SHARED_SECRETS}) == 3


def test_accounts_are_not_those_of_the_development_login() -> None:
    assert COMPOSE["x-settings"]["AIRFLOW__CORE__AUTH_MANAGER"].endswith("FabAuthManager")
    assert "airflow:airflow" not in TEXT
    assert [name for name in SERVICES if "ADMIN_PASSWORD" in SERVICES[name].get("environment", {})] == ["init"]


def test_the_tasks_alone_reach_the_sources_and_besides_them_what_upgrades_it_the_lake() -> None:
    assert {name for name in SERVICES if "/lake" in targets(SERVICES[name])} == {"init", "scheduler"}
    assert [name for name in SERVICES if "env_file" in SERVICES[name]] == ["scheduler"]
    assert {name for name in SERVICES if "/company" in targets(SERVICES[name])} == {"scheduler", "dag-processor"}


def test_what_is_run_and_what_is_configured_cannot_be_written() -> None:
    for service in SERVICES.values():
        mounts = targets(service)
        assert mounts.get("/company", False) is False
        assert not any(target.startswith(("/opt", "/usr")) for target in mounts)
    assert targets(SERVICES["api-server"]) == {"/var/log/airflow": False}


def test_the_image_is_built_on_a_digest_by_hash_and_runs_as_nobody_special() -> None:
    argument = re.search(r"^ARG PYTHON_IMAGE=(\S+)$", DOCKERFILE, re.MULTILINE)
    assert argument
    assert DIGEST.fullmatch(argument[1])
    assert {line.split()[1] for line in DOCKERFILE.splitlines() if line.startswith("FROM ")} == {"${PYTHON_IMAGE}"}
    users = [line.split()[1] for line in DOCKERFILE.splitlines() if line.startswith("USER ")]
    assert users[-1] == "10001:10001"
    commands = re.split(r"&&|^RUN", DOCKERFILE, flags=re.MULTILINE)
    installs = [command for command in commands if re.search(r"\bpip (install|sync)\b", command)]
    assert len(installs) == 2
    assert all("--require-hashes" in command for command in installs)


def test_the_image_takes_code_and_locks_and_no_secret() -> None:
    assert not re.search(r"^(ADD|VOLUME)\b", DOCKERFILE, re.MULTILINE)
    assert not re.search(r"^(ARG|ENV).*(PASSWORD|SECRET|TOKEN|KEY)", DOCKERFILE, re.MULTILINE)
    first, *kept = [line for line in (REPO / ".dockerignore").read_text().splitlines() if not line.startswith("#")]
    assert first == "*"
    assert {line[1:] for line in kept if line.startswith("!")} == {
        "dags",
        "expectations",
        "pipeline",
        "plugins",
        "requirements-deploy.txt",
        "requirements-uv.txt",
        "segments",
        "wheels",
    }

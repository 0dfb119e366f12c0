"""`deploy/write-env`: secrets that nobody else has, in a file that nobody else can read."""

from __future__ import annotations

import base64
import json
import re
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest

REPO = Path(__file__).resolve().parents[2]
SECRETS = ("METADATA_PASSWORD", "JWT_SECRET", "SESSION_SECRET", "FERNET_KEY", "ADMIN_PASSWORD")


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    shutil.copytree(REPO / "deploy", tmp_path / "checkout" / "deploy")
    return tmp_path / "checkout"


@pytest.fixture
def company(tmp_path: Path) -> Path:
    folder = tmp_path / "my $hop 1"
    folder.mkdir()
    (folder / "company.toml").write_text('name = "Mine"\n')
    return folder


def write_env(checkout: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["sh", str(checkout / "deploy" / "write-env"), *words], capture_output=True, text=True, check=False)


def written(checkout: Path, *words: str) -> dict[str, str]:
    run = write_env(checkout, *words)
    assert run.returncode == 0, run.stderr
    return dict(line.split("=", 1) for line in (checkout / ".env").read_text().splitlines())


def test_every_setting_that_must_be_filled_in_is_and_the_file_is_its_owners_alone(checkout: Path, company: Path) -> None:
    settings = written(checkout, str(company))
    required = re.findall(r"\$\{([A-Z_]+):\?", (REPO / "docker-compose.yml").read_text())
    assert set(required) <= {name for name, value in settings.items() if value}
    assert stat.S_IMODE((checkout / ".env").stat().st_mode) == 0o600
    assert [path.name for path in checkout.iterdir() if path.name.startswith(".env.")] == []


def test_secrets_are_long_enough_and_new_each_time(checkout: Path, company: Path) -> None:
    first = written(checkout, str(company))
    (checkout / ".env").unlink()
    second = written(checkout, str(company))
    assert all(first[name] != second[name] for name in SECRETS)
    assert len({first[name] for name in SECRETS}) == len(SECRETS)
    assert min(len(first["JWT_SECRET"]), len(first["SESSION_SECRET"])) >= 64
    assert len(base64.urlsafe_b64decode(first["FERNET_KEY"])) == 32


def test_compose_finds_the_company_whatever_its_folder_is_called(checkout: Path, company: Path) -> None:
    written(checkout, str(company))
    shutil.copy(REPO / "docker-compose.yml", checkout)
    command = [str(Path(sys.executable).with_name("docker-compose")), "--project-directory", str(checkout), "config", "--format", "json"]
    run = subprocess.run(command, env={}, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    mounts = json.loads(run.stdout)["services"]["scheduler"]["volumes"]
    # Compose writes `$` as `$$` where it could be taken for a setting.
    assert str(company) in {mount["source"].replace("$$", "$") for mount in mounts}


def test_an_env_that_is_there_stays_as_it_is(checkout: Path, company: Path) -> None:
    (checkout / ".env").write_text("mine\n")
    run = write_env(checkout, str(company))
    assert run.returncode == 1
    assert "is there already" in run.stderr
    assert (checkout / ".env").read_text() == "mine\n"


@pytest.mark.parametrize(
    ("words", "message"), [((), "which company?"), (("/nowhere",), "there is no such folder"), (("/",), "there is no company.toml")]
)
def test_without_a_company_nothing_is_written(checkout: Path, words: tuple[str, ...], message: str) -> None:
    run = write_env(checkout, *words)
    assert run.returncode == 1
    assert message in run.stderr
    assert not (checkout / ".env").exists()


def test_a_folder_that_compose_could_not_take_is_refused(checkout: Path, company: Path) -> None:
    run = write_env(checkout, str(company.rename(company.with_name("my shop's"))))
    assert run.returncode == 1
    assert "no folder with ' in its name" in run.stderr


def test_it_says_which_file_the_tasks_could_not_read(checkout: Path, company: Path) -> None:
    (company / "company.toml").chmod(0o600)
    assert "company.toml" in write_env(checkout, str(company)).stderr

"""Settings and secrets of an Airflow that lives in the checkout; made before Airflow is imported, as it reads them at import."""

from __future__ import annotations

import base64
import json
import os
import secrets
from pathlib import Path

from local.ports import LOOPBACK
from pipeline.operations.bucket_deployment import is_bucket

CHECKOUT = Path(__file__).resolve().parents[1]
DAGS, PLUGINS, HOME = CHECKOUT / "dags", CHECKOUT / "plugins", CHECKOUT / ".airflow"
# For the web interface alone: a task has no use for what is imported to serve pages.
INTERFACE_SETTINGS = {"AIRFLOW__CORE__PLUGINS_FOLDER": str(PLUGINS)}
OURS = ("AIRFLOW__", "AIRFLOW_HOME", "AIRFLOW_CONFIG")


def airflow_environment(*, company: Path, lake: Path | str, home: Path = HOME, port: int = 8080) -> dict[str, str]:
    """Return the whole environment of a local Airflow: what is inherited, but for other Airflow settings, and ours.

    Creates `home`, readable by its owner alone, with secrets that last as long as it does.
    """
    # Settings of another Airflow on this machine would make the local one write into its database.
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(OURS)}
    place = str(lake) if is_bucket(lake) else str(Path(lake).resolve())
    deployment = {"SEGMENTS_COMPANY": str(company.resolve()), "SEGMENTS_LAKE": place}
    return inherited | deployment | _airflow_settings(home.resolve(), port) | _read_or_make_secrets(home)


def read_login(home: Path = HOME) -> tuple[str, str]:
    """Return user name and password of the local Airflow; the first call makes the password."""
    passwords = _read_or_write(home / "passwords.json", json.dumps({"admin": secrets.token_urlsafe(16)}))
    return "admin", json.loads(passwords)["admin"]


def _airflow_settings(home: Path, port: int) -> dict[str, str]:
    return {
        "AIRFLOW_HOME": str(home),
        "PYTHONPATH": os.pathsep.join(filter(None, [str(CHECKOUT), os.environ.get("PYTHONPATH")])),
        "AIRFLOW__CORE__DAGS_FOLDER": str(DAGS),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
        "AIRFLOW__CORE__PARALLELISM": "4",  # Airflow starts 32 workers otherwise
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"http://{LOOPBACK}:{port}/execution/",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(home / "passwords.json"),
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{home / 'airflow.db'}",
        "AIRFLOW__LOGGING__BASE_LOG_FOLDER": str(home / "logs"),
        "AIRFLOW__API__HOST": LOOPBACK,  # else it listens to the whole network
        "AIRFLOW__API__PORT": str(port),
        "AIRFLOW__API__BASE_URL": f"http://{LOOPBACK}:{port}",
        "AIRFLOW__DAG_PROCESSOR__PARSING_PROCESSES": "1",
    }


def _read_or_make_secrets(home: Path) -> dict[str, str]:
    fresh = {
        "api_auth__jwt_secret": secrets.token_urlsafe(64),
        "api__secret_key": secrets.token_urlsafe(64),
        "core__fernet_key": base64.urlsafe_b64encode(secrets.token_bytes(32)).decode(),
    }
    return {f"AIRFLOW__{name.upper()}": _read_or_write(home / name, value) for name, value in fresh.items()}


def _read_or_write(path: Path, fresh: str) -> str:
    """Return the content of `path`, which its owner alone can read; where there is none, write `fresh` and return that."""
    # O_EXCL: of two processes that start at once one writes, and both go by what it wrote.
    try:
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(fresh)
    except FileExistsError:
        return path.read_text("utf-8")
    return fresh

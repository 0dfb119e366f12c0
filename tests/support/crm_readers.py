"""Public readers, dlt and ingestr, in an environment of their own, as whoever loads our tables has them."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

from support.deployments import REPO

HOME = REPO / ".venv-readers"
REQUIREMENTS = REPO / "tests" / "readers-requirements.txt"
UV = REPO / ".venv" / "bin" / "uv"
QUIET = {"RUNTIME__DLTHUB_TELEMETRY": "false", "DISABLE_TELEMETRY": "true", "INGESTR_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "1"}


def install_readers() -> None:
    """Install both into their environment, unless they are there as they are asked for."""
    wanted, noted = REQUIREMENTS.read_bytes(), HOME / "installed.txt"
    if noted.exists() and noted.read_bytes() == wanted:
        return
    subprocess.run([str(UV), "venv", "--quiet", "--clear", str(HOME)], check=True)
    subprocess.run([str(UV), "pip", "install", "--quiet", "--python", str(HOME / "bin" / "python"), "-r", str(REQUIREMENTS)], check=True)
    noted.write_bytes(wanted)


def read_with_dlt(uri: str, state: Path) -> list[dict[str, Any]]:
    """Return the rows that dlt loads now, which goes by the largest number that it has in `state`."""
    script = Path(__file__).with_name("read_with_dlt.py")
    rows: list[dict[str, Any]] = json.loads(_run([str(HOME / "bin" / "python"), str(script), uri, str(state)], state).splitlines()[-1])
    return rows


def read_with_ingestr(uri: str, table: str, state: Path, *, since: str = "") -> None:
    """Have ingestr merge crm_profiles into `table` of the same database, only rows updated `since` then where that is said."""
    command = [
        str(HOME / "bin" / "ingestr"), "ingest", "--yes", "--progress", "log", "--pipelines-dir", str(state),
        "--source-uri", uri, "--source-table", "segments.crm_profiles", "--dest-uri", uri, "--dest-table", table,
        "--incremental-strategy", "merge", "--incremental-key", "updated_at", "--primary-key", "customer_id",
    ]  # fmt: skip
    _run([*command, *(["--interval-start", since] if since else [])], state)


def _run(command: list[str], folder: Path) -> str:
    environment = {**os.environ, **QUIET, "HOME": str(folder)}
    done = subprocess.run(command, env=environment, cwd=folder, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, f"{done.stdout[-2000:]}{done.stderr[-2000:]}"
    return done.stdout

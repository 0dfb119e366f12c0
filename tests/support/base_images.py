"""The two images that docker-compose.yml builds on, made of Debian's packages: look-alikes, for a machine without a registry.

They prove the stack, not the entry of the official images: PostgreSQL's is ours, with the same variables, user and folders.
What is made is kept, as it takes a minute, in a folder outside of the checkout.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from hashlib import sha256
from pathlib import Path

from support.docker_engine import ENDED_WITH_US, SBIN, DockerEngine

SUITE = "trixie"
CACHE = Path.home() / ".cache" / "customer-segments" / "images"
DATA = "/var/lib/postgresql/data"
POSTGRES_ENTRY = f"""#!/bin/sh
set -eu
if [ ! -s {DATA}/PG_VERSION ]; then
    password=$(mktemp) && printf '%s\\n' "${{POSTGRES_PASSWORD:?}}" >"$password"
    initdb --pgdata={DATA} --username="$POSTGRES_USER" --pwfile="$password" --encoding=UTF8 --locale=C.UTF-8 ${{POSTGRES_INITDB_ARGS:-}}
    rm "$password"
    echo 'host all all all scram-sha-256' >>{DATA}/pg_hba.conf
    echo "CREATE DATABASE \\"$POSTGRES_DB\\"" | postgres --single -D {DATA} postgres
fi
exec postgres -D {DATA} -c listen_addresses='*'
"""
# No page of a manual, and no cluster that a package makes by itself.
COMMON = [
    *("--variant=minbase", "--aptopt=Acquire::Retries 3", "--dpkgopt=force-unsafe-io"),
    *("--dpkgopt=path-exclude=/usr/share/doc/*", "--dpkgopt=path-exclude=/usr/share/man/*"),
]
PYTHON = [
    *COMMON,
    "--include=python3,python3-venv,python3-pip,ca-certificates",
    '--customize-hook=ln -s python3 "$1"/usr/bin/python; rm -f "$1"/usr/lib/python3*/EXTERNALLY-MANAGED',
]
USER_70 = 'echo postgres:x:70: >>"$1"/etc/group; echo postgres:x:70:70::/var/lib/postgresql:/bin/sh >>"$1"/etc/passwd'
POSTGRES = [
    *COMMON,
    "--include=postgresql-17",
    '--essential-hook=mkdir "$1"/etc/postgresql-common; echo create_main_cluster=false >"$1"/etc/postgresql-common/createcluster.conf',
    f"--essential-hook={USER_70}",
    f'--customize-hook=install -d -o 70 -g 70 -m 700 "$1"{DATA}',
    '--customize-hook=printf %s "$ENTRY" >"$1"/usr/local/bin/entry; chmod 755 "$1"/usr/local/bin/entry',
]
POSTGRES_CONFIG = {
    "ENTRYPOINT": ["/usr/local/bin/entry"],
    "VOLUME": [DATA],
    "ENV": "PATH=/usr/lib/postgresql/17/bin:/usr/local/bin:/usr/bin:/bin",
}


def load_base_images(engine: DockerEngine, *, python: str, postgres: str) -> None:
    """Give the engine a base for our own image and a PostgreSQL 17, by these names."""
    with ThreadPoolExecutor() as threads:
        python_files, postgres_files = threads.map(partial(_made, scratch=engine.folder), (PYTHON, POSTGRES))
    engine.docker("import", str(python_files), python)
    changes = [f"{word} {text if isinstance(text, str) else json.dumps(text)}" for word, text in POSTGRES_CONFIG.items()]
    engine.docker("import", *(word for change in changes for word in ("--change", change)), str(postgres_files), postgres)


def _made(recipe: list[str], scratch: Path) -> Path:
    """Return the files of an image as an archive: one that was made before by the same recipe, or a new one."""
    archive = CACHE / f"{sha256(repr([SUITE, *recipe, POSTGRES_ENTRY]).encode()).hexdigest()[:16]}.tar"
    if not archive.is_file():
        archive.parent.mkdir(parents=True, exist_ok=True)
        made = scratch / f"{archive.name}.new"
        command = [*ENDED_WITH_US, "mmdebstrap", *recipe, SUITE, str(made)]
        environment = {"PATH": SBIN, "ENTRY": POSTGRES_ENTRY, "TMPDIR": str(scratch)}
        run = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        assert run.returncode == 0, run.stderr[-4000:]
        # Into the cache, which may be on another disk, by a name that nobody looks for; then by the right one.
        new = Path(shutil.move(made, archive.parent))
        new.replace(archive)
    return archive

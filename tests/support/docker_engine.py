"""A Docker Engine of the tests' own, in namespaces of its own: nothing of it outlives the test, however that ends.

Its processes, its containers' among them, are in one namespace of processes whose first process dies with the test: the kernel then
ends all of them, and with them go the mounts and networks, which are in namespaces too. The machine's own network is not touched, and
the engine has no way out of its own.
"""

from __future__ import annotations

import ctypes
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory, gettempdir
from threading import Thread
from typing import Any

SBIN = f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin:/sbin"
PROGRAMS = ("dockerd", "docker", "iptables", "ip", "nsenter", "unshare", "setpriv")
CGROUPS = Path("/sys/fs/cgroup")
NAME = "customer-segments-engine"  # with the number of the process of the test: its folder, and the group of its containers
START_SECONDS = 60
NETWORK_NAMESPACE = 0x40000000  # CLONE_NEWNET
# What runs a command with all that it starts in namespaces of processes and mounts, which end with this process: also by SIGKILL.
ENDED_WITH_US = ("setpriv", "--pdeathsig", "KILL", "unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc")
# The daemon takes the place of the shell, the first process of the namespace: when that ends, the kernel ends all others.
# What containerd keeps in /run stays within the namespace of mounts, too; and so does all that the engine keeps, where memory is enough:
# then nothing waits for the disk, and nothing is left to remove. $2 is its size.
BOOT = """
mount -t tmpfs tmpfs /run && ip link set lo up && mkdir "$1/data" || exit
[ "$2" = 0 ] || mount -t tmpfs -o "size=$2" tmpfs "$1/data" || exit
exec dockerd --config-file "$1/daemon.json"
"""
# What an engine does of all this first, done without one: it takes a fifth of a second.
PROBE = """
set -e
mount -t tmpfs tmpfs "$1" && cd "$1" && mkdir lower upper work merged
mount -t overlay overlay -o lowerdir=lower,upperdir=upper,workdir=work merged
ip link add name probe type bridge
iptables --table nat --append POSTROUTING --jump MASQUERADE
"""
DATA_GIB, SPARE_GIB = 8, 6  # what the data of the engine may take, of which a run takes three; what must be free besides, for what runs


# What a machine says that lets nobody do this; whatever else goes wrong is a mistake of ours.
NOT_ALLOWED = re.compile(r"operation not permitted|permission denied|read-only file system|not supported by", re.IGNORECASE)
OUT_OF_REACH = re.compile(r"could not (resolve|connect)|unable to connect|failed to fetch|temporary failure", re.IGNORECASE)


class NoEngineError(Exception):
    """What keeps an engine from running on a machine where all that it needs seemed to be there."""


@cache
def why_no_docker() -> str | None:
    """Return why no engine can be started here; None where one can."""
    if sys.platform != "linux" or os.geteuid() != 0:
        return "a Docker Engine needs Linux and root"
    missing = [name for name in PROGRAMS if not shutil.which(name, path=SBIN)]
    if missing:
        return f"no {', '.join(missing)}: run .ci/install-packages"
    with TemporaryDirectory() as folder:
        command = [*ENDED_WITH_US, "unshare", "--net", "sh", "-c", PROBE, "sh", folder]
        tried = subprocess.run(command, env=os.environ | {"PATH": SBIN}, capture_output=True, text=True, check=False)
    if tried.returncode:
        return f"it needs namespaces, an overlay, a bridge and NAT: {tried.stderr.strip()}"
    return None if any(os.access(group, os.W_OK) for group in (CGROUPS, *CGROUPS.glob("memory"))) else "no group of processes can be made"


@dataclass(frozen=True, slots=True)
class DockerEngine:
    """A running engine: the folder that it keeps everything in, and its first process as this machine sees it."""

    folder: Path
    pid: int

    @property
    def environment(self) -> dict[str, str]:
        """What `docker` needs to find this engine, and Compose."""
        return {
            "PATH": SBIN,
            "HOME": str(self.folder),
            "DOCKER_HOST": f"unix://{self.folder}/socket",
            "DOCKER_CONFIG": f"{self.folder}/client",
        }

    def docker(self, *words: str, **settings: str) -> str:
        """Run `docker` and return what it printed."""
        run = subprocess.run(["docker", *words], env=self.environment | settings, capture_output=True, text=True, check=False)
        assert run.returncode == 0, f"docker {' '.join(words)}: {run.stdout[-4000:]}{run.stderr[-4000:]}"
        return run.stdout

    def configure(self, settings: dict[str, Any]) -> None:
        """Write what the user of this engine has in `~/.docker/config.json`."""
        (self.folder / "client" / "config.json").write_text(json.dumps(settings))

    def kill(self, pid: int) -> None:
        """Kill a process by the number that the engine knows it by."""
        self.inside("pid").run(["sh", "-c", f"kill -KILL {pid}"])

    def connect(self, port: int) -> socket.socket:
        """Return a connection to a port that the engine has published on its loopback."""
        connection = self._socket_inside()
        connection.settimeout(60)
        connection.connect(("127.0.0.1", port))
        return connection

    def listen(self, address: str) -> socket.socket:
        """Return a socket that listens on a free port within the engine's network, while its connections outwards are this machine's."""
        listening = self._socket_inside()
        listening.bind((address, 0))
        listening.listen(64)
        return listening

    def inside(self, *namespaces: str) -> Inside:
        """Return what runs commands within these namespaces of the engine, such as `net`."""
        return Inside(self.pid, namespaces)

    def _socket_inside(self) -> socket.socket:
        """Return a socket of the engine's network: a socket belongs to the network that its thread was in when it was made."""
        made: list[socket.socket] = []
        thread = Thread(target=lambda: made.append(_socket_in(Path(f"/proc/{self.pid}/ns/net"))))
        thread.start()
        thread.join()
        assert made, "could not enter the engine's network"
        return made[0]


@dataclass(frozen=True, slots=True)
class Inside:
    """Runs commands within namespaces of a process."""

    pid: int
    namespaces: tuple[str, ...]

    @property
    def words(self) -> list[str]:
        """What stands before a command that is to run there."""
        return ["nsenter", *(f"--{name}=/proc/{self.pid}/ns/{name}" for name in self.namespaces), "--"]

    def run(self, command: list[str]) -> None:
        """Run a command there; it must succeed."""
        subprocess.run([*self.words, *command], check=True, capture_output=True)


@contextmanager
def running_docker_engine(*, compose: Path) -> Iterator[DockerEngine]:
    """Run an engine that keeps everything in a folder of its own, with `compose` as its plugin, until the block ends."""
    _remove_left_behind()
    folder = Path(gettempdir()) / f"{NAME}-{os.getpid()}"
    (folder / "client" / "cli-plugins").mkdir(parents=True)
    (folder / "client" / "cli-plugins" / "docker-compose").symlink_to(compose)
    _write_settings(folder)
    command = [*ENDED_WITH_US, "unshare", "--net", "sh", "-c", BOOT, "sh", str(folder), _memory_for_data()]
    first = None
    with (folder / "log").open("wb") as log, subprocess.Popen(command, stdout=log, stderr=log, env=os.environ | {"PATH": SBIN}) as parent:
        try:
            first = _first_child(parent)
            engine = DockerEngine(folder, first)
            _wait_until_answering(engine, parent)
            yield engine
        finally:
            parent.kill()
            parent.wait()
            _wait_until_gone(first)
            _remove(folder.name)


def _remove_left_behind() -> None:
    """Remove what is left of engines whose tests were killed."""
    for folder in Path(gettempdir()).glob(f"{NAME}-*"):
        if not Path(f"/proc/{folder.name.rpartition('-')[2]}").is_dir():
            _remove(folder.name)


def _remove(name: str) -> None:
    """Remove the groups of an engine's containers, as the kernel keeps empty ones, and then its folder."""
    for top in [*CGROUPS.glob(f"*/{name}"), *CGROUPS.glob(name)]:
        for group in (*sorted(top.rglob("*/"), reverse=True), top):
            with suppress(OSError):
                group.rmdir()
    shutil.rmtree(Path(gettempdir()) / name)


def _write_settings(folder: Path) -> None:
    places = {"hosts": [f"unix://{folder}/socket"], "data-root": f"{folder}/data", "exec-root": f"{folder}/run", "pidfile": f"{folder}/pid"}
    settings = {**places, "cgroup-parent": f"/{folder.name}", "storage-driver": "overlay2"}
    (folder / "daemon.json").write_text(json.dumps(settings))


def _memory_for_data() -> str:
    """Return the size of a file system in memory for the engine's data, as `mount` takes it; 0 where memory is too little."""
    facts = dict(line.split(":", 1) for line in Path("/proc/meminfo").read_text().splitlines())
    free_gib = int(facts["MemAvailable"].split()[0]) / 2**20
    return f"{DATA_GIB}g" if free_gib >= DATA_GIB + SPARE_GIB else "0"


def _first_child(parent: subprocess.Popen[bytes]) -> int:
    children = Path(f"/proc/{parent.pid}/task/{parent.pid}/children")
    until = time.monotonic() + START_SECONDS
    while time.monotonic() < until and parent.poll() is None:
        with suppress(OSError):
            if numbers := children.read_text().split():
                return int(numbers[0])
        time.sleep(0.05)
    raise AssertionError("the engine did not start")


def _wait_until_gone(first: int | None) -> None:
    """Wait until the first process of the engine has ended: the kernel ends it after all others of its namespace."""
    until = time.monotonic() + START_SECONDS
    with suppress(OSError):
        while first and time.monotonic() < until and Path(f"/proc/{first}/stat").read_text().rpartition(")")[2].split()[0] != "Z":
            time.sleep(0.05)


def _wait_until_answering(engine: DockerEngine, parent: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + START_SECONDS
    asking = ["docker", "version", "--format", "{{.Server.Version}}"]
    while subprocess.run(asking, env=engine.environment, capture_output=True, check=False).returncode:
        if parent.poll() is not None or time.monotonic() > until:
            log = (engine.folder / "log").read_text()[-4000:]
            assert NOT_ALLOWED.search(log), log
            raise NoEngineError(f"no Docker Engine can be started: {log}")
        time.sleep(0.2)


def _socket_in(namespace: Path) -> socket.socket:
    """Return a new socket of a network; changes the network of the calling thread for good."""
    with namespace.open() as opened:
        if ctypes.CDLL(None, use_errno=True).setns(opened.fileno(), NETWORK_NAMESPACE):
            raise OSError(ctypes.get_errno(), "setns")
    return socket.socket(socket.AF_INET, socket.SOCK_STREAM)

"""Which process holds a lease: one of this machine that has died is told at once, without waiting for the lease to end."""

from __future__ import annotations

import os
from contextlib import suppress
from functools import cache
from pathlib import Path

PROC = Path("/proc")
START_TIME = 19  # place of the start time in /proc/<pid>/stat, behind the name of the program


def this_process() -> str:
    """Return what tells this process from every other one; empty where the system does not say."""
    started = _started(os.getpid())
    return f"{_machine()}/{os.getpid()}/{started}" if _machine() and started else ""


def is_dead(process: str) -> bool:
    """Return whether it is known that a process has ended; of one on another machine that is never known."""
    machine, _, rest = process.partition("/")
    pid, _, started = rest.partition("/")
    return bool(machine) and machine == _machine() and pid.isdigit() and _started(int(pid)) != started


@cache
def _machine() -> str:
    """Return a name for the running system and the space of its process numbers: containers have their own."""
    with suppress(OSError):
        boot = (PROC / "sys/kernel/random/boot_id").read_text("utf-8").strip()
        return f"{boot}-{(PROC / 'self/ns/pid').stat().st_ino}"
    return ""


def _started(pid: int) -> str:
    with suppress(OSError, IndexError):
        return (PROC / f"{pid}/stat").read_text("utf-8").rpartition(")")[2].split()[START_TIME]
    return ""

"""How much of the machine a process takes, unless its deployment says otherwise."""

from __future__ import annotations

import os
import re
from contextlib import suppress
from pathlib import Path

MEMORY_LIMIT = "3GB"
WORKER_BYTES = 600 << 20  # what a worker takes at its highest, with a batch of rows in each of a few forms
MOST_WORKERS = 1024
CPU_QUOTA = Path("/sys/fs/cgroup/cpu.max")


def cpu_count() -> int:
    """Return how many processors this process may use: those that it is bound to, within the quota of its container."""
    bound = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    with suppress(OSError, ValueError):  # no container, or one without a quota: then it says `max`
        quota, period = CPU_QUOTA.read_text("ascii").split()
        bound = min(bound, max(1, int(quota) // int(period)))
    return bound


def memory_bytes(size: str) -> int:
    """Return a size of memory as engines write it, such as 3GB, 800MiB or 80%, in bytes; the share is one of this machine's memory."""
    number, unit = re.fullmatch(r"\s*([\d.]+) ?(\S+)\s*", size).groups()  # type: ignore[union-attr]  # checked where it is read
    if unit == "%":
        return int(float(number) / 100 * os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    base = 1024 if "i" in unit.lower() else 1000
    return int(float(number) * base ** "BKMGT".index(unit[0].upper()))


def memory_beside_workers(size: str, worker_count: int) -> str:
    """Return what an engine may take of `size`, as engines write it, beside so many workers that stay: half of it at least."""
    whole = memory_bytes(size)
    return f"{max(whole - worker_count * WORKER_BYTES, whole // 2) >> 20}MiB" if worker_count > 1 else size

"""What a piece of work costs: CPU seconds of all its threads, in a process of its own, and ratios between such costs."""

from __future__ import annotations

import gc
import resource
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from statistics import median

from rich.console import Console
from rich.table import Table

from pipeline.cli import GARBAGE_THRESHOLD

GIB = 2**30
Work = Callable[[], object]


@dataclass(frozen=True, slots=True)
class Cost:
    """What one run took; `peak_bytes` is the memory of the whole process."""

    cpu_seconds: float
    wall_seconds: float
    peak_bytes: int

    def then(self, other: Cost) -> Cost:
        """Return what this run and another after it took."""
        peak = max(self.peak_bytes, other.peak_bytes)
        return Cost(self.cpu_seconds + other.cpu_seconds, self.wall_seconds + other.wall_seconds, peak)

    def share(self, count: int) -> Cost:
        """Return what one of `count` equal parts took."""
        return Cost(self.cpu_seconds / count, self.wall_seconds / count, self.peak_bytes)


@dataclass(frozen=True, slots=True)
class Result:
    """One line of the report: a ratio of two measured figures, and the bar it must not exceed."""

    name: str
    ours: float
    reference: float
    unit: str = "CPU s"
    ratio: float | None = None
    bar: float | None = None
    peak_bytes: int = 0

    @property
    def verdict(self) -> str:
        if self.bar is None:
            return ""
        return "met" if self.measured_ratio <= self.bar else "MISSED"

    @property
    def measured_ratio(self) -> float:
        return self.ours / self.reference if self.ratio is None else self.ratio


def cost(work: Work, *, ready: Work | None = None) -> Cost:
    """Return what `work` costs in a fresh process, its imports and `ready` left out."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        if ready:
            pool.submit(ready).result()
        return pool.submit(_measured, work).result()


def compared(name: str, ours: Sequence[Cost], reference: Sequence[Cost], *, bar: float | None = None) -> Result:
    """Return the median of the ratios of pairs from the same rounds."""
    return Result(
        name,
        median(one.cpu_seconds for one in ours),
        median(one.cpu_seconds for one in reference),
        ratio=median(one.cpu_seconds / other.cpu_seconds for one, other in zip(ours, reference, strict=True)),
        bar=bar,
        peak_bytes=max(one.peak_bytes for one in ours),
    )


def peak_memory(name: str, costs: Sequence[Cost], *, bar_gib: float) -> Result:
    """Return the highest peak of memory against `bar_gib`."""
    peak = max(one.peak_bytes for one in costs) / GIB
    return Result(name, peak, bar_gib, "GiB", bar=1)


def print_results(results: list[Result], console: Console | None = None) -> None:
    """Print one line per result."""
    table = Table("what", "ours", "reference", "", "ratio", "bar", "", "peak GiB")
    for result in results:
        table.add_row(
            result.name,
            f"{result.ours:.2f}",
            f"{result.reference:.2f}",
            result.unit,
            f"{result.measured_ratio:.2f}",
            "" if result.bar is None else f"{result.bar:g}",
            result.verdict,
            f"{result.peak_bytes / GIB:.2f}" if result.peak_bytes else "",
        )
    (console or Console()).print(table)


def _measured(work: Work) -> Cost:
    gc.set_threshold(GARBAGE_THRESHOLD)  # as the command line does
    cpu, wall = _cpu_seconds(), time.monotonic()
    work()
    return Cost(_cpu_seconds() - cpu, time.monotonic() - wall, _peak_bytes())


def _cpu_seconds() -> float:
    return sum(used.ru_utime + used.ru_stime for used in map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)))


def _peak_bytes() -> int:
    """Return the highest peak among this process and its children."""
    return 1024 * max(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))

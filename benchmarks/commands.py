"""What the commands that people wait for take on a small company, from the start of Python to the end: the demo and its night."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from lakes import PROJECT_ROOT
from measure import Result, cost

DEMO = PROJECT_ROOT / "examples" / "adventureworks"
CUSTOMER = "R-AW00000701"
HELP_SECONDS, MOST_SECONDS = 0.2, 1.0
FEWEST_ROUNDS = 3
NO_ERROR, CHANGES = 0, 2


def results(folder: Path, *, rounds: int) -> list[Result]:
    """Return the CPU seconds and the seconds by the clock of each command, the least of at least three runs."""
    with TemporaryDirectory(dir=folder) as scratch:
        company, lake = ["--company", str(DEMO)], ["--lake", str(Path(scratch) / "lake")]
        run_command(["run", *company, *lake])
        commands = (
            (["--help"], HELP_SECONDS),
            (["check", *company], MOST_SECONDS),
            (["plan", *company, *lake], MOST_SECONDS),
            (["preview", "spend_amount >= 100", *company, *lake], MOST_SECONDS),
            (["explain", CUSTOMER, *company, *lake], MOST_SECONDS),
            (["summary", *company, *lake], MOST_SECONDS),
        )
        return [result for words, most in commands for result in _seconds(words, most, max(rounds, FEWEST_ROUNDS))]


def run_command(words: Sequence[str]) -> None:
    """Run `segments` as a shell does."""
    ended = subprocess.run([Path(sys.executable).with_name("segments"), *words], capture_output=True, text=True, check=False)
    assert ended.returncode in (NO_ERROR, CHANGES), ended.stderr  # noqa: S101


def _seconds(words: Sequence[str], most: float, rounds: int) -> list[Result]:
    runs = [cost(partial(run_command, words)) for _ in range(rounds)]
    clocks = (("CPU s", [run.cpu_seconds for run in runs]), ("s by the clock", [run.wall_seconds for run in runs]))
    return [Result(f"segments {words[0]}", min(seconds), most, unit=unit, bar=1.0) for unit, seconds in clocks]

"""`make fuzz`: feed changed inputs to every target for a while, in a process each, and keep what ends otherwise than it should.

What is kept lies in tests/security/corpus, and is tried again by the tests. Inputs whose answer was not given before are changed further:
with milliseconds to a second for each, that finds more than counting lines of code which were run.
"""

from __future__ import annotations

import argparse
import faulthandler
import hashlib
import random
import resource
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from types import FrameType

TESTS = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(TESTS), str(TESTS.parent)]
from fuzzing.mutations import mutate_text  # noqa: E402
from fuzzing.target import Target  # noqa: E402
from fuzzing.targets import TARGETS  # noqa: E402

CORPUS = TESTS / "security" / "corpus"
INPUT_SECONDS = 8  # an input takes a second at most
WAITING_SECONDS = 180
MEMORY_BYTES = 2_500_000_000
SHRINK_SECONDS = 20


class TooSlow(BaseException):
    """An input took longer than it may; no `except Exception` of ours stops this."""


def main() -> int:
    """Fuzz every target, or the one that is named, and return 1 where a fault was found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60, help="for all targets together")
    parser.add_argument("--seed", type=int, default=int(time.time()), help="what the changes are drawn by")
    parser.add_argument("--only", default="", help="the targets whose names begin so")
    parser.add_argument("--target", choices=[target.name for target in TARGETS], help="this one alone, in this process")
    given = parser.parse_args()
    if given.target:
        return _fuzz(next(target for target in TARGETS if target.name == given.target), given.seconds, given.seed)
    chosen = [target for target in TARGETS if target.name.startswith(given.only)]
    return max(_fuzz_apart(target, given.seconds / len(chosen), given.seed) for target in chosen)


def _fuzz_apart(target: Target, seconds: float, seed: int) -> int:
    command = [sys.executable, __file__, "--target", target.name, "--seconds", str(seconds), "--seed", str(seed)]
    last = _last_input(target)
    last.unlink(missing_ok=True)
    ended = subprocess.run(command, check=False).returncode
    if last.exists():  # the process died with what it was reading
        sys.stdout.write(f"{target.name}: an input ended the process ({ended}): {_keep(target, last.read_bytes())}\n")
        last.unlink()
    return int(ended != 0)


def _fuzz(target: Target, seconds: float, seed: int) -> int:
    signal.signal(signal.SIGPROF, _stop)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    chance, seeds, faults = random.Random(f"{target.name} {seed}"), list(target.seeds()), dict[str, Path]()
    pool, answers, count, end = list(seeds), set[str](), 0, time.monotonic() + seconds
    while time.monotonic() < end:
        data = seeds[count] if count < len(seeds) else _changed(target, chance.choice(pool), chance)
        count += 1
        _last_input(target).write_bytes(data)
        try:
            outcome = _run(target, data)
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException as error:  # noqa: BLE001 - whatever it is, it is what is looked for
            kind = _kind_of_fault(error)
            if kind not in faults:
                faults[kind] = _keep(target, _smaller(target, data, kind))
                sys.stdout.write(f"{target.name}: {kind}\n  {str(error)[:400]!r}\n  {faults[kind]}\n")
            continue
        if not {*outcome}.issubset(answers):
            answers.update(outcome)
            pool.append(data)
    _last_input(target).unlink(missing_ok=True)
    sys.stdout.write(f"{target.name}: {count:,} inputs, {len(answers):,} different answers, {len(faults)} faults (seed {seed})\n")
    return int(bool(faults))


def _changed(target: Target, data: bytes, chance: random.Random) -> bytes:
    return mutate_text(data.decode(target.encoding, "replace"), chance, target.words).encode(target.encoding, "replace")


def _run(target: Target, data: bytes) -> list[str]:
    """Return how an input ended, in words; raises what is a fault."""
    # By the processor's time: what else a machine does makes no input slow.
    signal.setitimer(signal.ITIMER_PROF, INPUT_SECONDS)
    # No handler runs while a library written in C does not come back, and no time passes while nobody does.
    faulthandler.dump_traceback_later(WAITING_SECONDS, exit=True)
    try:
        outcome = target.run(data)
    finally:
        faulthandler.cancel_dump_traceback_later()
        signal.setitimer(signal.ITIMER_PROF, 0)
    if resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 > MEMORY_BYTES:
        raise MemoryError(f"more than {MEMORY_BYTES:,} bytes are taken")
    return ["accepted", *outcome.words] if outcome.is_accepted else outcome.words


def _stop(_signal: int, _frame: FrameType | None) -> None:
    raise TooSlow(f"longer than {INPUT_SECONDS} seconds")


def _kind_of_fault(error: BaseException) -> str:
    """Return what tells one fault from another: the error and the innermost of our lines that it came through."""
    frames = traceback.extract_tb(error.__traceback__)
    ours = [frame for frame in frames if "/pipeline/" in frame.filename] or frames
    return f"{type(error).__name__} at {Path(ours[-1].filename).name}:{ours[-1].lineno}"


def _smaller(target: Target, data: bytes, kind: str) -> bytes:
    """Return the smallest input found within a while that ends in the same fault: with fewer lines, then with fewer characters."""
    end = time.monotonic() + SHRINK_SECONDS

    def is_same(candidate: bytes) -> bool:
        try:
            _run(target, candidate)
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException as error:  # noqa: BLE001
            return _kind_of_fault(error) == kind
        return False

    for parts in (data.splitlines(keepends=True), None):
        pieces = [bytes([byte]) for byte in data] if parts is None else parts
        size = max(1, len(pieces) // 2)
        while size and time.monotonic() < end:
            pieces = _without_pieces(pieces, size, lambda each: is_same(b"".join(each)), end)
            size //= 2
        data = b"".join(pieces)
    return data


def _without_pieces(pieces: list[bytes], size: int, is_same: Callable[[list[bytes]], bool], end: float) -> list[bytes]:
    start = 0
    while start < len(pieces) and time.monotonic() < end:
        fewer = pieces[:start] + pieces[start + size :]
        if is_same(fewer):
            pieces = fewer
        else:
            start += size
    return pieces


def _keep(target: Target, data: bytes) -> Path:
    path = CORPUS / target.name / hashlib.sha256(data).hexdigest()[:12]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def _last_input(target: Target) -> Path:
    folder = TESTS.parent / "build" / "fuzz"
    folder.mkdir(parents=True, exist_ok=True)
    return folder / target.name


if __name__ == "__main__":
    sys.exit(main())

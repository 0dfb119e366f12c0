from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path

import pytest

REPO = Path(__file__).resolve().parents[2]
LOCKS = sorted(path.name for path in REPO.glob("requirements*.txt"))
PIN = re.compile(r"([a-z0-9-]+)==(\S+)( ; [^\\]+)? \\")
HASH = re.compile(r"    --hash=sha256:[0-9a-f]{64}( \\)?")


def pins(lock: str) -> set[str]:
    return {f"{pin[1]}=={pin[2]}" for line in (REPO / lock).read_text().splitlines() if (pin := PIN.fullmatch(line))}


def test_there_is_a_lock_for_running_testing_deploying_and_installing() -> None:
    assert LOCKS == [
        "requirements-bucket.txt",
        "requirements-deploy.txt",
        "requirements-dev.txt",
        "requirements-iceberg.txt",
        "requirements-sail.txt",
        "requirements-spark.txt",
        "requirements-uv.txt",
        "requirements.txt",
    ]


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_holds_exact_versions_and_their_hashes_and_no_address(lock: str) -> None:
    lines = (REPO / lock).read_text().splitlines()
    assert [line for line in lines if not (PIN.fullmatch(line) or HASH.fullmatch(line))] == []
    assert [line for line, following in pairwise(lines) if PIN.fullmatch(line) and not HASH.fullmatch(following)] == []


@pytest.mark.parametrize("lock", ["requirements-dev.txt", "requirements-deploy.txt"])
def test_what_is_tested_and_deployed_is_what_is_run(lock: str) -> None:
    assert pins("requirements.txt") - pins(lock) == set()

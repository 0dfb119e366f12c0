"""The states that a piece of work leads a folder through, each copied once: any of them is what a kill can leave."""

from __future__ import annotations

import re
import shutil
from hashlib import sha256
from pathlib import Path
from typing import TextIO

# A private folder has another name in every run.
RANDOM_NAME = re.compile(r"tmp\w{8}")
# The journal of a database begins with a random number.
DATABASE = re.compile(r"\.sqlite")


class StateCopies:
    """Copies a folder beside itself whenever it is in a state in which it was not before, and writes down which copy each event met."""

    def __init__(self, root: Path, log: TextIO) -> None:
        self._root, self._log = root, log
        self._copies: dict[str, str] = {}

    def add(self, number: int, event: str) -> None:
        """Note the state before the event of that number."""
        state = repr(contents(self._root))
        if state not in self._copies:
            self._copies[state] = f"before-{number}"
            shutil.copytree(self._root, self._root.parent / self._copies[state], symlinks=True)
        self._log.write(f"{self._copies[state]}\t{event}\n")


def read_states(log: Path) -> tuple[list[str], list[Path]]:
    """Return all events that were written down, and the copy of the state before each."""
    lines = [line.split("\t", 1) for line in log.read_text("utf-8").splitlines()]
    return [event for _, event in lines], [log.parent / name for name, _ in lines]


def contents(root: Path) -> list[tuple[str, str]]:
    """Return every path below `root`, in order, with the digest of its bytes or with what it links to."""
    return sorted((RANDOM_NAME.sub("tmp", str(path.relative_to(root))), _content(path)) for path in root.rglob("*"))


def contents_but_databases(root: Path) -> list[tuple[str, str]]:
    """Return the same, of a database and its journal only that they are there."""
    return [(name, "" if DATABASE.search(name) else content) for name, content in contents(root)]


def _content(path: Path) -> str:
    if path.is_symlink():
        return f"-> {path.readlink()}"
    return sha256(path.read_bytes()).hexdigest() if path.is_file() else "folder"

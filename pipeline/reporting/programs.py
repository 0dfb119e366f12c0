"""Programs as people can paste them, whatever is on their PATH."""

from __future__ import annotations

import sys
from pathlib import Path
from shlex import quote


def program_path(name: str) -> str:
    """Return a program of this very environment for a shell, from the working folder where it lies below it."""
    return quote(short_path(Path(sys.executable).parent / name))


def short_place(place: str) -> str:
    """Return the place of a lake for people: a folder by its shortest path, a bucket by its address."""
    return place if "://" in place else short_path(Path(place))


def short_path(path: Path) -> str:
    """Return the path from the working folder where it lies below it, else whole."""
    return str(path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path)

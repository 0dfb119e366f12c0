"""The modules that executors run: which they are, and a digest by which two places know whether theirs are the same."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from hashlib import sha256
from pathlib import Path

# Reading and writing files of the lake, validation, and what rewrites files for an erasure.
MODULES = ("__init__.py", "calendar.py", "errors.py", "spelling.py", "operations/__init__.py")
PACKAGES = ("definitions", "ingestion", "lake", "operations/erasure")
ARCHIVE_PREFIX = "customer_segments_"
ROOT = Path(__file__).parents[3]


def code_modules() -> Mapping[str, bytes]:
    """Return the content of each module by its path below the folder that the package is in."""
    paths = [ROOT / "pipeline" / name for name in MODULES]
    paths += [path for name in PACKAGES for path in (ROOT / "pipeline" / name).rglob("*.py")]
    return {path.relative_to(ROOT).as_posix(): path.read_bytes() for path in sorted(paths)}


@cache
def code_digest() -> str:
    """Return the digest of the modules: as they were when this process first asked, for it does not load them anew either."""
    if ROOT.suffix == ".zip":  # as it was sent, under its digest
        return ROOT.stem.removeprefix(ARCHIVE_PREFIX)
    return sha256(b"".join(name.encode() + content for name, content in code_modules().items())).hexdigest()[:16]

"""The code that executors run, as a session sends it to them."""

from __future__ import annotations

import tempfile
import zipfile
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

# Reading and writing files of the lake, validation, and what rewrites files for an erasure.
MODULES = ("__init__.py", "calendar.py", "errors.py", "spelling.py", "operations/__init__.py")
PACKAGES = ("definitions", "ingestion", "lake", "operations/erasure")

if TYPE_CHECKING:
    from pyspark.sql.connect.session import SparkSession


def send_code(session: SparkSession) -> None:
    """Send the modules that executors import: they need not have the program installed, nor could another version of it get in between.

    A server that takes none, such as Sail, runs what is installed beside it.
    """
    from pyspark.errors import UnsupportedOperationException

    with tempfile.TemporaryDirectory() as folder, suppress(UnsupportedOperationException):
        session.addArtifacts(str(_zip_package(Path(folder))), pyfile=True)


def _zip_package(folder: Path) -> Path:
    """Write the modules of this program as a zip file below `folder`, named by its content, and return its path."""
    root = Path(__file__).parents[3]
    modules = [root / "pipeline" / name for name in MODULES]
    modules += [path for name in PACKAGES for path in (root / "pipeline" / name).rglob("*.py")]
    contents = {path.relative_to(root).as_posix(): path.read_bytes() for path in sorted(modules)}
    digest = sha256(b"".join(name.encode() + content for name, content in contents.items())).hexdigest()[:16]
    target = folder / f"customer_segments_{digest}.zip"
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in contents.items():
            archive.writestr(zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0)), content)
    return target

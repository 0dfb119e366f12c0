"""The code that executors run, as a session sends it to them."""

from __future__ import annotations

import tempfile
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.lake.executors.code import ARCHIVE_PREFIX, code_digest, code_modules

if TYPE_CHECKING:
    from pyspark.sql.connect.session import SparkSession


def send_code(session: SparkSession) -> bool:
    """Send the modules that executors import: they need not have the program installed, nor could another version of it get in between.

    Returns whether the server takes any: one that does not, such as Sail, runs what is installed beside it.
    """
    from pyspark.errors import UnsupportedOperationException

    with tempfile.TemporaryDirectory() as folder:
        try:
            session.addArtifacts(str(_zip_package(Path(folder))), pyfile=True)
        except UnsupportedOperationException:
            return False
    return True


def _zip_package(folder: Path) -> Path:
    """Write the modules of this program as a zip file below `folder`, named by their digest, and return its path."""
    target = folder / f"{ARCHIVE_PREFIX}{code_digest()}.zip"
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in code_modules().items():
            archive.writestr(zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0)), content)
    return target

"""Builds the program with the schemes, checks and DAG files that come with it; everything else is declared in pyproject.toml.

People find `segments/`, `expectations/`, `dags/` and `plugins/` at the top of the repository, and pip installs what lies within a
package alone. So they are copied into the package as it is built; `pipeline/definitions/shipped.py` finds them in either place.
"""

from __future__ import annotations

from pathlib import Path
from shutil import copytree, ignore_patterns

from setuptools import setup
from setuptools.command.build_py import build_py

SHIPPED = ("dags", "expectations", "plugins", "segments")


class BuildWithShippedFolders(build_py):
    """Builds the packages, and puts the folders beside them into `pipeline/shipped`."""

    def run(self) -> None:
        """Build; an editable install goes by the folders where they are."""
        super().run()
        if not self.editable_mode:
            for folder in SHIPPED:
                copytree(
                    folder,
                    Path(self.build_lib) / "pipeline" / "shipped" / folder,
                    ignore=ignore_patterns("__pycache__"),
                    dirs_exist_ok=True,
                )


setup(cmdclass={"build_py": BuildWithShippedFolders})

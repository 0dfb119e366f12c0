"""Where schemes, checks and DAG files are that come with the program: beside `pipeline` in a checkout, in it where it was installed."""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parents[1]
# Written by setup.py, so that people find the folders at the top of the repository, and the program finds them wherever it is.
_INSTALLED = _PACKAGE / "shipped"
SHIPPED = _INSTALLED if _INSTALLED.is_dir() else _PACKAGE.parent
"""The folder that `segments/`, `expectations/`, `dags/` and `plugins/` are in."""

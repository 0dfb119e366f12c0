"""Where Airflow finds what comes with the program: DAG files, and the plugin of the morning page."""

from __future__ import annotations

from pathlib import Path

from pipeline.definitions.shipped import SHIPPED


def dags_folder() -> Path:
    """Return the folder for Airflow's setting `dags_folder`, in a checkout or where the program was installed."""
    return SHIPPED / "dags"


def plugins_folder() -> Path:
    """Return the folder for Airflow's setting `plugins_folder`."""
    return SHIPPED / "plugins"

"""`segments dags`: where Airflow finds the DAG files."""

from __future__ import annotations

from typing import Annotated

import typer

from pipeline.reporting.output import write_text

PluginsOption = Annotated[bool, typer.Option("--plugins", help="The folder of the plugin that shows the morning page in Airflow instead.")]


def dags(plugins: PluginsOption = False) -> None:  # noqa: FBT002
    """Print the folder of the DAG files, for AIRFLOW__CORE__DAGS_FOLDER."""
    from pipeline.operations.airflow_folders import dags_folder, plugins_folder

    write_text(f"{plugins_folder() if plugins else dags_folder()}\n")

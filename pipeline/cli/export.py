"""`segments export`: what is live, as plain files."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pipeline.cli.options import COMPANY, LAKE, CompanyOption, LakeOption
from pipeline.reporting.output import write_text

FolderArgument = Annotated[Path, typer.Argument(metavar="DIR", help="The folder to write; one that this command wrote is replaced.")]


def export(folder: FolderArgument, company: CompanyOption = COMPANY, lake: LakeOption = LAKE) -> None:
    """Write the live tables and the pages to one plain folder, replaced as a whole."""
    from pipeline.operations.deployment import Deployment
    from pipeline.operations.export import export_live

    done = export_live(Deployment.of(company, lake).lake, folder)
    write_text(f"{done.publication_id} is in {folder}: {len(done.tables)} tables, {done.pages} pages.\n")

"""`segments backup` and `segments restore`: a lake in one file, and a lake from that file."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from pipeline.cli.options import COMPANY, LAKE, CompanyOption, LakeOption
from pipeline.errors import ConfigError
from pipeline.reporting.output import write_message

PIPE = "-"
BackupArgument = Annotated[
    str, typer.Argument(metavar="FILE", help="The file to write, in the place of one that is there; - is standard output.")
]
RestoreArgument = Annotated[str, typer.Argument(metavar="FILE", help="A file that `segments backup` wrote; - is standard input.")]


def backup(file: BackupArgument, company: CompanyOption = COMPANY, lake: LakeOption = LAKE) -> None:
    """Write the lake into one file, with the checksum of each of its files; nights may go on meanwhile."""
    from pipeline.operations.backup.snapshot import back_up, back_up_to
    from pipeline.operations.deployment import open_owned_lake

    if file == PIPE and sys.stdout.isatty():
        todo = "Name a file: segments backup lake.tar. Or send it on: segments backup - | ssh ..."
        raise ConfigError("a backup is not for a terminal", where="standard output", todo=todo)
    opened = open_owned_lake(company, lake)  # an older one too: it is backed up before it is upgraded
    done = back_up(opened, sys.stdout.buffer) if file == PIPE else back_up_to(opened, Path(file))
    place = "standard output" if file == PIPE else file
    write_message(f"{done.file_count:,} files of the lake, {done.size:,} bytes, are in {place}.")


def restore(file: RestoreArgument, company: CompanyOption = COMPANY, lake: LakeOption = LAKE) -> None:
    """Make a lake of a backup: verified first, and only where nothing is yet."""
    from pipeline.operations.backup.restoration import restore as restore_lake
    from pipeline.operations.backup.restoration import restore_from
    from pipeline.operations.deployment import Deployment

    deployment = Deployment.of(company, lake)
    if file == PIPE:
        done = restore_lake(deployment.lake, deployment.company, sys.stdin.buffer, where="standard input")
    else:
        done = restore_from(deployment.lake, deployment.company, Path(file))
    live = f"live: {done.publication_id}" if done.publication_id else "nothing is live"
    write_message(f"{done.file_count:,} files are restored to {deployment.lake.where()}; {live}.")
    write_message("Whoever was erased after the backup was made is in it: erase them again.")

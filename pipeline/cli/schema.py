"""`segments schema`: the JSON schema of a kind of file, for editors."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from pipeline.cli.completion import complete_kind
from pipeline.reporting.output import write_json

KindArgument = Annotated[
    str,
    typer.Argument(metavar="KIND", autocompletion=complete_kind, help="`company`, `scheme`, `audience`, `feature`, `sink`, `campaign`."),
]


def schema(kind: KindArgument) -> None:
    """Write the JSON schema of company.toml, or of files in segments/, audiences/, features/, sinks/, campaigns/ or translations/."""
    from pipeline.reporting.editor_schemas import editor_schema

    write_json(json.dumps(editor_schema(kind), indent=1))

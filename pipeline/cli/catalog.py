"""`segments catalog`: every scheme and segment in words, what to do about it, how large it is; and the lineage of a name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from pipeline.cli.completion import complete_lineage, complete_scheme
from pipeline.cli.options import COMPANY, LAKE, CompanyOption, JsonOption, LakeOption
from pipeline.errors import ConfigError
from pipeline.reporting.output import write_json, write_text

if TYPE_CHECKING:
    from pipeline.operations.deployment import Deployment

SchemeOption = Annotated[
    str, typer.Option("--scheme", autocompletion=complete_scheme, help="One scheme or audience alone, with its strategies in full.")
]
LanguageOption = Annotated[str, typer.Option("--language", help="Titles and strategies in this language where translated, such as tr.")]
LineageOption = Annotated[
    str,
    typer.Option(
        "--lineage",
        metavar="NAME",
        autocompletion=complete_lineage,
        help="Where a feature, scheme or segment comes from and who uses it; what breaks if a source column goes.",
    ),
]
MarkdownOption = Annotated[bool, typer.Option("--markdown", help="Write one Markdown document, for a wiki.")]


def catalog(  # noqa: PLR0913, PLR0917
    company: CompanyOption = COMPANY,
    lake: LakeOption = LAKE,
    scheme: SchemeOption = "",
    language: LanguageOption = "",
    lineage: LineageOption = "",
    as_json: JsonOption = False,  # noqa: FBT002
    as_markdown: MarkdownOption = False,  # noqa: FBT002
) -> None:
    """Show every scheme and segment: who is in it, what to do about it, how large it is; or the lineage of a name."""
    if as_json and as_markdown:
        raise ConfigError("both --json and --markdown are asked for", where="--markdown", todo="Leave one of them out.")
    from pipeline.operations.deployment import Deployment

    deployment = Deployment.of(company, lake)
    if lineage:
        _show_lineage(deployment, lineage, as_json=as_json)
    else:
        _show_catalog(deployment, scheme, language, as_json=as_json, as_markdown=as_markdown)


def _show_lineage(deployment: Deployment, name: str, *, as_json: bool) -> None:
    from pipeline.reporting.lineage import lineage_of
    from pipeline.reporting.lineage.json import to_json
    from pipeline.reporting.lineage.view import print_lineage

    lineage = lineage_of(deployment.company, name)
    write_json(to_json(lineage)) if as_json else print_lineage(lineage)


def _show_catalog(deployment: Deployment, scheme: str, language: str, *, as_json: bool, as_markdown: bool) -> None:
    from pipeline.reporting.catalog import read_catalog
    from pipeline.reporting.catalog.json import to_json
    from pipeline.reporting.catalog.markdown import to_markdown
    from pipeline.reporting.catalog.view import print_catalog

    segment_catalog = read_catalog(deployment.company, deployment.lake, language=language, scheme=scheme)
    if as_json:
        write_json(to_json(segment_catalog))
    elif as_markdown:
        write_text(to_markdown(segment_catalog))
    else:
        print_catalog(segment_catalog, whole_cards=bool(scheme))

"""`segments catalog`: every scheme and segment in words, what to do about it, how large it is; and where a column leads."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from pipeline.cli.options import COMPANY, LAKE, CompanyOption, JsonOption, LakeOption
from pipeline.definitions.company import Company, load_company
from pipeline.errors import ConfigError

SchemeOption = Annotated[str, typer.Option("--scheme", help="One scheme alone, with its strategies in full.")]
LanguageOption = Annotated[str, typer.Option("--language", help="Titles and strategies in this language where translated, such as tr.")]
LineageOption = Annotated[
    str,
    typer.Option(
        "--lineage",
        metavar="NAME",
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
    if lineage:
        _show_lineage(load_company(company), lineage, as_json=as_json)
        return
    from pipeline.lake.lake import Lake
    from pipeline.reporting.catalog.catalog import catalog_as_json, read_catalog

    found = read_catalog(load_company(company), Lake(lake), language=language, scheme=scheme)
    if as_json:
        typer.echo(json.dumps(catalog_as_json(found), indent=2, ensure_ascii=False))
    elif as_markdown:
        from pipeline.reporting.catalog.markdown import catalog_as_markdown

        typer.echo(catalog_as_markdown(found), nl=False)
    else:
        from pipeline.reporting.catalog.view import print_catalog

        print_catalog(found, whole_cards=bool(scheme))


def _show_lineage(company: Company, name: str, *, as_json: bool) -> None:
    from pipeline.reporting.catalog.catalog import lineage_as_json, lineage_of

    found = lineage_of(company, name)
    if as_json:
        typer.echo(json.dumps(lineage_as_json(found), indent=2, ensure_ascii=False))
    else:
        from pipeline.reporting.lineage.view import print_lineage

        print_lineage(found)

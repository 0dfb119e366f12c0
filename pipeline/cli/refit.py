"""`segments refit` and `segments promote`: a new cluster model, judged before it is used."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pipeline.cli.options import COMPANY, LAKE, CompanyOption, DayOption, JsonOption, LakeOption, chosen_day, use
from pipeline.definitions.company import load_company
from pipeline.operations import steps

if TYPE_CHECKING:
    from pipeline.models.refits.stored import Judgement

SchemeOption = Annotated[str | None, typer.Option("--scheme", help="One cluster scheme; by default all of them.")]
HoldOption = Annotated[bool, typer.Option("--hold", help="Judge the candidate, and leave it to `segments promote`.")]
OverrideOption = Annotated[str, typer.Option("--override", help="Why a refused candidate is promoted; recorded with it.")]


def refit(  # noqa: PLR0913, PLR0917 - a command takes each of its options as an argument
    company: CompanyOption = COMPANY,
    lake: LakeOption = LAKE,
    day: DayOption = None,
    scheme: SchemeOption = None,
    hold: HoldOption = False,  # noqa: FBT002
    as_json: JsonOption = False,  # noqa: FBT002
) -> None:
    """Fit a cluster model to the customers of a night, judge it beside the current one, and promote it if it is good enough.

    It is valid from the next night on; no stored night changes. Ends with 0 where it is promoted or would change nothing, 8
    where the current model stays: the candidate is refused, or moves so many customers that a person decides.
    """
    night = load_company(company).require_day(chosen_day(company, day), now=datetime.now(UTC))
    use(company, lake)
    steps.refit(night.isoformat(), scheme=scheme)
    _show(_judgements(company, lake, night, scheme), as_json=as_json)
    if not hold:
        steps.promote(night.isoformat(), scheme=scheme)


def promote(
    company: CompanyOption = COMPANY,
    lake: LakeOption = LAKE,
    day: DayOption = None,
    scheme: SchemeOption = None,
    override: OverrideOption = "",
) -> None:
    """Make the stored candidate of a night the model of the nights to come: your yes, where it was left to a person."""
    night = chosen_day(company, day)
    use(company, lake)
    steps.promote(night.isoformat(), scheme=scheme, override_reason=override, is_approval_asked=True)


def _judgements(company: Path, lake: Path, night: date, scheme: str | None) -> list[Judgement]:
    from pipeline.lake.lake import Lake
    from pipeline.models.refits.refit import asked_schemes
    from pipeline.models.refits.stored import stored_judgement

    return [stored_judgement(Lake(lake), each.name, night) for each in asked_schemes(load_company(company), scheme)]


def _show(judgements: list[Judgement], *, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(judgements, indent=2, ensure_ascii=False))
        return
    from rich.console import Console

    from pipeline.reporting.refits.view import shown

    console = Console(highlight=False, markup=False)
    for judgement in judgements:
        for part in shown(judgement):
            console.print(part)

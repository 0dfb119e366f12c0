"""`segments refit`, `segments promote`, `segments refit-predictions`: new models, judged before they are used."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pipeline.cli.completion import complete_clusters
from pipeline.cli.options import COMPANY, LAKE, CompanyOption, DayOption, JsonOption, LakeOption
from pipeline.errors import RefitRefused
from pipeline.reporting.output import write_json

if TYPE_CHECKING:
    from pipeline.operations.night import Night

SchemeOption = Annotated[
    str | None, typer.Option("--scheme", autocompletion=complete_clusters, help="One cluster scheme; by default all of them.")
]
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
    from pipeline.operations import refits
    from pipeline.reporting.refits.json import to_json
    from pipeline.reporting.refits.refits import refits_of_night
    from pipeline.reporting.refits.view import print_refits

    night = _night_that_is_over(company, lake, day)
    refits.refit(night, scheme=scheme)
    judgements = refits_of_night(night.deployment.company, night.lake, night.day, scheme=scheme)
    # Before promoting, which may end the command: whoever is refused has seen why.
    write_json(to_json(judgements)) if as_json else print_refits(judgements)
    if not hold:
        refits.promote(night, scheme=scheme)


def promote(
    company: CompanyOption = COMPANY,
    lake: LakeOption = LAKE,
    day: DayOption = None,
    scheme: SchemeOption = None,
    override: OverrideOption = "",
) -> None:
    """Make the stored candidate of a night the model of the nights to come: your yes, where it was left to a person."""
    from pipeline.operations import refits
    from pipeline.operations.deployment import Deployment
    from pipeline.operations.night import Night

    deployment = Deployment.of(company, lake)
    night = Night.of(deployment, deployment.day_or_newest(day.date() if day else None))
    refits.promote(night, scheme=scheme, override_reason=override, is_approval_asked=True)


def refit_predictions(
    company: CompanyOption = COMPANY,
    lake: LakeOption = LAKE,
    day: DayOption = None,
    hold: HoldOption = False,  # noqa: FBT002
    as_json: JsonOption = False,  # noqa: FBT002
) -> None:
    """Fit what predicts customers' value to an older night and what happened since, test it, and use it if it is good enough.

    It is valid from the next night on; no stored night changes. Ends with 0 where it is promoted or nothing can be judged yet,
    8 where it does not beat both baselines: then nothing is predicted.
    """
    from pipeline.operations import refits
    from pipeline.reporting.refits.json import to_json
    from pipeline.reporting.refits.prediction_view import print_prediction_refit
    from pipeline.reporting.refits.refits import prediction_refit_of_night

    night = _night_that_is_over(company, lake, day)
    refused = None
    try:
        refits.refit_predictions(night, is_held=hold)
    except RefitRefused as error:
        refused = error  # raised at the end: the operator wants to see why before they read that
    judgement = prediction_refit_of_night(night.lake, night.day)
    write_json(to_json(judgement)) if as_json else print_prediction_refit(judgement)
    if refused:
        raise refused


def _night_that_is_over(company: Path, lake: str, day: datetime | None) -> Night:
    from pipeline.operations.deployment import Deployment
    from pipeline.operations.night import Night

    deployment = Deployment.of(company, lake)
    # A fit to a day that is not over would learn from half of it, and be valid for all nights to come.
    now = datetime.now(UTC)
    chosen = deployment.day_or_last(day.date() if day else None, now=now)
    return Night.of(deployment, deployment.company.require_day(chosen, now=now))

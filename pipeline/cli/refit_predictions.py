"""`segments refit-predictions`: what predicts customers' value, fitted anew and tested before it is used."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import typer

from pipeline.cli.options import COMPANY, LAKE, CompanyOption, DayOption, JsonOption, LakeOption, chosen_day, use
from pipeline.cli.refit import HoldOption
from pipeline.definitions.company import load_company
from pipeline.errors import RefitRefused
from pipeline.operations import steps

FORECASTERS = {"model": "the model", "last_years_spend": "last year's spend", "classical": "BG/NBD and Gamma-Gamma"}


def refit_predictions(
    company: CompanyOption = COMPANY,
    lake: LakeOption = LAKE,
    day: DayOption = None,
    hold: HoldOption = False,  # noqa: FBT002
    as_json: JsonOption = False,  # noqa: FBT002
) -> None:
    """Fit what predicts customers' value to an older night and what happened since, test it, and use it if it is good enough.

    It is valid from the next night on; no stored night changes. Ends with 0 where it is promoted or nothing can be judged yet,
    8 where it does not beat last year's spend: then nothing is predicted.
    """
    night = load_company(company).require_day(chosen_day(company, day), now=datetime.now(UTC))
    use(company, lake)
    refused = None
    try:
        steps.refit_predictions(night.isoformat(), is_held=hold)
    except RefitRefused as error:
        refused = error
    _show(_stored(lake, night.isoformat()), as_json=as_json)
    if refused:
        raise refused


def _stored(lake: Path, night: str) -> dict[str, Any]:
    from pipeline.lake import addresses
    from pipeline.lake.lake import Lake
    from pipeline.lake.tables import CUSTOMER_PREDICTIONS

    said: dict[str, Any] = json.loads(Lake(lake).read_text(addresses.judgement(CUSTOMER_PREDICTIONS.name, night)))
    return said


def _show(said: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(said, indent=2, ensure_ascii=False))
        return
    from rich.console import Console
    from rich.table import Table

    console = Console(highlight=False, markup=False)
    console.print(f"{said['scheme']}, candidate of {said['day']}: {said['verdict']}: {said['reason']}")
    if said["test"]:
        table = Table("Forecast by", "Gini", "Error per customer", "Foretold / spent", "Probabilities off by")
        for row in _rows(said["test"]):
            table.add_row(*row)
        console.print(table)


def _rows(test: dict[str, Any]) -> Iterator[tuple[str, ...]]:
    for name, words in FORECASTERS.items():
        found = test[name]
        if found:
            off = found["calibration_error"]
            yield words, f"{found['gini']:.3f}", f"{found['error']:,.2f}", f"{found['total']:.2f}", "" if off is None else f"{off:.1%}"

"""A refit of predictions in the terminal: the verdict, and how well the model and both baselines predicted what is known by now."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from rich.console import RenderableType
from rich.table import Table as Grid

from pipeline.models.refits.model_store import Judgement
from pipeline.reporting.terminal import print_parts

FORECASTERS = {"model": "the model", "last_years_spend": "last year's spend", "classical": "BG/NBD and Gamma-Gamma"}


def print_prediction_refit(judgement: Judgement) -> None:
    """Print a refit of predictions."""
    print_parts(render(judgement))


def render(judgement: Judgement) -> Iterator[RenderableType]:
    """Yield what to print: the verdict, then the test behind it."""
    yield f"{judgement['scheme']}, candidate of {judgement['day']}: {judgement['verdict']}: {judgement['reason']}"
    if judgement["test"]:
        grid = Grid("Forecast by", "Gini", "Error per customer", "Foretold / spent", "Probabilities off by")
        for row in _forecast_rows(judgement["test"]):
            grid.add_row(*row)
        yield grid


def _forecast_rows(test: Mapping[str, Any]) -> Iterator[tuple[str, ...]]:
    for name, words in FORECASTERS.items():
        measures = test[name]
        if measures:
            off = measures["calibration_error"]
            figures = f"{measures['gini']:.3f}", f"{measures['error']:,.2f}", f"{measures['total']:.2f}"
            yield words, *figures, "" if off is None else f"{off:.1%}"

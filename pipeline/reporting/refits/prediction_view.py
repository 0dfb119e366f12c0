"""A refit of predictions in the terminal: the verdict, and how well the model and both baselines predicted what is known by now."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from rich.console import Console, RenderableType
from rich.table import Table as Grid

from pipeline.models.refits.model_store import Judgement

FORECASTERS = {"model": "the model", "last_years_spend": "last year's spend", "classical": "BG/NBD and Gamma-Gamma"}


def print_prediction_refit(found: Judgement) -> None:
    """Print a refit of predictions."""
    console = Console(highlight=False, markup=False)
    for part in render(found):
        console.print(part)


def render(found: Judgement) -> Iterator[RenderableType]:
    """Yield what to print: the verdict, then the test behind it."""
    yield f"{found['scheme']}, candidate of {found['day']}: {found['verdict']}: {found['reason']}"
    if found["test"]:
        grid = Grid("Forecast by", "Gini", "Error per customer", "Foretold / spent", "Probabilities off by")
        for row in _forecasts_grid(found["test"]):
            grid.add_row(*row)
        yield grid


def _forecasts_grid(test: Mapping[str, Any]) -> Iterator[tuple[str, ...]]:
    for name, words in FORECASTERS.items():
        found = test[name]
        if found:
            off = found["calibration_error"]
            yield words, f"{found['gini']:.3f}", f"{found['error']:,.2f}", f"{found['total']:.2f}", "" if off is None else f"{off:.1%}"

"""The operator's words; a module per command."""

from __future__ import annotations

import gc
import logging
import sys

import typer

from pipeline.cli.backfill import backfill
from pipeline.cli.catalog import catalog
from pipeline.cli.erase import erase
from pipeline.cli.explain import explain
from pipeline.cli.history import history
from pipeline.cli.plan import apply, plan
from pipeline.cli.refit import promote, refit, refit_predictions
from pipeline.cli.rollback import rollback
from pipeline.cli.run import run, summary
from pipeline.cli.status import status
from pipeline.errors import PipelineError

# Syntax trees and imported libraries make a million objects and hardly a cycle: looked for after every 700 objects, as is Python's
# habit, cycles cost a twentieth of a night.
GARBAGE_THRESHOLD = 20_000

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)


@app.callback()
def segments() -> None:
    """Say every morning which customers are which."""


app.command()(run)
app.command()(backfill)
app.command()(summary)
app.command()(rollback)
app.command()(status)
app.command()(history)
app.command()(explain)
app.command()(erase)
app.command()(catalog)
app.command()(plan)
app.command()(apply)
app.command()(refit)
app.command()(promote)
app.command()(refit_predictions)


@app.command()
def tables() -> None:
    """Print the table catalogue in Markdown."""
    from pipeline.reporting.table_catalog import table_catalog

    typer.echo(table_catalog(), nl=False)


def main() -> None:
    """Run the command line; every error is one message and an exit code of its own."""
    gc.set_threshold(GARBAGE_THRESHOLD)
    logging.basicConfig(level=logging.WARNING, format="      %(message)s", stream=sys.stderr)
    logging.getLogger("pipeline").setLevel(logging.INFO)
    try:
        app()
    except PipelineError as error:
        typer.echo(f"{type(error).__name__}: {error}", err=True)
        raise SystemExit(error.exit_code) from None

"""The operator's command line: a module per command, which reads its options, calls `operations` or `reporting`, and prints.

No logic lives here. Each command imports what it needs when it is called: `segments --help` must not wait for an engine.
"""

from __future__ import annotations

import errno
import gc
import logging
import sys
from contextlib import suppress
from typing import Annotated, NoReturn

import typer
from typer.exceptions import TyperException

from pipeline import __version__
from pipeline.cli import (
    backfill,
    backup,
    campaign,
    catalog,
    check,
    conformance,
    dags,
    erase,
    explain,
    export,
    history,
    init,
    plan,
    preview,
    refinement,
    refit,
    report,
    rollback,
    run,
    schema,
    status,
    sync,
    upgrade,
    withdraw,
)
from pipeline.cli.interrupts import INTERRUPTED, READER_GONE, end_process, ending_when_interrupted, watching_readers
from pipeline.errors import PipelineError, TransientError, UsageError
from pipeline.reporting.output import LogFormat, is_log_in_json, set_up_logs, write_message, write_text

# A night makes half a million objects that stay or lie in cycles, 50 MB, which end with the process. Python looks for cycles after every
# 700 new objects, which costs a twentieth of a night; here only the many nights of a backfill are worth looking through.
GARBAGE_THRESHOLD = 1_000_000
DISK_TROUBLES = (errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS, errno.EACCES, errno.EPERM)

app = typer.Typer(no_args_is_help=True, pretty_exceptions_enable=False)


def _print_version(value: bool) -> None:  # noqa: FBT001 - typer hands it over so
    if value:
        write_text(f"customer-segments {__version__}\n")
        raise typer.Exit


@app.callback()
def segments(
    version: Annotated[bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")] = False,  # noqa: FBT002
    log_format: Annotated[
        LogFormat,
        typer.Option("--log-format", envvar="SEGMENTS_LOG_FORMAT", help="Standard error for people, or a JSON object per line."),
    ] = LogFormat.TEXT,
) -> None:
    """Every morning: which segment each customer is in, and what to do about it."""
    del version  # it ended the program
    set_up_logs(log_format)


COMMANDS = (
    init.init,
    run.run,
    check.check,
    conformance.conformance,
    backfill.backfill,
    run.summary,
    report.report,
    export.export,
    backup.backup,
    backup.restore,
    rollback.rollback,
    withdraw.withdraw,
    upgrade.upgrade,
    status.status,
    sync.sync,
    history.history,
    explain.explain,
    refinement.members,
    refinement.insights,
    refinement.effectiveness,
    refinement.proposals,
    erase.erase,
    catalog.catalog,
    plan.plan,
    plan.apply,
    preview.preview,
    schema.schema,
    dags.dags,
    refit.refit,
    refit.promote,
    refit.refit_predictions,
)
for command in COMMANDS:
    app.command()(command)
app.add_typer(campaign.campaign, name="campaign")


@app.command()
def tables() -> None:
    """Print the table catalogue in Markdown."""
    from pipeline.reporting.table_catalog import table_catalog

    write_text(table_catalog())


def main() -> NoReturn:
    """Be the program `segments`: run the command line, then end the process with its exit code."""
    try:
        run_command_line()
    except SystemExit as ended:
        end_process(ended.code)
    end_process()


def run_command_line() -> None:
    """Run the command line; every error is one message and an exit code of its own."""
    gc.set_threshold(GARBAGE_THRESHOLD)
    with watching_readers() as are_gone:
        try:
            _run_and_tell_errors()
        except (BrokenPipeError, SystemExit) as ended:
            # Typer and Rich say 1 where a pipe broke: it was that of whatever read our output, such as `head`, or else it is our mistake.
            broken = ended if isinstance(ended, BrokenPipeError) else ended.__context__
            if not isinstance(broken, BrokenPipeError):
                raise
            if not are_gone():
                raise broken from None
            raise SystemExit(READER_GONE) from None


def _run_and_tell_errors() -> None:
    try:
        try:
            with ending_when_interrupted():
                raise SystemExit(app(prog_name="segments", standalone_mode=False) or 0)
        finally:
            # Here a full device is one message; at the end of the process it would be a traceback.
            sys.stdout.flush()
    except typer.Abort:  # Ctrl-C or Ctrl-D at a question
        write_message("Aborted.")
        raise SystemExit(INTERRUPTED) from None
    except TyperException as error:
        _write_usage_error(error)
        raise SystemExit(error.exit_code) from None
    except PipelineError as error:
        _write_error(error)
        raise SystemExit(error.exit_code) from None
    except OSError as error:
        if error.errno not in DISK_TROUBLES:
            raise
        reason = TransientError(
            f"could not write: {(error.strerror or '').lower()}",
            where=str(error.filename or "standard output"),
            todo="Free space or mend the disk, then run again.",
        )
        _write_error(reason)
        with suppress(OSError):
            sys.stdout.close()
        raise SystemExit(reason.exit_code) from None
    except Exception as mistake:
        # For people Python shows it; a program that collects logs gets one object, and no line that is none.
        if not is_log_in_json():
            raise
        logging.getLogger("pipeline").critical("%s: this is our mistake", type(mistake).__name__, exc_info=True)
        raise SystemExit(1) from None


def _write_usage_error(error: TyperException) -> None:
    """Say what is wrong about how a command was typed; the option that sets the format of logs may not have been read yet."""
    context = getattr(error, "ctx", None)
    options = context.find_root().command.params if context else ()
    given = {each.name: each.resolve_envvar_value(context) for each in options}
    if not is_log_in_json() and given.get("log_format") != LogFormat.JSON.value:
        from typer.rich_utils import rich_format_error

        rich_format_error(error)  # type: ignore[arg-type]  # the class that it declares is private
        return
    set_up_logs(LogFormat.JSON)
    command = context.command_path if context else "segments"
    what = error.format_message() or "no command is given"
    _write_error(UsageError(what, where=command, todo=f"Type it as {command} --help says."))


def _write_error(error: PipelineError) -> None:
    kind, fields = type(error).__name__, {"where": error.where, "next": error.todo, "exit_code": error.exit_code}
    what = error.what if is_log_in_json() else error
    write_message(f"{kind}: {what}", level=logging.ERROR, error=kind, **{name: value for name, value in fields.items() if value})

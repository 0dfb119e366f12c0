"""`segments init`: a company folder from files that somebody has."""

from __future__ import annotations

import shlex
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pipeline.cli.interrupts import exiting_when_terminated
from pipeline.reporting.output import write_text
from pipeline.spelling import printable_line

if TYPE_CHECKING:
    from pipeline.onboarding.questions import Question

FolderArgument = Annotated[Path, typer.Argument(metavar="FOLDER", help="The company's folder, which is made: such as my_shop.")]
FromOption = Annotated[list[Path], typer.Option("--from", help="A file with orders or customers, or a folder of them; may be given again.")]
SetOption = Annotated[list[str] | None, typer.Option("--set", help="An answer, as `time_zone=Europe/Berlin`; may be given again.")]


def init(folder: FolderArgument, files: FromOption, answers: SetOption = None) -> None:
    """Make a company folder from exports: Shopify, WooCommerce, Stripe, Square and others, or any table of orders or customers.

    What the files do not say is asked, on a terminal; elsewhere the settings to add are printed, with exit code 3.

    Settings are `name`, `time_zone`, `currency`, `encoding`, `customer` (email or id), `sales` (whose count), and of a table such as
    `orders` what a column is (`orders.amount=Total`), `orders.date_format`, `orders.unpaid` and others. All of them:
    docs/get-started/from-an-export.md, "Settings".
    """
    from pipeline.onboarding.new_company import make_company
    from pipeline.onboarding.questions import Settings, parse_settings
    from pipeline.onboarding.view import print_company
    from pipeline.operations.deployment import memory_limit_of_environment
    from pipeline.reporting.programs import program_path

    given = [word for file in files for word in ("--from", str(file))] + [word for answer in answers or () for word in ("--set", answer)]
    # A terminal that is closed on a question must not leave a copy of customers behind, in a hidden folder that nobody would look for.
    with exiting_when_terminated():
        made = make_company(
            folder,
            files,
            Settings(parse_settings(answers or ())),
            ask=_ask if is_terminal() else None,
            command=f"{program_path('segments')} {shlex.join(['init', str(folder), *given])}",
            now=datetime.now(UTC),
            memory_limit=memory_limit_of_environment(),
        )
    print_company(made)


def is_terminal() -> bool:
    """Return whether somebody can be asked."""
    return sys.stdin.isatty() and sys.stdout.isatty()


def _ask(question: Question) -> str:
    """Ask a person at the terminal until the answer is one."""
    write_text(f"\n{question.text}\n")
    for place, choice in enumerate(question.choices, 1):
        write_text(f"  {place}  {choice.value}  {choice.meaning}\n")
    while True:
        # Nothing is taken for an answer that somebody did not see: an example is no default.
        default = None if question.is_open else printable_line(question.likeliest)
        words = f"Your answer, such as {question.example}" if question.is_open and question.example else "Your answer"
        answer = str(typer.prompt(words, default=default)).strip()
        if answer.isdigit() and 0 < int(answer) <= len(question.choices):
            answer = question.choices[int(answer) - 1].value
        if not question.choices or answer in [choice.value for choice in question.choices]:
            return answer
        write_text("Choose one of these.\n")

"""The options by which a command that people read works on their company and lake, wherever it is pasted."""

from __future__ import annotations

from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pipeline.definitions.company import Company
    from pipeline.lake.lake import Lake

# The demo's, so that `segments run` works in a fresh checkout.
DEFAULT_COMPANY, DEFAULT_LAKE = Path("examples/adventureworks"), Path("lake")
_CHECKOUT = Path(__file__).resolve().parents[2]


def command_options(company: Company, lake: Lake) -> str:
    """Return ` --company FOLDER --lake PLACE`, quoted for a shell, without those of a fresh checkout, which are the defaults.

    Paths are absolute: whoever reads a page or a mail is in another folder than what wrote it.
    """
    given = (("--company", str(company.folder.resolve()), DEFAULT_COMPANY), ("--lake", lake.where().rstrip("/"), DEFAULT_LAKE))
    return "".join(f" {option} {quote(place)}" for option, place, default in given if place != str(_CHECKOUT / default))

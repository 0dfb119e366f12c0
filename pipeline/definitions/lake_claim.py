"""What a lake says of itself in company.json: whose it is, its format, and which version of the program wrote it last.

The format says how files lie in a lake and what they mean. It is raised with a change by which one version of the program would misread
what another wrote; `operations/migrations.py` brings older lakes to it.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from shlex import quote
from typing import TYPE_CHECKING

from pipeline import __version__
from pipeline.errors import ConfigError, DataError
from pipeline.lake import addresses

if TYPE_CHECKING:
    from pipeline.lake.lake import Lake

FORMAT = 2
FIRST_FORMAT = 1  # of lakes that were claimed before formats had numbers


@dataclass(frozen=True, slots=True)
class LakeClaim:
    """The company whose lake it is, the format of the lake, and the version of the program that claimed it; empty where that is unknown."""

    name: str
    currency: str
    time_zone: str
    format: int = FORMAT
    program: str = __version__

    def text(self) -> str:
        """Return what company.json holds."""
        return json.dumps(asdict(self), indent=1, ensure_ascii=False) + "\n"


def read_claim(lake: Lake) -> LakeClaim | None:
    """Return what the lake says of itself, None where no night has claimed it; raises DataError where that is damaged."""
    if not lake.exists(addresses.OWNER):
        return None
    try:
        content = json.loads(lake.read_text(addresses.OWNER))
        name, currency, time_zone = (str(content[fact]) for fact in ("name", "currency", "time_zone"))
        return LakeClaim(name, currency, time_zone, int(content.get("format", FIRST_FORMAT)), str(content.get("program", "")))
    except (ValueError, KeyError, TypeError, OverflowError):
        todo = "If the lake is this company's, remove the file, then run again."
        raise DataError("what the lake says of its company is damaged", where=lake.where(addresses.OWNER), todo=todo) from None


def write_claim(lake: Lake, claim: LakeClaim) -> None:
    """Let the lake say so of itself, where it does not yet."""
    text = claim.text()
    if not lake.exists(addresses.OWNER) or lake.read_text(addresses.OWNER) != text:
        lake.write_text(addresses.OWNER, text)


def require_format(lake: Lake, claim: LakeClaim | None) -> None:
    """Raise ConfigError where the lake with this claim is of another format than this version of the program reads."""
    if claim is None or claim.format == FORMAT:
        return
    if claim.format > FORMAT:
        raise newer_format_error(lake, claim)
    place = quote(lake.where().rstrip("/"))
    raise ConfigError(
        f"the lake was written by {_writer(claim, 'an older')}: its format is {claim.format}, and {__version__} reads format {FORMAT}",
        where=lake.where(addresses.OWNER),
        todo=f"Back the lake up, then run: segments upgrade --lake {place}. With --dry-run it says what it would do.",
    )


def newer_format_error(lake: Lake, claim: LakeClaim) -> ConfigError:
    """Return the error for a lake that a newer version of the program wrote."""
    version = f"customer-segments {claim.program}" if claim.program else "the version that wrote it"
    return ConfigError(
        f"the lake was written by {_writer(claim, 'a newer')}: its format is {claim.format}, and {__version__} reads format {FORMAT}",
        where=lake.where(addresses.OWNER),
        todo=f"Install {version}, or a newer one; or choose another lake with --lake, or SEGMENTS_LAKE. Nothing was changed.",
    )


def _writer(claim: LakeClaim, age: str) -> str:
    return f"{age} version of this program{f', {claim.program}' if claim.program else ''}"

"""Pages on this machine, for a browser: of a lake in a bucket they are copies, and what they lead to is copied along."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

from pipeline.lake import addresses
from pipeline.lake.lake import Lake


def local_page(lake: Lake, address: str) -> Path:
    """Return the path of the page at `address`; the other pages of its night, and the list of all nights, are there as well."""
    lake.local(f"{PurePosixPath(address).parent}/")
    lake.local(addresses.page_index())
    return lake.local(address)

"""The texts of lists that nights went by, kept in the lake: lines that are ids of customers."""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa

from pipeline.ingestion.erased import Ledger
from pipeline.lake import addresses
from pipeline.lake.lake import Lake
from pipeline.operations.erasure.rows import CustomerIds

STORE_NAME = "lists"
_AROUND = ' \t\r"'


def text_without_erased(lake: Lake, text: bytes) -> bytes:
    """Return the text of a list without the lines that are ids of erased customers: a list may name them for years."""
    erased = Ledger(lake).erased_ids()
    if erased is None:
        return text
    lines = text.decode("utf-8-sig", errors="replace").split("\n")
    values = [line.strip(_AROUND) for line in lines]
    found = set(erased.among(pa.array(values, pa.string())).to_pylist())
    return "\n".join(line for line, value in zip(lines, values, strict=True) if value not in found).encode() if found else text


class StoredCustomerLists:
    """What a lake keeps of a company's `lists/`. The company's own files stay as they are: whoever wrote them has to delete there."""

    def __init__(self, lake: Lake) -> None:
        self._lake = lake

    def customer_ids(self) -> Iterator[pa.Array]:
        """Yield the values of all lists, of which some may be ids."""
        for address in self._addresses():
            yield pa.array([line.strip(_AROUND) for line in self._lines(address)], pa.string())

    def count(self, ids: CustomerIds) -> dict[str, dict[str, int]]:
        """Count files and lines to remove."""
        erased = set(ids.texts)
        found = [sum(line.strip(_AROUND) in erased for line in self._lines(address)) for address in self._addresses()]
        return {STORE_NAME: {"files": sum(map(bool, found)), "rows": sum(found)}} if any(found) else {}

    def remove(self, ids: CustomerIds) -> None:
        """Write each list anew without these lines, under the digest of what it was."""
        erased = set(ids.texts)
        for address in self._addresses():
            lines = self._lines(address)
            others = [line for line in lines if line.strip(_AROUND) not in erased]
            if len(others) < len(lines):
                self._lake.write_text(address, "\n".join(others))

    def _addresses(self) -> list[str]:
        return self._lake.list_addresses(addresses.LISTS, suffix=".csv")

    def _lines(self, address: str) -> list[str]:
        return self._lake.store.read(address).decode("utf-8-sig", errors="replace").split("\n")

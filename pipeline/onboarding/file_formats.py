"""How the files of a table are written, as company.toml declares it; found once, never again at night."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class FileFormat:
    """What `[source.formats.<table>]` says of the files of a table; empty where the default is right."""

    encoding: str = ""
    separator: str = ""
    header_row: int = 1
    sheet: str = ""

    def settings(self) -> dict[str, str | int]:
        """Return what differs from the defaults."""
        found: dict[str, str | int] = {"encoding": self.encoding, "separator": self.separator, "sheet": self.sheet}
        found["header_row"] = self.header_row if self.header_row > 1 else ""
        return {name: value for name, value in found.items() if value}

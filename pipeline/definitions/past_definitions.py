"""Definitions as they were on an earlier night, which a night that is run again goes by."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.definitions.definition_files import Definition

if TYPE_CHECKING:
    from pipeline.definitions.translations import Translations


@dataclass(frozen=True, slots=True)
class PastDefinitions:
    """Definitions that were valid from `day` on, as kept in the lake's `file`.

    Their texts are by folder and stem, the files of `lists` by name, `translations` by scheme.
    """

    day: date
    file: Path
    texts: Mapping[str, Mapping[str, str]]
    lists: Mapping[str, Path] = field(default_factory=dict)
    translations: Mapping[str, Translations] = field(default_factory=dict)

    def read(self, folder: str, suffix: str, now: Mapping[str, Definition]) -> dict[str, Definition]:
        """Return the definitions of `folder` by stem; one that is still so `now` is the file itself, so that it is read only once."""
        kept = {name: Definition(self.file / folder / f"{name}{suffix}", text) for name, text in self.texts.get(folder, {}).items()}
        return {name: now[name] if name in now and now[name].text == each.text else each for name, each in kept.items()}

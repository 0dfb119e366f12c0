"""What a backup says of itself: its last file, so that one which ends too early has none."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass

from pipeline.lake.archive import ArchivedFile

MANIFEST = "backup.json"
LAKE = "lake/"  # the folder of the archive in which the files of the lake are
FORMAT = 1


@dataclass(frozen=True, slots=True)
class BackupManifest:
    """Whose lake it is, where `current` led to, and each file by its address; the company is empty where no night has begun."""

    company: str
    current: str | None
    files: Mapping[str, ArchivedFile]

    def to_json(self) -> str:
        """Return the text that the backup holds."""
        files = {address: asdict(file) for address, file in self.files.items()}
        content = {"format": FORMAT, "company": self.company, "current": self.current, "files": files}
        return json.dumps(content, indent=1, ensure_ascii=False) + "\n"


def read_manifest(text: str) -> BackupManifest:
    """Return the manifest in a text; raises ValueError, KeyError or TypeError where it is none that this version can read."""
    content = json.loads(text)
    if content["format"] != FORMAT:
        raise ValueError("another format")
    files = {address: ArchivedFile(int(file["size"]), str(file["sha256"])) for address, file in content["files"].items()}
    return BackupManifest(str(content["company"]), content["current"], files)

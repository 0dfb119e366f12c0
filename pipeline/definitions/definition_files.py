"""Files in which people write definitions: read as text, and refused where their name says that nothing would read them."""

from __future__ import annotations

import errno
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.errors import ConfigError, ErrorCollector
from pipeline.lake.tables import ERASURES, RAW_PREFIX, SOURCE_TABLES
from pipeline.spelling import did_you_mean

SUFFIXES = {
    "sources": ".sql",
    "features": ".toml",
    "segments": ".toml",
    "audiences": ".toml",
    "expectations": ".json",
    "lists": ".csv",
    "sinks": ".toml",
    "campaigns": ".toml",
}  # by folder
NOTES = (".md", ".rst")  # what people write for each other beside definitions
LARGEST_FILE = 1_000_000  # bytes: a rule of megabytes would take a minute to be refused
_FOLDER_CUTOFF = 0.8
_UTF_16_MARKS = (b"\xff\xfe", b"\xfe\xff")


@dataclass(frozen=True, slots=True)
class Definition:
    """The text of one definition file; `file` is what messages name, be it the file itself or where the lake keeps its text."""

    file: Path
    text: str

    def toml(self) -> dict[str, Any]:
        """Return the content; raises ConfigError where it is not TOML."""
        try:
            return tomllib.loads(self.text)
        except tomllib.TOMLDecodeError as error:
            raise ConfigError(f"not valid TOML: {error}", where=str(self.file), todo="Correct that place.") from None
        # The reader of TOML calls itself for each bracket: a file of brackets alone is a mistake of the file, and not of ours.
        except RecursionError:
            raise ConfigError("not valid TOML: nested too deep", where=str(self.file), todo="Write it flat.") from None


def read_definition(file: Path) -> Definition:
    """Return what `file` says, without a byte order mark; raises ConfigError where it cannot be read or is not text."""
    try:
        content = file.read_bytes()
    except OSError as error:
        raise unreadable_error(file, error) from None
    # Before it is decoded and parsed, which takes many times its size in memory.
    if len(content) > LARGEST_FILE:
        what = f"longer than {LARGEST_FILE:,} bytes"
        raise ConfigError(what, where=str(file), todo="Write less; lists of values belong into an attribute of customers.")
    try:
        return Definition(file, content.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        what = "UTF-16 text" if content.startswith(_UTF_16_MARKS) else f"not UTF-8 text from line {line} on"
        raise ConfigError(what, where=str(file), todo="Save the file as UTF-8.") from None


def definition_files(folder: Path, suffix: str) -> list[Path]:
    """Return the files of `folder` that end in `suffix`, in order, without those that an editor leaves there while it works."""
    return [path for path in _entries(folder) if path.name.endswith(suffix)]


def require_known_files(company: Path, *, ours: Path, data: Path | None, events: Sequence[str]) -> None:
    """Raise ConfigError for what lies in a company's folder as if it were a definition, but would never be read.

    `ours` is the folder of the default definitions: a suite is of one of its tables. `data` is the folder of the source's files,
    which may have any name. `events` are the names of the events that the company may have: each has a query and may have a suite.
    """
    found = ErrorCollector()
    for path in _entries(company):
        is_data = data is not None and (path.resolve() == data or path.resolve() in data.parents)
        near = "" if is_data or path.name in SUFFIXES else did_you_mean(path.name.lower(), SUFFIXES, cutoff=_FOLDER_CUTOFF)
        if near and path.is_dir():
            what = f"the folder `{path.name}` is not read{near}"
            found.errors.append(ConfigError(what, where=str(path), todo="Rename it, or move it away."))
    names = {
        "sources": sorted(f"{name}.sql" for name in {*SOURCE_TABLES, ERASURES.name, *events}),
        "features": [],  # any name will do
        "segments": [],
        "audiences": [],
        "lists": [],
        "sinks": [],
        "campaigns": [],
        "expectations": sorted(
            {
                *(path.name for path in definition_files(ours / "expectations", ".json")),
                *(f"{RAW_PREFIX}{name}.json" for name in events),
            }
        ),
    }
    for folder, suffix in SUFFIXES.items():
        for path in _entries(company / folder):
            if path.is_dir() and (folder, path.name) == ("segments", "translations"):
                continue  # looked through once schemes are known
            if not path.name.lower().endswith(NOTES):
                with found.collecting():
                    _require_known_file(path, suffix, names[folder])
    found.raise_first()


def unreadable_error(path: Path, error: OSError) -> ConfigError:
    """Return the error for a file or folder that the disk does not let us read."""
    remedies = {
        errno.EACCES: "Let the user that runs this read it.",
        errno.ENOENT: "Mend the link, or put the file back.",
        errno.ENOTDIR: "Put a folder in its place.",
    }
    reason = (error.strerror or type(error).__name__).lower()
    return ConfigError(f"cannot be read: {reason}", where=str(path), todo=remedies.get(error.errno or 0, "Mend the file, then run again."))


def _require_known_file(path: Path, suffix: str, names: Sequence[str]) -> None:
    name = f"{path.parent.name}/{path.name}"
    if path.name in names or (not names and path.suffix == suffix):
        if not path.is_file():
            todo = "Mend the link, or remove it." if path.is_symlink() else "Put a file in its place, or move it away."
            raise ConfigError(f"`{name}` is no file", where=str(path), todo=todo)
        return
    near = did_you_mean(path.name.lower(), names or [f"{path.stem}{suffix}"])
    read = f"What is read there: {', '.join(names) or f'files named *{suffix}'}."
    if path.parent.name == "sources" and path.suffix == suffix:
        read += f" Or declare it as an event: [events.{path.stem}] in company.toml."
    raise ConfigError(f"`{name}` would never be read{near}", where=str(path), todo=f"Rename it, or move it away. {read}")


def _entries(folder: Path) -> list[Path]:
    """Return what is in `folder`, in order, except hidden files, backups and locks of editors; nothing where there is no folder."""
    try:
        found = sorted(folder.iterdir())
    except FileNotFoundError:
        return []
    except OSError as error:
        raise unreadable_error(folder, error) from None
    return [path for path in found if not path.name.startswith((".", "#")) and not path.name.endswith(("~", "#"))]

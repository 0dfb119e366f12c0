"""What can be said of the files of a company whose settings cannot be read: whether each is what its ending says."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from pipeline.definitions.campaigns import read_campaign
from pipeline.definitions.definition_files import SUFFIXES, definition_files, read_definition
from pipeline.definitions.sinks import read_sink
from pipeline.definitions.value_lists import require_list
from pipeline.ingestion.validation.suites import parse_suite
from pipeline.operations.check.problems import ProblemList


def check_lone_files(folder: Path, found: ProblemList) -> None:
    """Add what is wrong with each file by itself; rules and queries go by the settings, and are left for the next check."""
    for name, suffix in SUFFIXES.items():
        for file in definition_files(folder / name, suffix):
            with found.collecting():
                _READERS.get(name, _read_toml if suffix == ".toml" else read_definition)(file)


def _read_toml(file: Path) -> object:
    return read_definition(file).toml()


_READERS: Mapping[str, Callable[[Path], object]] = {
    "sinks": lambda file: read_sink(file.stem, read_definition(file)),
    "campaigns": lambda file: read_campaign(read_definition(file)),
    "lists": require_list,
    "expectations": lambda file: parse_suite(read_definition(file).text, file),
}

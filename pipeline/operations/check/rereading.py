"""Files with several faults: what one hides is found by reading the file again without it."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any, TypeVar

from pipeline.definitions.definition_files import Definition
from pipeline.errors import PipelineError
from pipeline.operations.check.problems import ProblemList

MOST_FAULTS = 50
_NAMED = re.compile(r"`([^`\n]+)`")
Read = TypeVar("Read")
Path = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _CutDefinition(Definition):
    """A definition without what is wrong in it; its text is the whole, so that lines stay where they are."""

    values: Mapping[str, Any] = field(default_factory=dict)

    def toml(self) -> dict[str, Any]:
        return deepcopy(dict(self.values))


@dataclass(frozen=True, slots=True)
class Rereading:
    """How a kind of file is read without what is wrong in it.

    `stand_ins` are put in the place of required settings, by the last part of their names: nothing is computed by them. The settings of
    a table within one of the sections `wholes` make no sense without each other, so that such a table is cut out as a whole.
    """

    stand_ins: Mapping[str, object]
    wholes: Collection[str] = ()

    def read(self, definition: Definition, reader: Callable[[Definition], Read], found: ProblemList) -> tuple[Read | None, list[Path]]:
        """Return what `reader` makes of the file, None where that is not possible, and what was cut out; faults are added to `found`."""
        values, cut = definition.toml(), list[Path]()
        for _ in range(MOST_FAULTS):
            try:
                return reader(_CutDefinition(definition.file, definition.text, values)), cut
            except PipelineError as error:
                found.add(error)
                # One reading may tell of several; where none of them can be cut out, the next one would tell the same.
                paths = [self._cut_out(values, each) for each in (error, *error.others)]
            if not any(paths):
                break
            cut += [path for path in paths if path]
        return None, cut

    def _cut_out(self, values: dict[str, Any], error: PipelineError) -> Path:
        """Take what an error is about out of `values`, or put something right in its place; return its path, empty where it has none."""
        for path in _candidate_paths(values, error):
            table, key = _table_of(values, path), path[-1]
            stand_in = self.stand_ins.get(key)
            if table is None:
                continue
            if path[0] in self.wholes and len(path) > 1:
                values[path[0]].pop(path[1], None)
            elif stand_in is not None and table.get(key) != stand_in:
                table[key] = stand_in
            elif stand_in is not None and (others := self._contradicting(table, stand_in)):
                table.update(others)
            elif key in table:
                del table[key]
            else:
                continue
            return path
        return ()

    def _contradicting(self, table: Mapping[str, Any], stand_in: object) -> dict[str, object]:
        """Return stand-ins for settings that may contradict one which is right by itself, such as a first day after the last one.

        Cut out, that one would be called missing, though the file has it. Texts contradict nothing.
        """
        if isinstance(stand_in, str):
            return {}
        return {key: each for key, each in self.stand_ins.items() if type(each) is type(stand_in) and table.get(key, each) != each}


def _candidate_paths(values: dict[str, Any], error: PipelineError) -> Iterator[Path]:
    """Yield where in the file the fault may be: the setting that the error is about, else the names that it quotes."""
    if error.setting:
        yield tuple(error.setting.split("."))
    for name in _NAMED.findall(error.what):
        yield from _paths_ending(values, tuple(name.split(".")))


def _paths_ending(table: Mapping[str, Any], end: Path, path: Path = ()) -> Iterator[Path]:
    for key, value in table.items():
        if (*path, key)[-len(end) :] == end:
            yield (*path, key)
        if isinstance(value, dict):
            yield from _paths_ending(value, end, (*path, key))


def _table_of(values: dict[str, Any], path: Path) -> dict[str, Any] | None:
    table: Any = values
    for key in path[:-1]:
        table = table.get(key) if isinstance(table, dict) else None
    return table if isinstance(table, dict) else None

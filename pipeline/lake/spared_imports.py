"""Importing a large library without what it loads and we never use.

Great Expectations imports each engine that it finds and every expectation that it has, with charts and statistics: half of
the seconds that it takes, every night anew. Spark is also a risk: its import ends a process that has no main file. And pyarrow
imports pandas to see whether a list that it is given might be a series.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from types import ModuleType
from typing import Any

import pyarrow as pa


class _PutOffModule(ModuleType):
    """Stands in for a module until somebody uses it."""

    def __getattr__(self, name: str) -> object:
        if name.startswith("__"):  # what the import system asks of every module
            raise AttributeError(name)
        if sys.modules.get(self.__name__) is self:
            del sys.modules[self.__name__]
        return getattr(import_module(self.__name__), name)


@contextmanager
def spared_imports(*, hidden: Sequence[str], put_off: Sequence[str]) -> Iterator[None]:
    """Within the block, imports find no `hidden` module, and `put_off` ones are loaded at their first use, whenever that is.

    A module that is loaded already is neither. After the block every module is found again.
    """
    stand_ins: dict[str, Any] = {name: _PutOffModule(name) for name in put_off}
    # None is how the import system is told that there is no such module.
    stand_ins |= dict.fromkeys(hidden)
    absent = {name: module for name, module in stand_ins.items() if name not in sys.modules}
    sys.modules.update(absent)
    try:
        yield
    finally:
        for name, module in absent.items():
            if sys.modules.get(name) is module:
                del sys.modules[name]


class _HidingFinder:
    """Finds no module of one name; a None in `sys.modules` would tell Python so, but not compiled modules."""

    def __init__(self, name: str) -> None:
        self._name = name

    def find_spec(self, name: str, _path: object = None, _target: object = None) -> None:
        if name == self._name:
            raise ModuleNotFoundError(name=name)


def spare_pandas() -> None:
    """Have pyarrow find no pandas when it is given a list, which saves a sixth of a second; what asks for pandas itself still finds it.

    From then on a series becomes an array by `pa.Table.from_pandas`; to `pa.array` it is a list like any other.
    """
    finder = _HidingFinder("pandas")
    sys.meta_path.insert(0, finder)
    try:
        pa.array([])  # pyarrow looks for it at the first list, and never again; one that is loaded already is found
    finally:
        sys.meta_path.remove(finder)
